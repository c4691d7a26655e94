"""Shapes in annotations: `Float[Tensor, "B D"]` and what wraps it, `TensorType["B", "D"]`, plain `Tensor`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shapecheck.dims import spec
from shapecheck.intent.python import read_expression
from shapecheck.intent.vocabulary import words
from shapecheck.intent.written import Written
from shapecheck.source.program import Attr, Const, Expr, FString, Index, Name, Op, Seq, Slice

__all__ = ["Ann", "from_annotation"]


@dataclass(frozen=True, slots=True)
class Ann:
    """What an annotation says.

    `kind`: "tensor", "tuple" (items: its members), "list" (items: its element), "dict" (items: key, value),
    "optional" (items: what it is when it is not None), "array" (numpy's or scipy's), "int", "float", "bool", "str",
    "none" or "other".
    `written`: the shape of a tensor where it is told. `axes`: the axis string as it stands in the code, also where
    the spec language cannot read it (then `written` is None). `name`: the type as the code calls it.
    """

    kind: str
    written: Written | None = None
    items: tuple[Ann, ...] = ()
    name: str = ""
    axes: str | None = None


_DTYPES = words(
    "Float Float8e4m3b11fnuz Float8e4m3fn Float8e4m3fnuz Float8e5m2 Float8e5m2fnuz Float16 Float32 Float64 "
    "BFloat16 Int Int2 Int4 Int8 Int16 Int32 Int64 UInt UInt2 UInt4 UInt8 UInt16 UInt32 UInt64 Integer Bool "
    "Complex Complex64 Complex128 Inexact Real Num Shaped Key"
)
_TENSORS = words(
    "Tensor FloatTensor DoubleTensor HalfTensor BFloat16Tensor LongTensor IntTensor ShortTensor ByteTensor "
    "CharTensor BoolTensor Parameter Buffer Variable TensorType"
)
_ARRAYS = words(
    "ndarray NDArray ArrayLike matrix spmatrix sparray csr_matrix csc_matrix coo_matrix csr_array coo_array"
)
_SCALARS = {"int": "int", "float": "float", "bool": "bool", "str": "str", "None": "none", "NoneType": "none"}
_TRANSPARENT = words("Final ClassVar Required NotRequired ReadOnly InitVar")
_LISTS = words(
    "list List Sequence MutableSequence Iterable Iterator Collection set Set frozenset FrozenSet deque Deque"
)
_DICTS = words("dict Dict Mapping MutableMapping OrderedDict defaultdict DefaultDict")
_DEPTH = 12  # of wrappers and aliases; an alias may name itself
_OTHER = Ann("other")


def from_annotation(expr: Expr, aliases: Mapping[str, Expr] | None = None) -> Ann:
    """Read an annotation. `aliases`: what the names bound at the top of the module stand for."""
    return _read(expr, aliases or {}, _DEPTH)


def _read(expr: Expr, aliases: Mapping[str, Expr], depth: int) -> Ann:
    if depth == 0:
        return _OTHER
    match expr:
        case Const(None):
            return Ann("none", name="None")
        case Const(str() as text):
            inner = read_expression(text)
            return _OTHER if inner is None else _read(inner, aliases, depth - 1)
        case Name(name) if name in aliases:
            rest = {key: value for key, value in aliases.items() if key != name}
            return _read(aliases[name], rest, depth - 1)
        case Name(name) | Attr(_, name):
            if name in _TENSORS:
                return Ann("tensor", name=name)
            return Ann(_plain(name) if isinstance(expr, Name) else _container(name), name=name)
        case Op("|", (left, right)):
            return _union((left, right), aliases, depth)
        case Index(value=Name(name) | Attr(_, name), items=items):
            return _subscript(name, items, aliases, depth)
    return _OTHER


def _plain(name: str) -> str:
    return _SCALARS.get(name) or _container(name)


def _container(name: str) -> str:
    if name in ("tuple", "Tuple"):
        return "tuple"
    if name in _ARRAYS:
        return "array"
    return "list" if name in _LISTS else "dict" if name in _DICTS else "other"


def _subscript(name: str, items: tuple[Expr | Slice, ...], aliases: Mapping[str, Expr], depth: int) -> Ann:
    parts = tuple(item for item in items if not isinstance(item, Slice))
    if name == "TensorType":
        return _torchtyping(items)
    if len(parts) != len(items) or not parts:
        return _OTHER
    if name in _DTYPES and len(parts) == 2:
        return _jaxtyping(name, parts[0], parts[1], aliases, depth)
    if name == "Optional":
        return _union((parts[0], Const(None)), aliases, depth)
    if name == "Union":
        return _union(parts, aliases, depth)
    if name == "Annotated":
        return _annotated(parts, aliases, depth)
    if name in _TRANSPARENT:
        return _read(parts[0], aliases, depth - 1)
    if name in ("tuple", "Tuple"):
        return _tuple(parts, name, aliases, depth)
    if name in _LISTS:
        return Ann("list", items=(_read(parts[0], aliases, depth - 1),), name=name)
    if name in _DICTS and len(parts) == 2:
        return Ann("dict", items=tuple(_read(part, aliases, depth - 1) for part in parts), name=name)
    return Ann("array" if name in _ARRAYS else "other", name=name)


def _tuple(parts: tuple[Expr, ...], name: str, aliases: Mapping[str, Expr], depth: int) -> Ann:
    match parts:
        case (Seq("tuple", ()),):
            return Ann("tuple", name=name)
        case (element, Const(value)) if value is ...:
            return Ann("list", items=(_read(element, aliases, depth - 1),), name=name)
        case (element,):  # `Tuple[int]` is what many write for a tuple of any length
            return Ann("list", items=(_read(element, aliases, depth - 1),), name=name)
    return Ann("tuple", items=tuple(_read(part, aliases, depth - 1) for part in parts), name=name)


def _union(parts: tuple[Expr, ...], aliases: Mapping[str, Expr], depth: int) -> Ann:
    """`X | None` is optional; a union of several things is "other" with all of them as items."""
    read: list[Ann] = []
    none = False
    for part in parts:
        ann = _read(part, aliases, depth - 1)
        none |= ann.kind in ("none", "optional")
        members = ann.items if ann.kind == "optional" or ann.name == "|" else (ann,)
        read += [m for m in members if m.kind != "none"]
    distinct = tuple(dict.fromkeys(read))
    inner = distinct[0] if len(distinct) == 1 else Ann("other", items=distinct, name="|")
    if not distinct:
        return Ann("none", name="None")
    return Ann("optional", items=(inner,)) if none else inner


# ------------------------------------------------------------------ jaxtyping


def _jaxtyping(name: str, array: Expr, axes: Expr, aliases: Mapping[str, Expr], depth: int) -> Ann:
    """`Float[Tensor, "B D"]`; of a shaped array (`Float[Image, "B"]`) the axes go before its own."""
    told = _axis_string(axes)
    inner = _read(array, aliases, depth - 1)
    if told is None:
        return Ann("tensor", name=name)
    text, exact = told
    if inner.axes is not None:
        text = f"{text} {inner.axes}"
    try:
        parsed = spec.parse(text)
    except spec.SpecError:
        return Ann("tensor", name=name, axes=text)
    record = Written(None, tuple(map(str, parsed.axes)), text, exact, _dtype(name, inner))
    return Ann("tensor", record, name=name, axes=text)


def _dtype(name: str, inner: Ann) -> str | None:
    return inner.written.dtype if name == "Shaped" and inner.written else None if name == "Shaped" else name.lower()


def _axis_string(expr: Expr) -> tuple[str, bool] | None:
    """The axis string, and whether all of it is told: what an f-string puts in counts as one unknown axis."""
    match expr:
        case Const(str() as text):
            return text, True
        case FString(parts):
            pieces = [str(part.value) if isinstance(part, Const) else "\0" for part in parts]
            words = "".join(pieces).split()
            return " ".join("_" if "\0" in word else word for word in words), "\0" not in "".join(pieces)
    return None


def _annotated(parts: tuple[Expr, ...], aliases: Mapping[str, Expr], depth: int) -> Ann:
    """`Annotated[Float[Tensor, "B D"], ...]`; and a tensor with a string beside it, which may be its axes."""
    inner = _read(parts[0], aliases, depth - 1)
    match parts[1:]:
        case (Const(str() as text),) if inner.kind == "tensor" and inner.written is None and text.strip():
            try:
                axes = tuple(map(str, spec.parse(text).axes))
            except spec.SpecError:
                return inner
            return Ann("tensor", Written(None, axes, text, certain=False), name=inner.name)
    return inner


# ---------------------------------------------------------------- torchtyping


def _torchtyping(items: tuple[Expr | Slice, ...]) -> Ann:
    """`TensorType["B", 3, -1, ..., float]`, one item for each axis and then dtypes and options."""
    axes: list[str] = []
    dtype: str | None = None
    for item in items:
        match item:
            case Const(str() as text) if len(text.split()) == 1 or len(items) == 1:
                axes += text.split()
            case Const(value) if value is ...:
                axes.append("...")
            case Const(int() as size) if not isinstance(size, bool):
                axes.append(str(size) if size >= 0 else "_")
            case Op("u-", (Const(1),)):
                axes.append("_")
            case Slice(lower=Const(str() as text)):
                axes.append(text)
            case Name("float" | "int" | "bool" as name) | Attr(Name("torch"), name):
                dtype = name
            case Name("is_named" | "is_float"):
                pass
            case _:
                return Ann("tensor", name="TensorType")
    text = " ".join(axes)
    try:
        parsed = spec.parse(text)
    except spec.SpecError:
        return Ann("tensor", name="TensorType", axes=text)
    return Ann("tensor", Written(None, tuple(map(str, parsed.axes)), text, True, dtype), name="TensorType", axes=text)
