"""What a loss returned, made one number: a scalar, a value per query, scores, or any of these inside something else."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .case import Case
from .target import CannotCall


@dataclass(frozen=True)
class Answer:
    """The loss as a scalar that has a graph, and in words what it was taken from."""

    value: Tensor
    form: str


def read(result: Any, case: Case) -> Answer:
    """Find the loss in a result. CannotCall if there is none."""
    found = _find(result, case, "")
    if found is None:
        raise CannotCall(f"it returned {_describe(result)}, in which there is no loss and there are no scores")
    return found


def _find(result: Any, case: Case, where: str) -> Answer | None:
    if isinstance(result, Tensor):
        return _of_tensor(result, case, where)
    if isinstance(result, Mapping) or dataclasses.is_dataclass(result) or hasattr(result, "_asdict"):
        return _of_fields(result, case, where)
    if isinstance(result, (tuple, list)):
        return _of_parts(list(result), case, where)
    if hasattr(result, "loss") and isinstance(result.loss, Tensor):
        return _of_tensor(result.loss, case, ".loss")
    return None


def _of_tensor(found: Tensor, case: Case, where: str) -> Answer | None:
    if not found.is_floating_point():
        return None
    if found.numel() == 1 and found.ndim < 2:
        return Answer(found.reshape(()), f"{where} a scalar".strip())
    if found.ndim == 1:
        return Answer(found.mean(), f"{where} a value per row".strip())
    if found.ndim == 2 and found.shape[0] == case.batch and found.shape[1] in (case.group, case.batch * case.group):
        own = found.shape[1] == case.group
        target = torch.zeros(case.batch, dtype=torch.long) if own else torch.arange(case.batch) * case.group
        return Answer(
            F.cross_entropy(found, target), f"{where} scores {'of the own group' if own else 'of all pairs'}".strip()
        )
    return Answer(found.reshape(()), f"{where} a matrix of one number".strip()) if found.numel() == 1 else None


def _of_fields(result: Any, case: Case, where: str) -> Answer | None:
    if isinstance(result, Mapping):
        fields = {str(k): v for k, v in result.items()}
    elif hasattr(result, "_asdict"):
        fields = result._asdict()
    else:
        fields = {f.name: getattr(result, f.name) for f in dataclasses.fields(result)}
    losses = {k: v for k, v in fields.items() if isinstance(v, Tensor) and v.numel() == 1 and v.is_floating_point()}
    for name in ("loss", "total_loss", "total"):
        if name in losses:
            return _of_tensor(losses[name], case, f"`{name}`:")
    with_graph = {k: v for k, v in losses.items() if v.requires_grad and "scale" not in k and "temp" not in k} or losses
    if with_graph:
        total = torch.stack(
            [v.reshape(()).float() if v.dtype != torch.float64 else v.reshape(()) for v in with_graph.values()]
        )
        return Answer(total.sum(), f"{' + '.join(f'`{k}`' for k in with_graph)}: a scalar")
    for name, value in fields.items():
        if name in ("scores", "logits", "similarity"):
            inner = _find(value, case, f"`{name}`:")
            if inner is not None:
                return inner
    return None


def _of_parts(parts: list[Any], case: Case, where: str) -> Answer | None:
    if len(parts) == 2 and all(isinstance(p, Tensor) for p in parts):
        scores, target = parts
        if scores.ndim == 2 and target.ndim == 1 and not target.is_floating_point() and len(target) == len(scores):
            return Answer(F.cross_entropy(scores, target), "(scores, target)")
    for part in _scalars(parts):
        return _of_tensor(part, case, "in a tuple,")
    for part in parts:
        inner = _find(part, case, "in a tuple,")
        if inner is not None:
            return inner
    return None


def _scalars(parts: list[Any]) -> Iterator[Tensor]:
    scalars = [p for p in parts if isinstance(p, Tensor) and p.numel() == 1 and p.is_floating_point()]
    yield from (p for p in scalars if p.requires_grad)
    yield from scalars


def _describe(result: Any) -> str:
    if isinstance(result, Tensor):
        return f"a tensor of shape {list(result.shape)} and {result.dtype}"
    if isinstance(result, Mapping):
        return f"a dict with {', '.join(map(str, result)) or 'nothing'}"
    if isinstance(result, (tuple, list)):
        return f"a {type(result).__name__} of {', '.join(type(p).__name__ for p in result) or 'nothing'}"
    return f"{result!r}" if result is None or isinstance(result, (int, float, str)) else f"a {type(result).__name__}"
