"""The start-up oracles refuse every wrong loss and no right one."""

from __future__ import annotations

import pytest
import torch.nn.functional as F

from reference_trainer.oracles import ByAutograd, ByCache, Declared, WrongLoss, configured, judge, require, small

from .losses import ACROSS, CONFIGURED
from .wrong_losses import PRESET, SCALE, WRONG


@pytest.mark.parametrize("engine", [ByAutograd, ByCache])
@pytest.mark.parametrize("name", WRONG)
def test_wrong_loss_is_refused(name, engine):
    function, loss, size = WRONG[name]
    verdicts = judge(engine(function), small(loss, SCALE, world_size=size))
    with pytest.raises(WrongLoss, match="is not the declared loss"):
        require(verdicts, name)


@pytest.mark.parametrize("engine", [ByAutograd, ByCache])
@pytest.mark.parametrize("name", CONFIGURED)
def test_right_loss_passes(name, engine):
    loss = CONFIGURED[name]
    scale = 1 / loss.temperature
    require(judge(engine(configured(loss, scale, True)), small(loss, scale)), name)


@pytest.mark.parametrize("engine", [ByAutograd, ByCache])
@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("name", ACROSS)
def test_right_loss_across_processes_passes(name, size, engine):
    loss = ACROSS[name]
    require(judge(engine(configured(loss, SCALE, True)), small(loss, SCALE, world_size=size)), name)


def test_sentences_of_the_crossed_batch():
    function, loss, _ = WRONG["crossed batch"]
    wrong = {v.name: v.sentence for v in judge(ByAutograd(function), Declared(loss, SCALE)) if not v.ok}
    assert wrong["uniform"].endswith("(C = 4), not 2.4849, as if there were 12 candidates")
    assert set(wrong) >= {"uniform", "oracle", "batch order", "other groups"}


def test_a_loss_that_normalizes_inside_is_judged_as_such():
    def function(batch, world):
        size = batch.queries.shape[0]
        passages = F.normalize(batch.passages, dim=1).view(size, batch.group, -1)
        scores = (F.normalize(batch.queries, dim=1).unsqueeze(1) * passages).sum(-1) * SCALE
        return -scores.log_softmax(1)[:, 0].mean()

    require(judge(ByAutograd(function), Declared(PRESET, SCALE, normalizes_inside=True)), "normalizing")
    with pytest.raises(WrongLoss, match="gradient"):
        require(judge(ByAutograd(function), Declared(PRESET, SCALE)), "normalizing")
