"""What a rule is, and what it says: `Finding` with its notes and its fix.

A rule is a module with `META: Rule` and a generator registered by the kind of fact it looks at:

    META = Rule("SC101", "batch-crossed-similarity", Severity.ERROR, "one line that says what it finds")

    @META.on(Called)
    def check(fact: Called, facts: Facts) -> Iterator[Finding]: ...
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shapecheck.engine.facts import Facts
    from shapecheck.engine.values import Site


class Severity(enum.Enum):
    ERROR = "error"  # proven for all sizes, or for all but the stated condition
    WARNING = "warning"  # rests on an intent that is written elsewhere
    INFO = "info"


LEVELS = {Severity.ERROR: 3, Severity.WARNING: 2, Severity.INFO: 1}


@dataclass(frozen=True, slots=True)
class Note:
    """One piece of evidence: a sentence and the place it speaks of."""

    message: str
    site: Site | None = None


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the text of one node by `text`; `text` may quote sources with {name} from `parts` (name -> Site).
    `remark`: not the node, but this part of the comment behind it, or else of those above it."""

    site: Site
    text: str
    parts: tuple[tuple[str, Site], ...] = ()
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Fix:
    message: str
    edits: tuple[Edit, ...]
    safe: bool = False
    imports: tuple[str, ...] = ()  # import lines the new text needs: "import torch.nn.functional as F"


@dataclass(frozen=True, slots=True)
class Label:
    """A caret line under a part of the source excerpt, with the shape beside it: (site of `q_reps`, "[B, D]")."""

    site: Site
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One report. `site` is where it is shown; `message` one sentence; `condition` when the code would be right
    ("only when G = 1"); `help` what to write instead."""

    code: str
    name: str
    severity: Severity
    message: str
    site: Site
    labels: tuple[Label, ...] = ()
    notes: tuple[Note, ...] = ()
    condition: str = ""
    help: str = ""
    fix: Fix | None = None
    cause: tuple[
        object, ...
    ] = ()  # findings of one code and one cause are one mistake: said once, with the other places
    covers: tuple[str, ...] = ()  # codes that this finding makes superfluous on its line and on its notes' lines


def when_one(*sizes: str) -> str:
    """The condition under which one of these axes makes no difference; none where their sizes are numbers."""
    return " or ".join(f"{size} = 1" for size in sizes if not size.isdigit())


Checker = Callable[[Any, "Facts"], Iterator[Finding]]


@dataclass(frozen=True)
class Rule:
    """A rule's identity and its checkers, by the class of fact that each looks at."""

    code: str
    name: str
    severity: Severity
    summary: str
    checkers: list[tuple[type, Checker]] = field(default_factory=list, compare=False, repr=False)

    def on(self, *fact_types: type) -> Callable[[Checker], Checker]:
        def register(check: Checker) -> Checker:
            self.checkers.extend((t, check) for t in fact_types)
            return check

        return register

    def finding(self, site: Site, message: str, severity: Severity | None = None, **more: Any) -> Finding:
        return Finding(self.code, self.name, severity or self.severity, message, site, **more)
