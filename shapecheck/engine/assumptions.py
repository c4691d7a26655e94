"""What is taken for granted though nothing proves it: written shapes, and the customs of those who write models.

Every guess of the engine goes through `Supposing`; `ops/customs.py` has the words of the customs. A value that rests on
one says so by its axes (`Origin.assumption`) and by the names of its sizes (`Facts.supposed`); a run that supposes
nothing tells what needs none of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from shapecheck.dims import Size, symbols
from shapecheck.engine.facts import Demanded, Fact, Facts
from shapecheck.engine.history import ancestors
from shapecheck.engine.values import Assumption, Partial, Site, Tensor

WRITTEN = frozenset({"comment", "docstring"})  # what nobody checks; an annotation or an assertion may be checked


Tried = frozenset[tuple[int, str]]


@dataclass(slots=True)
class Supposing:
    """What one run takes for granted. `refuted` are written shapes that the code under them cannot have. `tried`:
    comments, each by its statement and subject, that are believed against what the code computes, to see whether the
    code could live with them."""

    active: bool = True
    tried: Tried = frozenset()
    refuted: set[Assumption] = field(default_factory=set)
    taken: dict[Assumption, None] = field(default_factory=dict)

    def written(self, source: str, subject: str, text: str, site: Site) -> Assumption | None:
        """A comment or docstring says the shape of something that nothing else is known of; None: don't believe it."""
        return self.take(as_written(source, subject, text, site))

    def refute(self, lies: set[Assumption]) -> bool:
        """The code cannot have these shapes: no more of them. Whether that changes anything."""
        if lies <= self.refuted:
            return False
        self.refuted |= lies
        for lie in lies:
            self.taken.pop(lie, None)
        return True

    def take(self, assumption: Assumption) -> Assumption | None:
        if not self.active or assumption in self.refuted:
            return None
        self.taken[assumption] = None
        return assumption


def as_written(source: str, subject: str, text: str, site: Site) -> Assumption:
    return Assumption(f'{subject} is "{text}"', site, source)


def behind(tensors: Iterable[Tensor], facts: Facts) -> Iterator[Assumption]:
    """The assumptions that these tensors rest on, those of the nearest first."""
    seen: set[Assumption] = set()
    for tensor in tensors:
        for one in ancestors(tensor):
            for assumption in _of(one, facts):
                if assumption not in seen:
                    seen.add(assumption)
                    yield assumption


def _of(tensor: Tensor, facts: Facts) -> Iterator[Assumption]:
    shape = tensor.shape
    for axis in (*shape.head, *shape.tail) if isinstance(shape, Partial) else shape:
        if axis.origin is not None and axis.origin.assumption is not None:
            yield axis.origin.assumption
        for name in sorted(symbols(axis.size)) if facts.supposed else ():
            if name in facts.supposed:
                yield facts.supposed[name]


def refuted(found: Iterable[Fact], facts: Facts) -> set[Assumption]:
    """Written shapes that the code cannot have: torch would refuse, always, an operand that rests on them."""
    return {
        assumption
        for fact in found
        if isinstance(fact, Demanded) and fact.verdict.never and _plain(fact.left) and _plain(fact.right)
        for assumption in behind(fact.operands, facts)
    }


def _plain(size: Size | None) -> bool:
    """A number, of axes or of places along one, or nothing that could be named."""
    return size is None or isinstance(size, int)


__all__ = ["Supposing", "behind", "refuted"]
