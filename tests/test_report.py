"""Every output format, on one made-up set of findings."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from html import unescape
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import bundled

from shapecheck.findings.diagnostic import Caret, Diagnostic, Location, Problem, Remark, Span, TextEdit, TextFix
from shapecheck.findings.rule import Severity
from shapecheck.formats import Format, Report, junit, render
from shapecheck.formats.text import _Under, under_lines
from shapecheck.source.text import visible

PATH = "/p/train.py"
TEXT = """\
import torch

def scores(q, p, group):
    s = similarity(q, p.view(q.size(0), group, -1))  # B G
    return s.view(q.size(0), -1)
"""


def span(row: int, start: int, end: int, path: str = PATH) -> Span:
    return Span(path, Location(row, start), Location(row, end))


CROSSED = Diagnostic(
    "SC101",
    "batch-crossed-similarity",
    Severity.ERROR,
    "every query meets every group",
    span(4, 9, 52),
    (Caret(span(4, 20, 21), "[B, D]"), Caret(span(4, 23, 51), "[B, G, D]")),
    (Remark("B is the rows of q", span(3, 12, 13)), Remark("a matmul broadcasts its batch axes")),
    "G = 1",
    "write this",
    TextFix("add an axis", False, (TextEdit(span(4, 20, 21), "q.unsqueeze(1)"),), ("import torch.nn.functional as F",)),
)
HIDDEN = Diagnostic("SC105", "laundered-rank", Severity.WARNING, "50% of it: <a> & b,\nhidden", span(5, 12, 33))
REPORT = Report([CROSSED, HIDDEN], 3, {PATH: TEXT.encode()})


def test_text() -> None:
    assert (
        render(REPORT, Format.TEXT)
        == """\
/p/train.py:4:9: error SC101 batch-crossed-similarity
  every query meets every group
  |
4 |     s = similarity(q, p.view(q.size(0), group, -1))  # B G
  |                    ^  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^ [B, G, D]
  |                    [B, D]
  |
  = only right when: G = 1
  = note: B is the rows of q (/p/train.py:3)
  = note: a matmul broadcasts its batch axes
  = help: write this
  = fix: add an axis (--fix --unsafe-fixes)
  = proof: reference-trainer validate /p/train.py:NAME, the loss's own name, says whether it is right

/p/train.py:5:12: warning SC105 laundered-rank
  50% of it: <a> & b,
hidden
  |
5 |     return s.view(q.size(0), -1)
  |            ^^^^^^^^^^^^^^^^^^^^^
  |

"""
    )


def test_text_has_colors_only_when_asked() -> None:
    plain = render(REPORT, Format.TEXT)
    colored = render(Report(REPORT.diagnostics, 3, REPORT.sources, color=True), Format.TEXT)
    assert "\x1b[" not in plain
    assert "\x1b[" in colored
    import re

    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == plain


def test_labels_on_other_lines_and_in_other_files() -> None:
    moved = Diagnostic(
        "SC1", "one", Severity.INFO, "said", span(5, 12, 13),
        (Caret(span(1, 8, 13), "torch"), Caret(span(9, 1, 2, "/p/other.py"), "[B]")),
    )  # fmt: skip
    assert (
        render(Report([moved], 1, REPORT.sources), Format.TEXT)
        == """\
/p/train.py:5:12: info SC1 one
  said
  |
1 | import torch
  |        ^^^^^ torch
 ...
5 |     return s.view(q.size(0), -1)
  |            ^
  |
  = at: /p/other.py:9: [B]

"""
    )


def test_a_file_that_is_gone_still_has_its_message() -> None:
    assert "every query meets every group" in render(Report([CROSSED], 1, {}), Format.TEXT)


@pytest.mark.parametrize(
    ("labels", "lines"),
    [
        ([(0, 3, "[a]")], ["^^^ [a]"]),
        ([(0, 1, "[a]"), (8, 9, "[b]"), (16, 17, "[c]")], ["^       ^       ^ [c]", "[a]     [b]"]),
        (
            [(0, 1, "[long, text]"), (4, 5, "[b]"), (8, 9, "[c]")],
            ["^   ^   ^ [c]", "|   [b]", "[long, text]"],
        ),
        ([(0, 9, "[all]"), (2, 3, "[in]")], ["^^^^^^^^^ [all]", "  [in]"]),
        ([(0, 2, ""), (4, 6, "")], ["^^  ^^"]),
    ],
)
def test_labels_below_a_line(labels: list[tuple[int, int, str]], lines: list[str]) -> None:
    assert under_lines([_Under(*label) for label in labels]) == lines


def test_tabs_and_wide_letters_keep_carets_in_place() -> None:
    text = "def f():\n\tx = '日本'; y = z\n"
    d = Diagnostic("SC1", "one", Severity.ERROR, "said", span(2, 12, 17))
    lines = render(Report([d], 1, {PATH: text.encode()}), Format.TEXT).splitlines()
    assert lines[3] == "2 |     x = '日本'; y = z"
    assert lines[4] == "  |                 ^^^^^"  # two columns for each of the two wide letters


def test_concise() -> None:
    assert render(REPORT, Format.CONCISE).splitlines()[0] == (
        "/p/train.py:4:9: error SC101 every query meets every group (only right when G = 1)"
    )


def test_json() -> None:
    first, second = json.loads(render(REPORT, Format.JSON))
    assert list(second) == [
        "code", "name", "severity", "message", "condition", "help", "filename", "location", "end_location", "labels",
        "notes", "fix", "proof", "url",
    ]  # fmt: skip
    assert (first["code"], first["name"], first["severity"]) == ("SC101", "batch-crossed-similarity", "error")
    assert (first["filename"], first["location"]) == (PATH, {"row": 4, "column": 9})
    assert first["end_location"] == {"row": 4, "column": 52}
    assert first["notes"] == [
        {"message": "B is the rows of q", "filename": PATH, "location": {"row": 3, "column": 12}},
        {"message": "a matmul broadcasts its batch axes", "filename": None, "location": None},
    ]
    at = {"row": 2, "column": 1}
    assert first["fix"] == {
        "applicability": "unsafe",
        "message": "add an axis",
        "edits": [
            {"content": "import torch.nn.functional as F\n", "location": at, "end_location": at},
            {
                "content": "q.unsqueeze(1)",
                "location": {"row": 4, "column": 20},
                "end_location": {"row": 4, "column": 21},
            },
        ],
    }
    assert first["url"].endswith("#sc101")
    assert first["proof"].startswith(f"reference-trainer validate {PATH}:NAME")
    assert (second["fix"], second["notes"], second["proof"]) == (None, [], "")


def test_github() -> None:
    first, second = render(REPORT, Format.GITHUB).splitlines()
    assert first == (
        "::error file=/p/train.py,line=4,endLine=4,col=9,endColumn=52,title=SC101 batch-crossed-similarity"
        "::every query meets every group (only right when G = 1)%0Ahelp: write this"
    )
    assert second.startswith("::warning ")
    assert second.endswith("::50%25 of it: <a> & b,%0Ahidden")


def test_gitlab_fingerprints_survive_moved_lines_and_differ_for_equals() -> None:
    first = json.loads(render(REPORT, Format.GITLAB))
    text = TEXT.replace("def", "\n\n\ndef").encode() + TEXT.splitlines()[3].encode()
    moved, equal = (Diagnostic(CROSSED.code, "x", CROSSED.severity, "other words", span(row, 1, 2)) for row in (7, 9))
    later = json.loads(render(Report([moved, equal], sources={PATH: text}), Format.GITLAB))
    assert first[0]["fingerprint"] == later[0]["fingerprint"]
    assert later[0]["fingerprint"] != later[1]["fingerprint"]
    assert first[0]["location"] == {"path": "/p/train.py", "lines": {"begin": 4, "end": 4}}
    assert [row["severity"] for row in first] == ["critical", "major"]


def test_junit() -> None:
    nasty = Diagnostic("SC1", "one", Severity.ERROR, "a \x00 \x1b <b>", span(1, 1, 2))
    root = ElementTree.fromstring(render(Report([CROSSED, HIDDEN, nasty], 1, REPORT.sources), Format.JUNIT))
    assert (root.get("tests"), root.get("failures")) == ("3", "3")
    cases = list(root.iter("testcase"))
    assert [case.get("name") for case in cases] == ["SC101:4:9", "SC105:5:12", "SC1:1:1"]
    failure = cases[0].find("failure")
    assert failure is not None
    assert "^^^^ [B, G, D]" in str(failure.text)


def test_junit_without_a_finding_has_one_passed_case() -> None:
    root = ElementTree.fromstring(render(Report([], 7), Format.JUNIT))
    assert [case.get("name") for case in root.iter("testcase")] == ["7 files without a finding"]
    assert root.get("failures") == "0"


def test_sarif() -> None:
    log = json.loads(render(REPORT, Format.SARIF))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["SC001", "SC101", "SC105"]
    assert run["invocations"][0]["executionSuccessful"]
    first = run["results"][0]
    assert rules[first["ruleIndex"]]["id"] == first["ruleId"] == "SC101"
    assert first["level"] == "error"
    assert "proof: reference-trainer validate" in first["message"]["text"]
    assert first["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "file:///p/train.py"},
        "region": {"startLine": 4, "startColumn": 9, "endLine": 4, "endColumn": 52},
    }
    assert [r["message"]["text"] for r in first["relatedLocations"]] == ["[B, D]", "[B, G, D]", "B is the rows of q"]


def test_html_stands_alone_and_escapes() -> None:
    page = render(REPORT, Format.HTML)
    assert "2 findings in 1 file, 3 files checked" in page
    assert "&lt;a&gt; &amp; b" in page
    assert "<a> & b" not in page
    assert "src=" not in page


@pytest.mark.parametrize("form", list(Format))
def test_nothing_found(form: Format) -> None:
    text = render(Report([], 2), form)
    if form in (Format.TEXT, Format.CONCISE, Format.STATISTICS, Format.GITHUB):
        assert text == ""
    elif form in (Format.JSON, Format.GITLAB):
        assert json.loads(text) == []
    else:
        assert text.endswith("\n")


# --------------------------------------------------------- what could not be checked, and where files are


MACHINES = [form for form in Format if not form.for_people]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(str.strip)
PROBLEMS = st.builds(
    Problem,
    TEXTS.map(lambda text: "/p/" + re.sub(r"[/\0]", "", text) + "x.py"),
    TEXTS,
    st.none() | st.builds(Location, st.integers(1, 99), st.integers(1, 99)),
    st.booleans(),
)


def told(text: str, form: Format) -> list[str]:
    """The messages of what could not be checked, as a program reads them."""
    match form:
        case Format.JSON:
            return [row["message"] for row in json.loads(text) if row["code"] == "SC000"]
        case Format.SARIF:
            (invocation,) = json.loads(text)["runs"][0]["invocations"]
            assert not invocation["executionSuccessful"]
            return [n["message"]["text"] for n in invocation["toolExecutionNotifications"]]
        case Format.GITHUB:
            lines = [line for line in text.split("\n") if "title=SC000" in line]
            found = [line.split("::", 2)[2] for line in lines]
            return [f.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%") for f in found]
        case Format.GITLAB:
            return [row["description"][7:] for row in json.loads(text) if row["check_name"] == "SC000"]
        case Format.JUNIT:
            return [str(e.get("message")) for e in ElementTree.fromstring(text).iter("error")]
        case _:
            part = text.split("Not checked, or not wholly")[1].split("<h2>")[0]
            return [unescape(p) for p in re.findall("<p>(.*?)</p>", part, re.DOTALL)]


@pytest.mark.parametrize("form", MACHINES)
@settings(max_examples=60, deadline=None)
@given(st.lists(PROBLEMS, min_size=1, max_size=4), st.booleans())
def test_every_machine_format_has_every_problem(form: Format, problems: list[Problem], findings: bool) -> None:
    text = render(replace(REPORT, problems=problems, diagnostics=REPORT.diagnostics if findings else []), form)
    wanted = [str(p) if form is Format.HTML else p.message for p in problems]
    if form is Format.JUNIT:  # a suite for each file, and XML has no words for some characters
        wanted = [re.sub(r"\s", " ", junit._clean(message)) for message in wanted]
        assert sorted(re.sub(r"\s", " ", message) for message in told(text, form)) == sorted(wanted)
    elif form is Format.GITHUB:  # printed to a log that a terminal may show
        assert told(text, form) == [visible(message, "\t\r\n") for message in wanted]
    else:
        assert told(text, form) == wanted


@pytest.mark.parametrize("form", [Format.SARIF, Format.GITHUB, Format.GITLAB])
def test_files_are_named_from_the_root(form: Format) -> None:
    outside = Problem("/q/b.py", "cannot be read")
    text = render(replace(REPORT, root="/p", problems=[Problem("/p/sub/a.py", "cannot be read"), outside]), form)
    named: list[str] = {
        Format.GITHUB: lambda: re.findall("file=([^,]*),", text),
        Format.GITLAB: lambda: [row["location"]["path"] for row in json.loads(text)],
        Format.SARIF: lambda: re.findall(r'"uri": "([^"]*py)"', text),
    }[form]()
    assert {"train.py", "sub/a.py"} < set(named)
    assert [name for name in named if "q/b.py" in name] == ["file:///q/b.py" if form is Format.SARIF else "/q/b.py"]


def test_names_that_are_no_text() -> None:
    path = os.fsdecode(b"/p/\xff\xe9.py")
    report = replace(REPORT, root="/p", problems=[Problem(path, "cannot be read")])
    for form in MACHINES:
        assert told(render(report, form), form)
    assert '"uri": "%FF%E9.py"' in render(report, Format.SARIF)


def test_sarif_has_fixes_rules_and_fingerprints() -> None:
    report = replace(REPORT, root="/p", rules=bundled())
    (run,) = json.loads(render(report, Format.SARIF))["runs"]
    rules = {rule["id"]: rule for rule in run["tool"]["driver"]["rules"]}
    assert rules["SC101"]["help"]["markdown"].startswith("# SC101 ")
    assert rules["SC101"]["defaultConfiguration"] == {"level": "error"}
    assert len(rules) > 30
    first, second = run["results"]
    assert [run["tool"]["driver"]["rules"][r["ruleIndex"]]["id"] for r in (first, second)] == ["SC101", "SC105"]
    assert first["partialFingerprints"] != second["partialFingerprints"]
    (change,) = first["fixes"][0]["artifactChanges"]
    assert change["artifactLocation"] == {"uri": "train.py", "uriBaseId": "%SRCROOT%"}
    assert [r["insertedContent"]["text"] for r in change["replacements"]] == [
        "import torch.nn.functional as F\n", "q.unsqueeze(1)"
    ]  # fmt: skip
    assert run["originalUriBaseIds"] == {"%SRCROOT%": {"uri": "file:///p/"}}


def test_an_interrupted_run_is_not_successful() -> None:
    (run,) = json.loads(render(replace(REPORT, interrupted=True), Format.SARIF))["runs"]
    assert not run["invocations"][0]["executionSuccessful"]
