"""From a type to a contract. What holds tensors but cannot be checked is a ContractError, or a note."""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import inspect
import sys
import types
import typing
import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

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
    hold,
    tensors,
    type_name,
)
from shapecheck.runtime.errors import ContractError
from shapecheck.runtime.resolve import Absent, Own, annotations_of, holds_axes, resolve
from shapecheck.runtime.scope import Scope
from shapecheck.runtime.trees import Tree

__all__ = ["Builder", "has_tensor", "is_typed_dict", "record_of", "speaks"]

_ITEMS = (list, set, frozenset, collections.deque, collections.abc.Sequence, collections.abc.Collection,
          collections.abc.Set, collections.abc.MutableSequence)  # fmt: skip
_ONE_SHOT = (collections.abc.Iterable, collections.abc.Iterator, collections.abc.Generator,
             collections.abc.AsyncIterable, collections.abc.AsyncIterator, collections.abc.AsyncGenerator)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Builder:
    """How types become contracts: the choices of one `@shaped`."""

    strict: bool = True  # what cannot be checked is an error, else a note
    plain: bool = True  # check types without tensors too
    same_device: bool = False
    autocast_ok: bool = False
    notes: list[str] = field(default_factory=list)
    seen: tuple[type, ...] = ()  # records being built, against recursion
    late: bool = True  # the program has loaded: a name that does not exist by now never will

    def build(self, hint: Any) -> Contract:
        """The contract of a resolved type. Raises ContractError, and NameError for a name to wait for."""
        if hint is Any or hint is object or hint is inspect.Parameter.empty:
            return Free()
        if hint is None:
            hint = type(None)
        if isinstance(hint, Absent):
            return self._absent(hint)
        if isinstance(hint, Own):
            return Plain(hint, None, functools.partial(_is, hint)) if self.plain else Free()
        if _is_array(hint):
            return self._tensor(hint)
        if isinstance(hint, str | typing.ForwardRef):  # the bound of a TypeVar, the arguments of a Callable
            return self._unknown(f"{hint!r} is a name that nothing resolves")
        if _is_tree(hint):
            return self._tree(hint)
        origin, args = typing.get_origin(hint), typing.get_args(hint)
        if getattr(origin, "_name", None) in _WRAPPERS:
            return self.build(args[0]) if args else Free()
        if origin is typing.Annotated:
            return self.build(args[0])
        if isinstance(hint, typing.TypeVar):
            return self._type_var(hint)
        if isinstance(hint, typing.NewType):
            return self.build(hint.__supertype__)
        if _is_alias(hint):
            return self.build(hint.__value__)
        if origin in (typing.Union, types.UnionType):
            return self._union(args, hint)
        kind = origin if _is_generic_record(origin) else hint
        if isinstance(kind, type) and (record := self._record(kind, args)) is not None:
            return record
        if kind is origin or not has_tensor(hint):
            return self._plain(hint, origin, args)
        return self._container(hint, origin, args)

    def _absent(self, hint: Absent) -> Free:
        message = f"{hint.__name__} does not exist at run time"
        if hint.axes and self.strict:
            raise ContractError(f"{message}: its axes cannot be checked")
        self.notes.append(f"{message}: not checked")
        return Free()

    def _unknown(self, message: str) -> Free:
        self.notes.append(f"{message}: not checked")
        return Free()

    def _tensor(self, hint: Any) -> Contract:
        try:
            spec = parse(hint.dim_str)
        except SpecError as error:
            raise ContractError(str(error)) from error
        if isinstance(hint.array_type, Absent):
            return self.unable(hint, f"{hint.array_type.__name__} does not exist at run time")
        dtypes = tuple(hint.dtypes) if isinstance(hint.dtypes, list | tuple) else None
        foreign = isinstance(hint.array_type, type) and not issubclass(hint.array_type, torch.Tensor)
        return TensorOf(
            array=hint.array_type,
            spec=spec,
            text=hint.dim_str.strip(),
            dtype=hint.dtype.__name__,
            dtypes=dtypes,
            allowed=_allowed(dtypes, foreign),
            same_device=self.same_device,
            autocast_ok=self.autocast_ok,
        )

    def _tree(self, hint: Any) -> Contract:
        item, structure = self.build(hint.leaftype), getattr(hint, "structure", None) or ""
        if isinstance(item, Free) and not (structure and hint.leaftype is Any and self.plain):
            return Free()
        return Items(Tree, item, structure)

    def _type_var(self, hint: typing.TypeVar) -> Contract:
        if hint.__constraints__:
            return self._union(hint.__constraints__, hint)
        bound = hint.__bound__
        return Free() if bound is None or isinstance(bound, typing.ForwardRef) else self.build(bound)

    def _union(self, args: Iterable[Any], hint: Any) -> Contract:
        # beside a tensor, a plain option decides: it is built even where plain types are left alone
        builder = dataclasses.replace(self, plain=True) if has_tensor(hint) else self
        built = [builder.build(arg) for arg in args]
        options = tuple(one for option in built for one in (option.options if isinstance(option, OneOf) else (option,)))
        if any(isinstance(option, Free) for option in options):
            return Free()
        classes = [o.classes for o in options if isinstance(o, Plain) and isinstance(o.classes, type)]
        if len(classes) == len(options):
            together = tuple(classes)
            return Plain(hint, together, functools.partial(_is, together))
        whole = OneOf(options)
        compound = [o for o in options if not isinstance(o, Plain)]
        if len(compound) > 1 and not speaks(whole):
            return Plain(hint, None, functools.partial(_holds, whole))
        return whole

    def _container(self, hint: Any, origin: Any, args: tuple[Any, ...]) -> Contract:
        if origin is tuple:
            if len(args) == 2 and args[1] is Ellipsis:
                return Items(tuple, self.build(args[0]))
            return Row(tuple(self.build(arg) for arg in args))
        if origin in _ITEMS:
            return Items(origin, self.build(args[0]))
        if isinstance(origin, type) and issubclass(origin, collections.abc.Mapping):
            if len(args) != 2:
                return self.unable(hint, "what its values are is not said")
            if has_tensor(args[0]):
                return self.unable(hint, "its keys are tensors")
            return Values(origin, self.build(args[1]), self.build(args[0]))
        if origin in _ONE_SHOT:
            return self.unable(hint, "looking at its items would use them up; take a Sequence")
        return self.unable(hint, "nothing of the value can be read without calling it")

    def _plain(self, hint: Any, origin: Any, args: tuple[Any, ...]) -> Contract:
        if not self.plain:
            return Free()
        if isinstance(hint, type) and not hasattr(hint, "__origin__") and _instances(hint):
            return Plain(hint, hint, functools.partial(_is, hint))
        if _is_container(origin, args):
            # item by item, as tensors are: beartype looks at one item by chance
            return self._container(hint, origin, args)
        from beartype.door import is_bearable

        def test(value: object) -> bool:
            try:
                return bool(is_bearable(value, hint))
            except Exception:  # a hint that beartype does not know, or a name in it that does not exist: nothing asked
                return True

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # `typing.Tuple` is the user's, and no news to tell
                is_bearable(None, hint)
        except Exception as error:  # beartype raises many kinds for hints that it does not know
            self.notes.append(f"{type_name(hint)} is not checked: beartype cannot ({type(error).__name__})")
            return Free()
        return Plain(hint, None, test)

    def _record(self, cls: type, args: tuple[Any, ...]) -> Record | None:
        if cls in self.seen or not _is_record(cls):
            return None
        found = _record_has_tensor(cls) or any(map(has_tensor, args))
        if not self.late and cls not in _with_tensors:
            raise NameError(f"a field of {cls.__name__} names what does not exist yet")
        if not found:
            return None
        record = record_of(cls, dataclasses.replace(self, seen=(*self.seen, cls)), args=args)
        return record if any(speaks(part.contract) for part in record.fields) else None

    def unable(self, hint: Any, why: str) -> Free:
        """Say that the tensors of `hint` cannot be checked: an error when strict, else a note."""
        message = f"{type_name(hint)} cannot be checked: {why}"
        if self.strict:
            raise ContractError(message)
        self.notes.append(message)
        return Free()


def record_of(
    cls: type, builder: Builder, around: Mapping[str, Any] | None = None, args: tuple[Any, ...] = ()
) -> Record:
    """The contract of a TypedDict, NamedTuple or dataclass, from its annotations and those of its bases.

    `args`: what stands in the brackets of a generic one.
    Raises NameError where the builder may wait for a name that does not exist yet.
    """
    keyed, meant = is_typed_dict(cls), _meanings(cls, args)
    written: dict[str, tuple[Any, type]] = {}
    for base in reversed(cls.__mro__ if not keyed else (cls,)):
        written.update({name: (annotation, base) for name, annotation in annotations_of(base).items()})
    made = {f.name: f for f in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else None
    optional: frozenset[str] = getattr(cls, "__optional_keys__", frozenset()) if keyed else frozenset()
    fields = []
    for name in written if made is None else made:
        annotation, base = written.get(name, (Any, cls))
        contract = _field(annotation, name, base, builder, around or {}, meant.get(base, {}))
        required = name not in optional
        if made is not None:
            one = made[name]
            unset = one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
            required = one.init or not unset
            contract = Free() if "converter" in one.metadata else _with_default(contract, one.default)
        elif name in getattr(cls, "_field_defaults", ()):
            contract = _with_default(contract, vars(cls)["_field_defaults"][name])
        fields.append(Field(name, contract, required))
    return Record(cls, tuple(fields), keyed)


def _meanings(cls: type, args: tuple[Any, ...]) -> dict[type, dict[Any, Any]]:
    """What the type variables of a generic class and of its bases stand for."""
    known = dict(zip(getattr(cls, "__parameters__", ()), args))
    found: dict[type, dict[Any, Any]] = {cls: known}
    for base in vars(cls).get("__orig_bases__", ()):
        origin, inner = typing.get_origin(base), typing.get_args(base)
        if isinstance(origin, type) and origin is not typing.Generic:
            found.update(_meanings(origin, tuple(_meaning(part, known) for part in inner)))
    return found


def _meaning(hint: Any, known: Mapping[Any, Any]) -> Any:
    """A type with its type variables replaced, as far as they are known."""
    if isinstance(hint, typing.TypeVar):
        return known.get(hint, hint)
    parameters = () if isinstance(hint, type) else getattr(hint, "__parameters__", ())
    if not any(p in known for p in parameters) or not all(isinstance(p, typing.TypeVar) for p in parameters):
        return hint
    return hint[tuple(known.get(p, p) for p in parameters)]


def _field(
    annotation: Any, name: str, base: type, builder: Builder, around: Mapping[str, Any], meant: Mapping[Any, Any]
) -> Contract:
    module = vars(sys.modules.get(base.__module__, types.ModuleType("unknown")))
    names = {**around, base.__name__: base}
    missing: list[str] | None = [] if builder.late else None
    try:
        hint = resolve(annotation, module, names, builder.late, missing)
    except NameError:
        raise
    except Exception as error:  # a malformed annotation raises whatever its parts raise
        if holds_axes(annotation, module, names) and builder.strict:
            raise ContractError(f"the annotation of {base.__name__}.{name} is malformed: {error}") from error
        builder.notes.append(f"the annotation of {base.__name__}.{name} is not checked: {error}")
        return Free()
    return builder.build(_meaning(hint, meant))


def _with_default(contract: Contract, default: Any) -> Contract:
    """`x: Float[Tensor, "B"] = None`: a default is right by definition."""
    if default is dataclasses.MISSING or isinstance(contract, Free | Record):
        return contract
    kind = type(default)
    if isinstance(contract, Plain) and contract.test(default):
        return contract
    if isinstance(contract, OneOf) and any(isinstance(o, Plain) and o.test(default) for o in contract.options):
        return contract
    return OneOf((Plain(kind, kind, functools.partial(_is, kind)), contract))


_WRAPPERS = {"ClassVar", "Final", "Required", "NotRequired", "ReadOnly", "Unpack"}  # `Required[X]` means X here


def speaks(contract: Contract) -> bool:
    """Whether a contract, or a record within it, holds a tensor."""
    match contract:
        case Record(fields=fields):
            return any(speaks(part.contract) for part in fields)
        case OneOf(parts) | Row(parts):
            return any(map(speaks, parts))
        case Items(_, part) | Values(_, part):
            return speaks(part)
        case _:
            return bool(tensors(contract))


def has_tensor(hint: Any) -> bool:
    """Whether a jaxtyping annotation, or a record that holds one, is anywhere inside."""
    if _is_array(hint):
        return True
    if isinstance(hint, Absent):
        return hint.axes
    if _is_tree(hint):
        return has_tensor(hint.leaftype)
    if isinstance(hint, typing.TypeVar):
        return has_tensor(hint.__bound__) or any(map(has_tensor, hint.__constraints__))
    if isinstance(hint, list | tuple):  # the arguments of a Callable
        return any(map(has_tensor, hint))
    if _is_alias(hint):
        return has_tensor(hint.__value__)
    if isinstance(hint, typing.NewType):
        return has_tensor(hint.__supertype__)
    if isinstance(hint, type) and not typing.get_args(hint):
        return _is_record(hint) and _record_has_tensor(hint)
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return False
    if _is_generic_record(origin) and _record_has_tensor(origin):
        return True
    return any(map(has_tensor, typing.get_args(hint)))


_with_tensors: weakref.WeakKeyDictionary[type, bool] = weakref.WeakKeyDictionary()


def _record_has_tensor(cls: type) -> bool:
    if cls not in _with_tensors:
        builder = Builder(strict=False, plain=False, seen=(cls,))
        _with_tensors[cls] = False  # a record within itself adds nothing
        found = any(speaks(part.contract) for part in record_of(cls, builder).fields)
        if found or not any("does not exist" in note for note in builder.notes):
            _with_tensors[cls] = found
        else:
            del _with_tensors[cls]  # the name may come to exist
        return found
    return _with_tensors[cls]


def _is_record(cls: type) -> bool:
    return is_typed_dict(cls) or _is_namedtuple(cls) or dataclasses.is_dataclass(cls)


def _is_alias(hint: Any) -> bool:
    """`type Name = ...`, or the same by `typing_extensions`."""
    return type(hint).__name__ == "TypeAliasType" and hasattr(hint, "__value__")


def is_typed_dict(cls: Any) -> bool:
    """Whether a class is a TypedDict, of `typing` or of `typing_extensions`, which do not know each other's."""
    return isinstance(cls, type) and issubclass(cls, dict) and hasattr(cls, "__required_keys__")


def _is_generic_record(origin: Any) -> bool:
    """Whether a subscripted type is a record of one's own; `tuple[int]` is not."""
    return isinstance(origin, type) and _is_record(origin)


def _is_container(origin: Any, args: tuple[Any, ...]) -> bool:
    if origin is tuple or origin in _ITEMS:
        return bool(args)
    return isinstance(origin, type) and issubclass(origin, collections.abc.Mapping) and len(args) == 2


def _is_array(hint: Any) -> bool:
    from jaxtyping import AbstractArray

    return isinstance(hint, type) and hint is not AbstractArray and issubclass(hint, AbstractArray)


def _is_tree(hint: Any) -> bool:
    """A subscripted `PyTree`, told without importing JAX."""
    return isinstance(hint, type) and type(hint).__module__.startswith("jaxtyping") and hasattr(hint, "leaftype")


def _is_namedtuple(cls: type) -> bool:
    return issubclass(cls, tuple) and hasattr(cls, "_fields") and hasattr(cls, "_make")


def _is(classes: Any, value: object) -> bool:
    return isinstance(value, classes)


def _holds(contract: Contract, value: object) -> bool:
    return hold(contract, value, Scope(), "") is None


def _instances(cls: type) -> bool:
    try:
        isinstance(None, cls)
    except TypeError:  # a protocol that is not for run time
        return False
    return True


@functools.cache
def _torch_dtypes() -> tuple[Any, ...]:
    return tuple({d for d in vars(torch).values() if isinstance(d, torch.dtype)})


@functools.cache
def _allowed(dtypes: tuple[Any, ...] | None, foreign: bool) -> set[Any]:
    """One set for each kind of dtype. Those of `foreign` arrays fill themselves; torch's hold its own dtypes only,
    for torch.compile cannot trace through others."""
    if dtypes is None or foreign:
        return set()
    match_: Callable[[str], bool] = lambda name: any(  # noqa: E731
        name == d if isinstance(d, str) else bool(d.match(name)) for d in dtypes
    )
    return {dtype for dtype in _torch_dtypes() if match_(dtype_name(dtype))}
