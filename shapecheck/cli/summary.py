"""What a run says of itself on stderr, when it is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from shapecheck.cli.console import count
from shapecheck.findings.rule import Severity

if TYPE_CHECKING:
    from shapecheck.findings.diagnostic import Diagnostic
    from shapecheck.service.config import Config
    from shapecheck.service.project import Discovery
    from shapecheck.service.run import Outcome, Repair


def notes_of(found: Discovery) -> list[str]:
    from shapecheck.findings.diagnostic import shown

    return [f"{shown(path)}: left out, {reason}" for path, reason in found.left_out]


def summary(
    shown: Sequence[Diagnostic],
    outcome: Outcome,
    repairs: Sequence[Repair],
    diff: bool,
    notebooks: int,
    tried: bool,
    tried_all: bool,
) -> list[str]:
    """`tried`: safe fixes were asked for; `tried_all`: unsafe ones, too."""
    lines = []
    if notebooks:
        lines.append(f"{count(notebooks, 'notebook')} left out: not supported")
    if repairs:
        fixed = count(sum(one.fixed for one in repairs), "finding")
        verb = ("would fix", "fixed") if repairs[0].fixing else ("would silence", "silenced")
        lines.append(f"{verb[not diff]} {fixed} in {count(len(repairs), 'file')}")
    checked = f"{count(len(outcome.checked), 'file')} checked"
    unchecked = len({p.path for p in outcome.problems if not p.partly})
    if unchecked:
        checked += f", {unchecked} not"
    if outcome.interrupted:
        checked += " until interrupted"
    if unfinished := sum(answer.unfinished for answer in outcome.answers.values()):
        checked += f", {count(unfinished, 'function')} not run to the end"
    if not shown:
        lines.append(f"no findings{' left' * bool(repairs)}, {checked}")
        return lines
    levels: Mapping[str, int] = Counter(d.severity.value for d in shown)
    told = ", ".join(count(levels[level], level) for level in ("error", "warning") if levels[level])
    told += f"{', ' * bool(told)}{levels['info']} info" if levels["info"] else ""
    where = count(len({d.path for d in shown}), "file")
    lines.append(f"{count(len(shown), 'finding')} ({told}) in {where}, {checked}")
    fixable = [d.fix.safe for d in shown if d.fix and not (tried and d.fix.safe)]
    if fixable and not tried_all:
        safe, unsafe = sum(fixable), len(fixable) - sum(fixable)
        flags = [f"{safe} with --fix"] * bool(safe) + [f"{unsafe} with --fix --unsafe-fixes"] * bool(unsafe)
        lines.append(f"can be fixed: {', '.join(flags)}")
    return lines


def hidden(found: Iterable[Diagnostic], config_of: Callable[[Diagnostic], Config]) -> list[str]:
    """How many findings lie below what is shown, by what is shown where they stand."""
    below = Counter(config_of(d).severity for d in found)
    return [
        f"{count(number, 'finding')} below {floor.value} not shown "
        f"(--severity {'info' if floor is Severity.WARNING else 'warning'})"
        for floor, number in below.items()
    ]
