"""Along which axis the classes of scores lie, by what is done with the same scores elsewhere.

Evidence: a cross-entropy reads them from axis 1; `one_hot(y, scores.size(-1))` counts them; a max or argmax picks one
of the shares; soft targets and log-probabilities are multiplied or compared. Axes are told apart from the front or,
where ranks are known, from the end; of two that are counted from different ends nothing is said. Scores are followed
through casts, scalings, masks, slices, picked rows and splits, to the call that made them. Nothing is guessed of scores
that pair two sets of activations: there both axes are examples, and both ways are meant.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from shapecheck.analysis.origin import base, identity, operands
from shapecheck.engine.facts import Called, Facts
from shapecheck.engine.values import Items, Num, Site, SliceVal, Tensor, Unknown
from shapecheck.ops.axes import as_tensor
from shapecheck.ops.kinds import (
    ARITHMETIC,
    BOUNDS,
    CAST,
    CHAINS,
    CLASS_LOSS,
    DISTANCE,
    DROPS,
    EXTREMES,
    LEARNED,
    LOGARITHM,
    LOGARITHMIC,
    LOOKS_UP,
    MASKS,
    PICKS,
    PRODUCT,
    SHIFTS,
    SOFTMAX,
    SPLITS,
    SUBSCRIPT,
    UNARY,
)

_STAYS = CAST | DROPS | MASKS | ARITHMETIC


@dataclass(frozen=True, slots=True)
class Place:
    """An axis of the scores behind a tensor: counted from the end (`at` < 0) or from the front of those scores."""

    root: object
    at: int

    def beside(self, other: Place) -> bool:
        """Another axis of the same scores, as far as both are counted from one end."""
        return self.root == other.root and (self.at < 0) == (other.at < 0) and self.at != other.at


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes are at `place`, as what is done at `site` says in words: "cross_entropy takes axis 1"."""

    place: Place
    site: Site
    text: str


def place_of(x: object, dim: int | None) -> Place | None:
    """Where the axis `dim` of a tensor stands in the scores that it was taken from."""
    if isinstance(x, Unknown):
        return None if dim is None or x.key is None else Place(x.key, dim)
    if not isinstance(x, Tensor) or dim is None:
        return None
    at = dim - x.rank if dim >= 0 and x.rank is not None else dim
    for _ in range(30):
        made = x.made
        if made is None or not made.kind & (_STAYS | SUBSCRIPT | SPLITS | SOFTMAX):
            break
        inner = [t for t in operands(made) if t.rank != 0]
        if made.kind & SPLITS:
            if (made.dim() or 0) != 0 and at >= 0:
                return None
            inner = [as_tensor(made.arg("input"))]
        if made.kind & SUBSCRIPT:
            inner = inner[:1]
            dropped = _dropped(made.args.get("index"))
            if dropped is None and at >= 0:
                return None
            at = at + (dropped or 0) if at >= 0 else at
        elif made.kind & MASKS:
            inner = inner[:1]
        if len(inner) != 1:
            break
        x = inner[0]
        at = at - x.rank if at >= 0 and x.rank is not None else at
    if _paired(x):
        return None
    key = identity(x)
    return None if key is None else Place(key, at)


def _dropped(index: object) -> int | None:
    """How many leading axes a subscript takes away; None where it moves the others in a way that is not known."""
    items = index.items if isinstance(index, Items) else (index,)
    gone = 0
    for item in items:
        match item:
            case Num():
                gone += 1
            case SliceVal():
                pass
            case Tensor(shape=(_,)):
                pass
            case _:
                return None
    return gone


def _paired(x: Tensor) -> bool:
    """Scores of all pairs of two activations: no layer gave them."""
    made = base(x).made
    return made is not None and bool(made.kind & (PRODUCT | DISTANCE)) and not made.kind & (LEARNED | CHAINS)


def classes(facts: Facts) -> list[Classes]:
    """All evidence of the file."""
    return facts.once(_evidence)


def _evidence(facts: Facts) -> list[Classes]:
    return list(_found(facts))


def _found(facts: Facts) -> Iterator[Classes]:
    for fact in facts.of(Called):
        x = fact.args.get("input")
        if fact.kind & CLASS_LOSS:
            rank = x.rank if isinstance(x, Tensor) else None
            place = place_of(x, 1) if rank is None or rank > 1 else None
            text = f"{fact.op} takes the classes from axis 1"
        elif fact.kind & LOOKS_UP and isinstance(count := fact.args.get("num_classes"), Num) and count.of is not None:
            place = place_of(count.of, count.at)
            text = f"axis {count.at} is as long as there are classes"
        elif fact.kind & (EXTREMES | PICKS) and fact.dim() is not None and _shares(x):
            place = place_of(x, fact.dim())
            text = f"{fact.op} picks along axis {fact.dim()}"
        else:
            continue
        if place is not None:
            yield Classes(place, fact.site, text)


def _shares(x: object) -> bool:
    made = base(x, CAST).made if isinstance(x, Tensor) else None
    return made is not None and bool(made.kind & SOFTMAX)


def elsewhere(fact: Called, facts: Facts) -> Classes | None:
    """Evidence that the classes of the scores lie along another axis than the one that this softmax runs over."""
    if not fact.kind & SOFTMAX or fact.dim() is None:
        return None
    own = place_of(fact.args.get("input"), fact.dim())
    if own is None or any(c.place == own for c in classes(facts)):
        return None
    return next((c for c in classes(facts) if own.beside(c.place)), None)


def beside_shares(fact: Called, facts: Facts) -> tuple[Tensor, Tensor, int, int] | None:
    """Log-probabilities and the shares that weigh them, which run over different axes, with the two dims; the ones
    that run over the axis further to the front come first, as those are likelier the examples."""
    if not (fact.key == "mul" or fact.key == "kl_div"):
        return None
    given = [base(t, _STAYS) for t in operands(fact)]
    made = [t.made for t in given]
    if len(given) != 2 or made[0] is None or made[1] is None:
        return None
    logs = [bool(m.kind & LOGARITHMIC) for m in made if m is not None]
    if not made[0].kind & made[1].kind & SOFTMAX or logs[0] == logs[1]:
        return None
    dims = made[0].dim(), made[1].dim()
    ranks = {t.rank for t in given}
    if dims[0] is None or dims[1] is None or None in (made[0].args.get("dim"), made[1].args.get("dim")):
        return None
    rank = ranks.pop() if len(ranks) == 1 else None
    a, b = (d if d < 0 or rank is None else d - rank for d in dims if d is not None)
    if (a < 0) != (b < 0) or a == b:
        return None
    first, second = (0, 1) if a < b else (1, 0)
    one, other = dims[first], dims[second]
    if one is None or other is None:
        return None
    return given[first], given[second], one, other


def logarithm_of(x: Tensor, shares: Tensor) -> bool:
    """`p.log()`, `torch.log(p + eps)` of these shares: what an entropy multiplies them with."""
    if shares.made is None or not shares.made.kind & SOFTMAX or shares.made.kind & LOGARITHMIC:
        return False
    inside = False
    for _ in range(6):
        if x.made is None:
            return False
        if x.made is shares.made:
            return inside
        inside = inside or bool(x.made.kind & LOGARITHM)
        inner = [t for t in operands(x.made) if t.rank != 0]
        if not x.made.kind & (CAST | UNARY | SHIFTS | BOUNDS) or len(inner) != 1:
            return False
        x = inner[0]
    return False


__all__ = ["Classes", "Place", "beside_shares", "classes", "elsewhere", "logarithm_of", "place_of"]
