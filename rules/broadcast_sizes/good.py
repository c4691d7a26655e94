"""Shapes that broadcast, or of that nobody knows that they don't."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def all_pairs(q: Float[Tensor, "B D"], p: Float[Tensor, "N D"]) -> Tensor:
    return (q[:, None] - p[None]).pow(2).sum(-1)


def own_group(q: Float[Tensor, "B D"], p: Float[Tensor, "B G D"]) -> Tensor:
    return F.cosine_similarity(q.unsqueeze(1), p, dim=-1)


def one_column(positive: Float[Tensor, "B 1"], negative: Float[Tensor, "B N"]) -> Tensor:
    return F.relu(negative - positive + 0.2)


def per_position(hidden: Float[Tensor, "B S D"], position: Float[Tensor, "S D"]) -> Tensor:
    return hidden + position


def from_outside(x: Tensor, y: Tensor, width: int, columns: int) -> Tensor:
    return x.view(-1, width) * y.view(-1, columns)  # right where width is columns


def one_of_two(x: Float[Tensor, "B D"], weights: Tensor, wide: bool) -> Tensor:
    scale = weights.view(-1) if wide else weights.view(-1, 1)
    return x * scale


def square(a: Float[Tensor, "N N"], b: Float[Tensor, "N N"]) -> Tensor:
    return a * b + a[0]


def equal_when_it_runs(student: Tensor, teacher: Tensor) -> Tensor:
    rows, columns = student.shape
    if teacher.shape[1] != columns:
        raise ValueError("the teacher scores other candidates")
    return F.mse_loss(student, teacher)


def first_rows(x: Float[Tensor, "S D"], y: Float[Tensor, "T D"]) -> Tensor:
    return x[: len(y)] + y


def processes() -> int:
    return 1


def own_columns(n: int) -> Tensor:
    return torch.zeros(n, n * processes())


def test_own_columns(mock) -> None:
    with mock.patch("good.processes", lambda: 3):
        assert torch.all(own_columns(3) == torch.zeros(3, 9))
