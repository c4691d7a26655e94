"""Writing guard lines: indentation, names, constants, and the call that each guard makes when it refuses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from shapecheck.runtime.contract import Contract

__all__ = ["Lines", "Site"]


@dataclass(frozen=True, slots=True)
class Site:
    """One place where a value is held against a contract. `wait`: later arguments may still bind names."""

    subject: str
    contract: Contract
    wait: bool = False
    line: int | None = None
    hint: Any = None  # the type, for a second opinion


@dataclass(slots=True)
class Lines:
    """Lines in the making, and what is known where the next one stands.

    `mark` starts every name that is put into the function's frame.
    """

    mark: str
    arguments: tuple[str, ...]  # what `{...}` may read
    sites: list[Site] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)
    by: dict[str, list[str]] = field(default_factory=dict)  # axis -> who may have bound it
    known: dict[str, bool] = field(default_factory=dict)  # variable -> bound for certain, else perhaps None
    opened: dict[str, bool] = field(default_factory=dict)  # `known` where the site began: what its verdict rests on
    renamed: dict[str, str] = field(default_factory=dict)  # argument -> what keeps it, where the body rebinds it
    loose: frozenset[str] = frozenset()  # the names of `#*name`; every other `*name` is kept as a list of sizes
    braced: frozenset[str] = frozenset()  # the arguments that some `{...}` reads
    lines: list[str] = field(default_factory=list)
    indent: int = 0
    inner: str = ""  # set while the axes of a record or of a yield are written: they are its own
    inside: bool = False  # within a record, whose names are no business of `fail`
    count: int = 0

    def say(self, line: str) -> None:
        self.lines.append("    " * self.indent + line)

    @contextmanager
    def block(self, header: str) -> Iterator[None]:
        """Lines under a header; what they bind is bound for certain within them only."""
        self.say(header)
        self.indent += 1
        start, before = len(self.lines), dict(self.known)
        yield
        if len(self.lines) == start:
            self.say("pass")
        self.indent -= 1
        self.known = before

    def const(self, name: str, value: Any) -> str:
        """A variable of the closure that holds `value`."""
        full = self.mark + re.sub(r"\W", "_", name)
        number = 1
        while full in self.constants and self.constants[full] is not value:
            number += 1
            full = f"{self.mark}{re.sub(r'[^0-9A-Za-z_]', '_', name)}{number}"
        self.constants[full] = value
        return full

    def fresh(self, name: str) -> str:
        self.count += 1
        return f"{self.mark}{name}{self.count}"

    def axis(self, name: str) -> str:
        """The variable of an axis: the call's, or the inner scope's own."""
        outer = f"{self.mark}n_{name}"
        if self.inner and outer not in self.known:
            return f"{self.mark}{self.inner}_{name}"
        return outer

    def group(self, name: str) -> str:
        outer = f"{self.mark}g_{name}"
        if self.inner and outer not in self.known:
            return f"{self.mark}{self.inner}g_{name}"
        return outer

    def fail(self, site: int, value: str, binds: Iterable[str] = (), name: str = "fail") -> str:
        """The statement that judges `value` again: it raises, or gives what the guard would have bound."""
        sizes, groups = (
            "".join(f"({v[len(self.mark + kind) :]!r}, {v}), " for v in self.opened if v.startswith(self.mark + kind))
            for kind in ("n_", "g_")
        )
        variables = list(dict.fromkeys(binds))
        call = f"{self.mark}{name}({site}, {value}, ({sizes}), ({groups}), {tuple(map(self._told, variables))})"
        return f"{', '.join(variables)}, = {call}" if variables else call

    def _told(self, variable: str) -> str:
        """What a variable keeps, in a word for `fail`: `n:B`, `g:batch` (`l:batch` where it is loose), `device:`."""
        plain = variable[len(self.mark) :]
        for inner in ("", self.inner):
            for kind in ("n", "g"):
                start = f"{inner}{kind if not inner else 'g' * (kind == 'g')}_"
                if plain.startswith(start):
                    name = plain[len(start) :]
                    return f"{'l' if kind == 'g' and name in self.loose else kind}:{name}"
        return f"{plain}:"

    def site(
        self, subject: str, contract: Contract, wait: bool = False, line: int | None = None, hint: Any = None
    ) -> int:
        self.sites.append(Site(subject, contract, wait, line, hint))
        self.opened = dict(self.known)
        return len(self.sites) - 1
