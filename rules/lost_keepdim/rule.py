"""SC103: a reduction that dropped its axis meets a tensor that still has it."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.labels import operand_sites
from shapecheck.analysis.origin import IN_PLACE_ORDER, base, blame, operands, same
from shapecheck.analysis.rewriting import with_argument
from shapecheck.engine.facts import Broadcasted, Called, Facts
from shapecheck.engine.values import Axis, Items, Made, Num, Partial, Site, Tensor, as_int
from shapecheck.findings.rule import Edit, Finding, Fix, Label, Note, Rule, Severity
from shapecheck.ops.kinds import ARITHMETIC, CAST, PICKS, PRODUCT, REDUCTION, TRUTHS
from shapecheck.source.program import Call, Node, walk

META = Rule(
    "SC103",
    "lost-keepdim",
    Severity.ERROR,
    "a reduction over a later axis without keepdim meets its operand again, one axis to the right of where it belongs",
)


@META.on(Broadcasted)
def check(fact: Broadcasted, facts: Facts) -> Iterator[Finding]:
    if len(fact.operands) != 2:
        return
    for whole, part in (fact.operands, fact.operands[::-1]):
        found = _lost(whole, part)
        if found is None:
            continue
        made, dim, source = found
        square = _lines_up(whole, part)
        if square and (base(source).made is not base(whole).made or base(whole).made is None):
            return
        yield _finding(fact, facts, whole, part, made, dim, source, square)
        return


@META.on(Called)
def check_open_rank(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`x / x.norm(dim=-1)` of an x of two axes or more, however many there are."""
    if not fact.kind & ARITHMETIC:
        return
    left, right = fact.args.get("input"), fact.args.get("other")
    if not isinstance(left, Tensor) or not isinstance(right, Tensor):
        return
    for whole, part in ((left, right), (right, left)):
        made = base(part, IN_PLACE_ORDER).made
        if not isinstance(whole.shape, Partial) or made is None or not _reduces(made):
            continue
        source, dims = made.tensor("input"), _last(made.arg("dim"))
        if made.keeps_dim() is not False or source is None or not dims:
            continue
        if not same(source, whole, CAST) or whole.shape.min_rank <= dims:
            continue
        names = facts.names()
        large = names.shape(whole)
        site = blame(fact, [whole, part], facts.path)
        axes = "the last axis" if dims == 1 else f"the last {dims} axes"
        yield META.finding(
            site,
            f"{made.op} over {axes} of {large} drops {'it' if dims == 1 else 'them'}, so what is left meets the axes "
            f"of {large} {'one place' if dims == 1 else f'{dims} places'} to the right of where it belongs",
            notes=(Note("the axis is dropped here", made.site),),
            help="pass keepdim=True to the reduction",
            fix=_fix(site, fact.site, made, -1, None),
            covers=("SC902", "SC102", "SC105", "SC106"),
        )
        return


def _last(dim: object) -> int:
    """How many of the last axes `dim` names: 1 for -1, 2 for (-2, -1); 0 for anything else."""
    match dim:
        case Num(size=-1) | -1:
            return 1
        case Items(items=items):
            given = sorted(i.size for i in items if isinstance(i, Num) and isinstance(i.size, int))
            return len(items) if given == list(range(-len(items), 0)) else 0
    return 0


@META.on(Broadcasted)
def check_misplaced(fact: Broadcasted, facts: Facts) -> Iterator[Finding]:
    """`h / h.sum(-1).unsqueeze(0)`: the axis came back at another place."""
    if len(fact.operands) != 2:
        return
    for whole, part in (fact.operands, fact.operands[::-1]):
        moved = base(part, IN_PLACE_ORDER).made
        inner = next(iter(operands(moved)), None) if moved is not None and moved.key == "unsqueeze" else None
        made = base(inner, IN_PLACE_ORDER).made if inner is not None else None
        if moved is None or inner is None or made is None or not _reduces(made) or not whole.axes:
            continue
        source, dim = made.tensor("input"), _integer(made.arg("dim"))
        place = moved.dim()
        if source is None or source.axes is None or dim is None or place is None or not part.axes:
            continue
        rank = len(source.axes)
        if not same(source, whole, CAST) or len(part.axes) != rank or rank < 2:
            continue
        if made.keeps_dim() is not False or dim % rank == place % rank:
            continue
        names = facts.names()
        large, small = names.shape(whole), names.shape(part)
        site = blame(fact, [whole, part], facts.path)
        square = _lines_up(whole, part)
        if square and _symmetric(source):
            return
        yield META.finding(
            site,
            f"{made.op} over axis {dim} of {large} gets its axis back at {place}, not at {dim}: {small} takes the "
            "values of one axis for those of another",
            Severity.WARNING if square else Severity.ERROR,
            notes=(Note("the axis is dropped here", made.site), Note("and put back here", moved.site)),
            help=f"pass keepdim=True to the reduction, or write `.unsqueeze({dim})`",
            covers=("SC902", "SC102", "SC105", "SC106"),
        )
        return


def _lost(whole: Tensor, part: Tensor) -> tuple[Made, int, Tensor] | None:
    """The reduction behind `part`, the axis it dropped and its input, if with that axis kept `part` would fit `whole`
    and without it the axes are off by one."""
    made = base(part, IN_PLACE_ORDER).made
    if made is None or not _reduces(made) or made.keeps_dim() is not False:
        return None
    source, dim = made.tensor("input"), _integer(made.arg("dim"))
    if source is None or source.axes is None or dim is None:
        return None
    if whole.axes is None or part.axes is None or len(source.axes) != len(whole.axes):
        return None
    if len(part.axes) != len(source.axes) - 1 or not -len(source.axes) <= dim < len(source.axes):
        return None
    at = dim % len(source.axes)
    if at == 0:
        return None
    kept = (*part.axes[:at], Axis(1), *part.axes[at:])
    fits = all(k.size in (1, w.size) for k, w in zip(kept, whole.axes))
    batch = part.axes[0].size
    if not fits or isinstance(batch, int) or whole.axes[at].size == 1:
        return None
    return made, dim, source


def _integer(value: object) -> int | None:
    """The one axis that `dim` names."""
    return as_int(value.items[0] if isinstance(value, Items) and len(value.items) == 1 else value)


def _reduces(made: Made) -> bool:
    """Does the op make one number of many, which is none of their places and no truth?"""
    return bool(made.kind & REDUCTION) and not made.kind & (PICKS | TRUTHS)


def _lines_up(whole: Tensor, part: Tensor) -> bool:
    """Do the sizes agree where they meet, so that torch says nothing?"""
    assert whole.axes is not None
    assert part.axes is not None
    return all(p.size in (1, w.size) for p, w in zip(reversed(part.axes), reversed(whole.axes)))


def _finding(
    fact: Broadcasted,
    facts: Facts,
    whole: Tensor,
    part: Tensor,
    made: Made,
    dim: int,
    source: Tensor,
    square: bool,
) -> Finding:
    names = facts.names()
    large, small = names.shape(whole), names.shape(part)
    assert whole.axes is not None
    assert part.axes is not None
    at = dim % len(whole.axes)
    kept = names.shape(part.with_(shape=(*part.axes[:at], Axis(1), *part.axes[at:])))
    rows = names.axis(part.axes[at - 1])
    column = names.axis(whole.axes[at])
    site = blame(fact, [whole, part], facts.path)
    if square:
        message = (
            f"{made.op} over axis {dim} gives {small}, one value for each row, and {large} takes it for one value for "
            f"each column: with keepdim=True it would be {kept}"
        )
        severity = Severity.INFO if _symmetric(source) else Severity.WARNING
    else:
        message = (
            f"{made.op} over axis {dim} gives {small}, whose {rows} meets the {column} of {large}: with keepdim=True "
            f"it would be {kept}; without, torch refuses unless {rows} = {column}"
        )
        severity = Severity.ERROR
    places = operand_sites(site, [whole, part], facts)
    return META.finding(
        site,
        message,
        severity,
        labels=tuple(Label(p[0], text) for p, text in zip(places, (large, small)) if p is not None),
        notes=(Note(f"the axis is dropped here: {names.shape(source)} becomes {small}", made.site),),
        help="pass keepdim=True to the reduction, or give its result the axis back with `.unsqueeze("
        f"{dim})` where the two meet",
        fix=_fix(site, fact.site, made, dim, places[1]),
        covers=("SC902", "SC102", "SC105", "SC106"),
    )


def _symmetric(source: Tensor) -> bool:
    """Is it a product of a tensor with itself? Then rows and columns have one sum."""
    made = base(source).made
    if made is None or not made.kind & PRODUCT:
        return False
    given = [v for v in made.args.values() if isinstance(v, Tensor)]
    if len(given) != 2:
        return False
    left, right = map(base, given)
    return left.made is right.made and left.sizes == right.sizes


def _fix(site: Site, op: Site, made: Made, dim: int, part: tuple[Site, Tensor] | None) -> Fix | None:
    if site.node is not op.node:
        return None
    call = made.site.node
    if isinstance(call, Call) and made.site.path == site.path and _inside(call, site.node):
        edit = with_argument(made.site, "keepdim=True", instead_of=("keepdim", "keepdims"))
        return Fix("keep the reduced axis", (edit,), safe=True)
    if part is None:
        return None
    text = f"{{part}}.unsqueeze({dim})"
    return Fix("give the reduced axis back", (Edit(part[0], text, (("part", part[0]),)),), safe=True)


def _inside(inner: Node, outer: Node) -> bool:
    return any(n is inner for n in walk(outer))
