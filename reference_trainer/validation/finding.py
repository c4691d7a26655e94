"""What is said of a loss: the checks that were made, and what it was found to be."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from .lint import LintFinding


class Grade(str, Enum):
    OK = "ok"
    NOTE = "note"
    WRONG = "WRONG"


@dataclass(frozen=True)
class Check:
    """One question, how it was answered, and a sentence of what was wanted and what was seen."""

    name: str
    grade: Grade
    sentence: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """A known wrong function that behaves exactly like the loss; `size` where it shows itself."""

    name: str
    says: str
    code: str = ""
    fix: str = ""
    size: str = ""
    exact: bool = True  # values and gradients are the mistake's own; else it has its marks

    @property
    def sentence(self) -> str:
        label = f"{self.code}, {self.name}" if self.code else self.name
        where = f" (seen at {self.size})" if self.size else ""
        return f"behaves {'exactly like' if self.exact else 'like'} {label}: {self.says}{where}"


@dataclass(frozen=True)
class Found:
    """What was found by probing, in words: mode, layout, similarity, scale, reduction, and other readings."""

    reading: str = ""
    mode: str = ""
    layout: str = ""
    similarity: str = ""
    scale: str = ""
    temperature: float | None = None
    normalises: bool | None = None
    symmetric: bool | None = None
    reduction: str = ""
    returns: str = ""
    notes: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        parts = [self.reading, self.layout, self.similarity, self.scale, self.reduction]
        return "; ".join(part for part in parts if part)


@dataclass(frozen=True)
class Judgement:
    """Everything about one loss under the call that fits it best."""

    spec: str
    file: str
    line: int
    call: str
    found: Found
    checks: tuple[Check, ...]
    diagnosis: Diagnosis | None = None
    proof: str = ""
    pictures: dict[str, Any] = field(default_factory=dict)
    lint: tuple[LintFinding, ...] = ()

    @property
    def right(self) -> bool:
        return self.diagnosis is None and all(check.grade is not Grade.WRONG for check in self.checks)

    @property
    def verdict(self) -> str:
        """One line."""
        if self.diagnosis is not None:
            return f"WRONG: {self.diagnosis.sentence}"
        wrong = [check for check in self.checks if check.grade is Grade.WRONG]
        if wrong:
            more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
            return f"WRONG: {wrong[0].sentence or wrong[0].name}{more}"
        return f"ok: {self.proof}"
