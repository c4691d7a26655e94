"""What is checked, what is not, and why."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Entry", "Report", "record", "report"]


@dataclass(slots=True)
class Entry:
    """One function or class. `notes` say what is left unchecked, and why."""

    where: str
    checked: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    how: str = ""  # "in the body", "around the call", "at construction"


@dataclass(frozen=True, slots=True)
class Report:
    entries: tuple[Entry, ...]

    @property
    def unchecked(self) -> tuple[Entry, ...]:
        """Those of which something is left out."""
        return tuple(entry for entry in self.entries if entry.notes)

    def __str__(self) -> str:
        checked = sum(bool(entry.checked) for entry in self.entries)
        lines = [f"{checked} checked by shapecheck, {len(self.unchecked)} with something left out"]
        for entry in self.entries:
            lines.append(f"{entry.where} ({entry.how}): {', '.join(entry.checked) or 'nothing'}")
            lines += [f"    not checked: {note}" for note in dict.fromkeys(entry.notes)]
        return "\n".join(lines)


_entries: dict[str, Entry] = {}


def record(entry: Entry) -> Entry:
    _entries[entry.where] = entry
    return entry


def report() -> Report:
    """Everything that `@shaped` has seen so far, in the order of decoration."""
    return Report(tuple(_entries.values()))
