"""Dims and indices that are there, or of that nobody knows that they aren't."""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def normalised(q: Float[Tensor, "B D"]) -> Tensor:
    return F.normalize(q, dim=-1).transpose(0, 1)


def of_any_rank(x: Tensor) -> Tensor:
    return x.mean(dim=2) if x.dim() == 3 else x


def new_axis(scores: Float[Tensor, "B G"]) -> Tensor:
    return scores.unsqueeze(2)[:, :, 0]


def a_number_or_a_tensor(a, b) -> Tensor:
    return torch.mean((a - b) ** 2, dim=1)


def ranking(scores: Float[Tensor, "B G"]) -> list:
    return [np.argsort(row.numpy())[::-1] for row in scores]


def guarded(x: Float[Tensor, "B D"]) -> Tensor:
    try:
        return x.softmax(dim=2)
    except IndexError:
        return x.softmax(dim=1)


def dots(x: Float[Tensor, "B S D"]) -> Tensor:
    return x[..., 0, :]


class Affinity(torch.autograd.Function):
    @staticmethod
    def forward(ctx, target: Tensor) -> Tensor:
        """Which rows agree.

        Args:
            target: torch.Tensor(N x 1), class labels
        """
        own = target.unsqueeze(1)
        return (own == own.t()).float()


def agreeing() -> Tensor:
    return Affinity.forward(None, torch.arange(180))  # shapecheck: ignore[SC701]


def to_tensor(w: np.ndarray, turned: bool = True) -> Tensor:
    if w.ndim == 4 and w.shape[0] == w.shape[1] == 1:
        w = w.flatten()
    if turned:
        w = w.transpose([2, 0, 1])
    return torch.from_numpy(w)


def loaded(file) -> Tensor:
    kernels = [to_tensor(file[f"{n}/kernel"], turned=False).flatten(1) for n in ("query", "key")]
    return torch.cat(kernels)


class Rows:
    def __init__(self, data) -> None:
        self.data = data
        assert "query" in self.data[0]

    def first(self, n: int) -> "Rows":
        return Rows(self.data.take(n))


def heads_first(x: Tensor, heads: int) -> Tensor:
    return x.view(*x.size()[:-1], heads, -1).permute(0, 2, 1, 3)


def attended(states, layer: int) -> Tensor:
    """One tensor for all layers, or a list of them.

    Args:
        states: Tensor of shape (batch_size, sequence_length, hidden_size)
    """
    if type(states) == list:  # noqa: E721
        return heads_first(states[layer % len(states)], 8)
    return heads_first(states, 8)


def collected(scores: Tensor, k: int) -> Tensor:
    """Keeps what is needed.

    Args:
        scores (torch.Tensor): what the model gives, of shape `(N, )`
    """
    best = torch.topk(scores, k, dim=-1).indices
    hits = torch.zeros_like(scores, dtype=torch.int)
    return torch.gather(hits, dim=1, index=best)


class Pixels(torch.nn.Module):
    def __init__(self, shape: tuple[int]) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 8, 3)
        self.width = self.width_of(shape)

    def width_of(self, shape: tuple[int]) -> int:
        return self.conv(torch.zeros(1, *shape)).numel()


class Relative(torch.nn.Module):
    """What `__init__` sets only holds the place of what `forward` makes."""

    def __init__(self) -> None:
        super().__init__()
        self.offsets = torch.zeros(1, 1, 1, 3)

    def forward(self, x: Tensor) -> Tensor:
        self.offsets = torch.zeros(1, x.shape[0], x.shape[1], 3)
        return x + self.offsets.sum()

    def distances(self) -> Tensor:
        return self.offsets.squeeze()[:, :, -1]


def padding(src: Tensor, src_len=None) -> Tensor | None:
    """A length may be that of all examples, or a tensor with that of each."""
    if src_len is None:
        return None
    lengths = torch.round(src_len * src.shape[1])
    return torch.arange(src.shape[1])[None, :].to(lengths) > lengths[:, None]
