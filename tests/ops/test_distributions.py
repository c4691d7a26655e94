"""Shapes of `torch.distributions`, against what torch itself says."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ops.judge import JudgeKit
from shapecheck.engine.values import Axis, Layer, Num, Tensor, Value
from shapecheck.ops import bind, distributions

B, A = 3, 5
MAKERS: dict[str, tuple[dict[str, tuple[int, ...]], tuple[int, ...]]] = {
    "Normal": ({"loc": (B, A), "scale": (A,)}, (B, A)),
    "Laplace": ({"loc": (B, 1), "scale": (B, A)}, (B, A)),
    "Beta": ({"concentration1": (B, A), "concentration0": (B, A)}, (B, A)),
    "Uniform": ({"low": (B,), "high": (B,)}, (B,)),
    "Bernoulli": ({"logits": (B, A)}, (B, A)),
    "Categorical": ({"logits": (B, 2, A)}, (B, 2)),
    "OneHotCategorical": ({"logits": (B, A)}, (B, A)),
    "Dirichlet": ({"concentration": (B, A)}, (B, A)),
}


def known(shape: tuple[int, ...]) -> Tensor:
    return Tensor(tuple(map(Axis, shape)), "float")


def real(name: str, parameters: dict[str, tuple[int, ...]]) -> Any:
    low = {k: (torch.zeros(s) if k == "low" else torch.ones(s)) for k, s in parameters.items()}
    return getattr(torch.distributions, name)(**low)


def ours(name: str, parameters: dict[str, Value]) -> Layer:
    full = f"torch.distributions.{name}"
    bound = bind(distributions.CONSTRUCTORS[full], (), parameters)
    assert bound is not None
    return Layer(full, tuple(parameters.items()))


def agree(layer: Layer, truth: Any, value: tuple[int, ...]) -> None:
    kit = JudgeKit()
    told = {
        "sample": truth.sample().shape,
        "log_prob": truth.log_prob(truth.sample()).shape,
        "entropy": truth.entropy().shape,
        "mean": truth.sample().shape,
    }
    for member, shape in told.items():
        args = (known(value),) if member == "log_prob" else ()
        assert distributions.member(kit, layer, member, *args).sizes == tuple(shape), member


@pytest.mark.parametrize("name", MAKERS)
def test_as_torch(name: str) -> None:
    parameters, value = MAKERS[name]
    agree(ours(name, {k: known(s) for k, s in parameters.items()}), real(name, parameters), value)


def test_independent_sums_the_last_axes() -> None:
    parameters = MAKERS["Normal"][0]
    inner = ours("Normal", {k: known(s) for k, s in parameters.items()})
    layer = ours("Independent", {"base_distribution": inner, "reinterpreted_batch_ndims": Num(1)})
    agree(layer, torch.distributions.Independent(real("Normal", parameters), 1), (B, A))


def test_module_names_serve_too() -> None:
    for name in distributions.CONSTRUCTORS:
        module, _, cls = name.rpartition(".")
        found = torch
        for part in module.split(".")[1:]:
            found = getattr(found, part)
        assert isinstance(getattr(found, cls), type)
