"""`torch.nn` layers: what a call of an instance does to shapes, from the sizes that its constructor was given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shapecheck.dims import NEVER, Size
from shapecheck.ops.axes import as_tensor, flag, is_none, like, members, put, rank_crash, require, take, text
from shapecheck.ops.kit import LAYERS, REGISTRY, Kit, OpFunction, layer
from shapecheck.ops.product import cosine_similarity, pairwise_distance, project
from shapecheck.ops.reduce import along
from shapecheck.ops.reshape import flattened, unflatten
from shapecheck.values import (
    NONE,
    UNKNOWN,
    Axis,
    Items,
    Layer,
    Mapping,
    Partial,
    Shape,
    Tensor,
    Unknown,
    Value,
)  # fmt: skip


def setting(kit: Kit, layer: Layer, name: str, hint: str) -> Size:
    """A size that the constructor was given; a fresh one where it is not known."""
    size = kit.size(layer.arg(name))
    return kit.fresh(hint) if size is None else size


# ------------------------------------------------------------ the last axis


@layer("torch.nn.Linear(in_features, out_features, bias=True, device=None, dtype=None)")
def linear(kit: Kit, layer: Layer, input: Value) -> Value:
    inside = kit.axis(setting(kit, layer, "in_features", "d"), "nn.Linear in_features")
    outside = kit.axis(setting(kit, layer, "out_features", "d"), "nn.Linear out_features")
    x = as_tensor(input)
    return Tensor(project(kit, "linear", x, inside, outside, "layer"), x.dtype)


@layer("torch.nn.LazyLinear(out_features, bias=True, device=None, dtype=None)")
def lazy_linear(kit: Kit, layer: Layer, input: Value) -> Value:
    x = as_tensor(input)
    outside = kit.axis(setting(kit, layer, "out_features", "d"), "nn.LazyLinear out_features")
    return Tensor(put(x.shape, -1, outside) if x.shape else Partial(), x.dtype)


@layer("torch.nn.Bilinear(in1_features, in2_features, out_features, bias=True, device=None, dtype=None)")
def bilinear(kit: Kit, layer: Layer, input1: Value, input2: Value) -> Value:
    a, b = as_tensor(input1), as_tensor(input2)
    outside = kit.axis(setting(kit, layer, "out_features", "d"), "nn.Bilinear out_features")
    for tensor, name in ((a, "in1_features"), (b, "in2_features")):
        last, size = take(tensor.shape, -1), kit.size(layer.arg(name))
        if last is not None and size is not None:
            require(kit, "layer", "bilinear", (a, b), last.size, size)
    if a.axes is not None and b.axes is not None:
        if len(a.axes) != len(b.axes):
            rank_crash(kit, "bilinear", (a, b), len(a.axes), len(b.axes), "both inputs need one rank")
        for x, y in zip(a.axes[:-1], b.axes[:-1]):
            require(kit, "layer", "bilinear", (a, b), x.size, y.size, "leading axes")
    return Tensor(put(a.shape, -1, outside) if a.shape else Partial(), a.dtype)


@layer("torch.nn.Embedding(num_embeddings, embedding_dim, padding_idx=None, max_norm=None, norm_type=2.0, "
       "scale_grad_by_freq=False, sparse=False, _weight=None, _freeze=False, device=None, dtype=None)")  # fmt: skip
def embedding(kit: Kit, layer: Layer, input: Value) -> Value:
    return looked_up(
        as_tensor(input), kit.axis(setting(kit, layer, "embedding_dim", "d"), "nn.Embedding embedding_dim")
    )


def looked_up(index: Tensor, width: Axis) -> Tensor:
    if isinstance(index.shape, Partial):
        return Tensor(Partial(index.shape.head, (*index.shape.tail, width)), "float")
    return Tensor((*index.shape, width), "float")


@layer("torch.nn.EmbeddingBag(num_embeddings, embedding_dim, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, "
       "mode='mean', sparse=False, _weight=None, include_last_offset=False, padding_idx=None)")  # fmt: skip
def embedding_bag(
    kit: Kit, layer: Layer, input: Value, offsets: Value = NONE, per_sample_weights: Value = NONE
) -> Value:
    width = kit.axis(setting(kit, layer, "embedding_dim", "d"), "nn.EmbeddingBag embedding_dim")
    rows = take(as_tensor(input).shape, 0)
    if as_tensor(input).rank != 2 or rows is None:
        rows = Axis(kit.fresh("n"))
    return Tensor((rows, width), "float")


# ------------------------------------------------------------ same shape out


@layer("torch.nn.Identity(*args, **kwargs)")
def identity(kit: Kit, layer: Layer, input: Value) -> Value:
    return input


_SAME = {
    "ReLU": "inplace=False", "ReLU6": "inplace=False", "GELU": "approximate='none'", "SiLU": "inplace=False",
    "Mish": "inplace=False", "Tanh": "", "Sigmoid": "", "LogSigmoid": "", "Softplus": "beta=1.0, threshold=20.0",
    "Softsign": "", "ELU": "alpha=1.0, inplace=False", "SELU": "inplace=False", "CELU": "alpha=1.0, inplace=False",
    "LeakyReLU": "negative_slope=0.01, inplace=False", "Hardtanh": "min_val=-1.0, max_val=1.0, inplace=False",
    "Hardswish": "inplace=False", "Hardsigmoid": "inplace=False", "Tanhshrink": "", "Hardshrink": "lambd=0.5",
    "Softshrink": "lambd=0.5", "Threshold": "threshold, value, inplace=False",
    "PReLU": "num_parameters=1, init=0.25, device=None, dtype=None", "RReLU": "lower=0.125, upper=0.3, inplace=False",
    "Dropout": "p=0.5, inplace=False", "Dropout1d": "p=0.5, inplace=False", "Dropout2d": "p=0.5, inplace=False",
    "Dropout3d": "p=0.5, inplace=False", "AlphaDropout": "p=0.5, inplace=False",
    "FeatureAlphaDropout": "p=0.5, inplace=False",
}  # fmt: skip


def _same(kit: Kit, layer: Layer, input: Value) -> Value:
    return like(as_tensor(input))


def _softmax(kit: Kit, layer: Layer, input: Value) -> Value:
    return like(along(kit, "softmax", as_tensor(input), layer.arg("dim")))


def _register_same() -> None:
    for name, constructor in _SAME.items():
        layer(f"torch.nn.{name}({constructor})")(_same)
    for name in ("Softmax", "LogSoftmax", "Softmin"):
        layer(f"torch.nn.{name}(dim=None)")(_softmax)
    for rank in (1, 2, 3):
        for name in ("BatchNorm", "InstanceNorm"):
            affine = name == "BatchNorm"
            layer(f"torch.nn.{name}{rank}d(num_features, eps=1e-05, momentum=0.1, affine={affine}, "
                  f"track_running_stats={affine}, device=None, dtype=None)")(_channel_norm(name, rank))  # fmt: skip
    layer("torch.nn.SyncBatchNorm(num_features, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True, "
          "process_group=None, device=None, dtype=None)")(_channel_norm("SyncBatchNorm", 0))  # fmt: skip


def _channel_norm(name: str, rank: int) -> OpFunction:
    """`num_features` is axis 1 (for InstanceNorm of an unbatched tensor axis 0)."""
    ranks: dict[str, dict[int, tuple[int, ...]]] = {
        "BatchNorm": {1: (2, 3), 2: (4,), 3: (5,)},
        "InstanceNorm": {1: (2, 3), 2: (3, 4), 3: (4, 5)},
    }
    allowed = ranks.get(name, {}).get(rank, ())

    def norm(kit: Kit, layer: Layer, input: Value) -> Value:
        x = as_tensor(input)
        if allowed and x.rank is not None and x.rank not in allowed:
            rank_crash(
                kit, name, (x,), x.rank, allowed[-1], f"nn.{name}{rank}d needs rank {' or '.join(map(str, allowed))}"
            )
            return Tensor(Partial(), x.dtype)
        channels, size = take(x.shape, 1), kit.size(layer.arg("num_features"))
        if name != "InstanceNorm" and channels is not None and size is not None:
            require(kit, "layer", name, (x,), channels.size, size, "num_features")
        return like(x)

    return norm


_register_same()


@layer("torch.nn.LayerNorm(normalized_shape, eps=1e-05, elementwise_affine=True, bias=True, device=None, dtype=None)")
@layer("torch.nn.RMSNorm(normalized_shape, eps=None, elementwise_affine=True, device=None, dtype=None)")
def layer_norm(kit: Kit, layer: Layer, input: Value) -> Value:
    """The last axes must have the sizes of `normalized_shape`."""
    return normed(kit, as_tensor(input), layer.arg("normalized_shape"))


def normed(kit: Kit, x: Tensor, normalized_shape: Any) -> Tensor:
    sizes = None if is_none(normalized_shape) else kit.sizes((normalized_shape,))
    if sizes is None:
        return like(x)
    if x.rank is not None and x.rank < len(sizes):
        rank_crash(kit, "layer_norm", (x,), x.rank, len(sizes), "fewer axes than normalized_shape")
        return like(x)
    for back, size in enumerate(reversed(sizes), 1):
        axis = take(x.shape, -back)
        if axis is not None and size is not None:
            require(kit, "layer", "layer_norm", (x,), axis.size, size, "normalized_shape")
    return like(x)


@layer("torch.nn.GroupNorm(num_groups, num_channels, eps=1e-05, affine=True, device=None, dtype=None)")
def group_norm(kit: Kit, layer: Layer, input: Value) -> Value:
    x = as_tensor(input)
    channels, size = take(x.shape, 1), kit.size(layer.arg("num_channels"))
    if channels is not None and size is not None:
        require(kit, "layer", "group_norm", (x,), channels.size, size, "num_channels")
    return like(x)


@layer("torch.nn.GLU(dim=-1)")
def glu(kit: Kit, layer: Layer, input: Value) -> Value:
    return REGISTRY["torch.nn.functional.glu"].function(kit, input, layer.arg("dim"))


@layer("torch.nn.Flatten(start_dim=1, end_dim=-1)")
def flatten(kit: Kit, layer: Layer, input: Value) -> Value:
    start, end = kit.integer(layer.arg("start_dim")), kit.integer(layer.arg("end_dim"))
    if start is None or end is None:
        return Tensor(Partial(), as_tensor(input).dtype)
    return flattened(kit, as_tensor(input), start, end)


@layer("torch.nn.Unflatten(dim, unflattened_size)")
def unflatten_layer(kit: Kit, layer: Layer, input: Value) -> Value:
    return unflatten(kit, input, layer.arg("dim") or UNKNOWN, layer.arg("unflattened_size") or UNKNOWN)


@layer("torch.nn.CosineSimilarity(dim=1, eps=1e-08)")
def cosine_similarity_layer(kit: Kit, layer: Layer, x1: Value, x2: Value) -> Value:
    return cosine_similarity(kit, x1, x2, layer.arg("dim"))


@layer("torch.nn.PairwiseDistance(p=2.0, eps=1e-06, keepdim=False)")
def pairwise_distance_layer(kit: Kit, layer: Layer, x1: Value, x2: Value) -> Value:
    return pairwise_distance(kit, x1, x2, keepdim=layer.arg("keepdim"))


# ------------------------------------------------------------------ containers


@layer("torch.nn.Sequential(*args)")
def sequential(kit: Kit, layer: Layer, input: Value) -> Value:
    stages = members(layer.arg("args"))
    if stages is None or any(isinstance(s, Mapping | Unknown) for s in stages):
        return UNKNOWN
    value = input
    for stage in stages:
        value = kit.call(stage, (value,))
    return value


@layer(
    "torch.nn.parallel.DistributedDataParallel(module, *args, **kwargs)",
    "torch.nn.DataParallel(module, *args, **kwargs)",
)
def wrapper(kit: Kit, layer: Layer, *args: Value) -> Value:
    module = layer.arg("module")
    return UNKNOWN if module is None else kit.call(module, args)


# --------------------------------------------------------- images and sequences


def windows(
    kit: Kit, size: Size, kernel: Any, stride: Any, padding: Any, dilation: Any = 1, ceil: bool = False
) -> Size:
    """How many windows fit along one axis; a fresh size where a setting is not known."""
    if any(v is None for v in (kernel, stride, padding, dilation)):
        return kit.fresh("n")
    span = size + 2 * padding - dilation * (kernel - 1) - 1
    if not ceil:
        count: Size = span // stride + 1
        return count
    if not all(isinstance(v, int) for v in (span, stride, padding, size)):
        return kit.fresh("n")
    last = -(-span // stride)
    return int(last) if last * stride >= size + padding else int(last) + 1  # the last one must start inside


def per_axis(kit: Kit, value: Any, rank: int) -> list[Size | None]:
    """A setting such as `stride=2` or `stride=(2, 1)`, one for each axis."""
    one = kit.size(value)
    if one is not None:
        return [one] * rank
    listed = members(value)
    if listed is not None and len(listed) == rank:
        return [kit.size(v) for v in listed]
    return [None] * rank


def _convolution(rank: int, transposed: bool) -> OpFunction:
    def convolve(kit: Kit, layer: Layer, input: Value, *more: Value) -> Value:
        name = f"conv{'_transpose' if transposed else ''}{rank}d"
        x = as_tensor(input)
        axes = x.axes
        outside = kit.axis(setting(kit, layer, "out_channels", "c"), f"{name} out_channels")
        if axes is None:
            return Tensor(Partial((), ()), x.dtype)
        if len(axes) not in (rank + 1, rank + 2):
            rank_crash(kit, name, (x,), len(axes), rank + 2, f"{name} needs rank {rank + 1} or {rank + 2}")
            return Tensor(Partial(), x.dtype)
        channels = kit.size(layer.arg("in_channels"))
        if channels is not None:
            require(kit, "layer", name, (x,), axes[-rank - 1].size, channels, "in_channels")
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
                size = windows(kit, axis.size, k, s, p, d)
                if isinstance(size, int) and size <= 0:
                    kit.crash("layer", name, (x,), k, axis.size, NEVER, "the kernel is larger than the input")
            result.append(axis if size == axis.size else kit.axis(size, name))
        return Tensor((*axes[: -rank - 1], outside, *result), x.dtype)

    return convolve


_CONV = ("in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True, "
         "padding_mode='zeros', device=None, dtype=None")  # fmt: skip
_CONV_T = ("in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True, "
           "dilation=1, padding_mode='zeros', device=None, dtype=None")  # fmt: skip


def _pool(rank: int, average: bool) -> OpFunction:
    def pool(kit: Kit, layer: Layer, input: Value) -> Value:
        x = as_tensor(input)
        axes = x.axes
        if axes is None:
            return Tensor(Partial(), x.dtype)
        if len(axes) not in (rank + 1, rank + 2):
            rank_crash(kit, f"pool{rank}d", (x,), len(axes), rank + 2, f"pooling needs rank {rank + 1} or {rank + 2}")
            return Tensor(Partial(), x.dtype)
        stride = layer.arg("kernel_size") if is_none(layer.arg("stride")) else layer.arg("stride")
        ceil = flag(layer.arg("ceil_mode"))
        result = [
            kit.axis(kit.fresh("n") if ceil is None else windows(kit, axis.size, k, s, p, d, ceil), "pooling")
            for axis, k, s, p, d in zip(
                axes[-rank:], per_axis(kit, layer.arg("kernel_size"), rank), per_axis(kit, stride, rank),
                per_axis(kit, layer.arg("padding"), rank),
                [1] * rank if average else per_axis(kit, layer.arg("dilation"), rank),
            )
        ]  # fmt: skip
        pooled = Tensor((*axes[:-rank], *result), x.dtype)
        if not average and flag(layer.arg("return_indices")):
            return Items("tuple", (pooled, like(pooled, "int")))
        return pooled

    return pool


def _adaptive(rank: int) -> OpFunction:
    def pool(kit: Kit, layer: Layer, input: Value) -> Value:
        return adapted(kit, as_tensor(input), layer.arg("output_size"), rank)

    return pool


def adapted(kit: Kit, x: Tensor, output_size: Any, rank: int) -> Tensor:
    """The last `rank` axes at the sizes asked for; None keeps an axis."""
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
        size = kit.size(want)
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


# --------------------------------------------------------- recurrent, attention

_RNN = "input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False"


@layer(f"torch.nn.GRU({_RNN}, device=None, dtype=None)")
@layer(f"torch.nn.RNN({_RNN}, device=None, dtype=None, nonlinearity='tanh')")
def gru(kit: Kit, layer: Layer, input: Value, hx: Value = NONE) -> Value:
    output, state = _recurrent(kit, layer, as_tensor(input))
    return Items("tuple", (output, state))


@layer(f"torch.nn.LSTM({_RNN}, proj_size=0, device=None, dtype=None)")
def lstm(kit: Kit, layer: Layer, input: Value, hx: Value = NONE) -> Value:
    output, state = _recurrent(kit, layer, as_tensor(input))
    cell = state
    if kit.integer(layer.arg("proj_size")) != 0:
        output, state = Tensor(Partial(), output.dtype), Tensor(Partial(), output.dtype)
    return Items("tuple", (output, Items("tuple", (state, cell))))


def _recurrent(kit: Kit, layer: Layer, x: Tensor) -> tuple[Tensor, Tensor]:
    """Output `[B, S, D*H]` (or `[S, B, D*H]`), state `[D*L, B, H]`; without a batch `[S, D*H]` and `[D*L, H]`."""
    unknown = Tensor(Partial(), x.dtype)
    both, first = flag(layer.arg("bidirectional")), flag(layer.arg("batch_first"))
    if x.axes is None or both is None or first is None:
        return unknown, unknown
    if len(x.axes) not in (2, 3):
        rank_crash(kit, "rnn", (x,), len(x.axes), 3, "a recurrent layer needs rank 2 or 3")
        return unknown, unknown
    inside = kit.size(layer.arg("input_size"))
    if inside is not None:
        require(kit, "layer", "rnn", (x,), x.axes[-1].size, inside, "input_size")
    hidden, layers = setting(kit, layer, "hidden_size", "h"), setting(kit, layer, "num_layers", "l")
    ways = 2 if both else 1
    depth, state = kit.axis(ways * layers, "layers"), kit.axis(hidden, "hidden_size")
    output = Tensor((*x.axes[:-1], kit.axis(ways * hidden, "hidden_size")), x.dtype)
    batch = () if len(x.axes) == 2 else (x.axes[0 if first else 1],)
    return output, Tensor((depth, *batch, state), x.dtype)


@layer("torch.nn.GRUCell(input_size, hidden_size, bias=True, device=None, dtype=None)")
@layer("torch.nn.RNNCell(input_size, hidden_size, bias=True, nonlinearity='tanh', device=None, dtype=None)")
def gru_cell(kit: Kit, layer: Layer, input: Value, hx: Value = NONE) -> Value:
    inside = kit.axis(setting(kit, layer, "input_size", "d"))
    outside = kit.axis(setting(kit, layer, "hidden_size", "h"), "hidden_size")
    x = as_tensor(input)
    return Tensor(project(kit, "rnn", x, inside, outside, "layer"), x.dtype)


@layer("torch.nn.LSTMCell(input_size, hidden_size, bias=True, device=None, dtype=None)")
def lstm_cell(kit: Kit, layer: Layer, input: Value, hx: Value = NONE) -> Value:
    state = gru_cell(kit, layer, input)
    return Items("tuple", (state, state))


@layer("torch.nn.MultiheadAttention(embed_dim, num_heads, dropout=0.0, bias=True, add_bias_kv=False, "
       "add_zero_attn=False, kdim=None, vdim=None, batch_first=False, device=None, dtype=None)")  # fmt: skip
def multihead_attention(
    kit: Kit, layer: Layer, query: Value, key: Value, value: Value, key_padding_mask: Value = NONE,
    need_weights: Any = True, attn_mask: Value = NONE, average_attn_weights: Any = True, is_causal: Any = False,
) -> Value:  # fmt: skip
    """Output like the query; weights `[B, L, S]`, with a head axis when they are not averaged."""
    q, k = as_tensor(query), as_tensor(key)
    width = kit.size(layer.arg("embed_dim"))
    last = take(q.shape, -1)
    if last is not None and width is not None:
        require(kit, "layer", "multihead_attention", (q,), last.size, width, "embed_dim")
    wanted, average = flag(need_weights), flag(average_attn_weights)
    first = flag(layer.arg("batch_first"))
    _attention_fits(kit, q, k, as_tensor(value), first)
    for tensor, own in ((k, "kdim"), (as_tensor(value), "vdim")):
        inside = width if is_none(layer.arg(own)) else kit.size(layer.arg(own))
        axis = take(tensor.shape, -1)
        if axis is not None and inside is not None:
            require(kit, "layer", "multihead_attention", (q, k), axis.size, inside, own)
    weights: Value = Tensor()
    if wanted is False:
        weights = NONE
    elif q.axes and k.axes and len(q.axes) == len(k.axes) and first is not None and average is not None:
        heads = () if average else (kit.axis(setting(kit, layer, "num_heads", "h"), "num_heads"),)
        if len(q.axes) == 2:
            weights = Tensor((*heads, q.axes[0], k.axes[0]), q.dtype)
        elif len(q.axes) == 3:
            batch, rows = (0, 1) if first else (1, 0)
            weights = Tensor((q.axes[batch], *heads, q.axes[rows], k.axes[rows]), q.dtype)
    return Items("tuple", (like(q), weights))


def _attention_fits(kit: Kit, q: Tensor, k: Tensor, v: Tensor, batch_first: bool | None) -> None:
    """Query, key and value have one rank and one batch; key and value one length."""
    if q.axes is None or k.axes is None or v.axes is None:
        return
    given = (q, k, v)
    if not len(q.axes) == len(k.axes) == len(v.axes) or len(q.axes) not in (2, 3):
        rank_crash(kit, "multihead_attention", given, len(q.axes), len(k.axes), "query, key and value need one rank")
        return
    for x, y in zip(k.axes[:-1], v.axes[:-1]):
        require(kit, "layer", "multihead_attention", given, x.size, y.size, "key and value")
    if len(q.axes) == 3 and batch_first is not None:
        batch = 0 if batch_first else 1
        require(kit, "layer", "multihead_attention", given, q.axes[batch].size, k.axes[batch].size, "batch")


_BLOCK = (
    "d_model, nhead, dim_feedforward=2048, dropout=0.1, activation='relu', layer_norm_eps=1e-05, batch_first=False, "
    "norm_first=False, bias=True, device=None, dtype=None"
)


@layer(f"torch.nn.TransformerEncoderLayer({_BLOCK})")
def encoder_layer(kit: Kit, layer: Layer, src: Value, *masks: Value, **more: Value) -> Value:
    return _model_wide(kit, layer, src)


@layer(f"torch.nn.TransformerDecoderLayer({_BLOCK})")
def decoder_layer(kit: Kit, layer: Layer, tgt: Value, memory: Value, *masks: Value, **more: Value) -> Value:
    return _model_wide(kit, layer, tgt)


def _model_wide(kit: Kit, layer: Layer, value: Value) -> Tensor:
    x, width = as_tensor(value), kit.size(layer.arg("d_model"))
    last = take(x.shape, -1)
    if last is not None and width is not None:
        require(kit, "layer", "transformer_layer", (x,), last.size, width, "d_model")
    return like(x)


@layer("torch.nn.TransformerEncoder(encoder_layer, num_layers, norm=None, enable_nested_tensor=True, mask_check=True)")
def encoder(kit: Kit, layer: Layer, src: Value, *masks: Value, **more: Value) -> Value:
    block = layer.arg("encoder_layer")
    return _model_wide(kit, block, src) if isinstance(block, Layer) else like(as_tensor(src))


@layer("torch.nn.TransformerDecoder(decoder_layer, num_layers, norm=None)")
def decoder(kit: Kit, layer: Layer, tgt: Value, memory: Value, *masks: Value, **more: Value) -> Value:
    block = layer.arg("decoder_layer")
    return _model_wide(kit, block, tgt) if isinstance(block, Layer) else like(as_tensor(tgt))


# ------------------------------------------------------------------ attributes

_SIZES = {
    "in_features", "out_features", "num_embeddings", "embedding_dim", "num_features", "in_channels", "out_channels",
    "input_size", "hidden_size", "num_layers", "embed_dim", "num_heads", "kernel_size", "normalized_shape", "p", "dim",
    "d_model",
}  # fmt: skip


def attribute(kit: Kit, layer: Layer, name: str) -> Value | None:
    """`layer.weight`, `layer.out_features` and their like; None for attributes that nothing is known of."""
    if name in _SIZES and layer.arg(name) is not None:
        return layer.arg(name)
    if name in ("weight", "bias"):
        return _weight(kit, layer, name)
    if layer.name in ("torch.nn.Sequential", "torch.nn.ModuleList") and name.isdigit():
        held = contents(layer)
        return held[int(name)] if held is not None and int(name) < len(held) else None
    return None


def _weight(kit: Kit, layer: Layer, name: str) -> Value | None:
    shapes: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
        "torch.nn.Linear": (("out_features", "in_features"), ("out_features",)),
        "torch.nn.Embedding": (("num_embeddings", "embedding_dim"), ()),
        "torch.nn.BatchNorm1d": (("num_features",), ("num_features",)),
        "torch.nn.BatchNorm2d": (("num_features",), ("num_features",)),
    }
    given = layer.arg(name)
    if name == "bias" and given is not None and flag(given) is not True:
        return NONE if flag(given) is False else UNKNOWN
    if layer.name not in shapes:
        if name == "weight" and given is not None:  # of a loss
            return given
        return Tensor(Partial(), "float") if layer.name in LAYERS else None
    sizes = shapes[layer.name][name == "bias"]
    if not sizes:
        return None
    axes = tuple(kit.axis(setting(kit, layer, s, "d"), f"{layer.name.rpartition('.')[2]} {s}") for s in sizes)
    return Tensor(axes, "float")


def contents(layer: Layer) -> Sequence[Value] | None:
    """The layers held by a Sequential or a ModuleList, where they are known one by one."""
    held = layer.arg("args") if layer.name == "torch.nn.Sequential" else layer.arg("modules")
    return members(held) if held is not None and not is_none(held) else None


@layer("torch.nn.ModuleList(modules=None)", "torch.nn.ModuleDict(modules=None)", "torch.nn.ParameterList(values=None)")
def not_callable(kit: Kit, layer: Layer, *args: Value) -> Value:
    return UNKNOWN


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
