"""Putting tensors together and taking them apart: cat, stack, chunk, split, unbind."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from shapecheck.dims import NEVER, Size, as_symbol, exact_div
from shapecheck.engine.values import Axis, Items, Joined, Many, Merged, Partial, Shape, Tensor, Value
from shapecheck.ops import customs, layout
from shapecheck.ops.axes import (
    as_tensor,
    insert,
    integers,
    many_tensors,
    members,
    position,
    promote,
    put,
    rank_crash,
    reach,
    require,
    same_axis,
    take,
    wrong_dim,
)  # fmt: skip
from shapecheck.ops.kit import Kit, op

_WORLD = re.compile(r"(?:^|[.@_$])(?:world_size|num_processes|n_gpus?|num_gpus|n_procs?)(?:@\d+)?$")
_MANY = 64  # a split into more parts than this is described by one of them

# ------------------------------------------------------------------- together


@op("torch.cat", "torch.concat", "torch.concatenate")
def cat(kit: Kit, tensors: Value, dim: Any = 0) -> Value:
    if isinstance(tensors, Tensor) and tensors.made is not None and tensors.made.op == "all_gather":
        return tensors  # a gather helper that gives a list after all: its members joined are this
    at, given = kit.integer(dim), many_tensors(tensors)
    if given is None:
        return Tensor()
    if isinstance(given, Many):
        return _cat_many(kit, given, at)
    given = tuple(t for t in given if t.sizes != (0,)) or given  # torch skips empty vectors
    dtype = promote(*(t.dtype for t in given))
    if not given or at is None:
        return Tensor(_any_dim(kit, given), dtype)
    shape = joined(kit, given, at)
    content = given[0].content if len(given) == 1 else None
    return Tensor(shape, dtype, content=content)


def joined(kit: Kit, given: Sequence[Tensor], at: int) -> Shape:
    """The shape of these tensors one after the other along axis `at`."""
    known = [t for t in given if t.axes is not None]
    if not known:
        given = [reach(kit, "cat", t, at) or t for t in given]
        ranks = max((t.shape for t in given if isinstance(t.shape, Partial)), key=lambda s: s.min_rank)
        column = [axis for t in given if (axis := take(t.shape, at)) is not None]
        whole = _join(kit, column) if len(column) == len(given) else Axis(kit.fresh("n"))
        return put(ranks, at, whole) if take(ranks, at) else Partial()
    rank = len(known[0].axes or ())
    if rank == 0:
        kit.crash("rank", "cat", given, 0, 1, NEVER, "scalars cannot be joined")
        return Partial()
    if (index := position(known[0].shape, at)) is None:
        wrong_dim(kit, "cat", known[0], at)
        return Partial()
    rows = [kit.rank(t, rank) for t in given]
    for row in rows:
        if row.rank != rank and row.rank is not None:
            kit.crash("rank", "cat", given, rank, row.rank, NEVER, f"rank {rank} against rank {row.rank}")
            return Partial()
    axes_of = [r.axes for r in rows if r.axes is not None]
    result: list[Axis] = []
    for i in range(rank):
        column = [axes[i] for axes in axes_of]
        if i == index:
            result.append(_join(kit, column))
            continue
        common = column[0]
        for axis in column[1:]:
            require(kit, "joined", "cat", given, common.size, axis.size, f"axis {i}")
            common = same_axis(kit, common, axis)
        result.append(common)
    return tuple(result)


def _join(kit: Kit, parts: Sequence[Axis]) -> Axis:
    if len(parts) == 1:
        return parts[0]
    size: Size = 0
    for part in parts:
        size = size + part.size
    flat = tuple(p for part in parts for p in (part.layout.parts if isinstance(part.layout, Joined) else (part,)))
    return replace(kit.axis(size, "cat"), layout=Joined(flat))


def _cat_many(kit: Kit, given: Many, at: int | None) -> Value:
    """A list of unknown length, every member of which looks like one: `W` gathered tensors of B rows are (W, B)."""
    item = as_tensor(given.item)
    if at is None or (item.axes is not None and position(item.axes, at) is None):
        return Tensor(Partial(), item.dtype)
    if item.axes is None and given.length is not None:
        item = reach(kit, "cat", item, at) or item
    axis = take(item.shape, at)
    if axis is None:
        return Tensor(Partial(), item.dtype)
    length = given.length
    if length is None and (as_symbol(axis.size) is None or given.kind != "list"):
        made = kit.axis(kit.fresh("n"), "cat")
    else:
        length = kit.fresh("k") if length is None else length
        made = kit.axis(length * axis.size, "cat")
        outer = Axis(length, origin=made.origin, role=_role(given))
        if axis.size == 1:
            made = replace(made, role=outer.role)
        else:
            made = replace(made, layout=Merged((outer, *layout.factors(axis))))
    return Tensor(put(item.shape, at, made), item.dtype)


def is_world(length: Size | None) -> bool:
    """Is this the number of processes, by its name?"""
    return length is not None and not isinstance(length, int) and _WORLD.search(as_symbol(length) or "") is not None


def _role(given: Many) -> str:
    item = given.item
    by_rank = isinstance(item, Tensor) and item.made is not None and item.made.op == "all_gather"
    return "rank" if by_rank or given.kind.startswith("gathered") or is_world(given.length) else "block"


def _any_dim(kit: Kit, given: Sequence[Tensor]) -> Shape:
    ranks = {t.rank for t in given}
    rank = ranks.pop() if len(ranks) == 1 else None
    return Partial() if rank is None else tuple(Axis(kit.fresh("n")) for _ in range(rank))


@op("torch.stack")
def stack(kit: Kit, tensors: Value, dim: Any = 0) -> Value:
    at, given = kit.integer(dim), many_tensors(tensors)
    if given is None or at is None:
        return Tensor()
    if isinstance(given, Many):
        item = as_tensor(given.item)
        size = kit.fresh("n") if given.length is None else given.length
        shape = insert(item.shape, at, replace(kit.axis(size, "stack"), role=_role(given)))
        return Tensor(Partial() if shape is None else shape, item.dtype)
    if not given:
        return Tensor()
    dtype = promote(*(t.dtype for t in given))
    common = equal_shapes(kit, "stack", given)
    shape = insert(common, at, replace(kit.axis(len(given), "stack"), role="block"))
    if shape is None:
        wrong_dim(kit, "stack", Tensor(common), at, extra=1)
        return Tensor(Partial(), dtype)
    return Tensor(shape, dtype)


def equal_shapes(kit: Kit, name: str, given: Sequence[Tensor]) -> Shape:
    """The one shape that all of these must have."""
    known = next((t.axes for t in given if t.axes is not None), None)
    if known is None:
        return max((t.shape for t in given if isinstance(t.shape, Partial)), key=lambda s: s.min_rank)
    common = list(known)
    for tensor in given:
        own = kit.rank(tensor, len(common)).axes
        if own is None:
            continue
        if len(own) != len(common):
            kit.crash("rank", name, given, len(common), len(own), NEVER, f"rank {len(common)} against {len(own)}")
            return Partial()
        for i, axis in enumerate(own):
            require(kit, "joined", name, given, common[i].size, axis.size, f"axis {i}")
            common[i] = same_axis(kit, common[i], axis)
    return tuple(common)


def _register_stacks() -> None:
    for name in ("hstack", "vstack", "dstack", "column_stack", "row_stack"):
        same = "vstack" if name == "row_stack" else name
        op(f"torch.{name}", name=same, parameters="tensors")(_stack_as(same))


def _stack_as(name: str) -> Any:
    def run(kit: Kit, tensors: Value) -> Value:
        given = many_tensors(tensors)
        if given is None:
            return Tensor()
        items = (as_tensor(given.item),) if isinstance(given, Many) else given
        if any(t.axes is None for t in items) or not items:
            return Tensor()
        raised = tuple(_raised(kit, name, t) for t in items)
        rank = raised[0].rank or 0
        dim = {"hstack": 0 if rank == 1 else 1, "column_stack": 1, "dstack": 2}.get(name, 0)
        if isinstance(given, Many):
            return cat(kit, replace(given, item=raised[0]), dim)
        return cat(kit, Items("list", raised), dim)

    return run


def _raised(kit: Kit, name: str, tensor: Tensor) -> Tensor:
    """The tensor with the axes of size 1 that these functions add to scalars, vectors and matrices."""
    axes = tensor.axes or ()
    one = kit.axis(1, name)
    match name, len(axes):
        case "hstack", 0:
            axes = (one,)
        case "column_stack", 0 | 1:
            axes = (*(axes or (one,)), one)
        case "vstack", 0 | 1:
            axes = (one, *(axes or (one,)))
        case "dstack", 0 | 1:
            axes = (one, *(axes or (one,)), one)
        case "dstack", 2:
            axes = (*axes, one)
    return tensor.with_(shape=axes, made=None)


_register_stacks()


@op("torch.block_diag")
def block_diag(kit: Kit, *tensors: Value) -> Value:
    rows: Size = 0
    columns: Size = 0
    for value in tensors:
        own = as_tensor(value).sizes
        if own is None:
            return Tensor((Axis(kit.fresh("n")), Axis(kit.fresh("m"))))
        if len(own) > 2:
            rank_crash(kit, "block_diag", [as_tensor(v) for v in tensors], len(own), 2, "at most two axes each")
            return Tensor()
        padded = (1,) * (2 - len(own)) + own
        rows, columns = rows + padded[0], columns + padded[1]
    return Tensor((kit.axis(rows, "block_diag"), kit.axis(columns, "block_diag")))


# ---------------------------------------------------------------------- apart


def pieces(kit: Kit, axis: Axis, count: int) -> tuple[Axis, ...] | None:
    """An axis in `count` equal parts, those that a `cat` or a merge made it of; None when it does not divide."""
    size = exact_div(axis.size, count)
    if size is None or size == 0:
        return None
    match axis.layout:
        case Joined(parts) if len(parts) == count and all(layout.equal(kit, p.size, size) for p in parts):
            return parts
        case Merged((first, *rest)) if layout.equal(kit, first.size, count):
            return (layout.merge(kit, rest, "chunk"),) * count
    return (kit.axis(size, f"one of {count} chunks"),) * count


@op("torch.chunk", "Tensor.chunk")
def chunk(kit: Kit, input: Value, chunks: Value, dim: Any = 0) -> Value:
    tensor, count, at = as_tensor(input), kit.size(chunks), kit.integer(dim)
    found = None if at is None else reach(kit, "chunk", tensor, at)
    axis = None if found is None or at is None else take(found.shape, at)
    if found is None or at is None or axis is None:
        return Many(Tensor(Partial(), tensor.dtype), None, "tuple")

    def piece(part: Axis) -> Tensor:
        return Tensor(put(found.shape, at, part), tensor.dtype)

    if not isinstance(count, int):
        size = None if count is None else exact_div(axis.size, count)
        part = kit.axis(kit.fresh("n") if size is None else size, "chunk")
        return Many(piece(part), None if size is None else count, "tuple")
    if count <= 0:
        kit.crash("setting", "chunk", (tensor,), count, 1, NEVER, "chunks must be positive", "chunks")
        return Many(Tensor(Partial(), tensor.dtype), None, "tuple")
    if isinstance(axis.size, int):
        width = -(-axis.size // count) or 1
        whole, rest = divmod(axis.size, width)
        if whole > _MANY:
            return Many(piece(kit.axis(kit.fresh("n") if rest else width, "chunk")), whole + (rest > 0), "tuple")
        return _cut(kit, axis, [width] * whole + [rest] * (rest > 0), piece)
    equal = pieces(kit, axis, count)
    if equal is None:
        equal = _in_equal_parts(kit, axis, count)
    if equal is None:
        if count > 2:  # torch may give fewer
            return Many(piece(kit.axis(kit.fresh("n"), "chunk")), None, "tuple")
        equal = tuple(kit.axis(kit.fresh("n"), "chunk") for _ in range(count))  # the last may be smaller
    return Items("tuple", tuple(map(piece, equal)))


def _in_equal_parts(kit: Kit, axis: Axis, count: int) -> tuple[Axis, ...] | None:
    """Whoever cuts an axis that has a name in halves can: D is a multiple of 2."""
    if as_symbol(kit.resolve(axis.size)) is None or kit.is_free(axis.size):
        return None
    custom = kit.assume(customs.CUT)
    if custom is None:
        return None
    part = kit.axis(kit.divides(axis.size // count), "chunk")
    return (replace(part, origin=part.origin and replace(part.origin, assumption=custom)),) * count


def _cut(kit: Kit, axis: Axis, widths: Sequence[Size], piece: Any) -> Value:
    if not widths:  # torch gives one empty part
        widths = [axis.size]
    if len(widths) > _MANY and len(set(widths)) == 1:
        return Many(piece(kit.axis(widths[0], "split")), len(widths), "tuple")
    parts = axis.layout.parts if isinstance(axis.layout, Joined) else ()
    if len(parts) == len(widths) and all(layout.equal(kit, p.size, w) for p, w in zip(parts, widths)):
        return Items("tuple", tuple(map(piece, parts)))
    if len(widths) == 1 and layout.equal(kit, widths[0], axis.size):
        return Items("tuple", (piece(axis),))
    same = pieces(kit, axis, len(widths)) if all(w == widths[0] for w in widths) else None
    return Items("tuple", tuple(map(piece, same or [kit.axis(w, "split") for w in widths])))


@op("torch.split", parameters="tensor, split_size_or_sections, dim=0")
@op("Tensor.split")
def split(kit: Kit, input: Value, split_size: Value, dim: Any = 0) -> Value:
    """Parts of one size (the last may be smaller), or of the sizes listed."""
    tensor, at = as_tensor(input), kit.integer(dim)
    found = None if at is None else reach(kit, "split", tensor, at)
    axis = None if found is None or at is None else take(found.shape, at)
    if found is None or at is None or axis is None:
        return Many(Tensor(Partial(), tensor.dtype), None, "tuple")

    def piece(part: Axis) -> Tensor:
        return Tensor(put(found.shape, at, part), tensor.dtype)

    listed = members(split_size)
    if listed is not None:
        widths = [kit.size(v) for v in listed]
        known = [w for w in widths if w is not None]
        if len(known) == len(widths):
            total: Size = 0
            for width in known:
                total = total + width
            require(kit, "sum", "split", (tensor,), total, axis.size, "the parts", "split_size")
            return _cut(kit, axis, known, piece)
        return Items("tuple", tuple(piece(kit.axis(kit.fresh("n") if w is None else w, "split")) for w in widths))
    one = kit.size(split_size)
    if one is None or isinstance(split_size, Many):
        return Many(piece(kit.axis(kit.fresh("n"), "split")), None, "tuple")
    width = one
    if isinstance(width, int) and isinstance(axis.size, int):
        if width <= 0:
            if width < 0 or axis.size:
                kit.crash("setting", "split", (tensor,), width, 1, NEVER, "split_size must be positive", "split_size")
            return Many(Tensor(Partial(), tensor.dtype), None, "tuple")
        whole, rest = divmod(axis.size, width)
        if whole > _MANY:
            return Many(piece(kit.axis(kit.fresh("n") if rest else width, "split")), whole + (rest > 0), "tuple")
        return _cut(kit, axis, [width] * whole + [rest] * (rest > 0), piece)
    count = exact_div(axis.size, width)
    if isinstance(count, int) and 0 <= count <= _MANY:
        return _cut(kit, axis, [width] * count, piece)
    if count is None:
        return Many(piece(kit.axis(kit.fresh("n"), "split")), None, "tuple")
    part = kit.axis(width, "split")
    if isinstance(axis.layout, Merged) and layout.equal(kit, axis.layout.factors[0].size, count):
        part = layout.merge(kit, axis.layout.factors[1:], "split")
    return Many(piece(part), count, "tuple")


@op("Tensor.split_with_sizes", "torch.split_with_sizes", name="split")
def split_with_sizes(kit: Kit, input: Value, split_sizes: Value, dim: Any = 0) -> Value:
    return split(kit, input, split_sizes, dim)


@op("torch.tensor_split", "Tensor.tensor_split")
def tensor_split(kit: Kit, input: Value, indices_or_sections: Value, dim: Any = 0) -> Value:
    tensor, at = as_tensor(input), kit.integer(dim)
    found = None if at is None else reach(kit, "tensor_split", tensor, at)
    axis = None if found is None or at is None else take(found.shape, at)
    if found is None or at is None or axis is None:
        return Many(Tensor(Partial(), tensor.dtype), None, "tuple")

    def piece(part: Axis) -> Tensor:
        return Tensor(put(found.shape, at, part), tensor.dtype)

    cuts, count = integers(kit, indices_or_sections), kit.integer(indices_or_sections)
    if count is not None and isinstance(axis.size, int) and count > 0:
        base, extra = divmod(axis.size, count)
        if count > _MANY:
            return Many(piece(kit.axis(kit.fresh("n") if extra else base, "tensor_split")), count, "tuple")
        return _cut(kit, axis, [base + 1] * extra + [base] * (count - extra), piece)
    if count is not None and count > 0 and (equal := pieces(kit, axis, count)):
        return Items("tuple", tuple(map(piece, equal)))
    if count is None and cuts is not None and isinstance(axis.size, int):
        bounds = [0, *(min(max(c + axis.size if c < 0 else c, 0), axis.size) for c in cuts), axis.size]
        return _cut(kit, axis, [max(b - a, 0) for a, b in pairwise(bounds)], piece)
    number = count if count is not None else len(cuts) + 1 if cuts is not None else None
    if number is None or number <= 0 or number > _MANY:
        return Many(piece(kit.axis(kit.fresh("n"), "tensor_split")), None, "tuple")
    return Items("tuple", tuple(piece(kit.axis(kit.fresh("n"), "tensor_split")) for _ in range(number)))


@op("torch.unbind", "Tensor.unbind")
def unbind(kit: Kit, input: Value, dim: Any = 0) -> Value:
    """The slices of an axis, as a tuple: of its size where that is a number."""
    tensor, at = as_tensor(input), kit.integer(dim)
    found = None if at is None else reach(kit, "unbind", tensor, at)
    if found is None or at is None or found.shape == ():
        if tensor.rank == 0:
            wrong_dim(kit, "unbind", tensor, 0)
        return Many(Tensor(Partial(), tensor.dtype), None, "tuple")
    axis = take(found.shape, at)
    item = Tensor(put(found.shape, at), tensor.dtype) if axis is not None else Tensor(Partial(), tensor.dtype)
    if axis is not None and isinstance(axis.size, int) and axis.size <= _MANY:
        return Items("tuple", (item,) * axis.size)
    return Many(item, None if axis is None else axis.size, "tuple")
