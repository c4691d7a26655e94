"""SC902: an elementwise op gets shapes that do not broadcast: torch raises."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.crashes import finding, proven, shapes, subject
from shapecheck.analysis.expected import expected
from shapecheck.dims import as_symbol, compare
from shapecheck.engine.facts import Broadcasted, Demanded, Facts
from shapecheck.engine.naming import Names
from shapecheck.engine.values import Tensor
from shapecheck.findings.rule import Finding, Rule, Severity

META = Rule(
    "SC902",
    "broadcast-sizes",
    Severity.ERROR,
    "an elementwise op gets shapes that do not broadcast, so torch raises",
)


@META.on(Demanded)
def check(fact: Demanded, facts: Facts) -> Iterator[Finding]:
    if subject(fact) != "broadcast" or fact.left is None or fact.right is None or not proven(fact, facts):
        return
    names = facts.names()
    yield finding(META, fact, facts, names, _message(fact, names), help=_help(fact, names), covers=("SC106",))


@META.on(Broadcasted)
def check_shifted(fact: Broadcasted, facts: Facts) -> Iterator[Finding]:
    """`[B, D]` against `[B, G, D]`, of which nobody knows that G is B or 1: the axes are the same, one place apart."""
    if not _shifted(fact):
        return
    low, high = sorted(fact.operands, key=lambda t: t.rank or 0)
    at = _missing(low, high)
    assert at is not None
    assert low.axes is not None
    assert high.axes is not None
    left, right = low.axes[at - 1].size, high.axes[at].size
    others = [b for b in facts.of(Broadcasted) if b.site.node is fact.site.node and _calls(b) == _calls(fact)]
    if not all(_shifted(other) for other in others):
        return
    crash = Demanded(
        site=fact.site,
        stack=fact.stack,
        activation=fact.activation,
        path=fact.path,
        op=fact.op,
        kind=fact.kind,
        demand="broadcast",
        operands=fact.operands,
        left=left,
        right=right,
        verdict=compare(left, right),
    )
    if not expected(crash, facts):
        names = facts.names()
        yield finding(META, crash, facts, names, _message(crash, names), help=_help(crash, names), covers=("SC106",))


def _calls(fact: Broadcasted) -> list[int]:
    return [id(frame.site.node) for frame in fact.stack]


def _shifted(fact: Broadcasted) -> bool:
    """Two tensors whose axes are the same but for one that stands in the middle or at the end of the larger one."""
    if len(fact.operands) != 2:
        return False
    low, high = sorted(fact.operands, key=lambda t: t.rank or 0)
    at = _missing(low, high)
    if not at or low.axes is None or high.axes is None or low.rank == 1:
        return False
    left, right = low.axes[at - 1].size, high.axes[at].size
    return as_symbol(left) is not None and as_symbol(right) is not None and left != right


def _message(fact: Demanded, names: Names) -> str:
    assert fact.left is not None
    assert fact.right is not None
    left, right = names.size(fact.left), names.size(fact.right)
    given = shapes(fact.operands, names)
    return f"{given} do not broadcast in {fact.op}: counted from the right, {left} meets {right}"


def _missing(low: Tensor, high: Tensor) -> int | None:
    """The place of the one axis that `high` has and `low` lacks, all others being the same in order."""
    if low.sizes is None or high.sizes is None or len(low.sizes) + 1 != len(high.sizes):
        return None
    return next((i for i in range(len(high.sizes)) if high.sizes[:i] + high.sizes[i + 1 :] == low.sizes), None)


def _help(fact: Demanded, names: Names) -> str:
    if len(fact.operands) == 2:
        low, high = sorted(fact.operands, key=lambda t: t.rank or 0)
        at = _missing(low, high)
        if at is not None and low.axes is not None:
            shape = [names.axis(a) for a in low.axes]
            told = f"[{', '.join([*shape[:at], '1', *shape[at:]])}]"
            return f"give the smaller one an axis of size 1 in that place: `.unsqueeze({at})` makes it {told}"
    return "give both the same size there, or one of them size 1"
