"""SC801: all pairs are computed, and then each row reads its own few."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.crossing import operands_of, row_operands, uses
from shapecheck.analysis.labels import operand_sites
from shapecheck.analysis.origin import NEUTRAL, ancestors, blame
from shapecheck.engine.facts import Assigned, Called, Facts, Returned
from shapecheck.engine.values import Items, Mapping, Site, Tensor, Value
from shapecheck.findings.rule import Edit, Finding, Fix, Label, Note, Rule, Severity, when_one
from shapecheck.ops.kinds import ALL_PAIRS, COUNTS, DIAGONAL, SUBSCRIPT
from shapecheck.source.program import Attr, Call, Class, Expr, Function, Name, Node, Op, walk

META = Rule(
    "SC801",
    "full-matrix-for-own-group",
    Severity.INFO,
    "scores of all pairs are computed, and each row then reads only its own: B times the work",
)


@META.on(Called)
def check(fact: Called, facts: Facts) -> Iterator[Finding]:
    result = fact.result
    if not fact.kind & ALL_PAIRS or not isinstance(result, Tensor) or result.rank != 2 or result.sizes is None:
        return
    pair = row_operands(fact)
    if pair is None or any(isinstance(size, int) for size in result.sizes):
        return
    taken = [f for f, _ in uses(result, facts) if not _passes_on(f)]
    reads = [f for f in taken if _reads_own(f, result)]
    if not reads or len(reads) < len(taken) or _escapes(result, taken, facts):
        return
    site = blame(fact, list(pair), facts.path)
    names = facts.names()
    left, right = (names.shape(t) for t in pair)
    rows = names.size(result.sizes[0])
    places = operand_sites(site, pair, facts)
    diagonal = bool(reads[0].kind & DIAGONAL)
    yield META.finding(
        site,
        f"all pairs of {left} and {right} are computed, {names.shape(result)}, and only each row's own are read: "
        f"{rows} times the work and the memory that they need",
        labels=tuple(Label(place, names.shape(meant)) for place, meant in filter(None, places)),
        notes=(Note("each row's own scores are picked here", reads[0].site),),
        condition=when_one(rows),
        help="multiply row by row: `(q * p).sum(-1)`"
        if diagonal
        else "give the groups an axis and multiply each with its own row: "
        "`torch.einsum('bd,bgd->bg', q, p.view(q.size(0), -1, p.size(-1)))`",
        fix=_fix(reads[0], fact) if diagonal and len(reads) == 1 else None,
    )


def _passes_on(fact: Called) -> bool:
    """A cast or a scaling: the result is the matrix still. Arithmetic with another tensor is a use."""
    return bool(fact.kind & NEUTRAL) and len([t for t in operands_of(fact) if t.rank is None or t.rank > 0]) == 1


def _reads_own(fact: Called, result: Tensor) -> bool:
    """Does this call read a few places of each row, at positions that no data decide?"""
    if fact.kind & DIAGONAL:  # another diagonal holds the scores of other rows
        return not fact.given & {"offset", "diagonal"}
    index = fact.args.get("index")
    if fact.key == "gather":
        return isinstance(index, Tensor) and _counted(index)
    if not fact.kind & SUBSCRIPT or not isinstance(index, Items) or len(index.items) != 2:
        return False
    rows, columns = index.items
    if not isinstance(rows, Tensor) or not isinstance(columns, Tensor) or not rows.axes or not columns.axes:
        return False
    assert result.sizes is not None
    return rows.axes[0].size == result.sizes[0] and _counted(rows) and _counted(columns)


def _counted(index: Tensor) -> bool:
    """An index made by counting: from `arange`, by arithmetic alone."""
    if index.content is not None:
        return index.content.stride != 0
    made = [t.made for t in ancestors(index)]
    return any(m is not None and m.kind & COUNTS for m in made) and None not in made


def _escapes(result: Tensor, taken: list[Called], facts: Facts) -> bool:
    """Is the matrix handed to anyone else: returned to the outside, kept in an attribute, named elsewhere?"""
    passed = [f.result for f, _ in uses(result, facts) if _passes_on(f)]
    chain = {id(t.made) for t in (result, *passed) if isinstance(t, Tensor)}
    if any(not f.stack and _holds(f.value, chain) for f in facts.of(Returned)):
        return True
    bound = [f for f in facts.of(Assigned) if _holds(f.value, chain)]
    if any("." in f.name or "[" in f.name for f in bound):
        return True
    names = {f.name for f in bound}
    places = [f.site.node for f in (*bound, *taken, *(f for f, _ in uses(result, facts)))]
    places += [frame.site.node for f in facts.items for frame in f.stack]
    known = {id(n) for place in places for n in (place, *walk(place))}
    scopes = [s for s in _functions(facts) if any(n is f.site.node for f in bound for n in walk(s))]
    return any(isinstance(n, Name) and n.id in names and id(n) not in known for s in scopes for n in walk(s))


def _holds(value: Value, chain: set[int]) -> bool:
    match value:
        case Tensor(made=made):
            return made is not None and id(made) in chain
        case Items(items=items):
            return any(_holds(i, chain) for i in items)
        case Mapping(items=items):
            return any(_holds(v, chain) for _, v in items)
        case _:
            return False


def _functions(facts: Facts) -> Iterator[Function]:
    """Functions and methods of the file, inner ones as part of theirs."""
    left: list[Node] = list(facts.program.body) if facts.program is not None else []
    while left:
        node = left.pop()
        if isinstance(node, Function):
            yield node
        elif isinstance(node, Class):
            left.extend(node.body)


def _fix(read: Called, product: Called) -> Fix | None:
    """`(q @ p.T).diagonal()` becomes `(q * p).sum(-1)` where the product stands in the call itself."""
    node = product.site.node
    if read.key == "trace" or not any(n is node for n in walk(read.site.node)) or not isinstance(node, Op):
        return None
    left, right = node.operands
    turned = _without_transpose(right)
    if turned is None or read.given - {"input"}:
        return None
    path = read.site.path
    parts = (("left", Site(path, left)), ("right", Site(path, turned)))
    return Fix("multiply row by row", (Edit(read.site, "({left} * {right}).sum(-1)", parts),))


def _without_transpose(expr: Expr) -> Expr | None:
    match expr:
        case Attr(value=value, name="T" | "mT"):
            return value
        case Call(func=Attr(value=value, name="t"), args=()):
            return value
        case _:
            return None
