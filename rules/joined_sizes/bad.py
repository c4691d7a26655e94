"""Tensors that cannot be joined."""

import torch
from jaxtyping import Float
from torch import Tensor


# run: logits(pos=[B], neg=[B, N]); raises: B=3, N=4
def logits(pos: Float[Tensor, "B"], neg: Float[Tensor, "B N"]) -> Tensor:
    return torch.cat([pos, neg], dim=1)  # expect: SC904


# run: with_queue(q=[B, D], k=[B, D], queue=[D, K]); raises: B=3, D=5, K=6
def with_queue(q: Float[Tensor, "B D"], k: Float[Tensor, "B D"], queue: Float[Tensor, "D K"]) -> Tensor:
    own, others = q @ k.T, q @ queue
    return torch.cat((own, others), dim=0)  # expect: SC904


# run: passages(pos=[B, D], neg=[B, N, D]); raises: B=3, N=4, D=5
def passages(pos: Float[Tensor, "B D"], neg: Float[Tensor, "B N D"]) -> Tensor:
    return torch.concat(tensors=[pos, neg], dim=1)  # expect: SC904


# run: both(scores=[B, G]); raises: B=3, G=4
def both(scores: Float[Tensor, "B G"]) -> Tensor:
    return torch.stack([scores, scores[:, 1:]])  # expect: SC904


# run: with_prompt(prompt=[P, D], hidden=[B, S, D]); raises: P=2, B=3, S=4, D=5
def with_prompt(prompt: Float[Tensor, "P D"], hidden: Float[Tensor, "B S D"]) -> Tensor:
    return joined(prompt, hidden)  # expect: SC904


def joined(first: Tensor, second: Tensor) -> Tensor:
    parts = [first]
    parts.append(second)
    return torch.cat(parts, dim=1)


# run: all_keys(positives=[B, D], negatives=[B, G, D]); raises: B=3, G=4, D=5
def all_keys(positives: Float[Tensor, "B D"], negatives: Float[Tensor, "B G D"]) -> Tensor:
    return torch.vstack([positives, negatives])  # expect: SC904
