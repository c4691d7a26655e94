"""The loss and its gradients, for every mode and option, against the definition in float64."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

import reference_trainer.fused as fused_module
from reference_trainer.modes import Mode, duplicates_of_positive, in_batch_target, in_group_scores
from reference_trainer.objective import Embedded, candidates, contrastive_loss, uniform_loss
from reference_trainer.oracles import ByAutograd, ByCache, configured
from reference_trainer.reference import reference_loss
from reference_trainer.settings import LossSettings

from .losses import ACROSS, CONFIGURED, random_joint, relative

ALONE = [(name, loss, 1) for name, loss in CONFIGURED.items()]
TOGETHER = [(f"{name} x{size}", loss, size) for name, loss in ACROSS.items() for size in (1, 2, 4)]


@pytest.mark.parametrize("engine", [ByAutograd, ByCache])
@pytest.mark.parametrize(("name", "loss", "size"), ALONE + TOGETHER)
@pytest.mark.parametrize(("batch", "group"), [(4, 3), (3, 3), (5, 2)])
def test_equals_the_definition(engine, name, loss, size, batch, group, monkeypatch):
    monkeypatch.setitem(fused_module.CHUNK_ELEMENTS, "cpu", 64)  # several chunks even at this size
    joint = random_joint(loss, batch, group, size)
    leaf = dataclasses.replace(
        joint, queries=joint.queries.clone().requires_grad_(), passages=joint.passages.clone().requires_grad_()
    )
    wanted = reference_loss(loss, leaf, 1 / loss.temperature)
    wanted.backward()
    seen, query_grad, passage_grad = engine(configured(loss, 1 / loss.temperature, True)).outcome(joint)
    tolerance = 1e-6 * max(1.0, 0.05 / loss.temperature)  # a score's rounding is magnified by 1/temperature
    assert seen == pytest.approx(wanted.item(), rel=tolerance)
    assert relative(query_grad, leaf.queries.grad) <= tolerance
    assert relative(passage_grad, leaf.passages.grad) <= tolerance


@pytest.mark.parametrize(
    "name", ["in-batch", "in-batch chunked", "in-batch torch", "in-batch kl", "preset", "everything"]
)
def test_learned_scale_gets_the_definition_s_gradient(name):
    loss = CONFIGURED[name]
    joint = random_joint(loss, 4, 3)
    wanted_scale = torch.tensor(20.0, dtype=torch.float64, requires_grad=True)
    reference_loss(loss, joint, wanted_scale).backward()
    scale = torch.tensor(20.0, requires_grad=True)
    teacher = None if joint.teacher is None else joint.teacher.float()
    batch = Embedded(joint.queries.float(), joint.passages.float(), torch.tensor(joint.ids), teacher)
    contrastive_loss(loss, batch, scale).backward()
    assert scale.grad.item() == pytest.approx(wanted_scale.grad.item(), rel=1e-5)


def test_preset_scores_read_no_other_group():
    queries, passages = torch.randn(4, 8), torch.randn(4, 3, 8)
    poisoned = passages.clone()
    poisoned[2] = float("nan")
    scores, seen = in_group_scores(queries, passages), in_group_scores(queries, poisoned)
    assert torch.equal(scores[[0, 1, 3]], seen[[0, 1, 3]])
    assert seen[2].isnan().all()


def test_targets_stride_over_groups_and_start_at_the_rank():
    assert in_batch_target(3, 4).tolist() == [0, 4, 8]
    assert in_batch_target(3, 4, rank=2).tolist() == [24, 28, 32]


def test_duplicates_leave_the_positive_itself_in():
    ids = torch.tensor([5, 6, 5, 7, 5, 5])
    assert duplicates_of_positive(ids, torch.tensor([0, 3, 4])).tolist() == [
        [False, False, True, False, True, True],
        [False, False, False, False, False, False],
        [True, False, True, False, False, True],
    ]


@pytest.mark.parametrize(
    ("loss", "size", "count"),
    [(LossSettings(Mode.IN_BATCH), 1, 12), (LossSettings(Mode.IN_GROUP), 4, 3), (ACROSS["across"], 4, 48)],
)
def test_level_of_an_untrained_loss_is_log_candidates(loss, size, count):
    assert candidates(loss, 4, 3, size) == count
    assert uniform_loss(loss, 4, 3, size) == pytest.approx(math.log(count))


def test_fused_without_gradient_gives_the_same_number():
    loss, plain = CONFIGURED["in-batch chunked"], CONFIGURED["in-batch"]
    joint = random_joint(loss, 4, 3)
    batch = Embedded(joint.queries.float(), joint.passages.float(), torch.tensor(joint.ids))
    with torch.no_grad():
        assert contrastive_loss(loss, batch, 20.0).item() == pytest.approx(
            contrastive_loss(plain, batch, 20.0).item(), rel=1e-6
        )


def test_distill_without_teacher_scores_says_so():
    batch = Embedded(torch.randn(2, 8), torch.randn(6, 8))
    with pytest.raises(ValueError, match="needs teacher scores"):
        contrastive_loss(CONFIGURED["preset kl"], batch, 1.0)
