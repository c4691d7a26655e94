"""Layers that slide a window over the last axes, or set their sizes: convolutions, pooling, resizing."""

from __future__ import annotations

from typing import Any

from shapecheck.dims import NEVER, Size, positive
from shapecheck.engine.values import UNKNOWN, Axis, Items, Layer, Partial, Shape, Tensor, Value
from shapecheck.ops import customs
from shapecheck.ops.axes import as_tensor, flag, is_none, like, members, not_positive, rank_crash, refuse, require, text
from shapecheck.ops.kit import REGISTRY, Kit, OpFunction, layer
from shapecheck.ops.layers import setting


def windows(
    kit: Kit, op: str, x: Tensor, size: Size, kernel: Size | None, stride: Size | None, padding: Size | None,
    dilation: Size | None = 1, ceil: bool | None = False, *, pool: bool = False,
) -> Size:  # fmt: skip
    """How many windows fit along one axis of x; a fresh size where a setting is not known. What torch refuses is
    stated: a setting out of bounds, a window that is larger than the axis. `pool`: of max or average."""
    settings = (("kernel_size", kernel, 1), ("stride", stride, 1), ("padding", padding, 0), ("dilation", dilation, 1))
    wrong = [not_positive(kit, op, x, *named) for named in settings]
    if any(wrong) or kernel is None or stride is None or padding is None or dilation is None or ceil is None:
        return kit.fresh("n")
    reach = dilation * (kernel - 1) + 1
    if pool and isinstance(padding, int) and isinstance(reach, int) and padding > reach // 2:
        refuse(kit, op, (x,), f"padding is {padding}, more than half of the window of {reach}", padding, reach // 2)
        return kit.fresh("n")
    span = size + 2 * padding - reach
    if isinstance(span, int) and span < 0 and not (ceil and size != 0 and positive(span + stride)):
        kit.crash("window", op, (x,), reach, size, NEVER, f"the window of {reach} is larger than the axis of {size}")
        return kit.fresh("n")
    if not ceil:
        return span // stride + 1
    if not (isinstance(span, int) and isinstance(stride, int) and isinstance(padding, int) and isinstance(size, int)):
        return kit.fresh("n")
    last = -(-span // stride)
    return last if last * stride >= size + padding else last + 1  # the last one must start inside


def per_axis(kit: Kit, value: Any, rank: int) -> list[Size | None]:
    """A setting such as `stride=2` or `stride=(2, 1)`, one for each axis."""
    one = kit.size(value)
    if one is not None:
        return [one] * rank
    listed = members(value)
    if listed is not None and len(listed) in (1, rank):
        return [kit.size(v) for v in (listed if len(listed) == rank else listed * rank)]
    return [None] * rank


def batched(kit: Kit, x: Tensor, rank: int) -> Tensor:
    """A tensor of which nothing is known has a batch and channels in front of the axes that a window slides over:
    torch takes one image too, but models are not fed so."""
    if not isinstance(x.shape, Partial) or x.shape.min_rank > rank + 2:
        return x
    custom = kit.assume(customs.batched(rank + 2))
    return x if custom is None else kit.rank(x, rank + 2, custom)


def _convolution(rank: int, transposed: bool) -> OpFunction:
    def convolve(kit: Kit, layer: Layer, input: Tensor, *more: Value) -> Value:
        name = f"conv{'_transpose' if transposed else ''}{rank}d"
        x = batched(kit, as_tensor(input), rank)
        axes = x.axes
        outside = kit.axis(setting(kit, layer, "out_channels", "c"), f"{name} out_channels")
        if axes is None:
            return Tensor(Partial((), ()), x.dtype)
        if len(axes) not in (rank + 1, rank + 2):
            rank_crash(kit, name, (x,), len(axes), rank + 2, f"{name} needs rank {rank + 1} or {rank + 2}")
            return Tensor(Partial(), x.dtype)
        channels = kit.size(layer.arg("in_channels"))
        if channels is not None:
            require(kit, "made for", name, (x,), axes[-rank - 1].size, channels, "in_channels")
        kernel = per_axis(kit, layer.arg("kernel_size"), rank)
        stride = per_axis(kit, layer.arg("stride"), rank)
        padding = per_axis(kit, layer.arg("padding"), rank)
        dilation = per_axis(kit, layer.arg("dilation"), rank)
        result: list[Axis] = []
        for axis, k, s, p, d in zip(axes[-rank:], kernel, stride, padding, dilation):
            if transposed:
                extra = per_axis(kit, layer.arg("output_padding"), rank)[len(result)]
                settings = (k, s, p, d, extra)
                if None in settings or more:
                    size = kit.fresh("n")
                else:
                    size = (axis.size - 1) * s - 2 * p + d * (k - 1) + extra + 1  # type: ignore[operator]
            elif text(layer.arg("padding")) == "same":
                size = axis.size
            else:
                p = 0 if text(layer.arg("padding")) == "valid" else p
                size = windows(kit, name, x, axis.size, k, s, p, d)
            result.append(axis if size == axis.size else kit.axis(size, name))
        return Tensor((*axes[: -rank - 1], outside, *result), x.dtype)

    return convolve


_CONV = ("in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True, "
         "padding_mode='zeros', device=None, dtype=None")  # fmt: skip
_CONV_T = ("in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True, "
           "dilation=1, padding_mode='zeros', device=None, dtype=None")  # fmt: skip


def pooled(
    kit: Kit, op: str, x: Tensor, rank: int, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: Any
) -> Tensor:
    """Max or average pooling of the last `rank` axes, at most two in front of them."""
    axes = x.axes
    if axes is None:
        return Tensor(Partial(), x.dtype)
    if len(axes) not in (rank + 1, rank + 2):
        rank_crash(kit, op, (x,), len(axes), rank + 2, f"pooling needs rank {rank + 1} or {rank + 2}")
        return Tensor(Partial(), x.dtype)
    step = kernel if is_none(stride) or members(stride) == () else stride
    settings = [per_axis(kit, v, rank) for v in (kernel, step, padding, dilation)]
    ceil = flag(ceil_mode)
    result = [
        kit.axis(windows(kit, op, x, axis.size, k, s, p, d, ceil, pool=True), "pooling")
        for axis, k, s, p, d in zip(axes[-rank:], *settings)
    ]
    return Tensor((*axes[:-rank], *result), x.dtype)


def with_indices(made: Tensor, return_indices: Any) -> Value:
    """What max pooling gives: the maxima, and where they are if they are asked for."""
    asked = flag(return_indices)
    if asked is None:
        return UNKNOWN
    return Items("tuple", (made, like(made, "int"))) if asked else made


def _pool(rank: int, average: bool) -> OpFunction:
    name = f"{'avg' if average else 'max'}_pool{rank}d"

    def pool(kit: Kit, layer: Layer, input: Tensor) -> Value:
        x = batched(kit, as_tensor(input), rank) if rank > 1 else as_tensor(input)
        dilation = 1 if average else layer.arg("dilation")
        made = pooled(kit, name, x, rank, layer.arg("kernel_size"), layer.arg("stride"), layer.arg("padding"), dilation,
                      layer.arg("ceil_mode"))  # fmt: skip
        return made if average else with_indices(made, layer.arg("return_indices"))

    return pool


def _adaptive(rank: int) -> OpFunction:
    def pool(kit: Kit, layer: Layer, input: Tensor) -> Value:
        made = adapted(kit, as_tensor(input), layer.arg("output_size"), rank)
        return with_indices(made, layer.arg("return_indices"))

    return pool


def adapted(kit: Kit, x: Tensor, output_size: Any, rank: int) -> Tensor:
    """The last `rank` axes at the sizes asked for; None keeps an axis."""
    x = batched(kit, x, rank)
    if x.axes is None:
        return Tensor(Partial(), x.dtype)
    if len(x.axes) not in (rank + 1, rank + 2):
        if len(x.axes) <= rank or rank == 1:  # average pooling of planes to 1 takes higher ranks
            rank_crash(
                kit, "adaptive_pool", (x,), len(x.axes), rank + 2, f"pooling needs rank {rank + 1} or {rank + 2}"
            )
        return Tensor(Partial(), x.dtype)
    listed = members(output_size)
    wanted = [output_size] * rank if listed is None else list(listed)
    result: list[Axis] = []
    for axis, want in zip(x.axes[-rank:], wanted):
        size = None if is_none(want) else kit.size(want)
        not_positive(kit, "adaptive_pool", x, "output_size", size, 0)
        result.append(axis if is_none(want) else kit.axis(kit.fresh("n") if size is None else size, "output_size"))
    return Tensor((*x.axes[:-rank], *result), x.dtype)


def _register_windows() -> None:
    for rank in (1, 2, 3):
        layer(f"torch.nn.Conv{rank}d({_CONV})")(_convolution(rank, False))
        layer(f"torch.nn.ConvTranspose{rank}d({_CONV_T})")(_convolution(rank, True))
        layer(f"torch.nn.MaxPool{rank}d(kernel_size, stride=None, padding=0, dilation=1, return_indices=False, "
              "ceil_mode=False)")(_pool(rank, False))  # fmt: skip
        more = "" if rank == 1 else ", divisor_override=None"
        layer(f"torch.nn.AvgPool{rank}d(kernel_size, stride=None, padding=0, ceil_mode=False, "
              f"count_include_pad=True{more})")(_pool(rank, True))  # fmt: skip
        layer(f"torch.nn.AdaptiveAvgPool{rank}d(output_size)")(_adaptive(rank))
        layer(f"torch.nn.AdaptiveMaxPool{rank}d(output_size, return_indices=False)")(_adaptive(rank))


_register_windows()


@layer("torch.nn.PixelShuffle(upscale_factor)")
def pixel_shuffle(kit: Kit, layer: Layer, input: Value) -> Value:
    return REGISTRY["torch.pixel_shuffle"].function(kit, input, layer.arg("upscale_factor"))


@layer(
    "torch.nn.ZeroPad2d(padding)", "torch.nn.Upsample(size=None, scale_factor=None, mode='nearest', align_corners=None)"
)
def resized(kit: Kit, layer: Layer, input: Value) -> Value:
    x = as_tensor(input)
    if x.axes is None or len(x.axes) < 3:
        return Tensor(Partial(), x.dtype)
    fresh: Shape = (*x.axes[:2], *(Axis(kit.fresh("n")) for _ in x.axes[2:]))
    return Tensor(fresh, x.dtype)
