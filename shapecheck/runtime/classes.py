"""Classes: their methods, and records (dataclass, NamedTuple, TypedDict, ModelOutput) at construction and mutation."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

import torch

from shapecheck.runtime.build import ENFORCED, Builder, record_of
from shapecheck.runtime.contract import Record, hold, tensors
from shapecheck.runtime.errors import ContractError, ShapeError
from shapecheck.runtime.failing import failing
from shapecheck.runtime.guards import Crooked, Guards
from shapecheck.runtime.modes import Options
from shapecheck.runtime.report import Entry, record
from shapecheck.runtime.scope import Scope

__all__ = ["shape_class"]

_MEMBERS = (types.FunctionType, classmethod, staticmethod, property, functools.cached_property)
_MISSING = object()
_building: set[int] = set()  # objects within their __init__, whose fields come one by one


def shape_class(cls: type, options: Options, around: Mapping[str, Any], shape: Callable[..., Any]) -> type:
    """Check a class in place: what its methods declare, and its fields when it is a record."""
    around = {**around, cls.__name__: cls}
    entry = Entry(f"{cls.__module__}.{cls.__qualname__}")
    spoke = False
    each = dataclasses.replace(options, must_speak=False)
    for name, member in list(vars(cls).items()):
        if not isinstance(member, _MEMBERS) or _written_by_dataclass(member):
            continue
        new = shape(member, each, None, around)
        spoke = spoke or _functions(new) != _functions(member)
        if new is not member:
            _set(cls, name, new)
    builder = Builder(options.strict, plain=False, same_device=options.device == "same", notes=entry.notes)
    fields = _record(cls, builder, around)
    if fields is not None:
        entry.checked = [part.name for part in fields.fields if _has_tensors(part.contract)]
        if typing.is_typeddict(cls):
            entry.how = "wherever a checked function takes or returns it"
        else:
            entry.how = "at construction" + ("" if issubclass(cls, tuple) else " and mutation")
            (_enforce_tuple if issubclass(cls, tuple) else _enforce_fields)(cls, fields)
        record(entry)
    elif not spoke and options.must_speak:
        raise ContractError(f"{entry.where} declares no tensor, neither in a field nor in a method: nothing to check")
    return cls


def _set(cls: type, name: str, member: Any) -> None:
    setattr(cls, name, member)
    if isinstance(member, functools.cached_property):
        member.__set_name__(cls, name)


def _functions(member: Any) -> tuple[Any, ...]:
    """What tells a checked member from the one before."""
    match member:
        case classmethod() | staticmethod():
            return (member.__func__,)
        case property():
            return (member.fget, member.fset, member.fdel)
        case functools.cached_property():
            return (member.func,)
        case _:
            return (member,)


def _written_by_dataclass(member: Any) -> bool:
    code = getattr(inspect.unwrap(member), "__code__", None)  # transformers wraps a ModelOutput's `__init__`
    return code is not None and code.co_filename == "<string>"


def _record(cls: type, builder: Builder, around: Mapping[str, Any]) -> Record | None:
    if not (
        dataclasses.is_dataclass(cls)
        or typing.is_typeddict(cls)
        or (issubclass(cls, tuple) and hasattr(cls, "_fields"))
    ):
        return None
    fields = record_of(cls, builder, dict(around))
    return fields if any(_has_tensors(part.contract) for part in fields.fields) else None


def _has_tensors(contract: Any) -> bool:
    return bool(tensors(contract)) or isinstance(contract, Record)


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
    constants = {**guards.constants, "_sc_fail": failing(guards.sites, guards.by, "", reference=False)}
    lines = [f"def factory({', '.join(constants)}):", "    def straight(value):"]
    lines += [f"        {line}" for line in guards.lines or ["pass"]]
    scope: dict[str, Any] = {}
    exec("\n".join([*lines, "    return straight"]), scope)
    straight = scope["factory"](**constants)

    def verify(value: Any) -> None:
        try:
            straight(value)
        except AttributeError:  # a field that `__init__` left out
            by_reference(value)

    return verify


def _complete(value: Any, names: set[str]) -> bool:
    """Whether every field has been assigned; not so while the `__init__` of a subclass runs that is not checked."""
    own = getattr(value, "__dict__", None)
    return all(hasattr(value, name) if own is None else name in own for name in names)


def _enforce_fields(cls: Any, fields: Record) -> None:
    """A dataclass: judged when `__init__` is done, and after each assignment to a field, which is undone if wrong."""
    if ENFORCED in vars(cls):
        return
    names, verify, compiling = {part.name for part in fields.fields}, _verifier(fields), torch.compiler.is_compiling
    init, own, assign = cls.__init__, "__setattr__" in vars(cls), cls.__setattr__

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

    @functools.wraps(assign)
    def __setattr__(self: Any, name: str, value: Any) -> None:
        if compiling() and not own:
            super(cls, self).__setattr__(name, value)
            return
        if name not in names or id(self) in _building or not _complete(self, names):
            assign(self, name, value)
            return
        before = getattr(self, name, _MISSING)
        assign(self, name, value)
        try:
            verify(self)
        except ShapeError:
            if before is not _MISSING:
                assign(self, name, before)
            raise

    cls.__init__ = __init__
    cls.__setattr__ = __setattr__
    if issubclass(cls, dict):  # ModelOutput: `out["scores"] = ...` goes past attributes
        put = cls.__setitem__

        @functools.wraps(put)
        def __setitem__(self: Any, name: Any, value: Any) -> None:
            if name not in names or id(self) in _building:
                put(self, name, value)
                return
            before = self.get(name, _MISSING)
            put(self, name, value)
            try:
                verify(self)
            except ShapeError:
                if before is not _MISSING:
                    put(self, name, before)
                raise

        cls.__setitem__ = __setitem__
    setattr(cls, ENFORCED, True)


def _enforce_tuple(cls: Any, fields: Record) -> None:
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
