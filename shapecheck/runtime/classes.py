"""Classes: what their methods declare, and their fields where they are records."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any

from shapecheck.runtime.build import Builder, is_typed_dict, record_of, speaks
from shapecheck.runtime.contract import Field, Free, Record
from shapecheck.runtime.errors import ContractError
from shapecheck.runtime.modes import Options
from shapecheck.runtime.records import enforce_fields, enforce_tuple
from shapecheck.runtime.report import Entry, record

__all__ = ["shape_class"]

_MEMBERS = (
    types.FunctionType,
    classmethod,
    staticmethod,
    property,
    functools.cached_property,
    functools.partialmethod,
    functools.singledispatchmethod,
    type(functools.lru_cache(lambda: None)),
)


def shape_class(cls: type, options: Options, around: Mapping[str, Any], shape: Callable[..., Any]) -> type:
    """Check a class in place: what its methods declare, and its fields when it is a record."""
    if vars(cls).get("__no_type_check__", False):
        return cls
    around = {**around, cls.__name__: cls}
    entry = Entry(f"{cls.__module__}.{cls.__qualname__}")
    spoke = False
    each = dataclasses.replace(options, must_speak=False)
    for name, member in list(vars(cls).items()):
        if not isinstance(member, _MEMBERS) or _written_by_dataclass(member):
            continue
        before = _functions(member)  # a `singledispatchmethod` is changed in place
        new = shape(member, each, None, around)
        spoke = spoke or _functions(new) != before
        if new is not member:
            _set(cls, name, new)
    plain = options.types == "all"
    builder = Builder(options.strict, plain=plain, same_device=options.device == "same", notes=entry.notes)
    fields = _record(cls, builder, around, plain_too=options.must_speak and not spoke)
    if fields is not None:
        entry.checked = [part.name for part in fields.fields if _asks(part)]
        if is_typed_dict(cls):
            entry.how = "wherever a checked function takes or returns it"
        else:
            entry.how = "at construction" + ("" if issubclass(cls, tuple) else " and mutation")
            (enforce_tuple if issubclass(cls, tuple) else enforce_fields)(cls, fields)
        record(entry)
    elif not spoke and options.must_speak:
        said = "it declares no tensor, neither in a field nor in a method: nothing to check"
        if options.strict:
            raise ContractError(f"{entry.where}: {said}")
        entry.how = "not at all"
        entry.notes.append(said)
        record(entry)
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
        case functools.cached_property() | functools.partialmethod():
            return (member.func,)
        case functools.singledispatchmethod():
            return tuple(member.dispatcher.registry.values())
        case _:
            return (member,)


def _written_by_dataclass(member: Any) -> bool:
    code = getattr(inspect.unwrap(member), "__code__", None)  # transformers wraps a ModelOutput's `__init__`
    return code is not None and code.co_filename == "<string>"


def _record(cls: type, builder: Builder, around: Mapping[str, Any], plain_too: bool) -> Record | None:
    """What the class holds; None where that is no tensor, unless plain fields are all that it could be asked."""
    made = dataclasses.is_dataclass(cls) or is_typed_dict(cls)
    if not (made or (issubclass(cls, tuple) and hasattr(cls, "_fields"))):
        return None
    fields = record_of(cls, builder, around)
    if any(speaks(part.contract) for part in fields.fields):
        return fields
    return fields if plain_too and any(map(_asks, fields.fields)) else None


def _asks(part: Field) -> bool:
    return not isinstance(part.contract, Free)
