"""Every configuration of the loss that the tests walk over, and random batches for them."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from reference_trainer.fused import Fused
from reference_trainer.modes import Mode
from reference_trainer.reference import Joint
from reference_trainer.settings import Distill, LossSettings

IN_BATCH, PRESET = Mode.IN_BATCH, Mode.IN_GROUP

CONFIGURED = {
    "in-batch": LossSettings(IN_BATCH),
    "in-batch unmasked": LossSettings(IN_BATCH, mask_duplicates=False),
    "in-batch torch": LossSettings(IN_BATCH, mask_duplicates=False, fused=Fused.TORCH),
    "in-batch chunked": LossSettings(IN_BATCH, fused=Fused.CHUNKED),
    "in-batch auto": LossSettings(IN_BATCH, fused=Fused.AUTO),
    "in-batch symmetric": LossSettings(IN_BATCH, symmetric=True),
    "in-batch symmetric chunked": LossSettings(IN_BATCH, symmetric=True, fused=Fused.CHUNKED),
    "in-batch symmetric torch": LossSettings(IN_BATCH, symmetric=True, fused=Fused.TORCH, mask_duplicates=False),
    "in-batch hot": LossSettings(IN_BATCH, temperature=1.0),
    "in-batch cold": LossSettings(IN_BATCH, temperature=0.02),
    "in-batch matryoshka": LossSettings(IN_BATCH, dims=(16, 32)),
    "in-batch matryoshka chunked": LossSettings(IN_BATCH, dims=(16, 32), fused=Fused.CHUNKED),
    "in-batch kl": LossSettings(IN_BATCH, distill=Distill.KL, distill_weight=0.5, teacher_temperature=2.0),
    "in-batch margin-mse": LossSettings(IN_BATCH, distill=Distill.MARGIN_MSE),
    "preset": LossSettings(PRESET),
    "preset unmasked": LossSettings(PRESET, mask_duplicates=False),
    "preset matryoshka": LossSettings(PRESET, dims=(16, 32)),
    "preset kl": LossSettings(PRESET, distill=Distill.KL, temperature=0.1),
    "preset margin-mse": LossSettings(PRESET, distill=Distill.MARGIN_MSE, dims=(16,)),
    "everything": LossSettings(
        IN_BATCH, symmetric=True, fused=Fused.CHUNKED, dims=(16, 32), distill=Distill.KL, temperature=0.1
    ),
}  # fmt: skip

ACROSS = {
    "across": LossSettings(IN_BATCH, cross_device=True),
    "across symmetric": LossSettings(IN_BATCH, cross_device=True, symmetric=True),
    "across chunked": LossSettings(IN_BATCH, cross_device=True, symmetric=True, fused=Fused.CHUNKED),
    "across matryoshka": LossSettings(IN_BATCH, cross_device=True, dims=(16, 32), distill=Distill.MARGIN_MSE),
}


def random_joint(loss: LossSettings, batch: int, group: int, world_size: int = 1, width: int = 48) -> Joint:
    """Unit vectors around a common centre; two groups share the text of query 0's positive."""
    generator = torch.Generator().manual_seed(7)
    count = batch * world_size
    centre = torch.randn(width, dtype=torch.float64, generator=generator)

    def draw(rows: int) -> torch.Tensor:
        noise = torch.randn(rows, width, dtype=torch.float64, generator=generator)
        return F.normalize(centre + noise, dim=1).float().double()  # what float32 can hold

    queries, passages = draw(count), draw(count * group)
    ids = list(range(count * group))
    ids[group] = ids[2 * group - 1] = ids[group - 1] = 0
    passages[[group, 2 * group - 1, group - 1]] = passages[0].clone()
    teacher = torch.randn(count, group, dtype=torch.float64, generator=generator)
    return Joint(queries, passages, ids, None if loss.distill is Distill.NONE else teacher, world_size)


def relative(got: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((got.double() - wanted.double()).norm() / wanted.double().norm())
