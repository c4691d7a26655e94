"""Where rules come from: every pack, the bundled one included, enters through one entry-point group.

An entry point of the group `shapecheck.rules` names a package. Each direct subfolder that has a `rule.py` is a rule,
and `rule.py` has `META: Rule`. A new rule is one new folder and no edit elsewhere.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from shapecheck.findings.marks import matches
from shapecheck.findings.rule import Rule

GROUP = "shapecheck.rules"
SAMPLES = ("bad.py", "good.py", "fixed.py")


class PackError(Exception):
    """No rules, a rule pack that cannot be used, or what was asked for is not in it."""


class UnknownRule(PackError):
    """A code that no rule has."""

    def __init__(self, message: str, pattern: str) -> None:
        super().__init__(message)
        self.pattern = pattern


@dataclass(frozen=True, slots=True)
class Pack:
    """A package of rules, found but not imported. `folders` are its rules' folders, in order of name."""

    name: str
    package: str
    folders: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A rule and the folder it was read from."""

    rule: Rule
    folder: Path

    @property
    def readme(self) -> str:
        try:
            return (self.folder / "README.md").read_text(encoding="utf-8")
        except FileNotFoundError:
            return f"# {self.rule.name} ({self.rule.code})\n\n{self.rule.summary}\n"


def find() -> tuple[Pack, ...]:
    """The installed packs; imports none of their rules. Raises PackError when there is none or one has no folder."""
    packs: list[Pack] = []
    for entry in sorted(entry_points(group=GROUP), key=lambda e: (e.name, e.value)):
        try:
            spec = importlib.util.find_spec(entry.module)
        except (ImportError, ValueError) as error:
            raise PackError(f'rule pack "{entry.name}": package {entry.module} cannot be found: {error}') from error
        if spec is None or spec.submodule_search_locations is None:
            raise PackError(f'rule pack "{entry.name}": {entry.module} is not an installed package')
        folders = sorted(
            {f.parent for place in spec.submodule_search_locations for f in Path(place).glob("*/rule.py")},
            key=lambda folder: folder.name,
        )
        if not folders:
            raise PackError(f'rule pack "{entry.name}": {entry.module} has no folder with a rule.py')
        pack = Pack(entry.name, entry.module, tuple(folders))
        if all(pack.package != other.package for other in packs):
            packs.append(pack)
    if not packs:
        raise PackError(f'no rule pack is installed (entry-point group "{GROUP}"), so nothing can be checked')
    return tuple(packs)


def load(packs: Iterable[Pack]) -> tuple[Loaded, ...]:
    """Import every rule, sorted by code; those with a flaw are left out. Raises PackError when a pack is broken."""
    loaded: dict[str, Loaded] = {}
    for item, flaw in _import(packs):
        if flaw:
            continue
        code = item.rule.code
        if code in loaded:
            other = loaded[code].folder / "rule.py"
            raise PackError(f"{item.folder / 'rule.py'} has code {code}, which {other} has too")
        loaded[code] = item
    return tuple(loaded[code] for code in sorted(loaded))


def flaws(packs: Iterable[Pack]) -> tuple[tuple[str, str], ...]:
    """The rules that no report could name: the file of each, and why. Raises PackError when a pack is broken."""
    return tuple((str(item.folder / "rule.py"), flaw) for item, flaw in _import(packs) if flaw)


def _import(packs: Iterable[Pack]) -> Iterator[tuple[Loaded, str]]:
    from shapecheck.findings.wellformed import flaw

    for pack in packs:
        for folder in pack.folders:
            module_name = f"{pack.package}.{folder.name}.rule"
            where = f'rule pack "{pack.name}": {folder / "rule.py"}'
            try:
                module = importlib.import_module(module_name)
            except (Exception, SystemExit) as error:  # a stranger's code may raise anything while it is imported
                raise PackError(f"{where} cannot be imported: {type(error).__name__}: {error}") from error
            rule = getattr(module, "META", None)
            if not isinstance(rule, Rule):
                raise PackError(f"{where} has no META of type shapecheck.findings.rule.Rule")
            if not rule.checkers:
                raise PackError(f"{where} registers no checker (use @META.on)")
            yield Loaded(rule, folder), flaw(rule)


def fingerprint(packs: Iterable[Pack]) -> str:
    """A digest of the packs' Python text, samples aside: a changed rule means other findings."""
    digest = hashlib.blake2b(digest_size=16)
    for pack in packs:
        digest.update(pack.package.encode())
        for folder in pack.folders:
            for file in sorted(folder.glob("*.py")):
                if file.name not in SAMPLES:
                    digest.update(f"\0{folder.name}/{file.name}\0".encode())
                    digest.update(file.read_bytes())
    return digest.hexdigest()


def choose(loaded: Sequence[Loaded], select: Collection[str], ignore: Collection[str]) -> tuple[Rule, ...]:
    """The rules that `select` (nothing selected: all) names and `ignore` does not.

    Raises UnknownRule for a pattern that fits no rule.
    """
    check_patterns(loaded, (*select, *ignore))
    return tuple(
        item.rule
        for item in loaded
        if (not select or matches(item.rule.code, item.rule.name, select))
        and not matches(item.rule.code, item.rule.name, ignore)
    )


def check_patterns(loaded: Sequence[Loaded], patterns: Iterable[str]) -> None:
    """Raises UnknownRule for a pattern that fits no rule."""
    for pattern in patterns:
        if not any(matches(item.rule.code, item.rule.name, (pattern,)) for item in loaded):
            raise UnknownRule(_unknown(loaded, pattern), pattern)


def _unknown(loaded: Sequence[Loaded], pattern: str) -> str:
    from difflib import get_close_matches  # 5 ms that only a mistake should cost

    known = [text for item in loaded for text in (item.rule.code, item.rule.name)]
    close = get_close_matches(pattern.upper(), known, 1) or get_close_matches(pattern, known, 1)
    hint = f' (did you mean "{close[0]}"?)' if close else " (`shapecheck rules` lists them)"
    return f'no rule is called "{pattern}"{hint}'


def lookup(loaded: Sequence[Loaded], pattern: str) -> Loaded:
    """The rule with this code or name. Raises PackError when there is none."""
    for item in loaded:
        if pattern in (item.rule.code, item.rule.name) or pattern.upper() == item.rule.code:
            return item
    raise PackError(_unknown(loaded, pattern))
