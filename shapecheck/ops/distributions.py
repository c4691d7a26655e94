"""`torch.distributions`: the shapes of samples, log-probabilities and entropies, by those of the parameters."""

from __future__ import annotations

from typing import Any

from shapecheck.engine.values import Items, Layer, Num, Partial, Shape, Tensor, Value
from shapecheck.ops.axes import as_tensor
from shapecheck.ops.kit import Kit, signature

_WEIGHTS = "probs=None, logits=None, validate_args=None"
# how each is made; the parameters before `validate_args` are tensors that broadcast
_BY_ELEMENT = {
    "Normal": "loc, scale, validate_args=None",
    "LogNormal": "loc, scale, validate_args=None",
    "Laplace": "loc, scale, validate_args=None",
    "Cauchy": "loc, scale, validate_args=None",
    "Gumbel": "loc, scale, validate_args=None",
    "Uniform": "low, high, validate_args=None",
    "Beta": "concentration1, concentration0, validate_args=None",
    "Gamma": "concentration, rate, validate_args=None",
    "Poisson": "rate, validate_args=None",
    "Exponential": "rate, validate_args=None",
    "Bernoulli": _WEIGHTS,
}
_OTHERS = {
    "Categorical": _WEIGHTS,
    "OneHotCategorical": _WEIGHTS,
    "Dirichlet": "concentration, validate_args=None",
    "Independent": "base_distribution, reinterpreted_batch_ndims, validate_args=None",
}
_MODULES = {"OneHotCategorical": "one_hot_categorical", "LogNormal": "log_normal"}
CONSTRUCTORS = {
    f"torch.distributions.{module}{name}": signature(text)
    for name, text in {**_BY_ELEMENT, **_OTHERS}.items()
    for module in ("", _MODULES.get(name, name.lower()) + ".")
}

METHODS = {
    "sample": "sample_shape=()",
    "rsample": "sample_shape=()",
    "log_prob": "value",
    "entropy": "",
}
ATTRIBUTES = frozenset({"mean", "stddev", "variance", "mode"})


def member(kit: Kit, layer: Layer, name: str, *args: Any) -> Tensor:
    """What `distribution.name(*args)` gives."""
    shapes = _shapes(kit, layer)
    if shapes is None:
        return Tensor()
    batch, whole = shapes
    match name:
        case "log_prob":
            # the value may have more samples in front; what the event has is summed
            met = kit.broadcast("log_prob", Tensor(whole), as_tensor(args[0]))
            return Tensor(_without(met, _events(layer)), "float")
        case "entropy":
            return Tensor(batch, "float")
        case "sample" | "rsample" if args and args[0] not in ((), Items("tuple", ())):
            return Tensor()
    kind = "int" if layer.name.endswith("Categorical") and not layer.name.endswith("OneHotCategorical") else "float"
    return Tensor(whole, kind)


def _events(layer: Layer) -> int:
    """How many of the last axes are one event."""
    name = layer.name.rpartition(".")[2]
    if name == "Independent":
        base, more = layer.arg("base_distribution"), layer.arg("reinterpreted_batch_ndims")
        assert isinstance(base, Layer)
        assert isinstance(more, Num)
        assert isinstance(more.size, int)
        return _events(base) + more.size
    return int(name in ("OneHotCategorical", "Dirichlet"))


def _shapes(kit: Kit, layer: Layer) -> tuple[Shape, Shape] | None:
    """The batch shape, and that of a sample."""
    name = layer.name.rpartition(".")[2]
    if name == "Independent":
        base, more = layer.arg("base_distribution"), layer.arg("reinterpreted_batch_ndims")
        inner = _shapes(kit, base) if isinstance(base, Layer) and base.name in CONSTRUCTORS else None
        if inner is None or not isinstance(more, Num) or not isinstance(more.size, int):
            return None
        return _without(inner[0], more.size), inner[1]
    given = [as_tensor(v) for k, v in layer.args if k not in ("validate_args", "given") and _is_given(v)]
    if not given:
        return None
    if name in _BY_ELEMENT:
        whole = kit.broadcast(name, *given)
        return whole, whole
    weights = given[0].shape
    batch = _without(weights, 1)
    return batch, batch if name == "Categorical" else weights


def _is_given(value: Value) -> bool:
    return getattr(value, "value", value) is not None


def _without(shape: Shape, count: int) -> Shape:
    """Without the last `count` axes."""
    if not isinstance(shape, Partial):
        return shape[: max(len(shape) - count, 0)]
    tail = shape.tail[: max(len(shape.tail) - count, 0)]
    return Partial(shape.head[: max(shape.min_rank - count - len(tail), 0)], tail)


__all__ = ["ATTRIBUTES", "CONSTRUCTORS", "METHODS", "member"]
