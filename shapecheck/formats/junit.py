"""JUnit XML: a failed test case for each finding, a broken one for what could not be checked, a passed one for none."""

from __future__ import annotations

import re
from xml.etree import ElementTree as Xml

from shapecheck.findings.diagnostic import NOT_CHECKED, Diagnostic, Problem, shown
from shapecheck.formats import Report
from shapecheck.formats.text import explain
from shapecheck.source.text import visible

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(report: Report) -> str:
    failures, errors = len(report.diagnostics), len(report.problems)
    root = Xml.Element(
        "testsuites",
        name="shapecheck",
        tests=str(max(1, failures + errors)),
        failures=str(failures),
        errors=str(errors),
    )
    if not failures + errors:
        suite = Xml.SubElement(root, "testsuite", name="shapecheck", tests="1", failures="0", errors="0")
        Xml.SubElement(suite, "testcase", name=f"{report.files} files without a finding", classname="shapecheck")
    by_file: dict[str, tuple[list[Problem], list[Diagnostic]]] = {}
    for problem in report.problems:
        by_file.setdefault(problem.path, ([], []))[0].append(problem)
    for d in report.diagnostics:
        by_file.setdefault(d.path, ([], []))[1].append(d)
    for path, (problems, found) in sorted(by_file.items()):
        name = _clean(shown(path))
        counts = {"tests": len(problems) + len(found), "failures": len(found), "errors": len(problems)}
        suite = Xml.SubElement(root, "testsuite", {"name": name, **{key: str(n) for key, n in counts.items()}})
        for problem in problems:
            case = Xml.SubElement(suite, "testcase", name=" ".join(NOT_CHECKED), classname=name, file=name)
            if problem.location:
                case.set("line", str(problem.location.row))
            message = _clean(problem.message)
            Xml.SubElement(case, "error", type=NOT_CHECKED[1], message=message).text = _clean(str(problem))
        for d in found:
            case = Xml.SubElement(
                suite,
                "testcase",
                name=f"{d.code}:{d.location.row}:{d.location.column}",
                classname=name,
                file=name,
                line=str(d.location.row),
            )
            failure = Xml.SubElement(case, "failure", type=d.severity.value, message=_clean(d.sentence))
            failure.text = _clean("".join(text for text, _ in explain(d, report)))
    Xml.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"


def _clean(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", visible(text, "\t\r\n"))
