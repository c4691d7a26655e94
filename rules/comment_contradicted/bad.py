"""Comments, docstrings and assertions that the code does not keep."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


# run: row_scores(q=[B, D], p=[B, D]); differ: B=3, D=5
def row_scores(q: Tensor, p: Tensor) -> Tensor:
    batch, dim = q.shape
    scores = (q * p.view(batch, dim)).sum(dim=1, keepdim=True)  # (batch,)  # expect: SC701
    return scores


# run: own_group(q=[B, D], p=[B, G, D]); differ: B=3, G=4, D=5
def own_group(q: Tensor, p: Tensor) -> Tensor:
    B, G, D = p.shape
    logits = torch.einsum("bd,bgd->b", q, p)  # B G  # expect: SC701
    return logits


# run: time_first(hidden=[B, T, D]); differ: B=2, T=3, D=4
def time_first(hidden: Tensor) -> Tensor:
    B, T, D = hidden.shape
    hidden = hidden.transpose(0, 1)  # [B, T, D]  # expect: SC701
    return hidden


# run: Pooler(4, 6).forward(hidden=[B, S, 4]); differ: B=3, S=5
class Pooler(nn.Module):
    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Linear(width, dim)

    def forward(self, hidden: Tensor) -> Tensor:
        batch, length, width = hidden.shape
        pooled = self.head(hidden)  # shape: (batch, dim)  # expect: SC701
        return pooled


# run: doubled(views=[B, 2, D]); differ: B=3, D=5
def doubled(views: Tensor) -> Tensor:
    B, _, D = views.shape
    features = views.reshape(B, 2 * D)
    features = F.normalize(features, dim=-1)  # [2*B, D]  # expect: SC701
    return features


# run: margins(positive=[B, 1], negative=[B, N]); differ: B=3, N=4
def margins(positive: Tensor, negative: Tensor) -> Tensor:
    """Margins of each positive.

    Args:
        positive: shape (batch, 1)
        negative: shape (batch, num_neg)

    Returns:
        Tensor of shape (batch,)
    """
    return positive - negative  # expect: SC701


# run: asserted(q=[B, D], p=[N, D]); raises: B=3, N=4, D=5
def asserted(q: Tensor, p: Tensor) -> Tensor:
    B, D = q.shape
    N = p.size(0)
    sims = q @ p.view(N, D).T
    losses = sims.logsumexp(dim=0)
    assert losses.shape == (B, N)  # expect: SC701
    return losses


# run: prepared(positive=[B, 1]); differ: B=3
def prepared(positive: Tensor) -> Tensor:
    batch, _ = positive.shape
    # prepare for broadcasting, shape: (batch, 1, 3)
    positive = positive.view(batch, 1).unsqueeze(dim=1)  # expect: SC701
    return positive


# run: stacked(a=[N, D], b=[N, D]); differ: N=3, D=4
def stacked(a: Tensor, b: Tensor) -> Tensor:
    n, d = a.shape
    both = torch.stack([a, b.view(n, d)])  # (2n, d)  # expect: SC701
    return both
