"""From bytes to diagnostics: with rules made here, so that every way in which a rule or a file can go wrong is seen."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shapecheck.engine.facts import Assigned, Facts
from shapecheck.engine.values import Site, Tensor
from shapecheck.findings.diagnostic import Location
from shapecheck.findings.fixes import apply
from shapecheck.findings.rule import Edit, Finding, Fix, Label, Note, Rule, Severity
from shapecheck.service.check import Check, Options, Result, may_concern
from shapecheck.source.program import Bind, Call
from shapecheck.source.text import decode


def make_rule(code: str, say: Callable[[Assigned, Facts], Iterator[Finding]], name: str = "") -> Rule:
    rule = Rule(code, name or f"rule-{code.lower()}", Severity.ERROR, "made for a test")
    rule.on(Assigned)(say)
    return rule


def naming(code: str, wanted: str, **more: Any) -> Rule:
    """A rule that reports each assignment to `wanted`."""

    def say(fact: Assigned, facts: Facts) -> Iterator[Finding]:
        if fact.name == wanted:
            yield rule.finding(fact.site, f"{wanted} is assigned", **more)

    rule = make_rule(code, say)
    return rule


@pytest.fixture(autouse=True)
def assignments_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the engine: each assignment of a module's top level is a fact."""

    def analyze(program: Any, project: Any) -> Facts:
        facts = Facts(program.path)
        for statement in program.body:
            if isinstance(statement, Bind):
                target = statement.targets[0]
                site = Site(program.path, statement.value or target)
                facts.items.append(Assigned(site=site, name=target.id, value=Tensor()))
        return facts

    monkeypatch.setattr("shapecheck.engine.analyze", analyze, raising=False)


def check(tmp_path: Path, text: str | bytes, *rules: Rule, installed: tuple[Rule, ...] = (), **options: Any) -> Result:
    data = text if isinstance(text, bytes) else text.encode()
    path = tmp_path / "a.py"
    path.write_bytes(data)
    return Check(rules, Options(tmp_path, **options), known=(*rules, *installed))(str(path), data)


def told(result: Result) -> list[tuple[int, str]]:
    return [(d.location.row, d.code) for d in result.diagnostics]


def test_a_finding_becomes_rows_and_columns(tmp_path: Path) -> None:
    result = check(tmp_path, "x = 1\nbad = f(\n    1,\n)\n", naming("SC1", "bad"))
    (d,) = result.diagnostics
    assert (d.location, d.end_location) == (Location(2, 7), Location(4, 2))
    assert d.path == str(tmp_path / "a.py")
    assert pickle.loads(pickle.dumps(result)) == result


def test_one_code_at_one_place_is_said_once_and_the_gravest_stays(tmp_path: Path) -> None:
    def say(fact: Assigned, facts: Facts) -> Iterator[Finding]:
        yield rule.finding(fact.site, "mildly", Severity.INFO)
        yield rule.finding(fact.site, "gravely", Severity.ERROR)

    rule = make_rule("SC1", say)
    assert [d.message for d in check(tmp_path, "x = 1\n", rule).diagnostics] == ["gravely"]


def test_covers_holds_on_the_own_line_and_on_the_lines_of_notes(tmp_path: Path) -> None:
    text = "bad = 1\nlater = 2\nlast = 3\n"

    def say(fact: Assigned, facts: Facts) -> Iterator[Finding]:
        if fact.name == "bad":
            later = facts.items[1].site
            yield rule.finding(fact.site, "bad", notes=(Note("hidden here", later),), covers=("SC5",))

    rule = make_rule("SC1", say)
    others = [naming("SC5", name) for name in ("later", "last", "bad")]
    assert told(check(tmp_path, text, rule, *others)) == [(1, "SC1"), (3, "SC5")]
    assert told(check(tmp_path, text, *others)) == [(1, "SC5"), (2, "SC5"), (3, "SC5")]


def test_one_cause_is_said_once_with_its_other_places(tmp_path: Path) -> None:
    result = check(
        tmp_path,
        "# torch\na = 1\nb = 2\na = 3\na = 4\n",
        naming("T1", "a", cause=("rows",)),
        naming("T2", "b", cause=("rows",)),
    )
    assert told(result) == [(2, "T1"), (3, "T2")]
    assert [(remark.message, remark.span and remark.span.start.row) for remark in result.diagnostics[0].notes] == [
        ("the same here", 4),
        ("the same here", 5),
    ]


def test_suppressions(tmp_path: Path) -> None:
    text = (
        "bad = 1  # shapecheck: ignore[SC1]\n"
        "bad = 1  # shapecheck: ignore[SC2]\n"
        "bad = f(  # shapecheck: ignore\n    1\n)\n"
        "bad = 1  # shapecheck: ignore[rule-sc1]\n"
    )
    assert told(check(tmp_path, text, naming("SC1", "bad"))) == [(2, "SC1")]


def test_suppressions_in_vain_are_told_on_request(tmp_path: Path) -> None:
    text = (
        "bad = 1  # shapecheck: ignore[SC1]\n"
        "good = 1  # shapecheck: ignore[SC1]\n"
        "good = 1  # shapecheck: ignore[SC7]\n"
        "good = 1  # shapecheck: ignore\n"
        "good = 1  # shapecheck: ingore\n"
        "bad = 1  # shapecheck: ignore[SC1, SC7, SC9]\n"
    )
    result = check(tmp_path, text, naming("SC1", "bad"), installed=(naming("SC7", "x"),), unused_ignores=True)
    assert [(d.location.row, d.location.column, d.message) for d in result.diagnostics] == [
        (2, 32, "this suppression is not needed: nothing is found here for SC1"),
        (5, 11, "`# shapecheck: ingore` is no comment that shapecheck knows"),
        (6, 41, 'no rule is called "SC9"'),
    ], "SC7 did not run, so its marks, and those for all rules, may be needed"
    assert told(check(tmp_path, text, naming("SC1", "bad"))) == []
    everything = check(tmp_path, text, naming("SC1", "bad"), naming("SC7", "x"), unused_ignores=True)
    assert told(everything) == [(row, "SC001") for row in (2, 3, 4, 5, 6, 6)]


def test_a_mark_is_not_condemned_for_a_rule_that_is_off_or_broke(tmp_path: Path) -> None:
    def fail(fact: Assigned, facts: Facts) -> Iterator[Finding]:
        raise KeyError("oops")
        yield

    text = "good = 1  # shapecheck: ignore[SC1]\n"
    rule = naming("SC1", "bad")
    off = (("a.py", ("SC1",)),)
    assert told(check(tmp_path, text, rule, unused_ignores=True, per_file_ignores=off)) == []
    assert told(check(tmp_path, text, make_rule("SC1", fail), unused_ignores=True)) == []


@pytest.mark.parametrize("seed", range(30))
def test_a_condemned_suppression_is_one_that_can_go(tmp_path: Path, seed: int) -> None:
    """Whichever rules ran: without what was condemned, all rules together say the same."""
    rng = random.Random(seed)
    rules = [naming("SC1", "a"), naming("SC12", "a"), naming("SC2", "b"), naming("TT1", "c")]
    codes = ["SC1", "SC12", "SC2", "SC", "ALL", "rule-sc2", "TT", "SC3", "nonsense"]
    lines = [
        f"{rng.choice('abcd')} = 1  # shapecheck: ignore"
        + (f"[{', '.join(rng.sample(codes, rng.randrange(1, 4)))}]" if rng.random() < 0.8 else "")
        for _ in range(30)
    ]
    ran = rng.sample(rules, rng.randrange(1, len(rules) + 1))
    text = "\n".join(lines) + "\n"
    condemned = check(tmp_path, text, *ran, installed=tuple(rules), unused_ignores=True).diagnostics
    source = decode(text.encode())
    less = text
    for d in sorted((d for d in condemned if d.code == "SC001"), key=lambda d: d.order, reverse=True):
        start, end = source.offset(d.location), source.offset(d.end_location)
        less = less[:start] + ("SC3" if text[start] != "#" else "") + less[end:]  # SC3: a code that silences nothing
    assert told(check(tmp_path, less, *rules)) == told(check(tmp_path, text, *rules))
    unknown = {d.location.row for d in condemned if "no rule is called" in d.message}
    assert unknown == {row for row, line in enumerate(lines, 1) if "SC3" in line or "nonsense" in line}


def test_skip_file(tmp_path: Path) -> None:
    assert check(tmp_path, "# shapecheck: skip-file\nbad = (\n", naming("SC1", "bad")) == Result(str(tmp_path / "a.py"))


def test_per_file_ignores(tmp_path: Path) -> None:
    rule = naming("SC1", "bad")
    assert told(check(tmp_path, "bad = 1\n", rule, per_file_ignores=(("a.py", ("SC1",)),))) == []
    assert told(check(tmp_path, "bad = 1\n", rule, per_file_ignores=(("b.py", ("SC1",)),))) == [(1, "SC1")]


@pytest.mark.parametrize(
    ("data", "at", "says"),
    [
        (b"x = 1\ny = (\n", True, "Syntax error"),
        (b"x = 1\ny = 2\nz = '\xff'\n", True, "The bytes are not utf-8"),
        (b"# coding: nonsense\nx = 1\n", True, "encoding"),
        (b"x = 1\0\n", True, "null byte"),
        (b"(" * 5000 + b")" * 5000, True, "nested"),
    ],
)
def test_what_cannot_be_read_is_a_problem(tmp_path: Path, data: bytes, at: bool, says: str) -> None:
    result = check(tmp_path, data, naming("SC1", "bad"))
    (problem,) = result.problems
    assert says in problem.message
    assert (problem.location is not None) == at
    assert str(problem).startswith(f"{tmp_path / 'a.py'}:")


def test_a_rule_that_fails_at_a_fact_is_named_once_and_asked_about_the_next(tmp_path: Path) -> None:
    calls = []

    def fail(fact: Assigned, facts: Facts) -> Iterator[Finding]:
        calls.append(fact)
        if len(calls) < 3:
            raise KeyError("oops")
        yield failing.finding(fact.site, "the third")

    failing = make_rule("SC0", fail)
    result = check(tmp_path, "bad = 1\nbad = 2\nbad = 3\n", failing, naming("SC1", "bad"))
    assert told(result) == [(1, "SC1"), (2, "SC1"), (3, "SC0"), (3, "SC1")]
    (problem,) = result.problems
    assert str(tmp_path / "a.py") in str(problem)
    assert "internal error in rule SC0: KeyError: 'oops' (test_check.py:" in problem.message
    assert "please report it" in problem.message
    assert len(calls) == 3


def test_an_engine_that_fails_is_a_problem_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(program: Any, project: Any) -> Facts:
        raise RecursionError("too deep")

    monkeypatch.setattr("shapecheck.engine.analyze", fail, raising=False)
    result = check(tmp_path, "bad = 1\n", naming("SC1", "bad"))
    assert "internal error: RecursionError: too deep" in result.problems[0].message


def test_a_file_without_end_is_given_up(tmp_path: Path) -> None:
    def spin(fact: Assigned, facts: Facts) -> Iterator[Finding]:
        while True:
            try:
                sum(range(1000))
            except Exception:  # not even this may stop the clock
                continue
        yield

    result = check(tmp_path, "bad = 1\n", make_rule("SC1", spin), limit=0.2)
    assert result.problems[0].message == "not checked: no end after 0.2 seconds (--time-limit)"


def test_a_fix_is_resolved_to_text(tmp_path: Path) -> None:
    def say(fact: Assigned, facts: Facts) -> Iterator[Finding]:
        call = fact.site.node
        assert isinstance(call, Call)
        first, second = (Site(facts.path, arg.value) for arg in call.args)
        fix = Fix("swap", (Edit(fact.site, "g({b}, {a}.t())", (("a", first), ("b", second))),), safe=True)
        yield rule.finding(fact.site, "said", fix=fix, labels=(Label(first, "[B]"),))

    rule = make_rule("SC1", say)
    (d,) = check(tmp_path, "x = f(a + b, c if d else e)  # keep\n", rule).diagnostics
    assert d.fix is not None
    assert apply(b"x = f(a + b, c if d else e)  # keep\n", [d]) == b"x = g(c if d else e, (a + b).t())  # keep\n"
    assert (d.labels[0].span.start, d.labels[0].span.end) == (Location(1, 7), Location(1, 12))


@pytest.mark.parametrize(
    ("source", "expected"),
    [(b"import torch\n", True), (b"def f(q, p):\n    return q.unsqueeze(1)\n", True), (b"", False),
     (b"import os\nprint(os.name)\n", False), (b"\x00\xfe\xff", False),
     ("import os\n".encode("utf-16"), True)],
)  # fmt: skip
def test_the_prefilter(source: bytes, expected: bool) -> None:
    assert may_concern(source) is expected
