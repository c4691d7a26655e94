"""What a wrong loss can't hide while it falls: its level. A right one sinks below log C, C the declared candidates."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class LevelAlarm:
    """Smooths the loss and speaks once, when it is still above log C at the end of the patience.

    level is log C of the declared mode. The alarm is judged from step `patience` on.
    """

    level: float
    patience: int
    smoothed: float = 0.0
    seen: int = 0
    raised: bool = False

    def update(self, loss: float) -> str | None:
        """Take one step's loss; return the sentence to show, once."""
        self.seen += 1
        self.smoothed += (loss - self.smoothed) * max(0.1, 1 / self.seen)
        if self.raised or self.seen < self.patience or self.smoothed <= self.level:
            return None
        self.raised = True
        candidates = math.exp(self.level)
        return (
            f"after {self.seen} steps the smoothed loss is {self.smoothed:.3f}, still above log C = {self.level:.3f} "
            f"(C about {candidates:.0f}): equal embeddings would do better; the loss may not be the declared one"
        )

    def state(self) -> list[float]:
        return [self.smoothed, float(self.seen), float(self.raised)]

    def restore(self, state: list[float]) -> None:
        self.smoothed, self.seen, self.raised = state[0], int(state[1]), bool(state[2])
