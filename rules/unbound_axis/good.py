"""Annotations whose computed axes are bound in time, or are not computed from axes at all."""

import torch
from beartype import beartype
from jaxtyping import Float, jaxtyped
from torch import Tensor

from shapecheck import shaped


@jaxtyped(typechecker=beartype)
def grouped(groups: Float[Tensor, "B G D"], flat: Float[Tensor, "B*G D"]) -> Float[Tensor, "B*G"]:
    return (groups.flatten(0, 1) * flat).sum(-1)


@jaxtyped(typechecker=beartype)
def from_an_argument(q: Float[Tensor, "B D"], p: Float[Tensor, "B*{G} D"], G: int) -> Float[Tensor, "B B*{G}"]:
    return q @ p.T


@jaxtyped(typechecker=beartype)
def a_new_name(x: Float[Tensor, "B D"]) -> Float[Tensor, "N"]:
    return x.flatten()


@jaxtyped(typechecker=beartype)
def in_one_string(x: Float[Tensor, "B 2*B"]) -> Float[Tensor, "3*B"]:
    return torch.cat([x[:, 0], x[0]])


@shaped
def read_as_a_whole(p: Float[Tensor, "B*G D"], q: Float[Tensor, "B D"], groups: Float[Tensor, "G D"]) -> Float[Tensor, "B B*G"]:
    return q @ p.T


def perhaps_absent(x: Float[Tensor, "B D"] | None, y: Float[Tensor, "2*B D"] | None) -> None:
    return None
