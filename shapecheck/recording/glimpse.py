"""A look at a value: its sizes, dtype and kind. Nothing of it is kept, and no tensor is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from shapecheck.engine.evidence import (
    Seen,
    SeenConst,
    SeenFloat,
    SeenInt,
    SeenItems,
    SeenMapping,
    SeenObject,
    SeenTensor,
)

FEW = 8  # members of a list that are looked at, entries of a dict
WORD = 24  # characters of a text that may be the name of a mode
DEPTH = 3

_FLOATS = frozenset(d for d in vars(torch).values() if isinstance(d, torch.dtype) and d.is_floating_point)
_COMPLEX = frozenset(d for d in vars(torch).values() if isinstance(d, torch.dtype) and d.is_complex)


def look(value: Any, names: frozenset[str] = frozenset(), depth: int = DEPTH) -> Seen | None:
    """What there is to say of a value; None where that is nothing. `names`: attributes that code around names."""
    if isinstance(value, torch.Tensor):
        return _of_tensor(value)
    if value is None or value is True or value is False:
        return SeenConst(value)
    if isinstance(value, int):
        return SeenInt(int(value))
    if isinstance(value, float):
        return SeenFloat()
    if isinstance(value, str):
        return SeenConst(str(value)) if len(value) <= WORD and value.isidentifier() else None
    if depth == 0:
        return None
    if isinstance(value, (tuple, list)):
        return _of_items(value, names, depth)
    if isinstance(value, Mapping):
        return _of_mapping(value, names, depth)
    return _of_object(value, names, depth)


def _of_tensor(value: torch.Tensor) -> SeenTensor | None:
    if value.is_nested:  # its rows have lengths of their own
        return None
    return SeenTensor(tuple(map(int, value.shape)), kind_of(value.dtype))


def kind_of(dtype: torch.dtype) -> str:
    """The dtype as the interpreter tells them apart."""
    if dtype in _FLOATS:
        return "float"
    if dtype is torch.bool:
        return "bool"
    if dtype is torch.uint8:
        return "byte"
    return "complex" if dtype in _COMPLEX else "int"


def _of_items(value: tuple[Any, ...] | list[Any], names: frozenset[str], depth: int) -> Seen | None:
    kind = "size" if isinstance(value, torch.Size) else "list" if isinstance(value, list) else "tuple"
    if hasattr(value, "_fields"):  # a NamedTuple: `found.values`
        return SeenMapping("namedtuple", tuple(_looked(zip(value._fields, value), names, depth)))
    seen = [look(item, names, depth - 1) for item in value[:FEW]]
    if not seen or any(s is None for s in seen):
        return None
    if len(value) > FEW:
        alike = all(isinstance(s, type(seen[0])) for s in seen)
        return SeenItems(kind, (seen[0],), len(value)) if alike else None  # type: ignore[arg-type]
    return SeenItems(kind, tuple(s for s in seen if s is not None), len(value))


def _of_mapping(value: Mapping[Any, Any], names: frozenset[str], depth: int) -> Seen | None:
    pairs = [(key, value[key]) for key in list(value)[: 4 * FEW] if isinstance(key, str)]
    kind = (
        "dict" if isinstance(value, dict) and type(value).__module__ in ("builtins", "collections") else "ModelOutput"
    )
    return SeenMapping(kind, tuple(_looked(pairs, names, depth)))


def _of_object(value: Any, names: frozenset[str], depth: int) -> Seen | None:
    if isinstance(value, type) or (callable(value) and not isinstance(value, torch.nn.Module)):
        return None
    held = getattr(value, "__dict__", None)
    if not isinstance(held, dict):
        return None
    kind = type(value)
    inside = dict(held)
    if isinstance(value, torch.nn.Module):
        inside = {**held, **held.get("_parameters", {}), **held.get("_buffers", {})}
    pairs = [(name, inside[name]) for name in inside if name in names and not name.startswith("__")]
    return SeenObject(f"{kind.__module__}.{kind.__qualname__}", tuple(_looked(pairs, names, min(depth - 1, 1))))


def _looked(pairs: Any, names: frozenset[str], depth: int) -> Any:
    for name, value in pairs:
        seen = look(value, names, depth - 1) if depth > 0 else None
        if seen is not None:
            yield name, seen


def signature(seen: Seen | None, *, numbers: bool = False) -> Any:
    """What tells ways of being called apart: shapes, flags and what is absent; which number a number was only with
    `numbers`."""
    match seen:
        case SeenTensor(sizes=sizes, dtype=dtype):
            return sizes, dtype
        case SeenInt(value=value):
            return value if numbers else "int"
        case SeenItems(kind=kind, items=items, length=length):
            return kind, length, *(signature(item, numbers=numbers) for item in items)
        case SeenMapping(items=pairs) | SeenObject(attrs=pairs):
            return tuple((name, signature(value, numbers=numbers)) for name, value in pairs)
        case SeenConst(value=value):
            return value
        case _:
            return ""
