"""What an annotation asks of a value, as a small tree; and the plain way to hold a value against it."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from shapecheck.dims.mismatch import Mismatch, NotATensor, Problem, WrongDevice, WrongDtype
from shapecheck.dims.spec import Spec
from shapecheck.runtime.scope import Scope, fit, settle
from shapecheck.runtime.trees import Tree, apart, unlike

__all__ = [
    "Contract",
    "Field",
    "Free",
    "Items",
    "OneOf",
    "Plain",
    "Record",
    "Row",
    "TensorOf",
    "Values",
    "dtype_name",
    "hold",
    "leaves_of",
    "mocked",
    "structured",
    "tensors",
    "type_name",
]

DtypeNames: TypeAlias = "tuple[str | re.Pattern[str], ...] | None"  # None: any


@dataclass(frozen=True, slots=True)
class Free:
    """Nothing is asked."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A type without tensors. `classes` when isinstance decides, else beartype's test."""

    hint: Any
    classes: type | tuple[type, ...] | None
    test: Callable[[object], bool] = dataclasses.field(compare=False, repr=False)

    @property
    def name(self) -> str:
        return type_name(self.hint)


@dataclass(frozen=True, slots=True)
class TensorOf:
    """`Float[Tensor, "B G"]`. `allowed` is the set of dtypes seen to fit; it learns."""

    array: Any  # the class, or Any for whatever has a shape and a dtype
    spec: Spec
    text: str
    dtype: str  # "Float"
    dtypes: DtypeNames
    allowed: set[Any] = dataclasses.field(compare=False, repr=False)
    same_device: bool = False
    autocast_ok: bool = False


@dataclass(frozen=True, slots=True)
class OneOf:
    """The first option that fits, in the order written."""

    options: tuple[Contract, ...]


@dataclass(frozen=True, slots=True)
class Items:
    """Every item of a list, a tuple of any length, a sequence or a set; `Tree` stands for the leaves of a pytree."""

    kind: type
    item: Contract
    structure: str = ""  # of a pytree: the names that its structure is compared by


@dataclass(frozen=True, slots=True)
class Row:
    """A tuple, place by place."""

    items: tuple[Contract, ...]


@dataclass(frozen=True, slots=True)
class Values:
    """Every value of a mapping, and every key where `key` asks something."""

    kind: type
    value: Contract
    key: Contract = Free()


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    contract: Contract
    required: bool = True


@dataclass(frozen=True, slots=True)
class Record:
    """A TypedDict (`keyed`), a NamedTuple, a dataclass: named fields that share their own axis names.

    `shared`: the fields are arguments of the call (`**kwargs: Unpack[Options]`), and so are their names.
    """

    cls: type
    fields: tuple[Field, ...]
    keyed: bool = False
    shared: bool = False


Contract: TypeAlias = Free | Plain | TensorOf | OneOf | Items | Row | Values | Record


def tensors(contract: Contract) -> list[TensorOf]:
    """Every tensor that the contract speaks of and whose axes are the call's own (records keep theirs)."""
    match contract:
        case TensorOf():
            return [contract]
        case OneOf(parts) | Row(parts):
            return [tensor for part in parts for tensor in tensors(part)]
        case Items(_, part) | Values(_, part):
            return tensors(part)
        case Record(fields=fields, shared=True):
            return [tensor for field in fields for tensor in tensors(field.contract)]
        case _:
            return []


def hold(contract: Contract, value: Any, scope: Scope, subject: str, wait: bool = False) -> Mismatch | None:
    """Hold a value against a contract, binding names in `scope`; the first mismatch, or None.

    With `wait`, expressions over names without a size are put off to `settle`.
    """
    match contract:
        case Free():
            return None
        case Plain():
            if contract.test(value) or mocked(value):
                return None
            return Mismatch(subject, NotATensor(contract.name, type_name(type(value))))
        case TensorOf():
            return _hold_tensor(contract, value, scope, subject, wait)
        case OneOf(options):
            return _hold_one_of(options, value, scope, subject, wait)
        case Items(kind, item, structure):
            if kind is Tree:
                value, found = _apart(value, item)
                if structure and (asked := unlike(structure, found, scope.structures)) is not None:
                    return Mismatch(subject, NotATensor(asked, str(found)))
            elif not isinstance(value, kind):
                return _not(kind, value, subject)
            value = cast("Iterable[Any]", value)
            return _each(((f"[{n}]", item, x) for n, x in enumerate(value)), scope, subject, wait)
        case Row(items):
            if not isinstance(value, tuple):
                return _not(tuple, value, subject)
            if len(value) != len(items):
                problem = NotATensor(f"a tuple of {len(items)}", f"a tuple of {len(value)}")
                return Mismatch(subject, problem)
            return _each(((f"[{n}]", c, x) for n, (c, x) in enumerate(zip(items, value))), scope, subject, wait)
        case Values(kind, item, key):
            if not isinstance(value, kind):
                return _not(kind, value, subject)
            value = cast("Mapping[Any, Any]", value)
            if not isinstance(key, Free):
                for one in value:
                    if hold(key, one, scope, subject) is not None:
                        wanted = key.name if isinstance(key, Plain) else "another type"
                        return Mismatch(f"a key of {subject}", NotATensor(wanted, type_name(type(one))))
            return _each(((f"[{key!r}]", item, x) for key, x in value.items()), scope, subject, wait)
        case Record():
            return _hold_record(contract, value, scope, subject)


def _each(parts: Any, scope: Scope, subject: str, wait: bool) -> Mismatch | None:
    saved, path = scope.copy(), scope.path
    for place, contract, value in parts:
        scope.path = path + place
        mismatch = hold(contract, value, scope, subject + place, wait)
        scope.path = path
        if mismatch is not None:
            scope.restore(saved)
            return mismatch
    return None


def _hold_one_of(options: tuple[Contract, ...], value: Any, scope: Scope, subject: str, wait: bool) -> Mismatch | None:
    mismatches = []
    for option in options:
        mismatch = hold(option, value, scope, subject, wait)
        if mismatch is None:
            return None
        mismatches.append(mismatch)
    # the option that came furthest speaks: a size, then a rank, then a type
    order = {"WrongSize": 0, "WrongSizes": 0, "Unbound": 0, "WrongDevice": 1, "WrongRank": 2, "WrongDtype": 3}
    if all(isinstance(m.problem, NotATensor) for m in mismatches):
        return Mismatch(subject, NotATensor(" | ".join(map(_title, options)), type_name(type(value))))
    return min(mismatches, key=lambda m: order.get(type(m.problem).__name__, 4))


def _hold_record(record: Record, value: Any, scope: Scope, subject: str) -> Mismatch | None:
    if record.keyed:
        if not isinstance(value, Mapping):
            return _not(record.cls, value, subject)
    elif not isinstance(value, record.cls):
        return _not(record.cls, value, subject)
    given = fields_of(record, value)
    own = scope if record.shared else Scope(arguments=given, path=scope.path)
    for part in record.fields:
        inside = f"{subject}[{part.name!r}]" if record.keyed else f"{subject}.{part.name}"
        if part.name not in given:
            if part.required:
                return Mismatch(inside, NotATensor("a value", "nothing"))
            continue
        mismatch = hold(part.contract, given[part.name], own, inside, wait=True)
        if mismatch is not None:
            return mismatch
    return None if record.shared else late_mismatch(own)


def _apart(value: Any, item: Contract) -> tuple[list[Any], Any]:
    """A pytree taken apart: what keeps the contract of a leaf is one, a tuple of two numbers too."""
    if isinstance(item, TensorOf | Free):
        return apart(value, None)
    return apart(value, lambda part: hold(item, part, Scope(), "") is None)


def leaves_of(value: Any, item: Contract, structure: str, known: dict[str, Any]) -> list[Any] | None:
    """The leaves of a pytree, or None where its structure is another one than was asked for."""
    leaves, found = _apart(value, item)
    return None if structure and unlike(structure, found, known) is not None else leaves


def structured(contract: Contract) -> bool:
    """Whether some pytree in the call's own scope has a named structure."""
    match contract:
        case OneOf(parts) | Row(parts):
            return any(map(structured, parts))
        case Items(_, part, structure):
            return bool(structure) or structured(part)
        case Values(_, part):
            return structured(part)
        case Record(fields=fields, shared=True):
            return any(structured(field.contract) for field in fields)
        case _:
            return False


def fields_of(record: Record, value: Any) -> dict[str, Any]:
    """The fields that the value has."""
    if record.keyed:
        return {f.name: value[f.name] for f in record.fields if f.name in value}
    return {f.name: getattr(value, f.name) for f in record.fields if hasattr(value, f.name)}


def late_mismatch(scope: Scope) -> Mismatch | None:
    """The first expression that was put off and disagrees."""
    found = settle(scope)
    if found is None:
        return None
    late, problem = found
    return Mismatch(late.subject, problem, str(late.spec), late.shape)


def _hold_tensor(contract: TensorOf, value: Any, scope: Scope, subject: str, wait: bool) -> Mismatch | None:
    if contract.array is Any:
        if not (hasattr(value, "shape") and hasattr(value, "dtype")):
            return Mismatch(subject, NotATensor("an array", type_name(type(value))), contract.text)
    elif not isinstance(value, contract.array):
        if _symbolic(value) or mocked(value):
            return None
        return Mismatch(subject, NotATensor(type_name(contract.array), type_name(type(value))), contract.text)
    problem: Problem | None = None
    if not dtype_fits(contract, value.dtype):
        problem = WrongDtype(contract.dtype, dtype_name(value.dtype))
    elif (problem := fit(contract.spec, value.shape, scope, subject, wait)) is None and contract.same_device:
        if scope.device is None:
            scope.device = (value.device, subject)
        elif scope.device[0] != value.device:
            problem = WrongDevice(str(scope.device[0]), str(value.device), scope.device[1])
    return None if problem is None else Mismatch(subject, problem, contract.text, sizes_of(value))


def _symbolic(value: Any) -> bool:
    """Whether `torch.fx` traces with a stand-in that has no shape."""
    from torch.fx import Proxy

    return isinstance(value, Proxy)


def mocked(value: Any) -> bool:
    """Whether a test lets a stand-in take the value's place: it has no shape of its own, and any class."""
    mock = sys.modules.get("unittest.mock")
    return mock is not None and isinstance(value, mock.NonCallableMock)


def sizes_of(value: Any) -> tuple[Any, ...]:
    """The shape to print: sizes that have no number (of jagged tensors) as their names."""
    return tuple(size if isinstance(size, int) else str(size) for size in value.shape)


_HALF = {"float16", "bfloat16"}


def dtype_fits(contract: TensorOf, dtype: Any) -> bool:
    """Whether a dtype is one that the annotation names; autocast may halve floats where that is allowed."""
    if contract.dtypes is None or dtype in contract.allowed:
        return True
    name = dtype_name(dtype)
    if any(name == d if isinstance(d, str) else d.match(name) for d in contract.dtypes):
        if contract.array is not Any:  # else the set is torch's
            contract.allowed.add(dtype)
        return True
    if not contract.autocast_ok or name not in _HALF or "float32" not in contract.dtypes:
        return False
    import torch

    return any(torch.is_autocast_enabled(device) for device in ("cpu", "cuda"))


def dtype_name(dtype: Any) -> str:
    """`float32`, for torch, numpy and JAX dtypes alike."""
    scalar = getattr(getattr(dtype, "type", None), "__name__", None)
    if scalar is not None:
        return str(dtype) if scalar == "void" and dtype.fields else str(scalar)
    return dtype if isinstance(dtype, str) else repr(dtype).rsplit(".", 1)[-1]


def type_name(hint: Any) -> str:
    """A type as the reader wrote it, without its module where it is a class."""
    if hint is None or hint is type(None):
        return "None"
    return getattr(hint, "__name__", repr(hint)) if isinstance(hint, type) else repr(hint).replace("typing.", "")


def _title(contract: Contract) -> str:
    """A contract in the words of its annotation."""
    match contract:
        case Plain():
            return contract.name
        case TensorOf():
            return f'{type_name(contract.array)} "{contract.text}"'
        case OneOf(options):
            return " | ".join(map(_title, options))
        case Items(kind, item):
            return f"{'PyTree' if kind is Tree else type_name(kind)}[{_title(item)}]"
        case Row(items):
            return f"tuple[{', '.join(map(_title, items))}]"
        case Values(kind, value, key):
            return f"{type_name(kind)}[{_title(key)}, {_title(value)}]"
        case Record():
            return type_name(contract.cls)
        case Free():
            return "Any"


def _not(kind: type, value: Any, subject: str) -> Mismatch:
    return Mismatch(subject, NotATensor(type_name(kind), type_name(type(value))))
