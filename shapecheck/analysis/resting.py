"""Findings that rest on assumptions: what they say of it, and that they are no errors."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import fields, replace

from shapecheck.analysis.enclosing import function_of
from shapecheck.dims import symbols
from shapecheck.engine.assumptions import Tried, as_written, behind
from shapecheck.engine.facts import Beside, Contract, Fact, Facts
from shapecheck.engine.history import tensors_in
from shapecheck.engine.values import Assumption, Site, Tensor
from shapecheck.findings.rule import LEVELS, Edit, Finding, Fix, Note, Severity
from shapecheck.source.program import Bind, Function

Found = tuple[Finding, Fact]
_MOST_NAMED = 3


def settled(found: Iterable[Found], proven: Iterable[Finding], facts: Facts, *, strict: bool) -> Iterator[Finding]:
    """The findings, those that are not among the `proven` ones as what they are: said of an assumption, at most
    warnings, without a safe fix. `strict` leaves them out. One of which nobody can say what it assumes is not said."""
    sure = {(f.code, id(f.site.node)): f for f in proven}
    for finding, fact in found:
        same = sure.get((finding.code, id(finding.site.node)))
        if same is not None and LEVELS[same.severity] >= LEVELS[finding.severity]:
            yield finding
        elif not strict:
            assumptions = tuple(rests_on(fact, facts))[:_MOST_NAMED] or _around(fact, facts)
            if assumptions and not _refused(finding, assumptions):
                yield _assuming(finding, assumptions)


def _refused(finding: Finding, assumptions: tuple[Assumption, ...]) -> bool:
    """Would torch raise if a custom held that nobody wrote down? Then it doesn't hold here."""
    return finding.code.startswith("SC9") and not any(a.source for a in assumptions)


def written_against(found: Iterable[Found]) -> Tried:
    """The comments on statements that the findings hold against what the code computes."""
    return frozenset((id(c.declared.site.node), c.subject) for _, fact in found if (c := _comment(fact)) is not None)


def outdated(found: Iterable[Found], facts: Facts, refuted: Collection[Assumption]) -> Iterator[Found]:
    """The findings; where the code that follows cannot live with a comment, the comment is merely out of date."""
    for finding, fact in found:
        c = _comment(fact)
        if c is not None and as_written("comment", c.subject, c.declared.text, c.declared.site) in refuted:
            finding = replace(
                finding,
                severity=Severity.INFO,
                message=f"{finding.message}; the code below needs what it computes: the comment is out of date",
                help="correct the comment",
                fix=_corrected(c, facts),
            )
        yield finding, fact


def _comment(fact: Fact) -> Contract | None:
    c = fact.contract if isinstance(fact, Beside) else fact
    told = isinstance(c, Contract) and c.declared.source == "comment" and isinstance(c.declared.site.node, Bind)
    return c if told and isinstance(c, Contract) else None


def _corrected(c: Contract, facts: Facts) -> Fix | None:
    """The computed shape in the form of the written one, where all its sizes have names that the author gave."""
    used = [symbols(axis.size) for axis in c.value.axes or ()]
    if not used or any(name[:1] in "?$" and name not in facts.authored for names in used for name in names):
        return None
    names, text = facts.names(), c.declared.text
    sizes = [names.axis(axis) for axis in c.value.axes or ()]
    opened, closed = (text[0], text[-1]) if text[:1] in ("(", "[") else ("", "")
    between = ", " if "," in text else " x " if " x " in text else " "
    new = opened + between.join(sizes) + ("," * (len(sizes) == 1 and opened == "(")) + closed
    return Fix("correct the comment", (Edit(c.declared.site, new, remark=text),), safe=True)


def rests_on(fact: Fact, facts: Facts) -> Iterator[Assumption]:
    """What the values that a fact speaks of rest on."""
    fact = fact.contract if isinstance(fact, Beside) else fact
    return behind(_tensors_of(fact), facts)


def _around(fact: Fact, facts: Facts) -> tuple[Assumption, ...]:
    """All that was assumed in the functions that led to the fact, where its own values tell of nothing."""
    ways = {id(function_of(site.node, facts)) for site in (fact.site, *(frame.site for frame in fact.stack))}
    found = tuple(a for a in facts.assumed if id(_function_at(a, facts)) in ways)
    return found if len(found) <= _MOST_NAMED else ()


def _function_at(assumption: Assumption, facts: Facts) -> Function | None:
    node = assumption.site.node
    return node if isinstance(node, Function) else function_of(node, facts)


def _tensors_of(fact: Fact) -> Iterator[Tensor]:
    for field in fields(fact):
        value = getattr(fact, field.name)
        if isinstance(value, dict):
            value = tuple(value.values())
        yield from tensors_in(value)


def _assuming(finding: Finding, assumptions: tuple[Assumption, ...]) -> Finding:
    severity = Severity.WARNING if finding.severity is Severity.ERROR else finding.severity
    notes = tuple(Note(f"the {source} that this believes", site) for source, site in _places(assumptions))
    fix = None if finding.fix is None else replace(finding.fix, safe=False)
    message = f"assuming {_told(assumptions)}: {finding.message}"
    return replace(finding, severity=severity, message=message, notes=(*finding.notes, *notes), fix=fix)


def _places(assumptions: Iterable[Assumption]) -> dict[tuple[str, Site], None]:
    return dict.fromkeys((a.source, a.site) for a in assumptions if a.source)


def _told(assumptions: Iterable[Assumption]) -> str:
    """`q is "B D" and p is "B G D", as the docstring says`; a custom as it is worded."""
    by_place: dict[tuple[str, Site | None], list[str]] = {}
    for a in assumptions:
        by_place.setdefault((a.source, a.site if a.source else None), []).append(a.text)
    parts = [
        " and ".join(dict.fromkeys(texts)) + (f", as the {source} says" if source else "")
        for (source, _), texts in by_place.items()
    ]
    return ", and ".join(parts)


__all__ = ["outdated", "rests_on", "settled", "written_against"]
