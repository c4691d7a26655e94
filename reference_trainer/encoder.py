"""The encoder: any transformers model, pooled to one vector a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from .batch import Chunk
from .packing import positions_in
from .settings import Pooling
from .shapes import shaped


class Encoder(nn.Module):
    """Texts in, embeddings out. The transformer is `backbone`; pooling and normalisation have no parameters."""

    def __init__(self, backbone: nn.Module, pooling: Pooling, normalize: bool) -> None:
        super().__init__()
        self.backbone = backbone
        self.pooling = pooling
        self.normalize = normalize

    @property
    def width(self) -> int:
        """D, the length of an embedding."""
        config: Any = self.backbone.config
        return int(config.hidden_size)

    def forward(self, chunks: Sequence[Chunk]) -> Float[Tensor, "U D"]:
        """Embeddings of all chunks' texts in order, float32."""
        return torch.cat([self._embed(chunk) for chunk in chunks])

    def _embed(self, chunk: Chunk) -> Float[Tensor, "N D"]:
        if chunk.bounds is None:
            states = self.backbone(input_ids=chunk.ids, attention_mask=chunk.mask).last_hidden_state  # N S D
            pooled = pool_padded(states.float(), cast(Tensor, chunk.mask), self.pooling)  # N D
        else:
            positions = positions_in(chunk.bounds, chunk.ids.shape[1]).unsqueeze(0)  # 1 S
            states = self.backbone(
                input_ids=chunk.ids, position_ids=positions, bounds=chunk.bounds, longest=chunk.longest
            ).last_hidden_state  # 1 S D
            pooled = pool_packed(states[0].float(), chunk.bounds, self.pooling)  # N D
        return F.normalize(pooled, dim=1) if self.normalize else pooled


@shaped
def pool_padded(states: Float[Tensor, "N S D"], mask: Bool[Tensor, "N S"], pooling: Pooling) -> Float[Tensor, "N D"]:
    """One vector a row from right-padded token states."""
    if pooling is Pooling.CLS:
        return states[:, 0]
    if pooling is Pooling.LAST:
        last = mask.sum(dim=1) - 1  # N
        # not states[arange(N), last]: that fixes N when the graph is exported
        at = last.view(-1, 1, 1).expand(-1, 1, states.shape[2])  # N 1 D
        return states.gather(1, at).squeeze(1)
    weights = mask.unsqueeze(2).to(states.dtype)  # N S 1
    return (states * weights).sum(dim=1) / weights.sum(dim=1)


@shaped
def pool_packed(states: Float[Tensor, "T D"], bounds: Int[Tensor, "M"], pooling: Pooling) -> Float[Tensor, "N D"]:
    """One vector a text from the states of a packed row."""
    if pooling is Pooling.CLS:
        return states[bounds[:-1].long()]
    if pooling is Pooling.LAST:
        return states[bounds[1:].long() - 1]
    lengths = (bounds[1:] - bounds[:-1]).long()  # N
    owner = torch.repeat_interleave(lengths, output_size=len(states))  # T
    sums = states.new_zeros(len(lengths), states.shape[1]).index_add(0, owner, states)  # N D
    return sums / lengths.unsqueeze(1)
