"""A dense retriever with two ways to train it, one of them wrong. Nothing crashes: the loss falls, the ranking is bad.

`shapecheck lint` on this file says where and why; `in_group_retriever_fixed.py` beside it has the right line.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoModel


class Retriever(nn.Module):
    """Scores queries against passages; each query comes with a group of passages, its positive first."""

    def __init__(self, backbone: str, pooling: str = "first", normalize: bool = True, temperature: float = 0.02):
        super().__init__()
        self.backbone = AutoModel.from_pretrained(backbone)
        self.pooling = pooling
        self.normalize = normalize
        self.temperature = temperature

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        if self.pooling == "first":
            return states[:, 0]
        weights = mask.unsqueeze(-1).to(states.dtype)
        return (states * weights).sum(dim=1) / weights.sum(dim=1)

    def encode(self, tokens: dict[str, Tensor]) -> Tensor:
        states = self.backbone(**tokens).last_hidden_state
        vectors = self.pool(states, tokens["attention_mask"])
        if self.normalize:
            vectors = F.normalize(vectors, dim=-1)
        return vectors.contiguous()

    def compute_similarity(self, queries: Tensor, passages: Tensor) -> Tensor:
        if passages.dim() == 2:
            return queries @ passages.transpose(0, 1)
        return torch.matmul(queries, passages.transpose(-2, -1))

    def forward(self, query: dict[str, Tensor], passage: dict[str, Tensor], in_batch: bool = False) -> Tensor:
        queries = self.encode(query)
        passages = self.encode(passage)
        group = passages.size(0) // queries.size(0)
        if in_batch:  # every passage of the batch is a candidate
            scores = self.compute_similarity(queries, passages) / self.temperature  # B B*G
            target = torch.arange(queries.size(0), device=queries.device) * group
        else:  # only the query's own group is
            own = passages.view(queries.size(0), group, -1)
            scores = self.compute_similarity(queries, own) / self.temperature  # B G
            scores = scores.view(queries.size(0), -1)
            target = torch.zeros(scores.size(0), dtype=torch.long, device=scores.device)
        return F.cross_entropy(scores, target)
