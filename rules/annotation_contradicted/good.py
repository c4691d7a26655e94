"""Functions that compute what their annotations say, or of that nobody knows that they don't."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def own_group(q: Float[Tensor, "B D"], p: Float[Tensor, "B G D"]) -> Float[Tensor, "B G"]:
    return torch.einsum("bd,bgd->bg", q, p)


def in_batch(q: Float[Tensor, "B D"], p: Float[Tensor, "B*{G} D"], G: int) -> Float[Tensor, "B B*{G}"]:
    return q @ p.T


def windows(x: Float[Tensor, "*batch T"], width: int) -> Float[Tensor, "*batch W"]:
    return x.unfold(-1, width, 1).mean(-1)


def labels(x: Float[Tensor, "B D"]) -> Int[Tensor, "B"]:
    return torch.arange(x.shape[0])


def scalar(x: Float[Tensor, "B N"], y: Int[Tensor, "B"]) -> Float[Tensor, ""]:
    return F.cross_entropy(x, y)


def either(x: Float[Tensor, "B D"], keep: bool) -> Float[Tensor, "B D"] | Float[Tensor, "B"]:
    return x if keep else x.sum(-1)


def of_callers_sizes(x: Float[Tensor, "N D"], group: int) -> Float[Tensor, "M D"]:
    return x.view(-1, group, x.shape[1]).mean(1)


def any_model(model, x: Float[Tensor, "B D"]) -> Float[Tensor, "B C"]:
    return model(x)
