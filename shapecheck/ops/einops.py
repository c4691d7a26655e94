"""einops: patterns with named axes, in which `(b g)` is a merged axis, row-major."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shapecheck.dims import NEVER, Size
from shapecheck.engine.values import UNKNOWN, Axis, Items, Layer, Many, Partial, Tensor, Value
from shapecheck.engine.values import Mapping as MappingValue
from shapecheck.ops import layout
from shapecheck.ops.axes import as_tensor, many_tensors, product, promote, rank_crash, require, text
from shapecheck.ops.joining import stack
from shapecheck.ops.kit import Kit, layer, op
from shapecheck.ops.product import contracted
from shapecheck.ops.reshape import reshaped

Group = tuple[str, ...]  # the names inside one pair of parentheses, or one name


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a pattern: a group for each axis; `dots` is the index of a bare `...`."""

    groups: tuple[Group, ...]

    @property
    def names(self) -> list[str]:
        return [name for group in self.groups for name in group]

    @property
    def dots(self) -> int | None:
        return next((i for i, g in enumerate(self.groups) if g == ("...",)), None)


def side(pattern: str) -> Side | None:
    """Read one side; None when the parentheses don't match."""
    groups: list[Group] = []
    inside: list[str] | None = None
    for word in re.findall(r"\.\.\.|[()]|[^\s().]+", pattern.replace("…", "...")):
        if word == "(":
            if inside is not None:
                return None
            inside = []
        elif word == ")":
            if inside is None:
                return None
            groups.append(
                tuple(inside) if inside != ["..."] else ("...", "1")
            )  # `(...)` is one axis, bare dots several
            inside = None
        elif inside is not None:
            inside.append(word)
        else:
            groups.append((word,))
    return None if inside is not None else Side(tuple(groups))


def _known(kit: Kit, lengths: Mapping[str, Any]) -> dict[str, Size | None]:
    return {name: kit.size(value) for name, value in lengths.items()}


def _bind(
    kit: Kit, name: str, tensor: Tensor, left: Side, lengths: Mapping[str, Size | None]
) -> dict[str, tuple[Axis, ...]] | None:
    """Every elementary axis of the left side, `...` being several. None when the tensor is not known well enough."""
    groups = list(left.groups)
    if tensor.axes is None and left.dots is None and "..." not in left.names:
        tensor = kit.rank(tensor, len(groups))
    axes = tensor.axes
    if axes is None:
        return None
    bound: dict[str, tuple[Axis, ...]] = {}
    if (at := left.dots) is not None:
        extra = len(axes) - len(groups) + 1
        if extra < 0:
            rank_crash(
                kit, name, (tensor,), len(axes), len(groups) - 1, f"the pattern has {len(groups) - 1} axes or more"
            )
            return None
        bound["..."] = tuple(axes[at : at + extra])
        axes = (*axes[:at], *axes[at + extra :])
        del groups[at]
    elif len(axes) != len(groups):
        rank_crash(kit, name, (tensor,), len(axes), len(groups), f"the pattern has {len(groups)} axes")
        return None
    for axis, group in zip(axes, groups):
        if not _bind_group(kit, name, tensor, axis, group, lengths, bound):
            return None
    return bound


def _bind_group(
    kit: Kit, name: str, tensor: Tensor, axis: Axis, group: Group, lengths: Mapping[str, Size | None],
    bound: dict[str, tuple[Axis, ...]],
) -> bool:  # fmt: skip
    if group in ((), ("1",)):
        require(kit, "pattern", name, (tensor,), axis.size, 1, "an axis")
        return True
    if len(group) == 1:
        label = group[0]
        given = lengths.get(label)
        if given is not None:
            require(kit, "pattern", name, (tensor,), axis.size, given, f"axis {label!r}")
        bound[label] = (axis,)
        return True
    sizes: list[Size | None] = [lengths.get(n) if not n.isdigit() else int(n) for n in group]
    open_ = [i for i, s in enumerate(sizes) if s is None]
    if len(open_) > 1:  # a length that einops needs is not known here
        for label, size in zip(group, sizes):
            bound[label] = (kit.axis(kit.fresh(label) if size is None else size, name),)
        return True
    if open_:
        rest = product([s for s in sizes if s is not None])
        if isinstance(axis.size, int) and isinstance(rest, int) and axis.size % (rest or 1):
            kit.crash("divides", name, (tensor,), axis.size, rest, NEVER, f"{axis.size} cannot be divided by {rest}")
            return False
        sizes[open_[0]] = -1
    parts = reshaped(kit, name, Tensor((axis,)), sizes).axes or ()
    if len(parts) != len(group):
        return False
    bound.update({label: (part,) for label, part in zip(group, parts)})
    return True


def _build(
    kit: Kit, name: str, right: Side, bound: Mapping[str, tuple[Axis, ...]], lengths: Mapping[str, Size | None]
) -> tuple[Axis, ...] | None:
    result: list[Axis] = []
    for group in right.groups:
        if group == ("...",):
            if "..." not in bound:
                return None
            result += bound["..."]
            continue
        members_: list[Axis] = []
        for label in group:
            if label in bound:
                members_ += bound[label]
            elif label.isdigit():
                members_.append(kit.axis(int(label), name))
            else:
                size = lengths.get(label)
                members_.append(kit.axis(kit.fresh(label) if size is None else size, name))
        result.append(members_[0] if len(members_) == 1 else layout.merge(kit, members_, name))
    return tuple(result)


def _run(kit: Kit, name: str, tensor: Value, pattern: Value, lengths: Mapping[str, Any]) -> Tensor:
    """rearrange, repeat and reduce differ only in which names may be missing on a side."""
    written = text(pattern)
    given = _stacked(kit, tensor)
    left, arrow, right = (written or "").partition("->")
    before, after = side(left), side(right)
    if not arrow or before is None or after is None:
        return Tensor(Partial(), given.dtype)
    sizes = _known(kit, lengths)
    bound = _bind(kit, name, given, before, sizes)
    if bound is None:
        if after.dots is None and "..." not in after.names:  # the rank is written in the pattern
            own = [g[0] if len(g) == 1 else "n" for g in after.groups]
            return Tensor(tuple(kit.axis(_fallback(kit, n, sizes), name) for n in own), given.dtype)
        return Tensor(Partial(), given.dtype)
    axes = _build(kit, name, after, bound, sizes)
    return Tensor(Partial() if axes is None else axes, given.dtype)


def _fallback(kit: Kit, label: str, sizes: Mapping[str, Size | None]) -> Size:
    if label.isdigit():
        return int(label)
    size = sizes.get(label)
    return kit.fresh(label) if size is None else size


def _stacked(kit: Kit, value: Value) -> Tensor:
    """einops takes a list of tensors as one with a new first axis."""
    if isinstance(value, Items | Many):
        return as_tensor(stack(kit, value, 0)) if many_tensors(value) is not None else Tensor()
    return as_tensor(value)


@op("einops.rearrange", parameters="tensor, pattern, **axes_lengths")
def rearrange(kit: Kit, tensor: Value, pattern: Value, **axes_lengths: Any) -> Value:
    return _run(kit, "rearrange", tensor, pattern, axes_lengths)


@op("einops.repeat", parameters="tensor, pattern, **axes_lengths")
def repeat(kit: Kit, tensor: Value, pattern: Value, **axes_lengths: Any) -> Value:
    return _run(kit, "repeat", tensor, pattern, axes_lengths)


@op("einops.reduce", parameters="tensor, pattern, reduction, **axes_lengths")
def reduce(kit: Kit, tensor: Value, pattern: Value, reduction: Value, **axes_lengths: Any) -> Value:
    return _run(kit, "reduce", tensor, pattern, axes_lengths)


@op("einops.einsum", parameters="*tensors_and_pattern")
def einsum(kit: Kit, *tensors_and_pattern: Value) -> Value:
    """Like torch's, with whole words for axes; the pattern comes last and must have an arrow."""
    pattern = text(tensors_and_pattern[-1]) if tensors_and_pattern else None
    given = [as_tensor(v) for v in tensors_and_pattern[:-1]]
    left, arrow, right = (pattern or "").partition("->")
    if not arrow:
        return Tensor()
    terms = [term.split() for term in left.split(",")]
    if len(terms) != len(given):
        kit.crash(
            "terms", "einsum", given, len(terms), len(given), NEVER, f"{len(terms)} terms for {len(given)} operands"
        )
        return Tensor()
    return contracted(kit, "einsum", terms, right.split(), given)


@op("einops.asnumpy", "einops.parse_shape", parameters="tensor, pattern=''")
def outside(kit: Kit, tensor: Value, pattern: Any = "") -> Value:
    return UNKNOWN


@op("einops.pack", parameters="tensors, pattern")
def pack(kit: Kit, tensors: Value, pattern: Value) -> Value:
    """`pack([a, b], "b * d")` flattens what `*` stands for and joins along it; the second result is how to undo it."""
    given, written = many_tensors(tensors), text(pattern)
    words = (written or "").split()
    if given is None or isinstance(given, Many) or words.count("*") != 1 or any(t.axes is None for t in given):
        return Items("tuple", (Tensor(), UNKNOWN))
    at = words.index("*")
    after = len(words) - at - 1
    packed: Size = 0
    common: list[Axis] | None = None
    for tensor in given:
        axes = tensor.axes or ()
        if len(axes) < len(words) - 1:
            rank_crash(kit, "pack", given, len(axes), len(words) - 1, "fewer axes than the pattern names")
            return Items("tuple", (Tensor(), UNKNOWN))
        own = [*axes[:at], *axes[len(axes) - after :]]
        packed = packed + product([a.size for a in axes[at : len(axes) - after]])
        if common is None:
            common = own
        for a, b in zip(common, own):
            require(kit, "joined", "pack", given, a.size, b.size)
    assert common is not None
    shape = (*common[:at], kit.axis(packed, "pack"), *common[at:])
    return Items("tuple", (Tensor(shape, promote(*(t.dtype for t in given))), UNKNOWN))


@op("einops.unpack", parameters="tensor, packed_shapes, pattern")
def unpack(kit: Kit, tensor: Value, packed_shapes: Value, pattern: Value) -> Value:
    return Many(Tensor(), None)


@layer("einops.layers.torch.Rearrange(pattern, **axes_lengths)")
def rearrange_layer(kit: Kit, layer: Layer, input: Value) -> Value:
    return _run(kit, "rearrange", input, layer.arg("pattern") or UNKNOWN, _lengths(layer))


@layer("einops.layers.torch.Reduce(pattern, reduction, **axes_lengths)")
def reduce_layer(kit: Kit, layer: Layer, input: Value) -> Value:
    return _run(kit, "reduce", input, layer.arg("pattern") or UNKNOWN, _lengths(layer))


def _lengths(layer: Layer) -> dict[str, Value]:
    given = layer.arg("axes_lengths")
    return dict(given.items) if isinstance(given, MappingValue) else {}
