"""No arithmetic on padding: a chunk is one row `[1, T]` of all its texts' tokens; attention is told where each ends.

`torch.nn.attention.varlen` serves on CUDA, a block-diagonal mask elsewhere (for tests, not for speed). The attention is
registered with transformers, so that any of its encoders can take packed rows.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from .shapes import shaped

PACKED_ATTENTION = "reference_trainer_packed"


@shaped
def positions_in(bounds: Int[Tensor, "M"], total: int) -> Int[Tensor, "{total}"]:
    """0, 1, 2, ... from the start of each text."""
    lengths = (bounds[1:] - bounds[:-1]).long()  # N
    starts = torch.repeat_interleave(bounds[:-1].long(), lengths, output_size=total)  # T
    return torch.arange(total, device=bounds.device) - starts


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    bounds: Tensor | None = None,
    longest: int = 0,
    **_: Any,
) -> tuple[Tensor, None]:
    """transformers' attention interface over a packed row: `[1, H, T, d]` in, `[1, T, H, d]` out."""
    if bounds is None:
        out = F.scaled_dot_product_attention(
            query, key, value, attn_mask=attention_mask, dropout_p=dropout, scale=scaling,
            is_causal=attention_mask is None and bool(getattr(module, "is_causal", False)),
        )  # fmt: skip
        return out.transpose(1, 2).contiguous(), None
    causal = bool(getattr(module, "is_causal", False))
    if query.is_cuda:
        from torch.nn.attention.varlen import varlen_attn

        q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))
        window = (-1, 0) if causal else (-1, -1)
        gqa = k.shape[1] != q.shape[1]
        packed = varlen_attn(
            q, k, v, bounds, bounds, longest, longest, scale=scaling, window_size=window, enable_gqa=gqa
        )  # fmt: skip
        return cast(Tensor, packed).unsqueeze(0), None
    owner = torch.repeat_interleave((bounds[1:] - bounds[:-1]).long())  # T
    allowed = owner.unsqueeze(1) == owner.unsqueeze(0)  # T T
    if causal:
        allowed = allowed.tril()
    gqa = key.shape[1] != query.shape[1]
    out = F.scaled_dot_product_attention(
        query, key, value, attn_mask=allowed, dropout_p=dropout, scale=scaling, enable_gqa=gqa
    )
    return out.transpose(1, 2).contiguous(), None


AttentionInterface.register(PACKED_ATTENTION, packed_attention)
AttentionMaskInterface.register(PACKED_ATTENTION, sdpa_mask)  # for padded chunks, which have a mask
