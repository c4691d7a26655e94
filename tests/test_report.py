"""Every output format, on one made-up set of findings."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from shapecheck.findings.diagnostic import Caret, Diagnostic, Location, Remark, Span, TextEdit, TextFix
from shapecheck.findings.rule import Severity
from shapecheck.formats import Format, Report, render
from shapecheck.formats.text import _Under, under_lines

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
        "notes", "fix", "url",
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
    assert (second["fix"], second["notes"]) == (None, [])


def test_github() -> None:
    first, second = render(REPORT, Format.GITHUB).splitlines()
    assert first == (
        "::error file=/p/train.py,line=4,endLine=4,col=9,endColumn=52,title=SC101 batch-crossed-similarity"
        "::every query meets every group (only right when G = 1)%0Ahelp: write this"
    )
    assert second.startswith("::warning ")
    assert second.endswith("::50%25 of it: <a> & b,%0Ahidden")


def test_gitlab_fingerprints_survive_moved_lines_and_differ_for_equals() -> None:
    moved = Diagnostic(CROSSED.code, CROSSED.name, CROSSED.severity, CROSSED.message, span(40, 1, 2))
    first = json.loads(render(REPORT, Format.GITLAB))
    later = json.loads(render(Report([moved, CROSSED]), Format.GITLAB))
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
    assert [rule["id"] for rule in rules] == ["SC101", "SC105"]
    first = run["results"][0]
    assert rules[first["ruleIndex"]]["id"] == first["ruleId"] == "SC101"
    assert first["level"] == "error"
    assert first["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "file:///p/train.py"},
        "region": {"startLine": 4, "startColumn": 9, "endLine": 4, "endColumn": 52},
    }
    assert [r["message"]["text"] for r in first["relatedLocations"]] == ["[B, D]", "[B, G, D]", "B is the rows of q"]


def test_html_stands_alone_and_escapes() -> None:
    page = render(REPORT, Format.HTML)
    assert "2 findings in 3 files" in page
    assert "&lt;a&gt; &amp; b" in page
    assert "<a> & b" not in page
    assert "src=" not in page


@pytest.mark.parametrize("form", list(Format))
def test_nothing_found(form: Format) -> None:
    text = render(Report([], 2), form)
    if form in (Format.TEXT, Format.CONCISE, Format.GITHUB):
        assert text == ""
    elif form in (Format.JSON, Format.GITLAB):
        assert json.loads(text) == []
    else:
        assert text.endswith("\n")
