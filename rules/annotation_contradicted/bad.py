"""Functions that do not compute what their annotations say."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


# run: own_group(q=[B, D], p=[B, G, D]); differ: B=3, G=4, D=5
def own_group(q: Float[Tensor, "B D"], p: Float[Tensor, "B G D"]) -> Float[Tensor, "B G"]:
    return torch.einsum("bd,bgd->b", q, p)  # expect: SC702


# run: all_pairs(q=[B, D], p=[N, D]); differ: B=3, N=4, D=5; equal: B=1, N=1, D=5
def all_pairs(q: Float[Tensor, "B D"], p: Float[Tensor, "N D"]) -> Float[Tensor, "B N"]:
    scores = p @ q.T  # expect: SC702
    return scores


# run: Pooler(4).forward(hidden=[B, S, 4]); differ: B=3, S=5
class Pooler(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Linear(width, 1)

    def forward(self, hidden: Float[Tensor, "B S D"]) -> Float[Tensor, "B"]:
        return self.head(hidden[:, 0])  # expect: SC702


# run: halves(z=[B, D]); differ: B=3, D=5
def halves(z: Float[Tensor, "B D"]) -> Tensor:
    both: Float[Tensor, "B 2*D"] = torch.cat([z, z])  # expect: SC702
    return both


def distances(x: Float[Tensor, "N D"], y: Float[Tensor, "M D"]) -> Float[Tensor, "N M"]:
    return (x[:, None] - y[None]).square().sum(-1)


# run: nearest(x=[N, D], groups=[N, G, D]); differ: N=3, G=4, D=5
def nearest(x: Float[Tensor, "N D"], groups: Float[Tensor, "N G D"]) -> Tensor:
    return distances(x, groups).argmin(-1)  # expect: SC702


# run: stats(scores=[B, G]); differ: B=3, G=4
def stats(scores: Float[Tensor, "B G"]) -> tuple[Float[Tensor, "B"], Float[Tensor, "B"]]:
    return scores.mean(dim=1), scores.amax(dim=0)  # expect: SC702
