"""Ops that give the same numbers another shape: view, flatten, squeeze, unfold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from shapecheck.dims import NEVER, Size, as_symbol, exact_div
from shapecheck.engine.values import Axis, Extern, Items, Partial, Tensor, Value
from shapecheck.ops import layout
from shapecheck.ops.axes import (
    as_tensor,
    insert,
    integers,
    is_none,
    like,
    members,
    not_positive,
    position,
    product,
    put,
    reach,
    require,
    take,
    text,
    wrong_dim,
)  # fmt: skip
from shapecheck.ops.kit import Kit, op

# ----------------------------------------------------------------------- view


@op("Tensor.view", "Tensor.reshape", "torch.reshape", name="view")
def view(kit: Kit, input: Value, *shape: Value, **more: Any) -> Value:
    """`x.view(B, -1)`, `x.view((B, -1))`, `torch.reshape(x, shape=(B, -1))`."""
    tensor = as_tensor(input)
    if not shape and "shape" in more:
        shape = (more["shape"],)
    typed = not shape and "dtype" in more
    if typed or (len(shape) == 1 and isinstance(shape[0], Extern)):  # view(torch.int32) reads the bytes anew
        return Tensor(put(tensor.shape, -1, Axis(kit.fresh("n"))) if tensor.shape else (), None)
    sizes = kit.sizes(shape)
    if sizes is None:
        return Tensor(Partial(), tensor.dtype)
    return reshaped(kit, "view", tensor, sizes)


@op("Tensor.view_as", "Tensor.reshape_as", name="view")
def view_as(kit: Kit, input: Value, other: Value) -> Value:
    tensor, model = as_tensor(input), as_tensor(other)
    if model.sizes is None:
        return Tensor(model.shape, tensor.dtype)
    return reshaped(kit, "view", tensor, model.sizes)


def reshaped(kit: Kit, name: str, tensor: Tensor, sizes: Sequence[Size | None]) -> Tensor:
    """The tensor cut anew into these sizes; -1 at most once is solved for; None is a size that is not known."""
    wild = [i for i, s in enumerate(sizes) if s == -1]
    if len(wild) > 1:
        kit.crash("open size", name, (tensor,), None, None, NEVER, "only one size can be -1")
        return Tensor(Partial(), tensor.dtype)
    if tensor.axes is None or any(s is None for s in sizes):
        return Tensor(_guessless(kit, tensor, sizes), tensor.dtype)
    given = [kit.divides(s) for s in sizes if s is not None]
    have = [kit.resolve(a.size) for a in tensor.axes]
    given = [kit.resolve(s) for s in given]
    if wild:
        given[wild[0]] = _solve(kit, name, tensor, have, given)
        if given[wild[0]] == -1:
            given[wild[0]] = kit.fresh("n")
            return Tensor(tuple(kit.axis(s, name) for s in given), tensor.dtype)
    else:
        left, right = _cancel(kit, have, given)
        if not require(kit, "elements", name, (tensor,), product(left), product(right)):
            return Tensor(tuple(kit.axis(s, name) for s in given), tensor.dtype)
    resolved = tuple(replace(a, size=kit.resolve(a.size)) for a in tensor.axes)
    axes = layout.recut(kit, resolved, [kit.resolve(s) for s in given], name)
    return Tensor(axes, tensor.dtype, content=tensor.content if len(axes) == 1 and tensor.rank == 1 else None)


def _guessless(kit: Kit, tensor: Tensor, sizes: Sequence[Size | None]) -> tuple[Axis, ...]:
    """The shape of a view where the total or a size is unknown: what is given is sure, the rest is new."""
    if tensor.axes is not None and len(sizes) == 1 and sizes[0] in (-1, None):
        return (layout.merge(kit, tensor.axes, "view"),)
    made = [kit.axis(kit.fresh("n") if s is None or s == -1 else s, "view") for s in sizes]
    head = tensor.shape.head if isinstance(tensor.shape, Partial) else tensor.shape
    for i, (own, size) in enumerate(zip(head, sizes)):  # leading axes that stay are themselves
        if size is None or size == -1 or not layout.equal(kit, own.size, size):
            break
        made[i] = own
    return tuple(made)


def _cancel(kit: Kit, have: Sequence[Size], given: Sequence[Size]) -> tuple[list[Size], list[Size]]:
    """Both lists without the sizes that they share. A 0 stays: it makes nothing of all others."""
    left, right = [s for s in have if s != 1], []
    for size in given:
        match = next((i for i, s in enumerate(left) if s != 0 and layout.equal(kit, s, size)), None)
        if match is not None:
            del left[match]
        elif size != 1:
            right.append(size)
    return left, right


def _solve(kit: Kit, name: str, tensor: Tensor, have: Sequence[Size], given: Sequence[Size]) -> Size:
    """The size that -1 stands for; -1 when torch would refuse (stated)."""
    if len(given) == len(have) + 1 and list(given).index(-1) == 1 and kit.is_free(have[0]) and have[0] != given[0]:
        for own, wanted in zip(have[1:], given[2:]):  # `p.view(b, -1, d)` cuts the rows, and d is the width of p
            if kit.is_free(own):
                kit.agree(own, wanted)
        have = [kit.resolve(s) for s in have]
    left, right = _cancel(kit, have, [s for s in given if s != -1])
    if not right:
        return product(left)
    total, rest = product(left), product(right)
    if rest == 0:
        kit.crash("open size", name, (tensor,), None, None, NEVER, "-1 could be any size beside a size of 0")
        return -1
    quotient = exact_div(total, rest)
    if quotient is not None:
        return quotient
    if isinstance(total, int) and isinstance(rest, int):
        kit.crash("divides", name, (tensor,), total, rest, NEVER, f"{total} cannot be divided by {rest}")
        return -1
    for i, free in enumerate(left):
        if kit.is_free(free):  # learn that it is a multiple: n = m * G
            others = product([*left[:i], *left[i + 1 :]])
            needed = exact_div(rest, others)
            if needed is None:
                continue
            multiple = kit.fresh("m")
            if kit.agree(free, multiple * needed).always:
                return multiple
    if len(have) > 1 and given[0] != -1 and kit.is_free(have[0]) and have[0] in left and any(map(kit.is_free, right)):
        kept = [s for s in left if s is not have[0]]
        # `v.view(q.size(0), -1, heads, d)`: the rows of two tensors are one number where the rest fits without them
        others = product([s for s in right if s is not given[0]])
        inner = exact_div(product(kept), others) if given[0] in right else None
        if inner is not None and kit.is_free(given[0]) and kit.agree(have[0], given[0]).always:
            return inner
        # `p.view(q.size(0), n, -1)`: rows are cut by another tensor's rows, the other axes stay whole
        behind = _cancel(kit, have[1:], list(given)[list(given).index(-1) + 1 :])[1]
        cut = [s for s in given if s != 1][: len(right)] == right  # `x.view(b, n, heads, -1)` cuts the last axis
        if cut and not behind and kit.agree(have[0], rest).always:
            return product(kept)
    return kit.divides(total // rest)


@op("torch.flatten", "Tensor.flatten")
def flatten(kit: Kit, input: Value, start_dim: Any = 0, end_dim: Any = -1) -> Value:
    tensor = as_tensor(input)
    start, end = kit.integer(start_dim), kit.integer(end_dim)
    if start is None or end is None:
        return Tensor(Partial(), tensor.dtype)
    return flattened(kit, tensor, start, end)


def flattened(kit: Kit, tensor: Tensor, start: int, end: int) -> Tensor:
    if tensor.axes is None:
        assert isinstance(tensor.shape, Partial)
        merged = kit.axis(kit.fresh("n"), "flatten")
        if start == 0 and end == -1:
            return Tensor((merged,), tensor.dtype)
        if 0 <= start <= len(tensor.shape.head) and end == -1:
            found = reach(kit, "flatten", tensor, start) or tensor
            head = found.shape.head if isinstance(found.shape, Partial) else found.shape
            return Tensor((*head[:start], merged), tensor.dtype)
        if start == 0 and -len(tensor.shape.tail) - 1 <= end < -1:
            return Tensor((merged, *tensor.shape.tail[end + 1 :]), tensor.dtype)
        if start >= 0 and end >= 0:
            return Tensor(Partial(tensor.shape.head[:start]), tensor.dtype)
        return Tensor(Partial(), tensor.dtype)
    if not tensor.axes and start in (0, -1) and end in (0, -1):
        return Tensor((kit.axis(1, "flatten"),), tensor.dtype)
    first, last = position(tensor.shape, start), position(tensor.shape, end)
    if first is None or last is None:
        wrong_dim(kit, "flatten", tensor, start if first is None else end)
        return Tensor(Partial(), tensor.dtype)
    if first > last:
        kit.crash("setting", "flatten", (tensor,), first, last, NEVER, "start_dim comes after end_dim")
        return Tensor(Partial(), tensor.dtype)
    merged = layout.merge(kit, tensor.axes[first : last + 1], "flatten")
    return Tensor((*tensor.axes[:first], merged, *tensor.axes[last + 1 :]), tensor.dtype, content=tensor.content)


@op("torch.ravel", "Tensor.ravel", name="flatten")
def ravel(kit: Kit, input: Value) -> Value:
    return flattened(kit, as_tensor(input), 0, -1)


@op("torch.unflatten", "Tensor.unflatten")
def unflatten(kit: Kit, input: Value, dim: Value, sizes: Value) -> Value:
    tensor, at = as_tensor(input), kit.integer(dim)
    wanted = kit.sizes((sizes,))
    if at is None or wanted is None:
        return Tensor(Partial(), tensor.dtype)
    found = reach(kit, "unflatten", tensor, at)
    axis = None if found is None else take(found.shape, at)
    if found is None or axis is None:
        return Tensor(Partial(), tensor.dtype)
    inner = reshaped(kit, "unflatten", Tensor((axis,)), wanted)
    return Tensor(put(found.shape, at, *(inner.axes or ())), tensor.dtype)


# ------------------------------------------------------------- axes of size 1


@op("torch.unsqueeze", "Tensor.unsqueeze", "Tensor.unsqueeze_")
def unsqueeze(kit: Kit, input: Value, dim: Value) -> Value:
    tensor, at = as_tensor(input), kit.integer(dim)
    if at is None:
        return Tensor(Partial(), tensor.dtype)
    if tensor.axes is None and at > 0:  # it has the axes that come before the new one
        reached = reach(kit, "unsqueeze", tensor, at - 1)
        if reached is None:
            return Tensor(Partial(), tensor.dtype)
        tensor = reached
    shape = insert(tensor.shape, at, kit.axis(1, "unsqueeze"))
    if isinstance(tensor.shape, Partial) and at > len(tensor.shape.head):  # there must be so many axes in front
        front = tuple(Axis(kit.fresh("n")) for _ in range(at - len(tensor.shape.head)))
        shape = Partial((*tensor.shape.head, *front, kit.axis(1, "unsqueeze")))
    if shape is None:
        wrong_dim(kit, "unsqueeze", tensor, at, extra=1)
        return Tensor(Partial(), tensor.dtype)
    return Tensor(shape, tensor.dtype)


@op("torch.squeeze", "Tensor.squeeze", "Tensor.squeeze_")
def squeeze(kit: Kit, input: Value, dim: Any = None) -> Value:
    """Drops axes of size 1. A size with a name is taken to be more than 1; a free one leaves the rank open."""
    tensor = as_tensor(input)
    if is_none(dim):
        if tensor.axes is None or any(kit.is_free(a.size) for a in tensor.axes):
            return Tensor(Partial(), tensor.dtype)
        return Tensor(tuple(a for a in tensor.axes if a.size != 1), tensor.dtype)
    dims = integers(kit, dim)
    if dims is None:
        return Tensor(Partial(), tensor.dtype)
    found = reach(kit, "squeeze", tensor, *dims)
    if found is None:
        return Tensor(Partial(), tensor.dtype)
    shape = found.shape
    if shape == ():
        return like(tensor)
    if isinstance(shape, Partial):
        return Tensor(_squeeze_partial(kit, shape, dims), tensor.dtype)
    where = {position(shape, d) for d in dims}
    if any(_left_open(kit, shape[w].size) for w in where if w is not None):
        return Tensor(_open_rank(shape, where), tensor.dtype)
    return Tensor(tuple(a for i, a in enumerate(shape) if i not in where or a.size != 1), tensor.dtype)


def _left_open(kit: Kit, size: Size) -> bool:
    """Of a size that is computed and may come out as 1, whoever squeezes it knows which: `K + 1 - width` places."""
    if kit.is_free(size):
        return True
    size = kit.resolve(size)
    return not isinstance(size, int) and as_symbol(size) is None and kit.compare(size, 1).sometimes


def _squeeze_partial(kit: Kit, shape: Partial, dims: Sequence[int]) -> Partial:
    axis = take(shape, dims[0]) if len(dims) == 1 else None
    if axis is not None and not kit.is_free(axis.size):
        result = put(shape, dims[0], *(() if axis.size == 1 else (axis,)))
        assert isinstance(result, Partial)
        return result
    if len(dims) == 1 and dims[0] >= 0:
        return Partial(shape.head[: dims[0]])
    if len(dims) == 1:
        return Partial((), shape.tail[len(shape.tail) + dims[0] + 1 :] if -dims[0] <= len(shape.tail) else shape.tail)
    return Partial()


def _open_rank(shape: tuple[Axis, ...], where: set[int | None]) -> Partial:
    """A squeeze of an axis that may or may not be 1: the axes around it are sure, the rank is not."""
    known = sorted(w for w in where if w is not None)
    return Partial(shape[: known[0]], shape[known[-1] + 1 :])


# ------------------------------------------------------------------- the rest


@op("Tensor.unfold")
def unfold(kit: Kit, input: Value, dimension: Value, size: Value, step: Value) -> Value:
    """Windows along an axis: their number stays in its place, their size becomes the last axis."""
    tensor, at = as_tensor(input), kit.integer(dimension)
    width, stride = kit.size(size), kit.size(step)
    not_positive(kit, "unfold", tensor, "size", width, 0)
    if not_positive(kit, "unfold", tensor, "step", stride):
        return Tensor(Partial(), tensor.dtype)
    found = None if at is None else reach(kit, "unfold", tensor, at)
    if found is None or at is None or found.axes is None or not found.axes:
        return Tensor(Partial(), tensor.dtype)
    axis = take(found.shape, at)
    assert axis is not None
    if width is None or stride is None:
        count: Size = kit.fresh("n")
    else:
        if isinstance(width, int) and isinstance(axis.size, int) and width > axis.size:
            kit.crash("setting", "unfold", (tensor,), width, axis.size, NEVER, "window larger than the axis")
        count = (axis.size - width) // stride + 1
    last = kit.axis(kit.fresh("n") if width is None else width, "unfold")
    shape = put(found.shape, at, kit.axis(count, "unfold"))
    assert isinstance(shape, tuple)
    return Tensor((*shape, last), tensor.dtype)


@op("torch.meshgrid")
def meshgrid(kit: Kit, *tensors: Value, indexing: Any = None) -> Value:
    """One grid for each vector; "ij" keeps their order, "xy" swaps the first two axes."""
    given = members(tensors[0]) if len(tensors) == 1 else tensors
    if given is None:
        return Tensor()
    axes: list[Axis] = []
    for value in given:
        own = as_tensor(value).axes
        if own is not None and len(own) > 1:
            kit.crash("rank", "meshgrid", (as_tensor(value),), len(own), 1, NEVER, "meshgrid takes vectors")
        if own is None or len(own) > 1:
            return Items("tuple", tuple(Tensor() for _ in given))
        axes.append(own[0] if own else Axis(1))
    order = "ij" if is_none(indexing) else text(indexing)
    if order == "xy" and len(axes) > 1:
        axes[0], axes[1] = axes[1], axes[0]
    if order is None:
        axes = [kit.axis(kit.fresh("n"), "meshgrid") for _ in axes]
    return Items("tuple", tuple(Tensor(tuple(axes), as_tensor(v).dtype) for v in given))
