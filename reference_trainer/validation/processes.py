"""The loss on two gloo processes, where it speaks of any: value and gradient of the joined batch."""

from __future__ import annotations

from collections.abc import Iterator

from .engine import Working
from .finding import Check
from .matching import Fit
from .sizes import Reduction
from .subject import Subject


def two_processes(subject: Subject, working: Working, fit: Fit, reduction: Reduction) -> Iterator[Check]:
    yield from ()
