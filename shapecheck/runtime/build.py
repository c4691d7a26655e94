"""From a type to a contract. What holds tensors but cannot be checked is a ContractError, or a note."""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from shapecheck.dims.spec import SpecError, parse
from shapecheck.runtime.contract import (
    Contract,
    Field,
    Free,
    Items,
    OneOf,
    Plain,
    Record,
    Row,
    TensorOf,
    Values,
    dtype_name,
    tensors,
    type_name,
)
from shapecheck.runtime.errors import ContractError
from shapecheck.runtime.resolve import annotations_of, resolve

__all__ = ["Builder", "has_tensor", "record_of"]

_ITEMS = (list, set, frozenset, collections.deque, collections.abc.Sequence, collections.abc.Collection,
          collections.abc.Set, collections.abc.MutableSequence)  # fmt: skip
_ONE_SHOT = (collections.abc.Iterable, collections.abc.Iterator, collections.abc.Generator,
             collections.abc.AsyncIterable, collections.abc.AsyncIterator, collections.abc.AsyncGenerator)  # fmt: skip
ENFORCED = "__shapecheck_record__"  # set on classes whose own construction is checked


@dataclass(frozen=True, slots=True)
class Builder:
    """How types become contracts: the choices of one `@shaped`."""

    strict: bool = True  # what cannot be checked is an error, else a note
    plain: bool = True  # check types without tensors too
    same_device: bool = False
    autocast_ok: bool = False
    notes: list[str] = field(default_factory=list)
    seen: tuple[type, ...] = ()  # records being built, against recursion

    def build(self, hint: Any) -> Contract:
        """The contract of a resolved type. Raises ContractError."""
        if hint is Any or hint is object or hint is inspect.Parameter.empty:
            return Free()
        if hint is None:
            hint = type(None)
        if _is_array(hint):
            return self._tensor(hint)
        if isinstance(hint, str):
            raise ContractError(f"{hint!r} is text where a type was expected")
        origin, args = typing.get_origin(hint), typing.get_args(hint)
        if origin is typing.Annotated:
            return self.build(args[0])
        if isinstance(hint, typing.TypeVar):
            return self._type_var(hint)
        if isinstance(hint, typing.NewType):
            return self.build(hint.__supertype__)
        if sys.version_info >= (3, 12) and isinstance(hint, typing.TypeAliasType):
            return self.build(hint.__value__)
        if origin in (typing.Union, types.UnionType):
            return self._union(args, hint)
        if isinstance(hint, type) and (record := self._record(hint)) is not None:
            return record
        if not has_tensor(hint):
            return self._plain(hint)
        return self._container(hint, origin, args)

    def _tensor(self, hint: Any) -> TensorOf:
        try:
            spec = parse(hint.dim_str)
        except SpecError as error:
            raise ContractError(str(error)) from error
        dtypes = tuple(hint.dtypes) if isinstance(hint.dtypes, list | tuple) else None
        return TensorOf(
            array=hint.array_type,
            spec=spec,
            text=hint.dim_str.strip(),
            dtype=hint.dtype.__name__,
            dtypes=dtypes,
            allowed=_allowed(dtypes),
            same_device=self.same_device,
            autocast_ok=self.autocast_ok,
        )

    def _type_var(self, hint: typing.TypeVar) -> Contract:
        if hint.__constraints__:
            return self._union(hint.__constraints__, hint)
        return self.build(hint.__bound__) if hint.__bound__ is not None else Free()

    def _union(self, args: Iterable[Any], hint: Any) -> Contract:
        # beside a tensor, a plain option decides: it is built even where plain types are left alone
        builder = dataclasses.replace(self, plain=True) if has_tensor(hint) else self
        options = tuple(builder.build(arg) for arg in args)
        if any(isinstance(option, Free) for option in options):
            return Free()
        if not has_tensor(hint) and all(isinstance(option, Plain) for option in options):
            return self._plain(hint)
        return OneOf(options)

    def _container(self, hint: Any, origin: Any, args: tuple[Any, ...]) -> Contract:
        if origin is tuple:
            if len(args) == 2 and args[1] is Ellipsis:
                return Items(tuple, self.build(args[0]))
            return Row(tuple(self.build(arg) for arg in args))
        if origin in _ITEMS:
            return Items(origin, self.build(args[0]))
        if isinstance(origin, type) and issubclass(origin, collections.abc.Mapping):
            if has_tensor(args[0]):
                return self.unable(hint, "its keys are tensors")
            return Values(origin, self.build(args[1]))
        if origin in _ONE_SHOT:
            return self.unable(hint, "looking at its items would use them up; take a Sequence")
        return self.unable(hint, "nothing of the value can be read without calling it")

    def _plain(self, hint: Any) -> Contract:
        if not self.plain:
            return Free()
        if isinstance(hint, type) and not hasattr(hint, "__origin__") and _instances(hint):
            return Plain(hint, hint, functools.partial(_is, hint))
        from beartype.door import is_bearable

        def test(value: object) -> bool:
            return bool(is_bearable(value, hint))

        try:
            test(None)
        except Exception as error:  # beartype raises many kinds for hints that it does not know
            self.notes.append(f"{type_name(hint)} is not checked: beartype cannot ({type(error).__name__})")
            return Free()
        return Plain(hint, None, test)

    def _record(self, cls: type) -> Record | Plain | None:
        if ENFORCED in vars(cls):
            return Plain(cls, cls, functools.partial(_is, cls))
        keyed = typing.is_typeddict(cls)
        if cls in self.seen or not (keyed or _is_namedtuple(cls) or dataclasses.is_dataclass(cls)):
            return None
        record = record_of(cls, dataclasses.replace(self, seen=(*self.seen, cls), plain=False))
        return record if any(_speaks(part.contract) for part in record.fields) else None

    def unable(self, hint: Any, why: str) -> Free:
        """Say that the tensors of `hint` cannot be checked: an error when strict, else a note."""
        message = f"{type_name(hint)} cannot be checked: {why}"
        if self.strict:
            raise ContractError(message)
        self.notes.append(message)
        return Free()


def record_of(cls: type, builder: Builder, around: dict[str, Any] | None = None) -> Record:
    """The contract of a TypedDict, NamedTuple or dataclass, from its annotations and those of its bases."""
    keyed = typing.is_typeddict(cls)
    hints: dict[str, Any] = {}
    for base in reversed(cls.__mro__ if not keyed else (cls,)):
        module = vars(sys.modules.get(base.__module__, types.ModuleType("unknown")))
        for name, annotation in annotations_of(base).items():
            hints[name] = resolve(annotation, module, {**(around or {}), base.__name__: base})
    names = [f.name for f in dataclasses.fields(cls)] if dataclasses.is_dataclass(cls) else list(hints)
    optional = getattr(cls, "__optional_keys__", frozenset()) if keyed else frozenset(names)
    fields = []
    for name in names:
        hint = _unwrapped(hints.get(name, Any))
        fields.append(Field(name, builder.build(hint), name not in optional))
    return Record(cls, tuple(fields), keyed)


def _unwrapped(hint: Any) -> Any:
    """`Required[X]`, `NotRequired[X]`, `ReadOnly[X]` mean X here."""
    while getattr(typing.get_origin(hint), "_name", None) in {"Required", "NotRequired", "ReadOnly"}:
        hint = typing.get_args(hint)[0]
    return hint


def _speaks(contract: Contract) -> bool:
    match contract:
        case Record():
            return True
        case OneOf(parts) | Row(parts):
            return any(map(_speaks, parts))
        case Items(_, part) | Values(_, part):
            return _speaks(part)
        case _:
            return bool(tensors(contract))


def has_tensor(hint: Any) -> bool:
    """Whether a jaxtyping annotation, or a record that holds one, is anywhere inside."""
    if _is_array(hint):
        return True
    if isinstance(hint, typing.TypeVar):
        return has_tensor(hint.__bound__) or any(map(has_tensor, hint.__constraints__))
    if isinstance(hint, list | tuple):  # the arguments of a Callable
        return any(map(has_tensor, hint))
    if isinstance(hint, type) and not typing.get_args(hint):
        if typing.is_typeddict(hint) or _is_namedtuple(hint) or dataclasses.is_dataclass(hint):
            return _record_has_tensor(hint)
        return False
    return any(map(has_tensor, typing.get_args(hint)))


def _record_has_tensor(cls: type) -> bool:
    builder = Builder(strict=False, plain=False, seen=(cls,))
    return any(_speaks(part.contract) for part in record_of(cls, builder).fields)


def _is_array(hint: Any) -> bool:
    from jaxtyping import AbstractArray

    return isinstance(hint, type) and hint is not AbstractArray and issubclass(hint, AbstractArray)


def _is_namedtuple(cls: type) -> bool:
    return issubclass(cls, tuple) and hasattr(cls, "_fields") and hasattr(cls, "_make")


def _is(cls: type, value: object) -> bool:
    return isinstance(value, cls)


def _instances(cls: type) -> bool:
    try:
        isinstance(None, cls)
    except TypeError:  # a protocol that is not for run time
        return False
    return True


@functools.cache
def _torch_dtypes() -> tuple[Any, ...]:
    import torch

    return tuple({d for d in vars(torch).values() if isinstance(d, torch.dtype)})


@functools.cache
def _allowed(dtypes: tuple[Any, ...] | None) -> set[Any]:
    """One set for each kind of dtype: it fills itself with what else is found to fit."""
    if dtypes is None:
        return set()
    match_: Callable[[str], bool] = lambda name: any(  # noqa: E731
        name == d if isinstance(d, str) else bool(d.match(name)) for d in dtypes
    )
    return {dtype for dtype in _torch_dtypes() if match_(dtype_name(dtype))}
