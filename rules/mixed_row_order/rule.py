"""SC202: two flat axes of one length that count through their rows in different order meet."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.axes import STILL
from shapecheck.analysis.order import Clash, clash, parts
from shapecheck.analysis.origin import ancestors, base, lifted
from shapecheck.analysis.targets import labelled, multiple, rank_step, rank_stride
from shapecheck.engine.facts import Broadcasted, Called, Fact, Facts
from shapecheck.engine.naming import Names
from shapecheck.engine.values import Affine, Axis, Layer, Made, Num, Site, Tensor, Unknown, Value
from shapecheck.findings.rule import Edit, Finding, Fix, Note, Rule, Severity, when_one
from shapecheck.ops.kinds import JOINS, REPEATS, STACKS
from shapecheck.source.program import Attr, Call

META = Rule(
    "SC202",
    "mixed-row-order",
    Severity.ERROR,
    "rows in one memory order meet rows in another",
)


@META.on(Broadcasted)
def meeting(fact: Broadcasted, facts: Facts) -> Iterator[Finding]:
    """Operands of an elementwise op."""
    for i, left in enumerate(fact.operands):
        for right in fact.operands[i + 1 :]:
            for a, b in zip(reversed(left.axes or ()), reversed(right.axes or ())):
                found = clash(a, b)
                if found is not None:
                    yield _report(fact, found, (left, a), (right, b), facts)
                    return


@META.on(Called)
def labels(fact: Called, facts: Facts) -> Iterator[Finding]:
    """Rows of scores and their labels; columns of scores and the numbers of their labels."""
    loss = labelled(fact)
    if loss is None or loss.target.axes is None:
        return
    found = clash(loss.rows, loss.target.axes[0])
    if found is not None:
        yield _report(fact, found, (loss.scores, loss.rows), (loss.target, loss.target.axes[0]), facts)
        return
    stride = rank_stride(loss.columns)
    step = rank_step(loss.content.offset) if loss.content else None
    blocks = [p for p in parts(loss.columns) if p.role == "block"]
    if not step or stride is None or not blocks or loss.columns.origin is None or loss.columns.origin.site is None:
        return
    times = multiple(stride, step)
    if times is None or times == 1:
        return
    names = facts.names()
    k, each, all_ = names.size(times), names.size(step), names.size(stride)
    notes = [Note(f"the labels move by {each} from one rank to the next", _rank_in(loss.target) or fact.site)]
    if blocks[0].origin is not None and blocks[0].origin.site is not None:
        notes.insert(0, Note(f"{k} blocks of {each} rows are joined before the gather", blocks[0].origin.site))
    yield META.finding(
        lifted(loss.columns.origin.site, fact, facts),
        f"{k} blocks of {each} rows were joined before this gather, so every rank holds {all_} columns, but the labels "
        f"count {each} for each rank: from rank 1 on they name columns of other blocks",
        notes=tuple(notes),
        condition=f"{k} = 1 or rank = 0",
        help=f"gather each block first and join the gathered blocks after, or shift the labels by `rank * {all_}`",
    )


@META.on(Called)
def heads(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`attn_mask` of nn.MultiheadAttention has a row for every head of the first example, then of the second."""
    layer, mask = fact.args.get("self"), fact.args.get("attn_mask")
    if fact.key != "MultiheadAttention" or not isinstance(layer, Layer) or not isinstance(mask, Tensor):
        return
    if fact.site.path != facts.path:
        return
    count = layer.arg("num_heads")
    made = base(mask, STILL).made
    if made is None or made.key != "repeat" or made.site.path != facts.path or not _tiled(made, count):
        return
    names = facts.names()
    size = count.size if isinstance(count, Num) else None
    n = names.size(size) if size is not None else "num_heads"
    yield META.finding(
        made.site,
        f"these {n} copies of the masks come one after the other, each of the whole batch, but nn.MultiheadAttention "
        "reads all heads of the first example first: heads look through the mask of another example",
        notes=(Note("used as attn_mask here", fact.site),),
        condition=f"{n} = 1, or the batch has one example",
        help="write `.repeat_interleave(num_heads, dim=0)`, which keeps the copies of one example together",
        fix=_interleaved(made.site),
    )


def _tiled(made: Made, count: Value | None) -> bool:
    """`mask.repeat(num_heads, 1, 1)` of masks that differ from example to example."""
    given, counts = made.args.get("input"), made.args.get("repeats", ())
    if not isinstance(given, Tensor) or given.rank not in (3, None) or not isinstance(counts, tuple):
        return False
    if len(counts) != 3:
        return False
    if given.axes is not None and given.axes[0].size == 1:
        return False
    first, *rest = counts
    one = all(isinstance(c, Num) and c.size == 1 for c in rest)
    same = isinstance(count, Unknown | Num) and count == first and count not in (Unknown(), Unknown("int"), Num(1))
    return one and same


def _interleaved(site: Site) -> Fix | None:
    node = site.node
    if not isinstance(node, Call) or not isinstance(node.func, Attr) or len(node.args) != 3:
        return None
    parts = (("x", Site(site.path, node.func.value)), ("n", Site(site.path, node.args[0].value)))
    return Fix("keep the copies of one example together", (Edit(site, "{x}.repeat_interleave({n}, dim=0)", parts),))


def _report(fact: Fact, found: Clash, one: tuple[Tensor, Axis], two: tuple[Tensor, Axis], facts: Facts) -> Finding:
    names = facts.names()
    (left, a), (right, b) = one, two
    site, other = _maker(a, facts), _maker(b, facts)
    if site is None or (other is not None and _weight(b) > _weight(a)):
        site, other, a, b, left, right = other, site, b, a, right, left
    order = {id(x): " then ".join(_name(p, names) for p in parts(x)) for x in (a, b)}
    notes = [Note(f"they meet here: {names.shape(left)} and {names.shape(right)}", fact.site)]
    if other is not None:
        notes.append(Note(f"the other order is made here: {order[id(b)]}", other))
    batch = names.size(found.swapped[0])
    assume = "" if found.sure else f" (axis 0 of both inputs taken to be the batch {batch})"
    return META.finding(
        site or fact.site,
        f"rows in the order {order[id(a)]} (outermost first) meet rows in the order {order[id(b)]}: "
        f"the lengths agree, the rows do not{assume}",
        None if found.sure else Severity.WARNING,
        notes=tuple(notes),
        condition=when_one(*(names.size(s) for s in found.swapped)),
        help="bring both into one order before they meet: `repeat` puts copies outermost, `repeat_interleave` "
        "innermost; `cat` of `unbind(dim=1)` is `transpose(0, 1).flatten(0, 1)`",
    )


def _name(part: Axis, names: Names) -> str:
    shown = names.size(part.size)
    return {"block": f"block ({shown})", "rank": f"rank ({shown})"}.get(part.role, shown)


def _maker(axis: Axis, facts: Facts) -> Site | None:
    """Where the flat axis came into being."""
    site = axis.origin.site if axis.origin is not None else None
    return site if site is not None and site.path == facts.path else None


def _weight(axis: Axis) -> int:
    """Which of two orders is the more unusual: one that a `cat` or a `repeat` made, rather than a view."""
    kind = axis.origin.kind if axis.origin is not None else 0
    return 3 if kind & JOINS else 2 if kind & (REPEATS | STACKS) else 1


def _rank_in(target: Tensor) -> Site | None:
    for tensor in ancestors(target):
        if isinstance(tensor.content, Affine) and tensor.made is not None:
            return tensor.made.site
    return None
