"""`torch.nn` layers: what a call of an instance does to shapes, from the sizes that its constructor was given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shapecheck.dims import Size
from shapecheck.engine.values import (
    NONE,
    UNKNOWN,
    Axis,
    Layer,
    Mapping,
    Partial,
    Tensor,
    Unknown,
    Value,
)  # fmt: skip
from shapecheck.ops.axes import as_tensor, flag, is_none, like, members, put, rank_crash, require, take
from shapecheck.ops.kit import LAYERS, REGISTRY, Kit, OpFunction, layer
from shapecheck.ops.product import cosine_similarity, pairwise_distance, project
from shapecheck.ops.reduce import along
from shapecheck.ops.reshape import flattened, unflatten


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
    return Tensor(project(kit, "linear", x, inside, outside, "made for"), x.dtype)


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
            require(kit, "made for", "bilinear", (a, b), last.size, size)
    if a.axes is not None and b.axes is not None:
        if len(a.axes) != len(b.axes):
            rank_crash(kit, "bilinear", (a, b), len(a.axes), len(b.axes), "both inputs need one rank")
        for x, y in zip(a.axes[:-1], b.axes[:-1]):
            require(kit, "made for", "bilinear", (a, b), x.size, y.size, "leading axes")
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
        if len(allowed) == 1 and isinstance(x.shape, Partial) and x.shape.min_rank <= allowed[0]:
            x = kit.rank(x, allowed[0])
        if allowed and x.rank is not None and x.rank not in allowed:
            rank_crash(
                kit, name, (x,), x.rank, allowed[-1], f"nn.{name}{rank}d needs rank {' or '.join(map(str, allowed))}"
            )
            return Tensor(Partial(), x.dtype)
        channels, size = take(x.shape, 1), kit.size(layer.arg("num_features"))
        if name != "InstanceNorm" and channels is not None and size is not None:
            require(kit, "made for", name, (x,), channels.size, size, "num_features")
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
            require(kit, "made for", "layer_norm", (x,), axis.size, size, "normalized_shape")
    return like(x)


@layer("torch.nn.GroupNorm(num_groups, num_channels, eps=1e-05, affine=True, device=None, dtype=None)")
def group_norm(kit: Kit, layer: Layer, input: Value) -> Value:
    x = as_tensor(input)
    channels, size = take(x.shape, 1), kit.size(layer.arg("num_channels"))
    if channels is not None and size is not None:
        require(kit, "made for", "group_norm", (x,), channels.size, size, "num_channels")
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
