"""What a call can reach and change: tensors, random generators; and copies of it that a second run may spoil."""

from __future__ import annotations

import copy
import functools
import random
import sys
import threading
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import torch

__all__ = ["State", "Uncopyable", "kept", "private", "reached"]

_MOST = 200_000  # objects; what holds more is not looked through
_SHARED_BYTES = 2 << 30  # parameters beyond this are shared with the copy, not copied
_FOREIGN = sys.stdlib_module_names | {"torch", "numpy", "jaxtyping", "beartype", "shapecheck"}
_LOCKS = (type(threading.Lock()), type(threading.RLock()))
_ATOMS = (type(None), bool, int, float, complex, str, bytes, type, types.ModuleType, types.CodeType,
          types.BuiltinFunctionType, torch.dtype, torch.device, torch.Size)  # fmt: skip


class Uncopyable(Exception):
    """Something that a call takes cannot be copied, so a second run would change the user's own."""


@dataclass(slots=True)
class State:
    """What is reached: `tensors` by where they are, `generators` of random numbers of any library, `locks`."""

    tensors: dict[int, tuple[str, torch.Tensor]] = field(default_factory=dict)
    generators: dict[int, Any] = field(default_factory=dict)
    locks: dict[int, Any] = field(default_factory=dict)
    complete: bool = True


def reached(roots: Mapping[str, Any]) -> State:
    """Everything that can be reached from some objects: attributes, items, closures, globals that functions name."""
    state, seen = State(), set[int]()
    stack = [(name, value) for name, value in roots.items()]
    while stack:
        name, value = stack.pop()
        if isinstance(value, _ATOMS) or id(value) in seen:
            continue
        seen.add(id(value))
        if len(seen) > _MOST:
            state.complete = False
            break
        if isinstance(value, torch.Tensor):
            state.tensors[id(value)] = (name, value)
        elif _is_generator(value):
            state.generators[id(value)] = value
        elif isinstance(value, _LOCKS):
            state.locks[id(value)] = value
        else:
            stack += _parts(name, value)
    return state


def _is_generator(value: Any) -> bool:
    if isinstance(value, torch.Generator | random.Random):
        return True
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.random.Generator | numpy.random.RandomState)


def _parts(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    match value:
        case dict():
            yield from (
                (f"{name}[{key!r}]" if isinstance(key, str | int) else name, x) for key, x in list(value.items())
            )
        case list() | tuple() | set() | frozenset():
            yield from ((f"{name}[{number}]", x) for number, x in enumerate(list(value)))
        case types.FunctionType():
            yield from _of_function(name, value)
        case types.MethodType():
            yield from ((name, value.__self__), (name, value.__func__))
        case functools.partial():
            yield from ((name, value.func), (name, value.args), (name, value.keywords))
    own = getattr(value, "__dict__", None)
    if isinstance(own, dict) and not isinstance(value, types.FunctionType):
        if isinstance(value, torch.nn.Module):
            for group in ("_parameters", "_buffers", "_modules"):
                yield from ((f"{name}.{key}", x) for key, x in list((own.get(group) or {}).items()))
        yield from ((f"{name}.{key}", x) for key, x in list(own.items()) if isinstance(key, str))
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            try:
                yield f"{name}.{slot}", getattr(value, slot)
            except AttributeError:
                continue


def _of_function(name: str, fn: types.FunctionType) -> Iterator[tuple[str, Any]]:
    if (fn.__module__ or "").partition(".")[0] in _FOREIGN:
        return
    for variable, cell in zip(fn.__code__.co_freevars, fn.__closure__ or ()):
        try:
            yield variable, cell.cell_contents
        except ValueError:
            continue
    yield from ((name, default) for default in fn.__defaults__ or ())
    codes = [fn.__code__]
    while codes:
        code = codes.pop()
        yield from ((known, fn.__globals__[known]) for known in code.co_names if known in fn.__globals__)
        codes += [c for c in code.co_consts if isinstance(c, types.CodeType)]
    if (wrapped := getattr(fn, "__wrapped__", None)) is not None:
        yield name, wrapped


def private(value: Any, device: str | None = None, state: State | None = None) -> Any:
    """A copy to change freely, tensors and all (or moved to `device`). Raises Uncopyable.

    Random generators are shared, for they are wound back. Parameters are shared only where they are huge.
    """
    if isinstance(value, torch.Tensor):
        return value.detach().clone() if device is None else value.detach().to(device)
    if isinstance(value, _ATOMS):
        return value
    state = state or reached({"": value})
    if not state.complete:
        raise Uncopyable("it holds too many objects")
    memo: dict[int, Any] = dict(state.generators)
    memo.update({key: _maker(lock)() for key, lock in state.locks.items()})
    size = sum(_bytes(t) for _, t in state.tensors.values() if isinstance(t, torch.nn.Parameter))
    for key, (_, tensor) in state.tensors.items():
        share = isinstance(tensor, torch.nn.Parameter) and size > _SHARED_BYTES and device is None
        memo[key] = tensor if share else _copied(tensor, device)
    kept_alive = list(memo.values())
    try:
        return copy.deepcopy(value, memo)
    except Exception as error:
        raise Uncopyable(f"{type(value).__name__} cannot be copied ({error})") from error
    finally:
        kept_alive.clear()


def _maker(lock: Any) -> Callable[[], Any]:
    return threading.Lock if type(lock) is _LOCKS[0] else threading.RLock


def _bytes(tensor: torch.Tensor) -> int:
    try:
        return tensor.numel() * tensor.element_size()
    except RuntimeError:  # a lazy parameter has no size yet
        return 0


def _copied(tensor: torch.Tensor, device: str | None) -> torch.Tensor:
    if torch.nn.parameter.is_lazy(tensor):
        raise Uncopyable("a lazy parameter has no size yet")
    new = tensor.detach().clone() if device is None else tensor.detach().to(device)
    if isinstance(tensor, torch.nn.Parameter):
        return torch.nn.Parameter(new, requires_grad=tensor.requires_grad)
    return new.requires_grad_(tensor.requires_grad)


@dataclass(slots=True)
class Memory:
    """A tensor as it was. Of a parameter, which bodies seldom change, a sample only."""

    name: str
    tensor: torch.Tensor
    before: torch.Tensor | None
    sample: torch.Tensor | None
    version: int

    def moved(self, thorough: bool) -> bool:
        """Whether it was changed in place; `thorough` compares values, for `.data` leaves no trace."""
        if self.tensor._version != self.version or not thorough:
            return self.tensor._version != self.version
        if self.sample is not None:
            return not _equal(_sample(self.tensor), self.sample)
        return self.before is not None and not _equal(self.tensor, self.before)


@dataclass(slots=True)
class Kept:
    """Tensors as they were, and how to put them back."""

    memories: list[Memory]
    changed: list[str] = field(default_factory=list)

    def restore(self, thorough: bool = False) -> None:
        """Put back what was changed. Raises Uncopyable for a parameter, of which there is no copy."""
        lost = []
        for memory in self.memories:
            if not memory.moved(thorough):
                continue
            tensor, before = memory.tensor, memory.before
            memory.version = tensor._version
            if before is None:
                memory.sample = _sample(tensor)
                lost.append(memory.name)
                continue
            if memory.name not in self.changed:
                self.changed.append(memory.name)
            with torch.no_grad():
                if tensor.shape == before.shape:
                    tensor.data.copy_(before)
                else:
                    tensor.data = before.clone()
        if lost:
            raise Uncopyable(f"the body changes {', '.join(lost[:4])} in place, which it does not take as an argument")


def _equal(a: torch.Tensor, b: torch.Tensor) -> bool:
    if a.shape != b.shape:
        return False
    return bool(torch.equal(a, b) or ((a == b) | ((a != a) & (b != b))).all())


def _sample(tensor: torch.Tensor) -> torch.Tensor:
    flat = tensor.detach()
    flat = flat.view(-1) if flat.is_contiguous() else flat[..., 0]
    return flat[:: max(1, flat.numel() // 64)].clone() if flat.dim() == 1 else flat.clone()


@contextmanager
def kept(states: Iterable[State]) -> Iterator[Kept]:
    """Whatever happens within, the tensors come out as they went in."""
    found: dict[int, tuple[str, torch.Tensor]] = {}
    for state in states:
        found.update(state.tensors)
    memories = []
    for name, tensor in found.values():
        if torch.nn.parameter.is_lazy(tensor) or tensor.is_inference() or tensor.layout is not torch.strided:
            continue
        big = isinstance(tensor, torch.nn.Parameter)
        before, sample = (None, _sample(tensor)) if big else (tensor.detach().clone(), None)
        memories.append(Memory(name, tensor, before, sample, tensor._version))
    whole = Kept(memories)
    try:
        yield whole
    except BaseException:
        with suppress(Uncopyable):  # what is being raised says more
            whole.restore(thorough=True)
        raise
    whole.restore(thorough=True)
