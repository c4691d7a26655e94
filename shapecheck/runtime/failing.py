"""What happens when a guard refuses: judge again by the reference, then raise, or accept after all."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from shapecheck.dims.mismatch import Mismatch
from shapecheck.runtime.contract import Contract, TensorOf, hold, late_mismatch
from shapecheck.runtime.errors import ShapeError
from shapecheck.runtime.judge import opinion
from shapecheck.runtime.lines import Site
from shapecheck.runtime.scope import Scope

__all__ = ["Ground", "failing", "raise_for", "shapes_of", "walker"]

Pairs = Sequence[tuple[str, Any]]
_SHOWN = 4  # items of a container whose shapes an error lists


@dataclass(frozen=True, slots=True)
class Ground:
    """Where guards stand: the function's name, what its arguments are held to, how its frame is to be read."""

    where: str = ""
    contracts: Mapping[str, Contract] = dataclasses.field(default_factory=dict)
    parameters: Sequence[str] = ()
    mark: str = "_sc_"
    renamed: Mapping[str, str] = dataclasses.field(default_factory=dict)  # argument -> what keeps it
    rebound: Collection[str] = ()  # arguments that the body binds again

    def arguments(self, frame: Mapping[str, Any]) -> dict[str, Any]:
        return {n: frame[self.renamed.get(n, n)] for n in self.parameters if self.renamed.get(n, n) in frame}

    def call(self, frame: Mapping[str, Any]) -> Pairs:
        """The shapes of all arguments, as they were when they were looked at."""
        shapes: list[tuple[str, Any]] = []
        for name in self.parameters:
            kept = frame.get(f"{self.mark}s_{name}")
            if kept is not None:
                shapes.append((name, kept))
            elif name not in self.rebound and name in frame:
                shapes += shapes_of(name, frame[name])
        return shapes


def shapes_of(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The shapes to show of an argument: its own, or those of its first items."""
    shape = getattr(value, "shape", None) if hasattr(value, "dtype") else None
    if isinstance(shape, tuple):
        yield name, shape
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value[:_SHOWN]):
            if isinstance(item, torch.Tensor):
                yield f"{name}[{number}]", item.shape
    elif isinstance(value, dict):
        for key in list(value)[:_SHOWN]:
            if isinstance(value[key], torch.Tensor):
                yield f"{name}[{key!r}]", value[key].shape


def raise_for(mismatch: Mismatch, call: Pairs, where: str, judge: str = "not asked") -> None:
    """Raise the mismatch with the shapes of the call."""
    shapes = tuple((name, tuple(map(_size, shape))) for name, shape in call if shape is not None)
    raise ShapeError.of(dataclasses.replace(mismatch, call=shapes, where=where), judge)


def _size(size: Any) -> Any:
    return size if isinstance(size, int) else str(size)  # symbolic sizes print themselves


def failing(sites: Sequence[Site], by: Mapping[str, list[str]], ground: Ground, reference: bool = False) -> Any:
    """The function that guards call when they refuse; or, as `reference`, instead of straight lines.

    It reads the arguments in the frame that calls it. It raises, or returns what `told` asks for: where the
    reference accepts after all, the guard's names are bound by it.
    """
    brief = tuple(_brief(site, ground.where) for site in sites)

    def fail(index: int, value: Any, sizes: Pairs, groups: Pairs, told: Sequence[str]) -> list[Any]:
        if not reference and torch.compiler.is_compiling():
            # while tracing there is no calling out: plain text from plain values
            raise ShapeError(f"{brief[index]}; {_traced(value, sizes)}")
        return judged(sites[index], value, sizes, groups, told, dict(sys._getframe(1).f_locals))

    def judged(
        site: Site, value: Any, sizes: Pairs, groups: Pairs, told: Sequence[str], frame: dict[str, Any]
    ) -> list[Any]:
        arguments = ground.arguments(frame)
        known = {name: size for name, size in sizes if size is not None}
        device = frame.get(f"{ground.mark}device")
        scope = Scope(
            sizes={**known, **_places(frame.get(f"{ground.mark}places") or {})},
            groups={n: g if isinstance(g, tuple) else (False, tuple(g)) for n, g in groups if g is not None},
            by=_who(ground, site, known, arguments) or _candidates(by, site.subject),
            arguments=arguments,
            device=None if device is None else (device, "an earlier argument"),
            structures=frame.get(f"{ground.mark}trees") or {},
        )
        mismatch = hold(site.contract, value, scope, site.subject, site.wait)
        if mismatch is None and not site.wait:
            mismatch = late_mismatch(scope)
        if mismatch is not None:
            call = ground.call(frame)
            raise_for(mismatch, call, ground.where, opinion(site.hint, site.contract, value, known))
        return [_asked(what, scope) for what in told]

    return fail


def _asked(what: str, scope: Scope) -> Any:
    kind, _, name = what.partition(":")
    if kind == "n":
        return scope.sizes.get(name)
    if kind == "device":
        return scope.device and scope.device[0]
    group = scope.groups.get(name)
    return group if group is None or kind == "l" else list(group[1])


def _places(places: Mapping[tuple[Any, ...], Any]) -> dict[str, Any]:
    """The sizes of `?name`, each under the place that it stands for."""
    return {name + "".join(f"[{step!r}]" for step in path): size for (name, *path), size in places.items()}


def _who(ground: Ground, site: Site, known: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, str] | None:
    """Who bound each name: the arguments looked at once more, in order. None where that gives other sizes by now."""
    if any(name not in arguments or name in ground.rebound for name in ground.contracts):
        return None
    scope = Scope(arguments=arguments)
    for name, contract in ground.contracts.items():
        if f"argument {name}" == site.subject:
            break
        if hold(contract, arguments[name], scope, f"argument {name}", wait=True) is not None:
            return None
    if any(scope.sizes[name] != size for name, size in known.items() if name in scope.sizes):
        return None
    rest = {name: "an earlier line" for name in known if name not in scope.by}
    return {**rest, **scope.by}


def _candidates(by: Mapping[str, list[str]], subject: str) -> dict[str, str]:
    """Who may have bound each name, other than the place itself."""
    others = {n: [who for who in candidates if not who.startswith(f"{subject},")] for n, candidates in by.items()}
    return {
        name: " or ".join(candidates[:2]) or f"an earlier value of {subject}" for name, candidates in others.items()
    }


def _traced(value: Any, sizes: Pairs) -> str:
    if not isinstance(value, torch.Tensor):
        return "the value is no tensor"
    text = "its shape is"
    for size in value.shape:
        text += f" {size}"
    for name, size in sizes:
        if size is not None:
            text += f", {name} = {size}"
    return text


def _brief(site: Site, where: str) -> str:
    if isinstance(site.contract, TensorOf):
        asked = f'{site.contract.dtype} "{site.contract.text}"'
    else:
        asked = "its annotation"
    return f"{site.subject} of {where} does not fit {asked}"


def walker(
    contracts: Mapping[str, Contract], names: Sequence[str], groups: Sequence[str], loose: frozenset[str], where: str
) -> Any:
    """The reference over all arguments at once, for contracts that no straight line checks.

    Returns the sizes of `names`, then the groups, then the device: None where nothing was bound.
    """

    def walk(arguments: Pairs, structures: dict[str, Any]) -> tuple[Any, ...]:
        scope = Scope(arguments=dict(arguments), structures=structures)
        mismatch = None
        for name, contract in contracts.items():
            mismatch = mismatch or hold(contract, scope.arguments[name], scope, f"argument {name}", wait=True)
        mismatch = mismatch or late_mismatch(scope)
        if mismatch is not None:
            raise_for(mismatch, [pair for name, value in arguments for pair in shapes_of(name, value)], where)
        device = scope.device and scope.device[0]

        def kept(name: str) -> Any:
            group = scope.groups.get(name)
            return group if group is None or name in loose else list(group[1])

        return (*map(scope.sizes.get, names), *(kept(name) for name in groups), device)

    return walk
