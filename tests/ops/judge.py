"""torch as the judge: one call is made for real and by our op, and both are compared.

A call is written once, with named sizes: `Call("torch.matmul", (t("B D"), t("D N")))`. It is then made for real, with
the sizes in `SIZES`, and symbolically in several moods: with plain ints, with named sizes, with free sizes (nothing
known yet), and with tensors of which only the first axes, only the last, or nothing at all is known.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import einops
import einops.layers.torch
import torch

from shapecheck.dims import (
    Size,
    TooComplex,
    Verdict,
    as_quotient,
    as_symbol,
    compare,
    evaluate,
    substitute,
    symbol,
    symbols,
)
from shapecheck.engine.values import (
    Assumption,
    Axis,
    Extern,
    Items,
    Lit,
    Many,
    Num,
    Partial,
    Shape,
    ShapeOf,
    SliceVal,
    Tensor,
    Unknown,
    Value,
)
from shapecheck.engine.values import Mapping as MappingValue
from shapecheck.ops import LAYERS, REGISTRY, bind, construct
from shapecheck.ops import index as index_op

SIZES = {"B": 3, "D": 5, "N": 7, "M": 11, "K": 2, "G": 4, "S": 6, "H": 8, "C": 10, "W": 9, "Z": 13, "Y": 12}
MOODS = ("ints", "named", "free", "head", "tail", "unknown")


# ------------------------------------------------------------------- the call


@dataclass(frozen=True)
class T:
    """A tensor argument: axes are names of SIZES, numbers or products such as `B*G`."""

    axes: tuple[str, ...]
    dtype: str = "float"

    def sizes(self) -> tuple[int, ...]:
        return tuple(number(a) for a in self.axes)


def t(axes: str) -> T:
    return T(tuple(axes.split()))


def i(axes: str) -> T:
    return T(tuple(axes.split()), "int")


def b(axes: str) -> T:
    return T(tuple(axes.split()), "bool")


@dataclass(frozen=True)
class S:
    """A size argument: `S("B*G")`."""

    text: str


@dataclass(frozen=True)
class D:
    """A dtype argument."""

    name: str


@dataclass(frozen=True)
class Call:
    """A public name and its arguments. `meta`: only the meta device can make it (values would matter)."""

    name: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    init: tuple[Any, ...] = ()  # a layer's constructor arguments
    init_kwargs: Mapping[str, Any] = field(default_factory=dict)
    meta: bool = False

    def __str__(self) -> str:
        given = [f"{k}={v}" for k, v in self.kwargs.items()]
        made = f"({', '.join(map(_text, self.init))})" if self.init or self.init_kwargs else ""
        return f"{self.name}{made}({', '.join([*map(_text, self.args), *given])})"


def _text(value: Any) -> str:
    match value:
        case T(axes, dtype):
            return f"{dtype[0]}[{' '.join(axes)}]"
        case S(text):
            return text
        case tuple() | list():
            return f"({', '.join(map(_text, value))})"
    return str(value)


def size_of(text: str) -> Size:
    total: Size = 1
    for part in text.split("*"):
        total = total * (int(part) if part.isdigit() else symbol(part))
    return total


def number(text: str) -> int:
    return evaluate(size_of(text), SIZES)


# ------------------------------------------------------------------ in earnest


def real(value: Any, device: str) -> Any:
    match value:
        case T(dtype="float"):
            return torch.rand(value.sizes(), device=device)
        case T(dtype="int"):
            return torch.zeros(value.sizes(), dtype=torch.long, device=device)
        case T(dtype="byte"):
            return torch.ones(value.sizes(), dtype=torch.uint8, device=device)
        case T(dtype="bool"):
            return torch.ones(value.sizes(), dtype=torch.bool, device=device)
        case S(text):
            return number(text)
        case D(name):
            return getattr(torch, name)
        case list() | tuple():
            return type(value)(real(v, device) for v in value)
        case slice():
            return slice(*(real(v, device) for v in (value.start, value.stop, value.step)))
        case Call():  # a layer as an argument
            return _function(value, device)
    return value


def _function(call: Call, device: str) -> Any:
    root, *path = call.name.split(".")
    target: Any = {"torch": torch, "einops": einops, "operator": operator, "Tensor": torch.Tensor}[root]
    for part in path:
        target = getattr(target, part)
    if call.name in LAYERS:
        target = target(*real(call.init, device), **{k: real(v, device) for k, v in call.init_kwargs.items()})
        return target.to(device) if isinstance(target, torch.nn.Module) else target
    return target


def run_torch(call: Call) -> tuple[bool, Any]:
    """(True, what torch gives) or (False, its error)."""
    device = "meta" if call.meta else "cpu"
    try:
        args, kwargs = real(call.args, device), {k: real(v, device) for k, v in call.kwargs.items()}
        if call.name == "index":
            return True, args[0][tuple(args[1:])]
        if call.name == "property":
            return True, getattr(args[0], args[1])
        return True, _function(call, device)(*args, **kwargs)
    except Exception as error:  # whatever is raised is a refusal
        return False, error


# ---------------------------------------------------------------- symbolically


class JudgeKit:
    """A small interpreter: it learns free sizes (those with "?" in their names) and writes down crashes."""

    def __init__(self) -> None:
        self.learned: dict[str, Size] = {}
        self.crashes: list[tuple[str, Size | None, Size | None, Verdict, str]] = []
        self.count = 0

    def resolve(self, size: Size) -> Size:
        while isinstance(size, int) is False and not symbols(size).isdisjoint(self.learned):
            size = substitute(size, self.learned)
        return size

    def agree(self, a: Size, b: Size) -> Verdict:
        a, b = self.resolve(a), self.resolve(b)
        for one, other in ((a, b), (b, a)):
            name = as_symbol(one)
            if name is not None and "?" in name and name not in symbols(other) and one != other:
                self.learned[name] = other
                return compare(1, 1)
        return compare(a, b)

    def divides(self, size: Size) -> Size:
        size = self.resolve(size)
        parts = as_quotient(size)
        name = as_symbol(self.resolve(parts[0])) if parts else None
        if parts is None or name is None or "?" not in name or name in symbols(parts[1]):
            return size
        quotient = self.fresh("q")
        self.learned[name] = parts[1] * quotient
        return quotient

    def compare(self, a: Size, b: Size) -> Verdict:
        return compare(self.resolve(a), self.resolve(b))

    def fresh(self, hint: str) -> Size:
        self.count += 1
        return symbol(f"{hint}?{self.count}")

    def is_free(self, size: Size) -> bool:
        return "?" in (as_symbol(self.resolve(size)) or "")

    def refine(self, tensor: Tensor, shape: Shape) -> Tensor:
        if isinstance(tensor.shape, tuple):
            return tensor
        return tensor.with_(shape=shape)

    def assume(self, custom: str) -> Assumption | None:
        return None  # torch's word is wanted, not custom

    def rank(self, tensor: Tensor, rank: int, assumption: Assumption | None = None) -> Tensor:
        shape = tensor.shape
        if isinstance(shape, tuple):
            return tensor
        if shape.min_rank > rank:
            self.crash("rank", "rank", (tensor,), shape.min_rank, rank, compare(0, 1))
            return tensor
        middle = tuple(Axis(self.fresh("r")) for _ in range(rank - shape.min_rank))
        return tensor.with_(shape=(*shape.head, *middle, *shape.tail))

    def size(self, value: Any) -> Size | None:
        match value:
            case Num(size):
                return size
            case bool():
                return None
            case int():
                return value
        return None

    def integer(self, value: Any) -> int | None:
        size = self.size(value)
        return size if isinstance(size, int) else None

    def sizes(self, values: Sequence[Value]) -> tuple[Size | None, ...] | None:
        if len(values) == 1:
            match values[0]:
                case Items(_, items):
                    return self.sizes(items) if items else ()
                case tuple() | list():
                    return self.sizes(tuple(values[0])) if values[0] else ()
                case ShapeOf() | Many() | Unknown():
                    return None
        return tuple(self.size(v) for v in values)

    def broadcast(self, op: str, *tensors: Tensor) -> Shape:
        if any(not isinstance(x.shape, tuple) for x in tensors):
            return Partial()
        rank = max(len(x.axes or ()) for x in tensors)
        result: list[Axis] = []
        for at in range(rank):
            column = [x.axes[at - rank] for x in tensors if x.axes and len(x.axes) >= rank - at]
            found = column[0]
            for axis in column[1:]:
                if found.size == 1:
                    found = axis
                elif axis.size == 1:
                    continue
                elif self.is_free(found.size) or self.is_free(axis.size):
                    if self.compare(found.size, axis.size).always:
                        continue
                    known = axis if self.is_free(found.size) else found
                    found = known if not self.is_free(known.size) else Axis(self.fresh("b"))
                else:
                    verdict = self.compare(found.size, axis.size)
                    if not verdict.always:
                        self.crash("broadcast", op, tensors, found.size, axis.size, verdict)
            result.append(found)
        return tuple(result)

    def crash(
        self, kind: str, op: str, operands: Sequence[Tensor], left: Size | None, right: Size | None,
        verdict: Verdict, detail: str = "", argument: str = "",
    ) -> None:  # fmt: skip
        self.crashes.append((kind, left, right, verdict, detail))

    def axis(self, size: Size, why: str = "") -> Axis:
        return Axis(size)

    def call(self, func: Value, args: Sequence[Value]) -> Value:
        if not isinstance(func, LayerValue):
            return Unknown()
        return LAYERS[func.name].function(self, func, *args)


from shapecheck.engine.values import Layer as LayerValue  # noqa: E402  (the name Layer reads better in the class above)


def symbolic(value: Any, mood: str, kit: JudgeKit) -> Any:
    match value:
        case T():
            return _tensor(value, mood, kit)
        case S(text):
            return Num(number(text) if mood == "ints" else size_of(text))
        case D(name):
            return Extern(f"torch.{name}")
        case bool() | str() | float() | None:
            return Lit(value)
        case int():
            return Num(value)
        case list() | tuple():
            kind = "list" if isinstance(value, list) else "tuple"
            return Items(kind, tuple(symbolic(v, mood, kit) for v in value))
        case slice():
            return SliceVal(*(symbolic(v, mood, kit) for v in (value.start, value.stop, value.step)))
        case Call():
            given = tuple(symbolic(v, mood, kit) for v in value.init)
            return construct(value.name, given, {k: symbolic(v, mood, kit) for k, v in value.init_kwargs.items()})
    return Lit(value)  # Ellipsis


def _tensor(value: T, mood: str, kit: JudgeKit) -> Tensor:
    if mood == "ints":
        return Tensor(tuple(Axis(s) for s in value.sizes()), value.dtype)
    axes = tuple(Axis(size_of(a)) for a in value.axes)
    if mood == "free":
        axes = tuple(a if isinstance(a.size, int) else Axis(symbol(f"{a.size}?")) for a in axes)
        return Tensor(axes, value.dtype)
    if mood == "head" and axes:
        return Tensor(Partial(axes[:1], (), "key"), value.dtype)
    if mood == "tail" and axes:
        return Tensor(Partial((), axes[-1:], "key"), value.dtype)
    if mood == "unknown":
        return Tensor(Partial((), (), "key"), value.dtype)
    return Tensor(axes, value.dtype)


def run_ours(call: Call, mood: str) -> tuple[JudgeKit, Value | None]:
    """The kit after the call and what our op gives; None where the arguments did not bind."""
    kit = JudgeKit()
    args = tuple(symbolic(v, mood, kit) for v in call.args)
    kwargs = {k: symbolic(v, mood, kit) for k, v in call.kwargs.items()}
    if call.name == "index":
        return kit, index_op.index(kit, args[0], args[1:])
    if call.name == "property":
        return kit, REGISTRY[f"Tensor.{args[1].value}"].function(kit, args[0])
    if call.name in LAYERS:
        layer = symbolic(call, mood, kit)
        spec = LAYERS[call.name]
        bound = bind(spec.parameters, args, kwargs) if layer else None
        return kit, None if bound is None else spec.function(kit, layer, *bound.args, **bound.kwargs)
    spec = REGISTRY[call.name]
    bound = bind(spec.parameters, args, kwargs)
    return kit, None if bound is None else spec.function(kit, *bound.args, **bound.kwargs)


# ----------------------------------------------------------------- the verdict


class Disagreement(AssertionError):
    """torch and we say different things."""


class Matcher:
    """Compares values with what torch gave; a free size is bound to the first number it meets."""

    def __init__(self, kit: JudgeKit) -> None:
        self.kit = kit
        self.bound = {**SIZES, **{f"{k}?": v for k, v in SIZES.items()}}
        self.known = True  # was everything about the result known?

    def size(self, ours: Size, theirs: int) -> None:
        ours = self.kit.resolve(ours)
        missing = symbols(ours) - self.bound.keys()
        if missing:
            self.known = False
            name = as_symbol(ours)
            if name is not None:
                self.bound[name] = theirs
            return
        if evaluate(ours, self.bound) != theirs:
            raise Disagreement(f"{ours} is {evaluate(ours, self.bound)}, torch has {theirs}")

    def shape(self, ours: Shape, theirs: Sequence[int]) -> None:
        if isinstance(ours, Partial):
            self.known = False
            if ours.min_rank > len(theirs):
                raise Disagreement(f"rank of {ours.min_rank} or more, torch has {list(theirs)}")
            for axis, size in [*zip(ours.head, theirs), *zip(reversed(ours.tail), reversed(theirs))]:
                self.size(axis.size, size)
            return
        if len(ours) != len(theirs):
            raise Disagreement(f"rank {len(ours)} {[a.size for a in ours]}, torch has {list(theirs)}")
        for axis, size in zip(ours, theirs):
            self.size(axis.size, size)

    def value(self, ours: Value | None, theirs: Any) -> None:
        match ours, theirs:
            case Tensor(), torch.Tensor():
                self.shape(ours.shape, theirs.shape)
                self.dtype(ours.dtype, theirs.dtype)
                self.content(ours, theirs)
            case (Items(items=items), tuple() | list()):
                if len(items) != len(theirs):
                    raise Disagreement(f"{len(items)} results, torch has {len(theirs)}")
                for one, other in zip(items, theirs):
                    self.value(one, other)
            case (MappingValue(items=items), tuple()):
                if len(items) != len(theirs):
                    raise Disagreement(f"{len(items)} fields, torch has {len(theirs)}")
                for (name, one), other in zip(items, theirs):
                    if getattr(theirs, name, None) is not other:
                        raise Disagreement(f"torch has no field {name!r} there")
                    self.value(one, other)
            case (Many(item=item, length=length), tuple() | list()):
                if length is not None:
                    self.size(length, len(theirs))
                for other in theirs:  # a size that is not known may differ from member to member
                    before = dict(self.bound)
                    self.value(item, other)
                    self.bound = before
            case Num(size), int():
                self.size(size, theirs)
            case (Unknown() | None | ShapeOf(), _):
                self.known = False
            case Lit(value), _:
                if value != theirs:
                    raise Disagreement(f"{value}, torch has {theirs}")
            case _:
                raise Disagreement(f"{ours} against {type(theirs).__name__}")

    def dtype(self, ours: str | None, theirs: torch.dtype) -> None:
        if ours is None:
            return
        family = "bool" if theirs == torch.bool else "float" if theirs.is_floating_point else "int"
        family = "complex" if theirs.is_complex else "byte" if theirs == torch.uint8 else family
        if ours != family:
            raise Disagreement(f"dtype {ours}, torch has {theirs}")

    def content(self, ours: Tensor, theirs: torch.Tensor) -> None:
        """Affine content: element i is offset + stride * i."""
        if ours.content is None or theirs.is_meta or ours.rank != 1:
            return
        offset, stride = self.kit.resolve(ours.content.offset), self.kit.resolve(ours.content.stride)
        if (symbols(offset) | symbols(stride)) - self.bound.keys():
            return
        first, step = evaluate(offset, self.bound), evaluate(stride, self.bound)
        wanted = [first + step * n for n in range(theirs.numel())]
        if theirs.tolist() != wanted:
            raise Disagreement(f"content {first} + {step}*i, torch has {theirs.tolist()}")


def blamed(kit: JudgeKit, matcher: Matcher) -> list[str]:
    """The crashes that hold at these sizes."""
    found = []
    for kind, left, right, verdict, detail in kit.crashes:
        if verdict.always:
            raise Disagreement(f"a crash whose sizes agree: {kind} {left} {right}")
        if verdict.sometimes:
            assert left is not None
            assert right is not None
            a, b = kit.resolve(left), kit.resolve(right)
            if (symbols(a) | symbols(b)) - matcher.bound.keys():
                continue
            if evaluate(a, matcher.bound) == evaluate(b, matcher.bound):
                continue
        found.append(f"{kind}: {left} against {right} {detail}")
    return found


def judge(call: Call, mood: str) -> str:
    """ "same", "unknown" (torch runs, we don't know all), "refused" (both refuse) or "missed" (torch refuses, we are
    silent). Raises Disagreement where we are wrong."""
    ran, theirs = run_torch(call)
    if mood in ("head", "tail", "unknown") and any(isinstance(v, T) and not v.axes for v in call.args):
        return "unknown"  # ops take an unknown tensor for no scalar
    try:
        kit, ours = run_ours(call, mood)
    except TooComplex:
        return "unknown"
    matcher = Matcher(kit)
    crashes = blamed(kit, matcher)
    if not ran:
        return "refused" if crashes else "missed"
    if call.name.endswith(".chunk") and isinstance(ours, Items) and len(theirs) < len(ours.items):
        return "unknown"  # `a, b = x.chunk(2)` says that there are two
    if crashes:
        raise Disagreement(f"we refuse ({crashes[0]}), torch runs")
    matcher.value(ours, theirs)
    for name, learned in kit.learned.items():
        known = kit.resolve(learned)
        if name in matcher.bound and not symbols(known) - matcher.bound.keys():
            matcher.size(known, matcher.bound[name])
    return "same" if matcher.known else "unknown"


# -------------------------------------------------------------------- spoiling


def spoiled(call: Call) -> list[Call]:
    """The call with one axis of one tensor given another size, one axis dropped, or one axis too many."""
    found: list[Call] = []
    for at, value in enumerate(call.args):
        if isinstance(value, T):
            variants = _spoil(value)
            found += [replace(call, args=(*call.args[:at], v, *call.args[at + 1 :])) for v in variants]
        elif isinstance(value, list | tuple) and any(isinstance(v, T) for v in value):
            for inner, member in enumerate(value):
                for v in _spoil(member) if isinstance(member, T) else []:
                    changed = type(value)([*value[:inner], v, *value[inner + 1 :]])
                    found.append(replace(call, args=(*call.args[:at], changed, *call.args[at + 1 :])))
    return found


def _spoil(value: T) -> list[T]:
    axes = value.axes
    found = [replace(value, axes=(*axes[:n], "Z", *axes[n + 1 :])) for n in range(len(axes))]
    found += [replace(value, axes=(*axes[:n], *axes[n + 1 :])) for n in range(len(axes))]
    found.append(replace(value, axes=(*axes, "Y")))
    return found
