"""Oracles for someone else's loss: a function of theirs, a mode that they declare, and the answers it gives.

    reference-trainer validate mypackage.losses:preset_loss --mode preset --temperature 0.02

The function takes queries `[B, D]` and passages, `[B*G, D]` group after group or `[B, G, D]`, and returns the loss,
the scores, or (scores, target). Several sizes are asked about, one with B = G, where shapes hide most.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from .modes import Mode, in_batch_target, preset_target
from .objective import Embedded, candidates
from .oracles import ByAutograd, Declared, LossFunction, Verdict, judge
from .settings import LossSettings, SettingsError
from .world import World

SIZES = ((4, 3), (3, 5), (3, 3))


@dataclass(frozen=True)
class Theirs:
    """A loss function of the user's and how to call it."""

    function: Callable[[Tensor, Tensor], Any]
    grouped: bool


def find_function(path: str) -> Callable[..., Any]:
    """Import `module:name` (dots allowed after the colon). SettingsError if it isn't there."""
    module_name, colon, name = path.partition(":")
    if not colon or not name:
        raise SettingsError(f"{path}: expected module:function")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found: Any = importlib.import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise SettingsError(f"{path}: {error}") from error
    finally:
        sys.path.remove(str(Path.cwd()))
    if not callable(found):
        raise SettingsError(f"{path} is not a function")
    function: Callable[..., Any] = found
    return function


def judge_theirs(theirs: Theirs, declared: Declared) -> dict[tuple[int, int], list[Verdict]]:
    """Verdicts for each (B, G). A size at which the function raises gets one verdict that says so."""
    report = {}
    for batch, group in SIZES:
        here = Declared(
            declared.loss, declared.scale, declared.normalize, declared.normalizes_inside, batch=batch, group=group
        )  # fmt: skip
        report[batch, group] = _judge_one(theirs, here)
    return report


def _judge_one(theirs: Theirs, declared: Declared) -> list[Verdict]:
    shapes: list[Verdict] = []
    try:
        verdicts = judge(ByAutograd(_adapted(theirs, declared, shapes), always=True), declared)
    except Exception as error:  # the user's function may raise anything, and what it says is the finding
        return [Verdict("runs", False, f"it raised {type(error).__name__}: {error}")]
    return [*shapes[:1], *verdicts]


def _adapted(theirs: Theirs, declared: Declared, shapes: list[Verdict]) -> LossFunction:
    loss, batch, group = declared.loss, declared.batch, declared.group
    wanted = (batch, candidates(loss, batch, group))

    def run(embedded: Embedded, world: World) -> Tensor:
        passages = embedded.passages.view(batch, group, -1) if theirs.grouped else embedded.passages
        answer = theirs.function(embedded.queries, passages)
        if isinstance(answer, Tensor) and answer.ndim == 0:
            return answer
        scores, target = answer if isinstance(answer, tuple) else (answer, _target(loss, batch, group))
        if not isinstance(scores, Tensor):
            raise SettingsError(f"expected the loss, scores or (scores, target), not {type(scores).__name__}")
        seen = tuple(scores.shape)
        shapes.append(Verdict("candidates", seen == wanted, f"scores must be {list(wanted)}, not {list(seen)}"))
        return F.cross_entropy(scores.reshape(len(target), -1), target)

    return run


def _target(loss: LossSettings, batch: int, group: int) -> Tensor:
    return preset_target(batch) if loss.mode is Mode.PRESET else in_batch_target(batch, group)


def passed(report: dict[tuple[int, int], list[Verdict]]) -> bool:
    return all(verdict.ok for verdicts in report.values() for verdict in verdicts)


def describe_report(report: dict[tuple[int, int], list[Verdict]]) -> str:
    """One line a question and size."""
    lines = []
    for (batch, group), verdicts in report.items():
        lines.append(f"B={batch} G={group}")
        lines += [f"  {'ok   ' if v.ok else 'WRONG'} {v.name}" + ("" if v.ok else f": {v.sentence}") for v in verdicts]
    return "\n".join(lines)
