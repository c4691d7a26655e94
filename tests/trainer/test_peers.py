"""The same embeddings through sentence-transformers' losses: values and gradients agree where both have the mode."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from sentence_transformers.losses import DistillKLDivLoss, MarginMSELoss, MultipleNegativesRankingLoss
from torch import nn

from reference_trainer.fused import Fused
from reference_trainer.modes import Mode, in_group_scores, margin_mse, teacher_kl
from reference_trainer.objective import Embedded, contrastive_loss
from reference_trainer.settings import LossSettings

from .losses import relative

B, G, D, SCALE = 6, 4, 24, 20.0


@pytest.fixture
def embeddings():
    generator = torch.Generator().manual_seed(5)
    centre = torch.randn(D, generator=generator)
    queries, passages = (F.normalize(centre + torch.randn(n, D, generator=generator), dim=1) for n in (B, B * G))
    return queries.requires_grad_(), passages.requires_grad_()


def columns(queries, passages):
    """sentence-transformers' layout: anchors, positives, first negatives, ..."""
    return [queries, *passages.view(B, G, D).unbind(1)]


def both(ours, theirs, embeddings):
    wanted = torch.autograd.grad(theirs, embeddings, retain_graph=True)
    seen = torch.autograd.grad(ours, embeddings)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)
    for got, want in zip(seen, wanted):
        assert relative(got, want) <= 1e-6


@pytest.mark.parametrize("fused", Fused)
def test_in_batch(embeddings, fused):
    # dot scores: their cosine normalises again, which changes the gradient with respect to unit vectors
    peer = MultipleNegativesRankingLoss(nn.Identity(), scale=SCALE, similarity_fct=lambda a, b: a @ b.T)
    loss = LossSettings(Mode.IN_BATCH, fused=fused, mask_duplicates=False)
    ours = contrastive_loss(loss, Embedded(*embeddings), SCALE)
    both(ours, peer.compute_loss_from_embeddings(columns(*embeddings), None), embeddings)


def test_margin_mse(embeddings):
    peer = MarginMSELoss(nn.Identity())
    teacher = torch.randn(B, G, generator=torch.Generator().manual_seed(1))
    ours = margin_mse(in_group_scores(embeddings[0], embeddings[1].view(B, G, D)), teacher)
    margins = teacher[:, :1] - teacher[:, 1:]
    both(ours, peer.compute_loss_from_embeddings(columns(*embeddings), margins), embeddings)


def test_teacher_kl(embeddings):
    peer = DistillKLDivLoss(nn.Identity(), temperature=1.0)
    teacher = torch.randn(B, G, generator=torch.Generator().manual_seed(1))
    ours = teacher_kl(in_group_scores(embeddings[0], embeddings[1].view(B, G, D)), teacher, 1.0)
    both(ours, peer.compute_loss_from_embeddings(columns(*embeddings), teacher), embeddings)


def test_symmetric(embeddings):
    peer = MultipleNegativesRankingLoss(
        nn.Identity(), scale=SCALE, similarity_fct=lambda a, b: a @ b.T,
        directions=("query_to_doc", "doc_to_query"), partition_mode="per_direction",
    )  # fmt: skip
    ours = contrastive_loss(
        LossSettings(Mode.IN_BATCH, symmetric=True, mask_duplicates=False), Embedded(*embeddings), SCALE
    )
    both(ours, peer.compute_loss_from_embeddings(columns(*embeddings), None), embeddings)
