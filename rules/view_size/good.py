"""Views that fit, or of that nobody knows that they don't."""

import torch
from jaxtyping import Float
from torch import Tensor


def groups(p: Float[Tensor, "N D"], group_size: int) -> Tensor:
    return p.view(-1, group_size, p.size(-1))


def both_views(z: Float[Tensor, "B D"]) -> Tensor:
    return torch.cat([z, z], dim=0).view(2, z.size(0), -1)


def heads(hidden: Float[Tensor, "B S 96"]) -> Tensor:
    return hidden.unflatten(-1, (12, 8))


def configured(hidden: Float[Tensor, "B S E"], n_heads: int, head_dim: int) -> Tensor:
    B, S, _ = hidden.shape
    return hidden.view(B, S, n_heads, head_dim)  # right where E is n_heads * head_dim


def off_diagonal(x: Float[Tensor, "N N"]) -> Tensor:
    n = x.size(0)
    keep = ~torch.eye(n, dtype=torch.bool)
    return x[keep].view(n, n - 1)


def stretched(q: Float[Tensor, "B D"], groups: int) -> Tensor:
    return q[:, None].expand(-1, groups, -1).reshape(q.size(0) * groups, -1)


def halves(x: Float[Tensor, "B 6"]) -> Tensor:
    return x.view(x.size(0), 2, -1)


def masked_by_bytes(x: Float[Tensor, "N N"], times: int) -> Tensor:
    above = torch.triu(torch.ones(x.shape), diagonal=1).byte()
    return x[above].repeat(times, 1)


def causal(mask: Tensor, width: int) -> Tensor:
    """Converts the mask into a causal mask (batch, heads, query, key)."""
    batch, length = mask.size()
    return mask[:, None, None, :].expand(batch, 1, width, length)


class Ensemble:
    def __init__(self, outputs: Tensor) -> None:
        self.outputs = outputs


def spread(output: Tensor, target: Tensor) -> Tensor:
    if isinstance(output, Ensemble):
        members, batch, _ = output.outputs.shape
        return target.unsqueeze(0).expand((members, batch)).flatten()
    return target


def test_spread() -> None:
    spread(torch.eye(3), torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]]))
