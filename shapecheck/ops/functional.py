"""`torch.nn.functional` forms of layers, which take their weights as arguments."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite
from typing import Any

from shapecheck.dims import NEVER, Size
from shapecheck.engine.values import NONE, UNKNOWN, Axis, Items, Joined, Lit, Many, Num, Partial, Tensor, Value
from shapecheck.ops.axes import (
    as_tensor,
    convolved,
    flag,
    is_none,
    like,
    many_tensors,
    members,
    not_positive,
    rank_crash,
    require,
    take,
    text,
)
from shapecheck.ops.kit import Kit, OpFunction, op
from shapecheck.ops.layers import looked_up, normed
from shapecheck.ops.windows import adapted, per_axis, pooled, windows, with_indices


@op("torch.nn.functional.embedding", parameters="input, weight, padding_idx=None, max_norm=None, norm_type=2.0, "
    "scale_grad_by_freq=False, sparse=False")  # fmt: skip
def embedding(kit: Kit, input: Value, weight: Value, *settings: Any) -> Value:
    index, table = as_tensor(input), as_tensor(weight)
    if table.rank not in (2, None):
        rank_crash(kit, "embedding", (index, table), table.rank or 0, 2, "the table of embeddings needs rank 2")
        return Tensor()
    return looked_up(index, take(table.shape, -1) or Axis(kit.fresh("d")))


@op("torch.nn.functional.layer_norm", "torch.nn.functional.rms_norm", "torch.layer_norm",
    parameters="input, normalized_shape, weight=None, bias=None, eps=1e-05, cudnn_enable=True",
    name="layer_norm")  # fmt: skip
def layer_norm(kit: Kit, input: Value, normalized_shape: Value, *rest: Any, **more: Any) -> Value:
    return normed(kit, as_tensor(input), normalized_shape)


@op("torch.nn.functional.batch_norm", parameters="input, running_mean, running_var, weight=None, bias=None, "
    "training=False, momentum=0.1, eps=1e-05")  # fmt: skip
def batch_norm(kit: Kit, input: Value, running_mean: Value, running_var: Value, *rest: Any) -> Value:
    x = as_tensor(input)
    if x.rank is not None and x.rank < 2 and all(a.size != 0 for a in x.axes or ()):
        rank_crash(kit, "batch_norm", (x,), x.rank, 2, "batch_norm needs an axis of channels")
    for stored in (running_mean, running_var):
        if not is_none(stored) and as_tensor(stored).rank not in (1, None):
            rank_crash(kit, "batch_norm", (x,), as_tensor(stored).rank or 0, 1, "running statistics are vectors")
    channels = take(x.shape, 1)
    for stored in (running_mean, running_var):
        axis = take(as_tensor(stored).shape, 0)
        if channels is not None and axis is not None and as_tensor(stored).rank == 1:
            require(kit, "made for", "batch_norm", (x,), channels.size, axis.size, "running statistics")
    return like(x)


@op("torch.nn.functional.group_norm", "torch.nn.functional.instance_norm", "torch.nn.functional.local_response_norm",
    name="group_norm", parameters="input, *settings, **more")  # fmt: skip
def group_norm(kit: Kit, input: Value, *settings: Any, **more: Any) -> Value:
    return like(as_tensor(input))


@op("torch.prelu", "torch.nn.functional.prelu", "Tensor.prelu")
def prelu(kit: Kit, input: Value, weight: Value) -> Value:
    return like(as_tensor(input))


def _conv(rank: int) -> OpFunction:
    def convolve(
        kit: Kit, input: Value, weight: Value, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
        groups: Any = 1,
    ) -> Value:  # fmt: skip
        x, w = as_tensor(input), kit.rank(as_tensor(weight), rank + 2)
        if x.axes is None or w.axes is None:
            return Tensor(Partial(), x.dtype)
        if not convolved(kit, f"conv{rank}d", x, w, rank):
            return Tensor(Partial(), x.dtype)
        if groups == 1 or kit.integer(groups) == 1:
            require(kit, "made for", f"conv{rank}d", (x, w), x.axes[-rank - 1].size, w.axes[1].size, "channels")
        settings = [per_axis(kit, v, rank) for v in (stride, 0 if text(padding) == "valid" else padding, dilation)]
        result = [
            axis
            if text(padding) == "same"
            else kit.axis(windows(kit, f"conv{rank}d", x, axis.size, kernel.size, s, p, d), f"conv{rank}d")
            for axis, kernel, s, p, d in zip(x.axes[-rank:], w.axes[2:], *settings)
        ]
        return Tensor((*x.axes[: -rank - 1], w.axes[0], *result), x.dtype)

    return convolve


def _max_pool(rank: int) -> OpFunction:
    def pool(
        kit: Kit, input: Value, kernel_size: Value, stride: Any = None, padding: Any = 0, dilation: Any = 1,
        ceil_mode: Any = False, return_indices: Any = False,
    ) -> Value:  # fmt: skip
        x = as_tensor(input)
        made = pooled(kit, f"max_pool{rank}d", x, rank, kernel_size, stride, padding, dilation, ceil_mode)
        return with_indices(made, return_indices)

    return pool


def _avg_pool(rank: int) -> OpFunction:
    def pool(
        kit: Kit, input: Value, kernel_size: Value, stride: Any = None, padding: Any = 0, ceil_mode: Any = False,
        *rest: Any,
    ) -> Value:  # fmt: skip
        return pooled(kit, f"avg_pool{rank}d", as_tensor(input), rank, kernel_size, stride, padding, 1, ceil_mode)

    return pool


def _adaptive(rank: int, largest: bool) -> OpFunction:
    def pool(kit: Kit, input: Value, output_size: Value, return_indices: Any = False) -> Value:
        made = adapted(kit, as_tensor(input), output_size, rank)
        return with_indices(made, return_indices) if largest else made

    return pool


def _register() -> None:
    for rank in (1, 2, 3):
        op(f"torch.nn.functional.conv{rank}d", f"torch.conv{rank}d", name=f"conv{rank}d",
           parameters="input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1")(_conv(rank))  # fmt: skip
        place = "torch" if rank == 1 else "torch._C._nn"  # where torch keeps the other spelling
        op(f"torch.nn.functional.max_pool{rank}d", f"torch.max_pool{rank}d", name=f"max_pool{rank}d",
           parameters="input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, "
           "return_indices=False")(_max_pool(rank))  # fmt: skip
        op(f"torch.nn.functional.avg_pool{rank}d", f"{place}.avg_pool{rank}d", name=f"avg_pool{rank}d",
           parameters="input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, "
           "divisor_override=None")(_avg_pool(rank))  # fmt: skip
        for kind in ("avg", "max"):
            op(f"torch.nn.functional.adaptive_{kind}_pool{rank}d", name=f"adaptive_{kind}_pool{rank}d",
               parameters="input, output_size, return_indices=False")(_adaptive(rank, kind == "max"))  # fmt: skip


_register()


@op("torch.nn.functional.pad")
def pad(kit: Kit, input: Value, pad: Value, mode: Any = "constant", value: Any = None) -> Value:
    """Pairs from the last axis backwards: `(before last, after last, before the one in front of it, ...)`."""
    x, widths = as_tensor(input), members(pad)
    if widths is None or len(widths) % 2:
        return (
            Tensor(Partial(), x.dtype)
            if x.axes is None
            else Tensor(tuple(Axis(kit.fresh("n")) for _ in x.axes), x.dtype)
        )
    if x.axes is None:
        return Tensor(Partial(x.shape.head if isinstance(x.shape, Partial) and not widths else ()), x.dtype)
    if len(widths) // 2 > len(x.axes):
        rank_crash(kit, "pad", (x,), len(x.axes), len(widths) // 2, "more pairs than axes")
        return Tensor(Partial(), x.dtype)
    axes = list(x.axes)
    for i in range(len(widths) // 2):
        before, after = kit.size(widths[2 * i]), kit.size(widths[2 * i + 1])
        if before == 0 and after == 0:
            continue
        size: Size = kit.fresh("n") if before is None or after is None else axes[-1 - i].size + before + after
        own = axes[-1 - i]
        axes[-1 - i] = kit.axis(size, "pad")
        if isinstance(before, int) and isinstance(after, int) and min(before, after) >= 0:
            columns = (Axis(before), own, Axis(after))
            axes[-1 - i] = replace(axes[-1 - i], layout=Joined(tuple(a for a in columns if a.size != 0)))
    return Tensor(tuple(axes), x.dtype)


def _scaled(kit: Kit, size: Size, factor: Any) -> Size | None:
    """An axis made larger or smaller, rounded down."""
    match factor:
        case Num(size=times):
            return size * times
        case Lit(value=float(by)) if isinstance(size, int) and isfinite(by):
            return int(size * by)
    return None


@op("torch.nn.functional.interpolate")
def interpolate(kit: Kit, input: Value, size: Any = None, scale_factor: Any = None, *rest: Any, **more: Any) -> Value:
    x = as_tensor(input)
    if x.axes is None or len(x.axes) < 3:
        return Tensor(Partial(), x.dtype)
    rank = len(x.axes) - 2
    if is_none(size):
        factors = members(scale_factor) or (scale_factor,) * rank
        sizes = [_scaled(kit, axis.size, factor) for axis, factor in zip(x.axes[2:], factors)]
        sizes += [None] * (rank - len(sizes))
        return Tensor(
            (*x.axes[:2], *(kit.axis(kit.fresh("n") if s is None else s, "interpolate") for s in sizes)), x.dtype
        )
    listed = members(size)
    if listed is not None and len(listed) != rank:
        rank_crash(kit, "interpolate", (x,), len(x.axes), len(listed) + 2, "one size for each axis after the channels")
    wanted = per_axis(kit, size, rank)
    return Tensor(
        (*x.axes[:2], *(kit.axis(kit.fresh("n") if s is None else s, "interpolate") for s in wanted)), x.dtype
    )


@op("torch.nn.functional.pixel_shuffle", "torch.pixel_shuffle")
def pixel_shuffle(kit: Kit, input: Value, upscale_factor: Value) -> Value:
    x, factor = as_tensor(input), kit.size(upscale_factor)
    if x.axes is None or len(x.axes) < 3 or factor is None:
        return Tensor(Partial(), x.dtype)
    channels, height, width = x.axes[-3:]
    if not_positive(kit, "pixel_shuffle", x, "upscale_factor", factor):
        return Tensor(Partial(), x.dtype)
    if isinstance(channels.size, int) and isinstance(factor, int) and channels.size % (factor * factor):
        kit.crash("setting", "pixel_shuffle", (x,), channels.size, factor * factor, NEVER, "channels do not divide")
    return Tensor((*x.axes[:-3], kit.axis(channels.size // (factor * factor)), kit.axis(height.size * factor),
                   kit.axis(width.size * factor)), x.dtype)  # fmt: skip


@op("torch.nn.functional.unfold")
def unfold(kit: Kit, input: Value, kernel_size: Value, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Value:
    """`[B, C, H, W]` to `[B, C*k*k, L]`."""
    x = as_tensor(input)
    kernel = per_axis(kit, kernel_size, 2)
    settings = [per_axis(kit, v, 2) for v in (stride, padding, dilation)]
    if x.axes is None or None in kernel or any(None in s for s in settings):
        return Tensor(Partial(), x.dtype)
    if len(x.axes) not in (3, 4):
        rank_crash(kit, "unfold", (x,), len(x.axes), 4, "unfold needs rank 3 or 4")
        return Tensor(Partial(), x.dtype)
    places: Size = 1
    for axis, k, s, p, d in zip(x.axes[-2:], kernel, *settings):
        count = windows(kit, "unfold", x, axis.size, k, s, p, d)
        places = places * count
    assert kernel[0] is not None
    assert kernel[1] is not None
    width = kit.axis(x.axes[-3].size * kernel[0] * kernel[1], "unfold")
    return Tensor((*x.axes[:-3], width, kit.axis(places, "unfold")), x.dtype)


@op("torch.nn.functional.grid_sample", parameters="input, grid, *settings, **more")
def grid_sample(kit: Kit, input: Value, grid: Value, *settings: Any, **more: Any) -> Value:
    """`[N, C, H, W]` at the places `[N, h, w, 2]`: `[N, C, h, w]`."""
    x, places = as_tensor(input), as_tensor(grid)
    if x.axes is None or places.axes is None:
        return Tensor(Partial(), x.dtype)
    if len(x.axes) != len(places.axes) or len(x.axes) not in (4, 5):
        rank_crash(kit, "grid_sample", (x, places), len(x.axes), len(places.axes), "input and grid need rank 4 or 5")
        return Tensor(Partial(), x.dtype)
    require(kit, "made for", "grid_sample", (x, places), x.axes[0].size, places.axes[0].size, "batch")
    require(kit, "made for", "grid_sample", (x, places), places.axes[-1].size, len(x.axes) - 2, "coordinates")
    return Tensor((*x.axes[:2], *places.axes[1:-1]), x.dtype)


@op("torch.nn.functional.multi_head_attention_forward", parameters="query, *rest, **more")
def multi_head_attention_forward(kit: Kit, query: Value, *rest: Any, **more: Any) -> Value:
    return Items("tuple", (like(as_tensor(query)), Tensor()))


@op("torch.nn.utils.clip_grad_norm_", "torch.nn.utils.clip_grad_norm", parameters="parameters, max_norm, *rest, **more",
    name="clip_grad_norm")  # fmt: skip
def clip_grad_norm(kit: Kit, parameters: Value, max_norm: Value, *rest: Any, **more: Any) -> Value:
    return Tensor((), "float")


@op("torch.nn.utils.rnn.pad_sequence")
def pad_sequence(
    kit: Kit, sequences: Value, batch_first: Any = False, padding_value: Any = 0.0, padding_side: Any = "right"
) -> Value:
    """Rows of different lengths: `[S, B, ...]` or `[B, S, ...]`, where S is the longest."""
    given, first = many_tensors(sequences), flag(batch_first)
    if given is None or first is None or not given:
        return Tensor()
    one = as_tensor(given.item) if isinstance(given, Many) else given[0]
    for other in () if isinstance(given, Many) else given[1:]:
        if one.axes is not None and other.axes is not None:
            for a, b in zip(one.axes[1:], other.axes[1:]) if len(one.axes) == len(other.axes) else ():
                require(kit, "joined", "pad_sequence", (one, other), a.size, b.size, "axes after the first")
    count: Size | None = given.length if isinstance(given, Many) else len(given)
    rows = kit.axis(kit.fresh("n") if count is None else count, "pad_sequence")
    longest = kit.axis(kit.fresh("s"), "longest sequence")
    pair = (rows, longest) if first else (longest, rows)
    if one.axes is None:
        return Tensor(Partial(pair), one.dtype)
    return Tensor((*pair, *one.axes[1:]), one.dtype)


@op("torch.nn.utils.parametrizations.weight_norm", "torch.nn.utils.weight_norm", "torch.nn.utils.spectral_norm",
    "torch.nn.utils.parametrizations.spectral_norm", "torch.compile", "torch.jit.script",
    name="wrapped", parameters="module=None, *rest, **more")  # fmt: skip
def wrapped(kit: Kit, module: Value = NONE, *rest: Any, **more: Any) -> Value:
    """The module itself, for all that its shapes care."""
    return UNKNOWN if is_none(module) else module
