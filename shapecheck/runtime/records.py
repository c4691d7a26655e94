"""Records (dataclass, NamedTuple, ModelOutput): held to their fields at construction and when a field is assigned."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch

from shapecheck.runtime.contract import Contract, Free, Record, hold, late_mismatch
from shapecheck.runtime.errors import ShapeError
from shapecheck.runtime.failing import Ground, failing
from shapecheck.runtime.guards import Guards
from shapecheck.runtime.scope import Scope
from shapecheck.runtime.tensor_lines import Crooked

__all__ = ["enforce_fields", "enforce_tuple", "straight_check"]

ENFORCED = "__shapecheck_record__"  # set on classes whose own construction is checked
_building: set[int] = set()  # objects within their `__init__`, whose fields come one by one


def _written(parameters: str, guards: Guards, constants: Mapping[str, Any], body: list[str]) -> Callable[..., Any]:
    """A function of guard lines."""
    everything = {**guards.constants, **constants}
    lines = [f"def factory({', '.join(everything)}):", f"    def straight({parameters}):"]
    lines += [f"        {line}" for line in body or ["pass"]]
    scope: dict[str, Any] = {}
    exec("\n".join([*lines, "    return straight"]), scope)
    return scope["factory"](**everything)  # type: ignore[no-any-return]


def _verifier(fields: Record) -> Callable[[Any], None]:
    """The check of a whole record: straight lines where they can be written, the reference otherwise."""

    def by_reference(value: Any) -> None:
        mismatch = hold(fields, value, Scope(), fields.cls.__name__)
        if mismatch is not None:
            raise ShapeError.of(mismatch)

    guards = Guards("_sc_", ())
    site = guards.site(fields.cls.__name__, fields)
    try:
        guards.check(fields, "value", site, "value", fields.cls.__name__)
    except Crooked:
        return by_reference
    fail = failing(guards.sites, guards.by, Ground())
    straight = _written("value", guards, {"_sc_fail": fail}, guards.lines)

    def verify(value: Any) -> None:
        try:
            straight(value)
        except AttributeError:  # a field that `__init__` left out
            by_reference(value)

    return verify


def _by_field(fields: Record) -> dict[str, Callable[[Any], None]]:
    """The check of each field alone: its type, rank, dtype and fixed sizes. Names that it shares come later."""
    return {f.name: _alone(fields, f.name, f.contract) for f in fields.fields if not isinstance(f.contract, Free)}


def _alone(fields: Record, name: str, contract: Contract) -> Callable[[Any], None]:
    subject = f"{fields.cls.__name__}.{name}"

    def by_reference(value: Any) -> None:
        # what it computes with the names of other fields is not asked here
        mismatch = hold(contract, value, Scope(), subject, wait=True)
        if mismatch is not None:
            raise ShapeError.of(mismatch)

    guards = Guards("_sc_", ())
    site = guards.site(subject, contract, wait=True)
    try:
        guards.check(contract, "value", site, "value", subject)
    except Crooked:
        return by_reference
    guards.late.clear()
    return _written("value", guards, {"_sc_fail": failing(guards.sites, guards.by, Ground())}, guards.lines)


def enforce_fields(cls: Any, fields: Record) -> None:
    """A dataclass: all fields together when it is made, each alone when it is assigned.

    Two fields that share an axis may change one after the other; the next function that takes the record sees both.
    """
    if ENFORCED in vars(cls):
        return
    verify, alone, compiling = _verifier(fields), _by_field(fields), torch.compiler.is_dynamo_compiling
    own, assign = "__setattr__" in vars(cls), cls.__setattr__

    @functools.wraps(assign)
    def __setattr__(self: Any, name: str, value: Any) -> None:
        if compiling():
            if own:
                assign(self, name, value)
            else:
                super(cls, self).__setattr__(name, value)
            return
        look = alone.get(name)
        if look is not None and not (_building and id(self) in _building):
            look(value)
        assign(self, name, value)

    cls.__init__ = _constructor(cls, fields, verify)
    cls.__setattr__ = __setattr__
    if issubclass(cls, dict):  # ModelOutput: `out["scores"] = ...` goes past attributes
        put = cls.__setitem__

        @functools.wraps(put)
        def __setitem__(self: Any, name: Any, value: Any) -> None:
            if name in alone and not (_building and id(self) in _building):
                alone[name](value)
            put(self, name, value)

        cls.__setitem__ = __setitem__
    setattr(cls, ENFORCED, True)


def _constructor(cls: Any, fields: Record, verify: Callable[[Any], None]) -> Callable[..., None]:
    init, compiling = cls.__init__, torch.compiler.is_dynamo_compiling

    @functools.wraps(init)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        if compiling():
            init(self, *args, **kwargs)
            if type(self) is cls:
                verify(self)
            return
        outermost = id(self) not in _building
        _building.add(id(self))
        try:
            init(self, *args, **kwargs)
        finally:
            if outermost:
                _building.discard(id(self))
        if outermost:
            verify(self)

    return _straight_constructor(cls, fields, init, __init__) or __init__


def _straight_constructor(
    cls: Any, fields: Record, init: Callable[..., None], slow: Callable[..., None]
) -> Callable[..., None] | None:
    """For a dataclass of the plain kind: guards on the arguments, then the fields are stored as `__init__` would.

    None for a class that does more in its construction than storing what it is given.
    """
    made = dataclasses.fields(cls)
    code = getattr(init, "__code__", None)
    plain = (
        code is not None
        and code.co_filename == "<string>"  # written by `dataclass`
        and not hasattr(cls, "__post_init__")
        and all(f.init and f.default_factory is dataclasses.MISSING for f in made)
        and cls.__setattr__ is object.__setattr__
        and cls.__new__ is object.__new__
        and cls.__dictoffset__ != 0
        and not any("__slots__" in vars(base) and vars(base)["__slots__"] for base in cls.__mro__)
        and not any(hasattr(type(vars(base).get(f.name)), "__set__") for f in made for base in cls.__mro__)
        and len(inspect.signature(init).parameters) == len(made) + 1  # no InitVar
    )
    if not plain:
        return None
    guards = Guards("_sc_", ())
    record = dataclasses.replace(fields, fields=tuple(dataclasses.replace(f, required=True) for f in fields.fields))
    site = guards.site(cls.__name__, record)
    try:
        guards.on_arguments(record, site, cls.__name__)
    except Crooked:
        return None

    def fail(_: int, values: tuple[Any, ...], *__: Any) -> list[Any]:
        """Say it of a record; where the reference accepts, the guards' names are its business no more."""
        shown = object.__new__(cls)
        vars(shown).update(zip((f.name for f in made), values))
        mismatch = hold(record, shown, Scope(), cls.__name__)
        if mismatch is not None:
            raise ShapeError.of(mismatch)
        raise _Accepted

    signature = inspect.signature(init)
    parameters, given, star = [], [], False
    for p in signature.parameters.values():
        if p.kind is p.KEYWORD_ONLY and not star:
            star = True
            parameters.append("*")
        parameters.append(p.name if p.default is p.empty else f"{p.name}=None")
        given.append(f"{p.name}={p.name}" if p.kind is p.KEYWORD_ONLY else p.name)
    first = next(iter(signature.parameters))
    store = [f"_sc_d = {first}.__dict__", *(f"_sc_d[{f.name!r}] = {f.name}" for f in made)]
    names = ", ".join(f.name for f in made)
    body = [
        f"if _sc_compiling() or {first}.__class__ is not _sc_cls:",
        f"    return _sc_slow({', '.join(given)})",
        "try:",
        *(f"    {line.replace('_sc_whole', f'({names},)')}" for line in guards.lines or ["pass"]),
        "except _sc_Accepted: pass",
        *store,
    ]
    constants = {"_sc_fail": fail, "_sc_slow": slow, "_sc_cls": cls, "_sc_Accepted": _Accepted}
    function: Any = _written(
        ", ".join(parameters), guards, {**constants, "_sc_compiling": torch.compiler.is_dynamo_compiling}, body
    )
    function.__defaults__ = init.__defaults__
    function.__kwdefaults__ = init.__kwdefaults__
    functools.update_wrapper(function, init)
    return function  # type: ignore[no-any-return]


class _Accepted(Exception):
    """The reference takes what the guards refused."""


def enforce_tuple(cls: Any, fields: Record) -> None:
    """A NamedTuple: judged when it is made, by its constructor, `_make` or `_replace`."""
    if ENFORCED in vars(cls):
        return
    new, make, verify = cls.__new__, vars(cls)["_make"].__func__, _verifier(fields)

    @functools.wraps(new)
    def __new__(kind: type, *args: Any, **kwargs: Any) -> Any:
        made = new(kind, *args, **kwargs)
        verify(made)
        return made

    @functools.wraps(make)
    def _make(kind: type, iterable: Any) -> Any:
        made = make(kind, iterable)
        verify(made)
        return made

    cls.__new__ = __new__
    cls._make = classmethod(_make)
    setattr(cls, ENFORCED, True)


def straight_check(contract: Contract, subject: str) -> Callable[[Any], None]:
    """A check of one value on its own, whose names live for that value only."""

    def by_reference(value: Any) -> None:
        scope = Scope()
        mismatch = hold(contract, value, scope, subject, wait=True) or late_mismatch(scope)
        if mismatch is not None:
            raise ShapeError.of(mismatch)

    guards = Guards("_sc_", ())
    site = guards.site(subject, contract, wait=True)
    try:
        guards.check(contract, "value", site, "value", subject)
        guards.settle()
    except Crooked:
        return by_reference
    return _written("value", guards, {"_sc_fail": failing(guards.sites, guards.by, Ground())}, guards.lines)
