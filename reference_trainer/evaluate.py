"""Full-corpus retrieval and own-group choice, side by side: the two don't move together, and one alone misleads.

The corpus is every distinct passage of the evaluated rows. Group accuracy asks for less: the first positive must beat
the row's own group-1 negatives.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from .batch import chunked
from .encoder import Encoder
from .metrics import ndcg, ranked_hits, recall, reciprocal_rank
from .settings import DataSettings
from .shapes import shaped
from .tokens import Ints, Store

DEPTH = 100  # passages ranked for each query


def for_evaluation(data: DataSettings) -> DataSettings:
    """How held-out rows are read: a row needs no negatives to be judged."""
    return dataclasses.replace(data, group=1, repeat_negatives=False)


def evaluate(
    encoder: Encoder, store: Store, group: int, chunk_tokens: int, pad: int, packed: bool = False
) -> dict[str, float]:
    """MRR@10, nDCG@10, recall@10, recall@100 over the corpus, and accuracy within the own group of `group` passages.

    That accuracy is over the rows with group-1 negatives; where none has them, or the group is 1, there is none.
    """
    corpus = np.unique(np.concatenate([store.positives, store.negatives, store.corpus]))
    device = next(encoder.parameters()).device
    embed: Callable[[Ints], Tensor] = lambda texts: embed_texts(encoder, store, texts, chunk_tokens, pad, packed)  # noqa: E731
    queries, passages = embed(np.asarray(store.query)), embed(corpus)
    column = {int(text): k for k, text in enumerate(corpus)}
    starts = store.positive_starts
    wanted = [[column[int(t)] for t in store.positives[starts[r] : starts[r + 1]]] for r in range(len(store))]
    relevant = torch.tensor([len(set(texts)) for texts in wanted], device=device)
    order = rank_passages(queries, passages, min(DEPTH, len(corpus)))
    hits = ranked_hits(order, wanted)
    enough = np.flatnonzero(np.diff(store.negative_starts) >= group - 1) if group > 1 else ()
    choosing = [_own_group(store, int(row), group, column) for row in enough]
    found = {
        "mrr@10": float(reciprocal_rank(hits).mean()),
        "ndcg@10": float(ndcg(hits, relevant).mean()),
        "recall@10": float(recall(hits, relevant, 10).mean()),
        "recall@100": float(recall(hits, relevant, 100).mean()),
    }
    if choosing:
        own = torch.from_numpy(np.stack(choosing)).to(device)
        found["group_accuracy"] = float(group_accuracy(queries, passages, own))
    return {**found, "corpus": float(len(corpus))}


@torch.no_grad()
def embed_texts(
    encoder: Encoder, store: Store, texts: Ints, chunk_tokens: int, pad: int, packed: bool = False
) -> Tensor:
    """Embeddings `[len(texts), D]` of a store's texts, in the order asked for, without dropout."""
    order = np.argsort(-store.lengths(texts), kind="stable")
    sequences = [np.asarray(store.tokens[store.starts[t] : store.starts[t + 1]]) for t in texts[order]]
    return embed_sequences(encoder, sequences, order, chunk_tokens, pad, packed)


@torch.no_grad()
def embed_sequences(
    encoder: Encoder, sequences: list[np.ndarray], order: Ints, chunk_tokens: int, pad: int, packed: bool = False
) -> Tensor:
    """Embed token sequences sorted longest first; row order[k] of the result is sequence k."""
    device = next(encoder.parameters()).device
    training = encoder.training
    encoder.eval()
    parts = [encoder([chunk.to(device)]) for chunk in chunked(sequences, chunk_tokens, pad, packed)]
    encoder.train(training)
    embedded = torch.cat(parts)  # N D
    back = torch.empty_like(embedded)
    back[torch.from_numpy(order).to(device)] = embedded
    return back


@shaped
def rank_passages(
    queries: Float[Tensor, "Q D"], passages: Float[Tensor, "N D"], depth: int
) -> Int[Tensor, "Q {depth}"]:
    """The best `depth` passages of each query, best first, 512 queries at a time."""
    return torch.cat([(part @ passages.T).topk(depth, dim=1).indices for part in torch.split(queries, 512)])


@shaped
def group_accuracy(
    queries: Float[Tensor, "Q D"], passages: Float[Tensor, "N D"], own: Int[Tensor, "Q G"]
) -> Float[Tensor, ""]:
    """Share of queries whose first own passage scores above all others of the group; a tie is a miss."""
    scores = torch.einsum("qd,qgd->qg", queries, passages[own])  # Q G
    return (scores[:, 0] > scores[:, 1:].max(dim=1).values).double().mean()


def _own_group(store: Store, row: int, group: int, column: dict[int, int]) -> Ints:
    first = store.positives[store.positive_starts[row]]
    start = store.negative_starts[row]
    return np.array([column[int(t)] for t in (first, *store.negatives[start : start + group - 1])])
