"""External callables: Python's builtins and the few library functions that work on more than tensors."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from shapecheck.dims import Size, TooComplex, maximum, minimum
from shapecheck.engine import attributes, branching
from shapecheck.engine.attributes import as_tensor, attribute, one_number
from shapecheck.engine.iterating import members_of
from shapecheck.engine.modules import mro
from shapecheck.engine.running import LOOSE, run_op, run_spec
from shapecheck.engine.subscripts import of_value
from shapecheck.engine.values import (
    FALSE,
    NONE,
    TRUE,
    Bound,
    ClassVal,
    Closure,
    Extern,
    Items,
    Layer,
    Lit,
    Many,
    Mapping,
    Num,
    Ref,
    ShapeOf,
    Tensor,
    Unknown,
    Value,
)
from shapecheck.ops import distributed, distributions, helpers
from shapecheck.ops.kit import LAYERS, REGISTRY, OpSpec, bind, signature
from shapecheck.source.program import Call, Node

if TYPE_CHECKING:
    from shapecheck.engine.machine import Machine

_IDENTITY = frozenset(
    {
        "copy.copy",
        "copy.deepcopy",
        "typing.cast",
        "torch.compile",
        "torch.jit.script",
        "torch.no_grad",
        "torch.nn.parallel.DistributedDataParallel",
        "torch.nn.DataParallel",
        "torch.nn.SyncBatchNorm.convert_sync_batchnorm",
        "functools.wraps",
        "torch.utils.checkpoint.checkpoint",
        "torch.cuda.amp.custom_fwd",
        "torch.jit.ignore",
        "builtins.iter",
        "torch.jit.export",
        "functools.lru_cache",
        "functools.cache",
        "beartype.beartype",
    }
)


def call_external(m: Machine, name: str, args: list[Value], kwargs: dict[str, Value], node: Node) -> Value:
    from shapecheck.engine.calls import call

    head, _, last = name.rpartition(".")
    if head == "builtins":
        return _python(m, last, args, kwargs, node)
    if name in REGISTRY:
        return run_op(m, name, args, kwargs, node)
    if name in LAYERS or name in distributions.CONSTRUCTORS:
        return make_layer(m, name, args, kwargs)
    if head == "torch.Tensor" and f"Tensor.{last}" in REGISTRY:
        return run_op(m, f"Tensor.{last}", args, kwargs, node)
    if name == "functools.partial" and args:
        return Bound(args[0], tuple(args[1:]), tuple(kwargs.items()))
    if name in _IDENTITY:
        if name == "torch.utils.checkpoint.checkpoint":
            plain = {k: v for k, v in kwargs.items() if k not in ("use_reentrant", "preserve_rng_state", "context_fn")}
            return call(m, args[0], args[1:], plain, node) if args else m.unknown()
        if name in ("torch.no_grad", "torch.compile", "functools.lru_cache", "functools.wraps") and not args:
            return Extern(name)
        return args[1 if name == "typing.cast" else 0] if len(args) > (name == "typing.cast") else m.unknown()
    if name == "dataclasses.replace" and args and isinstance(args[0], Ref):
        return args[0]
    if name.startswith("math."):
        return _math(m, last, args)
    if (helped := by_name(m, name, args, kwargs, node)) is not None:
        return helped
    if name in ("torch.Size", "numpy.shape") and args:
        return args[0] if name == "torch.Size" else m.unknown()
    if name in ("torch.is_tensor",) and args:
        return _isinstance(m, args[0], Extern("torch.Tensor"))
    if name in ("collections.defaultdict", "collections.OrderedDict"):
        return Mapping(tuple(kwargs.items()), None if last == "OrderedDict" and not args else m.unknown())
    if name.startswith(_OF_ARRAYS):
        numbers = bool(args) and all(
            isinstance(a, (Num, Lit)) or (isinstance(a, Unknown) and a.hint == "float") for a in args
        )
        return Unknown("float" if numbers and last in _NUMBERS else "array", m.fresh())
    return Unknown(key=f"{m.fresh()}")


_OF_ARRAYS = ("numpy.", "scipy.", "pandas.", "sklearn.", "cupy.", "jax.", "tensorflow.", "faiss.")
_NUMBERS = frozenset({"sqrt", "log", "log2", "log10", "exp", "power", "cos", "sin", "tan", "abs", "float32", "float64"})


def by_name(m: Machine, dotted: str, args: list[Value], kwargs: dict[str, Value], node: Node) -> Value | None:
    """A gather helper, or the rank or number of processes, out of a module that is not at hand."""

    kind = helpers.kind_of(dotted)
    if kind in ("rank", "world"):
        return None if len(args) + len(kwargs) > 1 else Num(distributed.RANK if kind == "rank" else distributed.WORLD)
    tensor = as_tensor(args[0]) if kind and len(args) == 1 and set(kwargs) <= {"group", "sync_grads"} else None
    if tensor is None:
        return None
    spec = OpSpec("all_gather", lambda kit, tensor: helpers.gather_all(kit, kind, tensor), signature("tensor"))
    return run_spec(m, dotted, spec, [tensor], node)


def make_layer(m: Machine, name: str, args: list[Value], kwargs: dict[str, Value]) -> Value:
    constructor = LAYERS[name].constructor if name in LAYERS else distributions.CONSTRUCTORS[name]
    key = f"layer {m.serial()}"

    if LOOSE in kwargs or "*" in kwargs:
        return Layer(name, (), key)
    bound = bind(constructor, args, kwargs)
    if bound is None:
        return Layer(name, (), key)
    values: list[tuple[str, Value]] = []
    for parameter, value in bound.arguments.items():
        if isinstance(value, tuple) and any(p.name == parameter and p.kind is p.VAR_POSITIONAL for p in constructor):
            values.append((parameter, Items("tuple", value)))
        else:
            values.append((parameter, as_value(value)))
    given = Items("tuple", tuple(Lit(p.name) for p, _ in zip(constructor, args)) + tuple(Lit(k) for k in kwargs))
    return Layer(name, (*values, ("given", given)), key)


def as_value(value: Any) -> Value:
    """A parameter's default (a Python literal) as a value."""
    match value:
        case None:
            return NONE
        case bool():
            return TRUE if value else FALSE
        case int():
            return Num(value)
        case float() | str():
            return Lit(value)
        case tuple() | list():
            return Items("tuple", tuple(as_value(v) for v in value))
        case dict():
            return Mapping(tuple((k, as_value(v)) for k, v in value.items()))
        case _:
            return value  # type: ignore[no-any-return]


def fill_gathered(m: Machine, expr: Call, args: list[Value], kwargs: dict[str, Value]) -> None:
    """`dist.all_gather(outputs, x)` fills the list: from now on every member looks like x."""
    from shapecheck.engine.statements import assign

    source = kwargs.get("tensor", args[1] if len(args) > 1 else None)
    tensor = as_tensor(source) if source is not None else None
    target = next((a.value for a in expr.args if a.keyword == "tensor_list"), expr.args[0].value)
    if tensor is None:
        return
    old = m.resolve(kwargs.get("tensor_list", args[0])) if args else None
    length: Size = distributed.WORLD
    if isinstance(old, Many) and old.length is not None:
        length = old.length
    elif isinstance(old, Items):
        length = len(old.items)
    filled = m.made(m.state.tensor(tensor), REGISTRY["torch.distributed.all_gather"], {"tensor": tensor})
    assign(m, target, Many(filled, length, "gathered"), quiet=True)


# -------------------------------------------------------------------- builtins


def _python(m: Machine, name: str, args: list[Value], kwargs: dict[str, Value], node: Node) -> Value:
    from shapecheck.engine.calls import call

    first = m.resolve(args[0]) if args else NONE
    match name:
        case "len" if args:
            return length_of(m, first)
        case "isinstance" if len(args) == 2:
            return _isinstance(m, first, args[1])
        case "range" if args:
            return _range(m, args)
        case "enumerate" if args:
            known, item = members_of(m, first)
            if known is not None:
                start = m.kit.integer(args[1]) if len(args) > 1 else 0
                return Items("list", tuple(Items("tuple", (Num(i + (start or 0)), v)) for i, v in enumerate(known)))
            return Many(Items("tuple", (Unknown("int", m.fresh()), item)), _count(m, first))
        case "zip":
            return _zip(m, args)
        case "getattr" if len(args) >= 2 and isinstance(args[1], Lit) and isinstance(args[1].value, str):
            found = attribute(m, first, args[1].value, node)  # type: ignore[arg-type]
            return found
        case "hasattr" if len(args) == 2 and isinstance(args[1], Lit):
            return _hasattr(m, first, str(args[1].value))
        case "int" if args:
            if isinstance(first, Tensor):
                one_number(m, first, "int")
            size = m.kit.size(first)
            if isinstance(first, Unknown) and first.key is not None:
                if first.hint == "float" and first.key in m.computed:
                    return Num(m.size(m.computed[first.key]))
                if first.hint == "int":
                    return first
            if isinstance(first, Lit) and isinstance(first.value, float):
                return Num(int(first.value))
            return Num(size) if size is not None and not isinstance(first, Unknown) else Unknown("int", m.fresh())
        case "float" if args:
            if isinstance(first, Tensor):
                one_number(m, first, "float")
            return (
                Lit(float(first.size))
                if isinstance(first, Num) and isinstance(first.size, int)
                else Unknown("float", m.fresh())
            )
        case "bool" if args:
            if isinstance(first, Tensor):
                one_number(m, first, "bool")
            known_truth = branching.value_truth(m, first)
            return Unknown("bool", m.fresh()) if known_truth is None else (TRUE if known_truth else FALSE)
        case "str" | "repr" | "format" | "input":
            return Unknown("str")
        case "max" | "min":
            return _extreme(m, name, args)
        case "sum" if args:
            return _sum(m, args, node)
        case "abs" if args:
            if isinstance(first, Tensor):
                return run_op(m, "torch.abs", args, {}, node)
            return Num(abs(first.size)) if isinstance(first, Num) and isinstance(first.size, int) else m.unknown()
        case "round" if args:
            return Unknown("int", m.fresh()) if len(args) == 1 else Unknown("float", m.fresh())
        case "list" | "tuple" | "set":
            if not args:
                return Items(name, ())
            known, item = members_of(m, first)
            if known is not None and not isinstance(first, Tensor):
                return Items(name, tuple(known))
            return Many(item, _count(m, first), name)
        case "dict":
            if not args:
                return Mapping(tuple(kwargs.items()), None)
            if isinstance(first, Mapping):
                return replace(first, items=tuple((dict(first.items) | kwargs).items()), kind="dict")
            return Mapping(tuple(kwargs.items()), m.unknown())
        case "reversed" if args:
            if isinstance(first, Items):
                return Items("list", tuple(reversed(first.items)))
            return Many(members_of(m, first)[1], _count(m, first))
        case "sorted" if args:
            return Many(members_of(m, first)[1], _count(m, first))
        case "map" if len(args) >= 2:
            known, item = members_of(m, args[1])
            if known is not None and len(args) == 2:
                return Items("list", tuple(call(m, first, [k], {}, node) for k in known))
            others = [members_of(m, a)[1] for a in args[1:]]
            return Many(call(m, first, others, {}, node), _count(m, m.resolve(args[1])))
        case "filter" if len(args) == 2:
            return Many(members_of(m, args[1])[1])
        case "next" if args:
            return m.resolve(members_of(m, first)[1])
        case "iter" if args:
            return first
        case "divmod" if len(args) == 2:
            from shapecheck.engine.operators import arithmetic

            return Items("tuple", (arithmetic(m, "//", args), arithmetic(m, "%", args)))
        case "type" if args and isinstance(first, Ref) and first.id in m.state.heap:
            return m.state.heap[first.id].cls
        case "type" if isinstance(first, Tensor) or (isinstance(first, Items) and first.kind in ("list", "tuple")):
            return Extern("torch.Tensor" if isinstance(first, Tensor) else f"builtins.{first.kind}")
        case "setattr" if len(args) == 3 and isinstance(first, Ref) and first.id in m.state.heap:
            obj, named = m.state.heap[first.id], isinstance(args[1], Lit)
            # by a name that nobody knows settings are set: numbers, flags, tensors; the parts of a model stay
            open_ = [n for n, v in obj.attrs.items() if not isinstance(v, (Ref, Layer, Closure, Bound, ClassVal))]
            for one in [args[1].value] if isinstance(args[1], Lit) else open_:
                obj = obj.having(str(one), args[2] if named else m.unknown())
            m.state.heap[first.id] = obj
            return NONE
        case "callable" if args:
            return TRUE if isinstance(first, (Closure, Extern, ClassVal, Bound, Layer)) else Unknown("bool", m.fresh())
        case "any" | "all":
            return Unknown("bool", m.fresh())
        case _:
            return m.unknown()


def length_of(m: Machine, value: Value) -> Value:
    match value:
        case Items(items=items):
            return Num(len(items))
        case Many(length=length) if length is not None:
            return Num(length)
        case Mapping(items=items, rest=None):
            return Num(len(items))
        case ShapeOf(tensor=t):
            return attributes.rank_value(m.state.tensor(t))
        case Tensor() | Unknown(hint=""):
            tensor = as_tensor(value)
            if isinstance(value, Unknown) or tensor is None:
                return Unknown("int", f"len {value.key}" if isinstance(value, Unknown) and value.key else m.fresh())

            return of_value(m, attributes.shape_value(m, m.state.tensor(tensor)), [Num(0)], m.site.node, is_tuple=False)  # type: ignore[arg-type]
        case Lit(value=str(text)):
            return Num(len(text))
        case Layer():
            inner = value.arg("modules") or value.arg("args")
            return length_of(m, m.resolve(inner)) if inner is not None else Unknown("int", m.fresh())
        case _:
            return Unknown("int", m.fresh())


def _count(m: Machine, value: Value) -> Size | None:
    counted = length_of(m, value) if not isinstance(value, Unknown) else None
    return counted.size if isinstance(counted, Num) else None


def _range(m: Machine, args: list[Value]) -> Value:
    plain = [m.kit.integer(a) for a in args]
    if all(p is not None for p in plain):
        try:
            numbers = range(*[p for p in plain if p is not None])
        except ValueError:
            return m.unknown()
        if len(numbers) <= 8:
            return Items("list", tuple(Num(n) for n in numbers))
        return _counted(m, numbers.start, len(numbers), numbers.step)
    low: Size | None = 0 if len(args) == 1 else m.kit.size(args[0])
    high = m.kit.size(args[0] if len(args) == 1 else args[1])
    length = high - low if low is not None and high is not None and len(args) < 3 else None
    return _counted(m, low, length, 1)


def _counted(m: Machine, first: Size | None, length: Size | None, step: int) -> Many:
    """The members of a range: one unknown int, of which it is known what it counts."""
    member = Unknown("int", m.fresh())
    if first is not None and length is not None and step == 1 and member.key is not None:
        m.facts.counters[member.key] = (first, length)
    return Many(member, length)


def _zip(m: Machine, args: list[Value]) -> Value:
    members = [members_of(m, a) for a in args]
    if members and all(k is not None for k, _ in members):
        return Items("list", tuple(Items("tuple", t) for t in zip(*[k for k, _ in members if k is not None])))
    counts = [c for a in args if (c := _count(m, m.resolve(a))) is not None]
    return Many(Items("tuple", tuple(item for _, item in members)), counts[0] if counts else None)


def _hasattr(m: Machine, value: Value, name: str) -> Value:
    if isinstance(value, Ref) and value.id in m.state.heap and name in m.state.heap[value.id].attrs:
        return TRUE
    if isinstance(value, Tensor):
        return (
            TRUE
            if f"Tensor.{name}" in REGISTRY or name in ("shape", "size", "ndim", "dim", "device", "dtype")
            else m.unknown("bool")
        )
    return Unknown("bool", f"hasattr {value.key} {name}" if isinstance(value, Unknown) and value.key else m.fresh())


def _is_tensor_class(cls: Value) -> bool:
    return isinstance(cls, Extern) and cls.name.endswith(("Tensor", "Parameter"))


def _isinstance(m: Machine, value: Value, kinds: Value) -> Value:
    if isinstance(kinds, Items):
        each = [_isinstance(m, value, k) for k in kinds.items]
        if TRUE in each:
            return TRUE
        return FALSE if all(e == FALSE for e in each) else Unknown("bool", m.fresh())
    kind = kinds.name if isinstance(kinds, Extern) else None
    last = kind.rsplit(".", 1)[-1] if kind else ""
    match value:
        case Unknown(hint="", key=str(key)) if kind:
            return Unknown("bool", f"isinstance {key} {kind}")
        case Tensor(made=made) if made is not None and isinstance(kinds, ClassVal):  # torch gave it, not the project
            return m.unknown("bool") if any(_is_tensor_class(c) for c in mro(m, kinds)) else FALSE
        case Tensor():
            if last in ("Tensor", "FloatTensor", "LongTensor"):
                return TRUE
            return FALSE if last in ("list", "tuple", "dict", "str", "int", "float", "ndarray") else m.unknown("bool")
        case Items(kind=k) | Many(kind=k):
            if last in ("list", "tuple"):
                return TRUE if k == last else FALSE
            return FALSE if last in ("Tensor", "dict", "str", "int", "float", "ndarray") else m.unknown("bool")
        case Mapping(kind="dict"):
            return (
                TRUE
                if last in ("dict", "Mapping")
                else FALSE
                if last in ("Tensor", "list", "tuple", "str")
                else m.unknown("bool")
            )
        case Num():
            return (
                TRUE
                if last == "int"
                else FALSE
                if last in ("Tensor", "list", "tuple", "dict", "str", "float")
                else m.unknown("bool")
            )
        case Lit(value=None):
            return FALSE if last else m.unknown("bool")
        case Lit(value=v):
            return (
                TRUE
                if type(v).__name__ == last
                else FALSE
                if last in ("Tensor", "list", "tuple", "dict")
                else m.unknown("bool")
            )
        case Ref() if value.id in m.state.heap and isinstance(kinds, ClassVal):
            return TRUE if kinds in mro(m, m.state.heap[value.id].cls) else FALSE
        case _:
            return m.unknown("bool")


def _extreme(m: Machine, name: str, args: list[Value]) -> Value:
    values = args
    if len(args) == 1:
        known, item = members_of(m, args[0])
        if known is None:
            return m.unknown("int") if not isinstance(item, Tensor) else item
        values = known
    if any(isinstance(v, (Lit, Tensor)) for v in values):
        return m.unknown()
    sizes = [m.kit.size(v) for v in values]
    if not sizes or any(s is None for s in sizes):
        return m.unknown()
    known_sizes = [s for s in sizes if s is not None]
    out = known_sizes[0]
    try:
        for s in known_sizes[1:]:
            out = (maximum if name == "max" else minimum)(out, s)
    except TooComplex:
        return m.unknown("int")
    return Num(out)


def _sum(m: Machine, args: list[Value], node: Node) -> Value:
    from shapecheck.engine.operators import apply

    known, item = members_of(m, args[0])
    if known is None or not known:
        return item.with_(made=None, content=None) if isinstance(item, Tensor) else m.unknown()
    out = known[0]
    for v in known[1:]:
        out = apply(m, "+", [m.resolve(out), m.resolve(v)], node)  # type: ignore[arg-type]
    return out


def _math(m: Machine, name: str, args: list[Value]) -> Value:
    import math

    numbers = [a.value if isinstance(a, Lit) else a.size if isinstance(a, Num) else None for a in args]
    if name in ("ceil", "floor") and len(args) == 1 and isinstance(args[0], Num):
        return args[0]
    if (
        name in ("sqrt", "log", "ceil", "floor", "exp", "log2")
        and len(numbers) == 1
        and isinstance(numbers[0], (int, float))
    ):
        try:
            result = getattr(math, name)(numbers[0])
        except (ValueError, OverflowError):
            return Unknown("float", m.fresh())
        return Num(result) if isinstance(result, int) else Lit(result)
    if name == "prod" and args:
        known, _ = members_of(m, args[0])
        sizes = [m.kit.size(k) for k in known] if known is not None else [None]
        if all(s is not None for s in sizes):
            total: Any = 1
            for s in sizes:
                total = total * s
            return Num(total)
        return m.unknown("int")
    return Unknown("int" if name in ("ceil", "floor", "gcd", "isqrt") else "float", m.fresh())
