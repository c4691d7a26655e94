"""SC303: a rank in the labels without gathered columns, or gathered columns without a rank in the labels."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.order import parts
from shapecheck.analysis.origin import ancestors, base, blame, operands
from shapecheck.analysis.processes import alone, guarded_alike, only_where_gathered, told_apart
from shapecheck.analysis.targets import (
    Labelled,
    factors,
    labelled,
    multiple,
    product_behind,
    rank_names,
    rank_step,
    rank_stride,
)
from shapecheck.dims import Size, symbols
from shapecheck.engine.facts import Called, Demanded, Facts
from shapecheck.engine.values import Affine, Axis, Layer, Partial, Site, Tensor
from shapecheck.findings.rule import Finding, Note, Rule, Severity, when_one
from shapecheck.ops.distributed import WORLD
from shapecheck.ops.kinds import CLASS_LOSS, GATHERS_RANKS, JOINS, STACKS

META = Rule(
    "SC303",
    "rank-offset-without-gather",
    Severity.ERROR,
    "labels and columns disagree about the process rank",
)


@META.on(Called)
def check(fact: Called, facts: Facts) -> Iterator[Finding]:
    loss = labelled(fact)
    if loss is None or alone(fact):
        return
    if loss.content is None:  # the numbers are not known, but a rank is in them
        yield from _no_gather(fact, loss, facts)
        return
    step, stride = rank_step(loss.content.offset), rank_stride(loss.columns)
    if step is None or rank_stride(loss.rows) is not None or symbols(WORLD) & symbols(loss.rows.size):
        return
    if step == 0:
        counted = stride is not None and loss.content == Affine(0, 1)
        if counted and not _offset_elsewhere(fact, facts) and not _perhaps_all_rows(loss, stride):
            yield _no_offset(fact, loss, facts)
    elif stride is None:
        yield from _no_gather(fact, loss, facts)
    elif not any(part.role == "block" for part in parts(loss.columns)) and _apart(step, stride):
        yield _wrong_step(fact, loss, facts)


def _apart(a: Size, b: Size) -> bool:
    """Is one of the two a multiple of the other, and not the same?"""
    return multiple(a, b) not in (None, 1) or multiple(b, a) not in (None, 1)


def _no_offset(fact: Called, loss: Labelled, facts: Facts) -> Finding:
    names = facts.names()
    world = next(p for p in factors(loss.columns) if p.role == "rank")
    b = names.size(loss.rows.size)
    return META.finding(
        blame(fact, [loss.scores, loss.target], facts.path),
        f"the columns of these scores {names.shape(loss.scores)} are gathered from all processes, but the labels count "
        f"from 0 on every process: they name the columns of process 0",
        notes=(*_made(loss.columns, "the columns are gathered here"), *_labels(loss)),
        condition=when_one(names.axis(world)),
        help=f"add this process's place: `labels + rank * {b}`",
    )


def _no_gather(fact: Called, loss: Labelled, facts: Facts) -> Iterator[Finding]:
    if _gathered(loss.scores) is not None:
        return
    others = _gathered_on_other_paths(fact, facts)
    if others and not any(told_apart(fact, other) for other, _ in others):
        return
    elsewhere = others[0][1] if others else None
    if elsewhere is None:
        product = product_behind(loss.scores)
        if product is None:
            return
        if multiple(loss.columns.size, loss.rows.size) is None and not _made_here(product):
            return
    offset = _offset(loss.target)
    if offset is None or (elsewhere is not None and guarded_alike(offset, elsewhere, facts)):
        return
    if elsewhere is not None and only_where_gathered(fact, elsewhere, facts):
        return
    notes = [Note("the loss that reads these labels", fact.site)]
    if elsewhere is not None:
        notes.append(Note("the columns are gathered here, but not on every way to the loss", elsewhere))
    yield META.finding(
        offset,
        "the labels are shifted by the process rank, but on this path the columns of the scores are not gathered: "
        "from rank 1 on they name other rows' columns or none",
        notes=tuple(notes),
        condition="rank = 0",
        help="shift the labels under the same condition under which the columns are gathered",
    )


def _made_here(product: Tensor) -> bool:
    """Does all that was multiplied come out of layers of this process, whatever the number of its rows?"""
    assert product.made is not None
    queue = operands(product.made)
    layers = 0
    for _ in range(200):
        if not queue:
            return layers > 0
        tensor = queue.pop()
        if tensor.dtype in ("int", "bool") or tensor.rank == 0:
            continue
        if tensor.made is None:
            return False
        if isinstance(tensor.made.args.get("self"), Layer):
            layers += 1
        else:
            queue += operands(tensor.made)
    return False


def _wrong_step(fact: Called, loss: Labelled, facts: Facts) -> Finding:
    assert loss.content is not None
    names = facts.names()
    step, stride = rank_step(loss.content.offset), rank_stride(loss.columns)
    assert step is not None
    assert stride is not None
    return META.finding(
        _offset(loss.target) or fact.site,
        f"the labels move by {names.size(step)} from one rank to the next, but each rank has {names.size(stride)} "
        f"columns in these scores {names.shape(loss.scores)}",
        notes=_made(loss.columns, "the columns are gathered here"),
        condition=f"{names.size(step)} = {names.size(stride)}",
        help=f"shift the labels by `rank * {names.size(stride)}`",
    )


@META.on(Demanded)
def left_behind(fact: Demanded, facts: Facts) -> Iterator[Finding]:
    """Rows gathered from all ranks, labels of this one."""
    if fact.demand != "target" or not fact.kind & CLASS_LOSS or len(fact.operands) < 2 or alone(fact):
        return
    scores, target = fact.operands[:2]
    if not scores.axes or not target.axes or len(scores.axes) != 2 or len(target.axes) != 1:
        return
    rows, labels = scores.axes[0], target.axes[0]
    stride = rank_stride(rows)
    if stride is None or stride != labels.size or _fits_on_another_way(fact, facts):
        return
    names = facts.names()
    yield META.finding(
        blame(fact, [scores, target], facts.path),
        f"the scores {names.shape(scores)} have the rows of all processes, the labels {names.shape(target)} only those "
        f"of this one",
        notes=_made(rows, "the rows are gathered here"),
        condition=f"{names.size(rows.size)} = {names.size(labels.size)}",
        help="gather the labels too, or keep the rows of this process only",
        covers=("SC906",),
    )


# --------------------------------------------------------------------- evidence


def _perhaps_all_rows(loss: Labelled, stride: Size | None) -> bool:
    """Are the rows put together from parts of which nobody knows how many rows of how many processes they are?"""
    product = product_behind(loss.scores)
    left = operands(product.made) if product is not None and product.made is not None else []
    if left and isinstance(left[0].shape, Partial) and any(rank_stride(a) is not None for a in left[0].shape.head):
        return True
    made = base(left[0]).made if left else None
    joined = made is not None and bool(made.kind & (JOINS | STACKS | GATHERS_RANKS))
    return joined and stride is not None and multiple(stride, loss.rows.size) is None


def _fits_on_another_way(fact: Demanded, facts: Facts) -> bool:
    """Do the same calls lead to this loss with rows of one process too? Then what decides of it may decide of both."""
    calls = [frame.site.node for frame in fact.stack]
    for other in facts.of(Called):
        if other.site.node is fact.site.node and [frame.site.node for frame in other.stack] == calls:
            loss = labelled(other)
            if loss is not None and rank_stride(loss.rows) is None:
                return True
    return False


def _made(axis: Axis, text: str) -> tuple[Note, ...]:
    return (Note(text, axis.origin.site),) if axis.origin is not None and axis.origin.site is not None else ()


def _labels(loss: Labelled) -> tuple[Note, ...]:
    return (Note("the labels are made here", loss.target.made.site),) if loss.target.made is not None else ()


def _offset(target: Tensor) -> Site | None:
    """Where the rank came into the labels: the oldest op whose result has it."""
    found: Site | None = None
    for tensor in ancestors(target):
        if isinstance(tensor.content, Affine) and rank_names(tensor.content.offset) and tensor.made is not None:
            found = tensor.made.site
    return found


def _offset_elsewhere(fact: Called, facts: Facts) -> bool:
    """Do these labels have the rank in them on another way to the loss? This way then stands for one process."""
    same = (f for f in facts.of(Called) if f.site.node is fact.site.node)
    return any(isinstance(t := f.args.get("target"), Tensor) and _offset(t) is not None for f in same)


def _gathered(tensor: Tensor) -> Site | None:
    return next((t.made.site for t in ancestors(tensor) if t.made is not None and t.made.kind & GATHERS_RANKS), None)


def _gathered_on_other_paths(fact: Called, facts: Facts) -> list[tuple[Called, Site]]:
    """The gathers behind the same loss on other ways to it, where this way has none."""
    found = []
    for other in facts.of(Called):
        if other.site.node is fact.site.node and isinstance(given := other.args.get("input"), Tensor):
            site = _gathered(given)
            if site is not None:
                found.append((other, site))
    return found
