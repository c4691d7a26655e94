"""Which argument gets what: one way to call a loss.

Names only order the attempts. Whether an attempt is right is found by calling, and by what the function then computes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .case import WIDTH, Case, Kind, draw
from .roles import ROLES


@dataclass(frozen=True)
class Binding:
    """Roles of the arguments, by position or by name; `group` where the roles fix it; `layout` says it in words.

    `width` is that of the embeddings: one at all sizes, since a loss may hold weights of it.
    """

    kind: Kind
    roles: tuple[tuple[str, str], ...]
    layout: str
    group: int | None = None
    binary: bool = False
    width: int = WIDTH
    balanced: bool = False  # as many rows of each label, label after label
    named: bool = True  # False: names were of no help, and arguments were given by their order

    def arguments(self, case: Case, made: Callable[[str, Case], Any]) -> tuple[list[Any], dict[str, Any]]:
        positional, named = [], {}
        for name, role in self.roles:
            value = made(role, case)
            if name.startswith("*"):
                positional += list(value)
            elif name.isdigit():
                positional.append(value)
            else:
                named[name] = value
        return positional, named

    def draw(self, batch: int, group: int, seed: int = 0, spread: float = 1.0, positive: float = 0.5) -> Case:
        """A batch of the kind and width that these arguments have; with labels 0 and 1 where they must be such."""
        return draw(self.kind, batch, group, seed, spread, -1.0 if self.binary else positive, self.width, self.balanced)

    @property
    def taught(self) -> bool:
        """Is a teacher's score of each passage given?"""
        return any(role.startswith("teacher") and role != "teacher embeddings" for _, role in self.roles)

    @property
    def alone(self) -> bool:
        """Rows of which nothing is said: no label tells which belong together."""
        return self.kind is Kind.CLASSES and not any("labels" in role for _, role in self.roles)

    def role_of(self, role: str) -> bool:
        return any(r == role for _, r in self.roles)


def explicit(mapping: Mapping[str, str], names: list[str]) -> Binding:
    """The call that --map spells out: argument to role. ValueError names what is unknown."""
    short = {"passages_grouped": "passages [B, G, D]", "negatives_grouped": "negatives [B, G-1, D]"}
    roles = []
    for name, role in mapping.items():
        if names and name not in names:
            raise ValueError(f"--map: there is no argument {name}; there are {', '.join(names)}")
        role = short.get(role, role)
        if role not in ROLES:
            raise ValueError(f"--map: no such role: {role}; there are {', '.join(ROLES)}")
        roles.append((name, role))
    used = {role for _, role in roles}
    kind = (
        Kind.VIEWS
        if used & {"views", "views [N, D]"}
        else Kind.CLASSES
        if "rows" in used or "features of rows" in used
        else Kind.GROUPS
    )
    kind = Kind.GRADED if used & {"grades", "signs", "binary labels"} else kind
    paired = used & {"stacked", "interleaved", "two views", "list of two"} or not used & {
        "passages",
        "passages [B, G, D]",
        "negatives",
        "negatives [B, G-1, D]",
        "negative",
        "columns",
        "features",
        "passage tokens",
        "own scores",
        "all scores",
        "negatives tokens",
        "negative tokens",
        "passage ids",
        "token batch",
    }
    group = (
        1 if paired and kind in (Kind.GROUPS, Kind.GRADED) else 2 if used & {"negative", "negative tokens"} else None
    )
    return Binding(kind, tuple(roles), "as --map says", 1 if kind is Kind.GRADED else group, "binary labels" in used)
