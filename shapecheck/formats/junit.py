"""JUnit XML: one failed test case for each finding, one passed where there is none."""

from __future__ import annotations

import re
from itertools import groupby
from xml.etree import ElementTree as Xml

from shapecheck.formats import Report
from shapecheck.formats.text import explain

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(report: Report) -> str:
    count = str(len(report.diagnostics))
    root = Xml.Element("testsuites", name="shapecheck", tests=str(max(1, len(report.diagnostics))), failures=count)
    if not report.diagnostics:
        suite = Xml.SubElement(root, "testsuite", name="shapecheck", tests="1", failures="0", errors="0")
        Xml.SubElement(suite, "testcase", name=f"{report.files} files without a finding", classname="shapecheck")
    for filename, group in groupby(report.diagnostics, key=lambda d: d.filename):
        found = list(group)
        number = str(len(found))
        suite = Xml.SubElement(root, "testsuite", name=_clean(filename), tests=number, failures=number, errors="0")
        for d in found:
            case = Xml.SubElement(
                suite,
                "testcase",
                name=f"{d.code}:{d.location.row}:{d.location.column}",
                classname=_clean(filename),
                file=_clean(filename),
                line=str(d.location.row),
            )
            failure = Xml.SubElement(case, "failure", type=d.severity.value, message=_clean(d.sentence))
            failure.text = _clean("".join(text for text, _ in explain(d, report)))
    Xml.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"


def _clean(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
