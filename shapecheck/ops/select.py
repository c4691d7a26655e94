"""Picking and placing by index or by size: gather, scatter, topk, sort, masks, diagonals, triangles."""

from __future__ import annotations

from typing import Any

from shapecheck.dims import NEVER, Size, maximum, minimum
from shapecheck.engine.values import NONE, Axis, Items, Many, Partial, Tensor, Value
from shapecheck.ops.axes import (
    as_tensor,
    flag,
    insert,
    is_none,
    like,
    named,
    numel,
    position,
    put,
    rank_crash,
    reach,
    require,
    take,
    within,
)  # fmt: skip
from shapecheck.ops.kit import Kit, op
from shapecheck.ops.reduce import along, reduced


@op("torch.gather", "Tensor.gather")
def gather(kit: Kit, input: Value, dim: Value, index: Value, *, sparse_grad: Any = False) -> Value:
    """The shape of `index`, which must fit inside the other axes of `input`."""
    if _is_empty(as_tensor(index)):  # torch asks nothing of it
        return Tensor(as_tensor(index).shape, as_tensor(input).dtype)
    tensor, chosen = _aligned(kit, "gather", as_tensor(input), as_tensor(index))
    _index_fits(kit, "gather", tensor, chosen, kit.integer(dim))
    return Tensor(chosen.shape, tensor.dtype)


def _is_empty(tensor: Tensor) -> bool:
    return any(axis.size == 0 for axis in tensor.axes or ())


def _aligned(kit: Kit, name: str, tensor: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """Both have one rank: the known one teaches the other."""
    if tensor.rank and index.rank is None:
        index = kit.rank(index, tensor.rank)
    elif index.rank and tensor.rank is None:
        tensor = kit.rank(tensor, index.rank)
    elif tensor.rank and index.rank and tensor.rank != index.rank:
        rank_crash(kit, name, (tensor, index), tensor.rank, index.rank, "input and index need one rank")
    return tensor, index


def _index_fits(kit: Kit, name: str, tensor: Tensor, index: Tensor, dim: int | None) -> None:
    if dim is None:
        return
    for each in (tensor, index):
        reach(kit, name, each, dim)
    if tensor.axes is None or index.axes is None or len(tensor.axes) != len(index.axes):
        return
    skip = position(tensor.shape, dim)
    for i, (own, chosen) in enumerate(zip(tensor.axes, index.axes)):
        over = chosen.size - own.size
        if i != skip and isinstance(over, int) and over > 0:
            verdict = kit.compare(own.size, chosen.size)
            kit.crash("fits", name, (tensor, index), chosen.size, own.size, verdict, "the index", "index")


def _scatter(kit: Kit, name: str, input: Value, dim: Value, index: Value, source: Any) -> Value:
    tensor, placed = _aligned(kit, name, as_tensor(input), as_tensor(index))
    _index_fits(kit, name, tensor, placed, kit.integer(dim))
    if isinstance(source, Tensor) and source.axes is not None and placed.axes is not None and source.axes:
        if len(source.axes) != len(placed.axes):
            rank_crash(
                kit, name, (placed, source), len(placed.axes), len(source.axes), "index and source need one rank"
            )
        for own, chosen in zip(source.axes, placed.axes):
            over = chosen.size - own.size
            if isinstance(over, int) and over > 0:
                verdict = kit.compare(own.size, chosen.size)
                kit.crash("fits", name, (placed, source), own.size, chosen.size, verdict, "the index", "index")
    return like(tensor)


def _register_scatter() -> None:
    for name, parameters in {
        "scatter": "input, dim, index, src=None, *, value=None, reduce=None",
        "scatter_add": "input, dim, index, src",
        "scatter_reduce": "input, dim, index, src, reduce, *, include_self=True",
    }.items():

        def run(kit: Kit, input: Value, dim: Value, index: Value, *rest: Any, _name: str = name, **more: Any) -> Value:
            return _scatter(kit, _name, input, dim, index, rest[0] if rest else None)

        op(f"torch.{name}", f"Tensor.{name}", f"Tensor.{name}_", name=name, parameters=parameters)(run)


_register_scatter()


@op("torch.index_select", "Tensor.index_select")
def index_select(kit: Kit, input: Value, dim: Value, index: Value) -> Value:
    tensor, chosen, at = as_tensor(input), as_tensor(index), kit.integer(dim)
    if chosen.rank not in (0, 1, None):
        rank_crash(kit, "index_select", (tensor, chosen), chosen.rank or 0, 1, "index_select needs a vector of indices")
        return Tensor(Partial(), tensor.dtype)
    found = None if at is None else reach(kit, "index_select", tensor, at)
    if found is None or at is None or (take(found.shape, at) is None and found.shape != ()):
        return Tensor(Partial(), tensor.dtype)
    if found.shape == ():
        return like(tensor)
    axis = chosen.axes[0] if chosen.axes else Axis(1 if chosen.rank == 0 else kit.fresh("n"))
    return Tensor(put(found.shape, at, axis), tensor.dtype)


@op("torch.take_along_dim", "Tensor.take_along_dim")
def take_along_dim(kit: Kit, input: Value, indices: Value, dim: Any = None) -> Value:
    tensor, chosen = as_tensor(input), as_tensor(indices)
    if is_none(dim):
        size = numel(chosen)
        return Tensor((Axis(kit.fresh("n") if size is None else size),), tensor.dtype)
    at = kit.integer(dim)
    if tensor.axes is None or chosen.axes is None or at is None:
        return Tensor(Partial(), tensor.dtype)
    tensor, chosen = _aligned(kit, "take_along_dim", tensor, chosen)
    skip = position(tensor.shape, at)
    if skip is None or len(tensor.axes or ()) != len(chosen.axes or ()):
        reach(kit, "take_along_dim", tensor, at)
        return Tensor(Partial(), tensor.dtype)
    mine, theirs = put(tensor.shape, at), put(chosen.shape, at)
    rest = kit.broadcast("take_along_dim", Tensor(mine), Tensor(theirs))
    assert chosen.axes is not None
    shape = insert(rest, skip, chosen.axes[skip])
    return Tensor(Partial() if shape is None else shape, tensor.dtype)


@op("torch.take", "Tensor.take")
def take_flat(kit: Kit, input: Value, index: Value) -> Value:
    return Tensor(as_tensor(index).shape, as_tensor(input).dtype)


@op("torch.select", "Tensor.select")
def select(kit: Kit, input: Value, dim: Value, index: Value) -> Value:
    tensor, at, place = as_tensor(input), kit.integer(dim), kit.size(index)
    axis = None if at is None else take(tensor.shape, at)
    if axis is not None and place is not None:
        within(kit, "select", tensor, axis, place)
    return Tensor(reduced(kit, "select", tensor, dim, False), tensor.dtype)


@op("torch.narrow", "Tensor.narrow")
def narrow(kit: Kit, input: Value, dim: Value, start: Value, length: Value) -> Value:
    tensor, at, size = as_tensor(input), kit.integer(dim), kit.size(length)
    found = None if at is None else reach(kit, "narrow", tensor, at)
    axis = None if found is None or at is None else take(found.shape, at)
    if found is None or at is None or axis is None:
        return Tensor(Partial(), tensor.dtype)
    begin = kit.size(start)
    if size is not None and begin is not None:
        low = begin + axis.size if isinstance(begin, int) and begin < 0 else begin
        over = low + size - axis.size
        if isinstance(over, int) and over > 0:
            kit.crash("within", "narrow", (tensor,), low + size, axis.size, NEVER, "start + length", "length")
    return Tensor(put(found.shape, at, kit.axis(kit.fresh("n") if size is None else size, "narrow")), tensor.dtype)


@op("torch.index_add", "Tensor.index_add", "Tensor.index_add_", "torch.index_copy", "Tensor.index_copy",
    "Tensor.index_copy_", parameters="input, dim, index, source, *, alpha=1", name="index_add")  # fmt: skip
def index_add(kit: Kit, input: Value, dim: Value, index: Value, source: Value, **more: Any) -> Value:
    tensor, chosen, given, at = as_tensor(input), as_tensor(index), as_tensor(source), kit.integer(dim)
    if chosen.rank not in (0, 1, None):
        rank_crash(kit, "index_add", (tensor, chosen), chosen.rank or 0, 1, "a vector of indices is needed")
    elif at is not None and tensor.axes is not None and given.axes is not None:
        _rows_fit(kit, tensor, chosen, given, at)
    return like(along(kit, "index_add", tensor, dim))


def _rows_fit(kit: Kit, tensor: Tensor, index: Tensor, source: Tensor, dim: int) -> None:
    """torch needs an index for each row of `source`, whose other axes are those of the tensor."""
    mine, theirs, place = tensor.axes or (), source.axes or (), position(tensor.shape, dim)
    if len(mine) != len(theirs):
        if source.rank or tensor.rank != 1:
            rank_crash(kit, "index_add", (tensor, source), len(mine), len(theirs), "source has the axes of the tensor")
        return
    if place is None:
        return
    if index.axes is not None and len(index.axes) == 1:
        require(kit, "count", "index_add", (source, index), index.axes[0].size, theirs[place].size, "indices", "index")
    for axis, (own, given) in enumerate(zip(mine, theirs)):
        if axis != place:
            require(kit, "fits", "index_add", (source, tensor), given.size, own.size, f"axis {axis}", "source")


@op("torch.index_fill", "Tensor.index_fill", "Tensor.index_fill_")
def index_fill(kit: Kit, input: Value, dim: Value, index: Value, value: Value) -> Value:
    tensor, chosen = along(kit, "index_fill", as_tensor(input), dim), as_tensor(index)
    if chosen.rank not in (0, 1, None):
        rank_crash(kit, "index_fill", (tensor, chosen), chosen.rank or 0, 1, "index_fill needs a vector of indices")
    return like(tensor)


@op("torch.index_put", "Tensor.index_put", "Tensor.index_put_")
def index_put(kit: Kit, input: Value, indices: Value, values: Value, accumulate: Any = False) -> Value:
    return like(as_tensor(input))


@op("torch.masked_select", "Tensor.masked_select")
def masked_select(kit: Kit, input: Value, mask: Value) -> Value:
    kit.broadcast("masked_select", as_tensor(input), as_tensor(mask))
    return Tensor((kit.axis(kit.fresh("n"), "masked_select"),), as_tensor(input).dtype)


@op("torch.masked_scatter", "Tensor.masked_scatter", "Tensor.masked_scatter_")
def masked_scatter(kit: Kit, input: Value, mask: Value, source: Value) -> Value:
    tensor = as_tensor(input)
    return Tensor(kit.broadcast("masked_scatter", tensor, as_tensor(mask)), tensor.dtype)


@op("torch.nonzero", "Tensor.nonzero")
def nonzero(kit: Kit, input: Value, as_tuple: Any = False) -> Value:
    """`[N, rank]`, or one vector of N for each axis."""
    tensor, split = as_tensor(input), flag(as_tuple)
    rows = kit.axis(kit.fresh("n"), "nonzero")
    if split:
        if tensor.rank is None:
            return Many(Tensor((rows,), "int"), None, "tuple")
        return Items("tuple", (Tensor((rows,), "int"),) * max(tensor.rank, 1))
    if split is None:
        return Tensor()
    return Tensor((rows, Axis(kit.fresh("r") if tensor.rank is None else tensor.rank)), "int")


@op("torch.argwhere", "Tensor.argwhere", name="nonzero")
def argwhere(kit: Kit, input: Value) -> Value:
    return nonzero(kit, input, False)


@op("torch.unique_consecutive", "Tensor.unique_consecutive", name="unique")
def unique_consecutive(
    kit: Kit, input: Value, return_inverse: Any = False, return_counts: Any = False, dim: Any = None
) -> Value:
    return unique(kit, input, False, return_inverse, return_counts, dim)


@op("torch.unique", "Tensor.unique",
    parameters="input, sorted=True, return_inverse=False, return_counts=False, dim=None", name="unique")  # fmt: skip
def unique(
    kit: Kit, input: Value, sorted: Any = True, return_inverse: Any = False, return_counts: Any = False, dim: Any = None
) -> Value:
    tensor = as_tensor(input)
    count = kit.axis(kit.fresh("n"), "unique")
    at = None if is_none(dim) else kit.integer(dim)
    if is_none(dim):
        values = Tensor((count,), tensor.dtype)
        inverse = like(tensor, "int")
    elif at is not None and take(tensor.shape, at) is not None:
        values = Tensor(put(tensor.shape, at, count), tensor.dtype)
        inverse = Tensor((take(tensor.shape, at) or count,), "int")
    else:
        values, inverse = Tensor(Partial(), tensor.dtype), Tensor(Partial(), "int")
    flags = flag(return_inverse), flag(return_counts)
    if None in flags:
        return Tensor()
    results = [values, *([inverse] if flags[0] else []), *([Tensor((count,), "int")] if flags[1] else [])]
    return results[0] if len(results) == 1 else Items("tuple", tuple(results))


@op("torch.bincount", "Tensor.bincount")
def bincount(kit: Kit, input: Value, weights: Value = NONE, minlength: Any = 0) -> Value:
    given = as_tensor(input)
    if given.rank not in (1, None):
        rank_crash(kit, "bincount", (given,), given.rank or 0, 1, "bincount takes a vector")
    return Tensor((kit.axis(kit.fresh("n"), "bincount"),), "int" if is_none(weights) else "float")


@op("torch.histc", "Tensor.histc")
def histc(kit: Kit, input: Value, bins: Any = 100, min: Any = 0, max: Any = 0) -> Value:
    count = kit.size(bins)
    return Tensor((kit.axis(kit.fresh("n") if count is None else count, "histc"),), "float")


@op("torch.isin")
def isin(kit: Kit, elements: Value, test_elements: Value, *, assume_unique: Any = False, invert: Any = False) -> Value:
    return like(as_tensor(elements), "bool")


@op("torch.searchsorted")
def searchsorted(kit: Kit, sorted_sequence: Value, input: Value, **more: Any) -> Value:
    rows, asked = as_tensor(sorted_sequence), as_tensor(input)
    if rows.rank == 0:
        rank_crash(kit, "searchsorted", (rows, asked), 0, 1, "the sorted sequence needs an axis")
    elif rows.axes is not None and asked.axes is not None and len(rows.axes) > 1:
        if len(rows.axes) != len(asked.axes):
            rank_crash(kit, "searchsorted", (rows, asked), len(rows.axes), len(asked.axes))
        for a, b in zip(rows.axes[:-1], asked.axes[:-1]):
            require(kit, "count", "searchsorted", (rows, asked), a.size, b.size, "leading axes")
    return like(asked, "int")


@op("torch.bucketize")
def bucketize(kit: Kit, input: Value, boundaries: Value, **more: Any) -> Value:
    return like(as_tensor(input), "int")


# ----------------------------------------------------------------------- order


@op("torch.topk", "Tensor.topk")
def topk(kit: Kit, input: Value, k: Value, dim: Any = -1, largest: Any = True, sorted: Any = True) -> Value:
    tensor, count, at = as_tensor(input), kit.size(k), kit.integer(dim)
    found = None if at is None else reach(kit, "topk", tensor, at)
    axis = None if found is None or at is None else take(found.shape, at)
    if found is None or at is None or (axis is None and found.shape != ()):
        return named(values=Tensor(Partial(), tensor.dtype), indices=Tensor(Partial(), "int"))
    if axis is None:
        return named(values=like(tensor), indices=like(tensor, "int"))
    if count is not None:
        over = count - axis.size
        if isinstance(over, int) and over > 0:
            kit.crash("within", "topk", (tensor,), count, axis.size, NEVER, "k", "k")
    shape = put(found.shape, at, kit.axis(kit.fresh("k") if count is None else count, "topk"))
    return named(values=Tensor(shape, tensor.dtype), indices=Tensor(shape, "int"))


@op("torch.sort", "Tensor.sort")
def sort(kit: Kit, input: Value, dim: Any = -1, descending: Any = False, stable: Any = False) -> Value:
    tensor = along(kit, "sort", as_tensor(input), dim)
    return named(values=like(tensor), indices=like(tensor, "int"))


@op("torch.argsort", "Tensor.argsort")
def argsort(kit: Kit, input: Value, dim: Any = -1, descending: Any = False, stable: Any = False) -> Value:
    return like(along(kit, "argsort", as_tensor(input), dim), "int")


@op("torch.multinomial", "Tensor.multinomial")
def multinomial(kit: Kit, input: Value, num_samples: Value, replacement: Any = False) -> Value:
    tensor, count = as_tensor(input), kit.size(num_samples)
    if tensor.rank is not None and tensor.rank not in (1, 2):
        rank_crash(kit, "multinomial", (tensor,), tensor.rank, 2, "multinomial needs rows of weights")
        return Tensor(Partial(), "int")
    drawn = kit.axis(kit.fresh("n") if count is None else count, "multinomial")
    return Tensor(Partial((), (drawn,)) if tensor.axes is None else (*tensor.axes[:-1], drawn), "int")


# ------------------------------------------------------- diagonals, triangles


def _shifted(size: Size, offset: int, rows: bool) -> Size:
    """How much of an axis is left for a diagonal `offset` off the main one."""
    cut = max(-offset, 0) if rows else max(offset, 0)
    return size - cut


@op("torch.diagonal", "Tensor.diagonal", parameters="input, offset=0, dim1=0, dim2=1")
@op("torch.linalg.diagonal", name="diagonal", parameters="A, *, offset=0, dim1=-2, dim2=-1")
def diagonal(kit: Kit, input: Value, offset: Any = 0, dim1: Any = 0, dim2: Any = 1) -> Value:
    tensor = as_tensor(input)
    a, b, shift = kit.integer(dim1), kit.integer(dim2), kit.integer(offset)
    if a is None or b is None:
        return Tensor(Partial(), tensor.dtype)
    found = reach(kit, "diagonal", tensor, a, b)
    if found is None or found.axes is None:
        return Tensor(Partial(), tensor.dtype)
    i, j = position(found.shape, a), position(found.shape, b)
    if i is None or j is None or i == j:
        kit.crash("setting", "diagonal", (tensor,), a, b, NEVER, "diagonal needs two different axes")
        return Tensor(Partial(), tensor.dtype)
    length = _diagonal_length(kit, found.axes[i], found.axes[j], shift)
    return Tensor((*(x for n, x in enumerate(found.axes) if n not in (i, j)), length), tensor.dtype)


def _diagonal_length(kit: Kit, rows: Axis, columns: Axis, shift: int | None) -> Axis:
    if shift is None:
        return kit.axis(kit.fresh("n"), "diagonal")
    if shift == 0 and kit.compare(rows.size, columns.size).always:
        return rows
    size = minimum(_shifted(rows.size, shift, True), _shifted(columns.size, shift, False))
    return kit.axis(maximum(size, 0), "diagonal")


@op("torch.diag", "Tensor.diag")
def diag(kit: Kit, input: Value, diagonal: Any = 0) -> Value:
    """A vector becomes a matrix, a matrix its diagonal."""
    tensor, shift = as_tensor(input), kit.integer(diagonal)
    if tensor.axes is None:
        return Tensor(Partial(), tensor.dtype)
    if len(tensor.axes) == 1:
        axis = tensor.axes[0]
        if shift:
            axis = kit.axis(axis.size + abs(shift), "diag")
        return Tensor((axis, axis) if shift is not None else (kit.axis(kit.fresh("n")),) * 2, tensor.dtype)
    if len(tensor.axes) == 2:
        return Tensor((_diagonal_length(kit, tensor.axes[0], tensor.axes[1], shift),), tensor.dtype)
    rank_crash(kit, "diag", (tensor,), len(tensor.axes), 2, "diag is for vectors and matrices")
    return Tensor(Partial(), tensor.dtype)


@op("torch.diag_embed", "Tensor.diag_embed")
def diag_embed(kit: Kit, input: Value, offset: Any = 0, dim1: Any = -2, dim2: Any = -1) -> Value:
    tensor, shift = as_tensor(input), kit.integer(offset)
    a, b = kit.integer(dim1), kit.integer(dim2)
    if tensor.axes is None or shift is None or a is None or b is None or not tensor.axes:
        return Tensor(Partial(), tensor.dtype)
    rank = len(tensor.axes) + 1
    i, j = (d + rank if d < 0 else d for d in (a, b))
    if not (0 <= i < rank and 0 <= j < rank) or i == j:
        kit.crash("setting", "diag_embed", (tensor,), a, b, NEVER, "diag_embed needs two different axes")
        return Tensor(Partial(), tensor.dtype)
    last = tensor.axes[-1] if shift == 0 else kit.axis(tensor.axes[-1].size + abs(shift), "diag_embed")
    rest = iter(tensor.axes[:-1])
    return Tensor(tuple(last if n in (i, j) else next(rest) for n in range(rank)), tensor.dtype)


@op("Tensor.fill_diagonal_")
def fill_diagonal_(kit: Kit, input: Value, fill_value: Value, wrap: Any = False) -> Value:
    tensor = as_tensor(input)
    if tensor.rank is not None and tensor.rank < 2:
        rank_crash(kit, "fill_diagonal", (tensor,), tensor.rank, 2, "fill_diagonal_ needs at least two axes")
    if tensor.axes is not None and len(tensor.axes) > 2:
        for axis in tensor.axes[1:]:
            require(
                kit, "setting", "fill_diagonal", (tensor,), tensor.axes[0].size, axis.size, "a cube, beyond two axes"
            )
    return like(tensor)


@op("torch.tril", "torch.triu", "Tensor.tril", "Tensor.triu", "Tensor.tril_", "Tensor.triu_", name="tril")
def tril(kit: Kit, input: Value, diagonal: Any = 0) -> Value:
    tensor = as_tensor(input)
    if tensor.rank is not None and tensor.rank < 2:
        rank_crash(kit, "tril", (tensor,), tensor.rank, 2, "tril and triu need at least two axes")
    return like(tensor)


@op("torch.combinations")
def combinations(kit: Kit, input: Value, r: Any = 2, with_replacement: Any = False) -> Value:
    tensor, count, again = as_tensor(input), kit.size(r), flag(with_replacement)
    if tensor.rank not in (1, None):
        rank_crash(kit, "combinations", (tensor,), tensor.rank or 0, 1, "combinations takes a vector")
        return Tensor(Partial(), tensor.dtype)
    width = Axis(kit.fresh("r") if count is None else count)
    if tensor.axes and len(tensor.axes) == 1 and count == 2 and again is False:
        n = tensor.axes[0].size
        return Tensor((kit.axis(n * (n - 1) // 2, "pairs"), width), tensor.dtype)
    return Tensor((kit.axis(kit.fresh("n"), "combinations"), width), tensor.dtype)
