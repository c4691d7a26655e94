"""What happens when a guard refuses: judge again by the reference, then raise, or accept after all."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from shapecheck.dims.mismatch import Mismatch
from shapecheck.runtime.contract import Contract, TensorOf, hold, late_mismatch
from shapecheck.runtime.errors import ShapeError
from shapecheck.runtime.judge import opinion
from shapecheck.runtime.lines import Site
from shapecheck.runtime.scope import Scope

__all__ = ["failing", "raise_for", "walker"]

Pairs = Sequence[tuple[str, Any]]


def raise_for(mismatch: Mismatch, call: Pairs, where: str, judge: str = "not asked") -> None:
    """Raise the mismatch with the shapes of the call."""
    shapes = tuple((name, tuple(map(_size, shape))) for name, shape in call if shape is not None)
    raise ShapeError.of(dataclasses.replace(mismatch, call=shapes, where=where), judge)


def _size(size: Any) -> Any:
    return size if isinstance(size, int) else str(size)  # symbolic sizes print themselves


def failing(sites: Sequence[Site], by: Mapping[str, list[str]], where: str, reference: bool) -> Any:
    """The function that guards call when they refuse; or, as `reference`, instead of straight lines."""
    brief = tuple(_brief(site, where) for site in sites)

    def fail(index: int, value: Any, sizes: Pairs, groups: Pairs, device: Any, call: Pairs, arguments: Pairs) -> None:
        if not reference and torch.compiler.is_compiling():
            # while tracing there is no calling out: plain text from plain values
            raise ShapeError(f"{brief[index]}; {_traced(value, sizes)}")
        site = sites[index]
        mismatch = judged(site, value, sizes, groups, device, arguments)
        if mismatch is not None:
            if site.wait and isinstance(value, torch.Tensor):
                call = (*call, (site.subject.removeprefix("argument "), value.shape))
            known = {name: int(size) for name, size in sizes if size is not None}
            raise_for(mismatch, call, where, opinion(site.hint, site.contract, value, known))

    def judged(site: Site, value: Any, sizes: Pairs, groups: Pairs, device: Any, arguments: Pairs) -> Mismatch | None:
        scope = Scope(
            sizes={name: size for name, size in sizes if size is not None},
            groups={
                name: group if isinstance(group, tuple) else (False, tuple(group))
                for name, group in groups
                if group is not None
            },
            by=_who(by, site.subject),
            arguments=dict(arguments),
            device=None if device is None else (device, "an earlier argument"),
        )
        mismatch = hold(site.contract, value, scope, site.subject, site.wait)
        return mismatch if mismatch is not None or site.wait else late_mismatch(scope)

    return fail


def _who(by: Mapping[str, list[str]], subject: str) -> dict[str, str]:
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

    def walk(arguments: Pairs) -> tuple[Any, ...]:
        scope = Scope(arguments=dict(arguments))
        call = [(name, value.shape) for name, value in arguments if isinstance(value, torch.Tensor)]
        for name, contract in contracts.items():
            mismatch = hold(contract, scope.arguments[name], scope, f"argument {name}", wait=True)
            if mismatch is not None:
                raise_for(mismatch, call, where)
        mismatch = late_mismatch(scope)
        if mismatch is not None:
            raise_for(mismatch, call, where)
        device = scope.device and scope.device[0]

        def kept(name: str) -> Any:
            group = scope.groups.get(name)
            return group if group is None or name in loose else list(group[1])

        return (*map(scope.sizes.get, names), *(kept(name) for name in groups), device)

    return walk
