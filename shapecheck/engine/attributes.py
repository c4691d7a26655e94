"""`value.name`: tensors, instances and their classes, modules, layers, external names."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

from shapecheck.dims import NEVER
from shapecheck.engine.globals import module_attr
from shapecheck.engine.modules import decorator_names, external_bases, find_member, in_module, is_module_class
from shapecheck.engine.values import (
    NONE,
    Bound,
    ClassVal,
    Closure,
    Extern,
    Items,
    Layer,
    Lit,
    Many,
    Mapping,
    Method,
    ModuleVal,
    Num,
    Origin,
    Partial,
    Ref,
    ShapeOf,
    Tensor,
    Unknown,
    Value,
)
from shapecheck.ops import distributions, helpers, huggingface, layers
from shapecheck.ops.kinds import ARITHMETIC, BINARY
from shapecheck.ops.kit import REGISTRY
from shapecheck.ops.methods import PROPERTIES, SHARED, SURE
from shapecheck.source.program import Arg, Attr, Bind, Call, Class, Expr, Function, Name, Node, walk

if TYPE_CHECKING:
    from shapecheck.engine.machine import Machine

# names that other Python objects share with tensors: on something unknown they say nothing
# methods of a module that give the module itself back
MOVES = frozenset(
    {
        "to",
        "cuda",
        "cpu",
        "half",
        "float",
        "double",
        "bfloat16",
        "eval",
        "train",
        "requires_grad_",
        "share_memory",
        "apply",
    }
)
REGISTERS = frozenset({"register_buffer", "register_parameter", "add_module", "register_module"})
_SAME_OBJECT = frozenset({"data", "real"})
_OF_ARRAYS = frozenset({"shape", "size", "ndim", "dtype", "nbytes", "flat"})  # of numpy's and scipy's


def as_tensor(value: Value) -> Tensor | None:
    """The value as a tensor, where it is one or may be one that nothing is known of; None where it is not."""
    match value:
        case Tensor():
            return value
        case Unknown(hint="", key=key):
            return Tensor(Partial(key=key))
        case _:
            return None


def is_tensor_call(call: Call) -> bool:
    """Do the arguments tell that this method is a tensor's, though other objects have one of that name?"""
    name = call.func.name if isinstance(call.func, Attr) else ""
    if f"Tensor.{name}" not in REGISTRY:
        return False
    arithmetic = REGISTRY[f"Tensor.{name}"].kind & ARITHMETIC and name != "add"  # a set has one of that name
    return bool(arithmetic) or any(a.keyword in ("dim", "keepdim") for a in call.args)


def takes_tensor(name: str, args: list[Value]) -> bool:
    """`x.add(y)` of a tensor y: arithmetic of tensors, though sets have a method of that name too."""
    spec = REGISTRY.get(f"Tensor.{name}")
    return len(args) == 1 and isinstance(args[0], Tensor) and spec is not None and bool(spec.kind & BINARY)


def known_tensor(m: Machine, owner: Expr) -> Value:
    """What `owner` is, given that it is a tensor."""
    value = m.resolve(m.eval(owner))
    return as_tensor(value) or value


def attribute(m: Machine, value: Value, name: str, node: Expr) -> Value:
    value = m.used(m.resolve(value))
    match value:
        case Tensor():
            return _of_tensor(m, value, name, node)
        case Ref():
            return of_instance(m, value, name, node)
        case ModuleVal(path=path):
            found = module_attr(m, path, name)
            return m.resolve(found) if found is not None else Unknown(key=f"{path}:{name}")
        case Extern(name=dotted):
            return external(m, f"{dotted}.{name}")
        case ClassVal():
            return of_class(m, value, name, node)
        case Layer():
            return _of_layer(m, value, name)
        case Mapping():
            if value.kind != "dict" and (found := value.get(name)) is not None:
                return m.resolve(found)
            return Method(value, name)
        case Unknown(hint="array"):
            return m.unknown() if name in _OF_ARRAYS else Method(value, name)
        case Unknown(key=key):
            if name in SURE and value.hint == "":
                return _of_tensor(m, Tensor(Partial(key=key)), name, node)
            if f"Tensor.{name}" in REGISTRY and name not in SHARED and value.hint == "":
                return Method(value, name)
            output = huggingface.customary(m.kit, value, name, lambda: told_around(m, node))
            if output is not None:
                return output
            # a stable key, so that two reads of `cfg.flag` are one unknown and tests on it correlate
            return Unknown(key=f"{key}.{name}") if key is not None else m.unknown()
        case Lit(value=None) if not name.startswith("__"):
            m.path_ends()
        case Many(kind=helpers.GUESSED) if name in SURE:
            return attribute(m, helpers.settled(m.kit, value), name, node)
        case Items() | Many() | ShapeOf() | Lit() | Num() | Closure():
            return Method(value, name)
        case _:
            return m.unknown()


def told_around(m: Machine, node: Node) -> str:
    """The words that tell what a value is for: the expression, the function with its parameters, the class."""
    function, owner = m.here.function, m.here.owner
    words: list[str] = []
    for part in (node, *walk(node)):
        match part:
            case Name(id=word) | Attr(name=word) | Arg(keyword=str(word)):
                words.append(word)
    if isinstance(function, Function):
        words += [function.name, *(p.name for p in function.params)]
    if owner is not None:
        words.append(owner.node.name)
    return " ".join(words)


def _of_tensor(m: Machine, t: Tensor, name: str, node: Expr) -> Value:
    t = m.state.tensor(t)
    if name == "shape":
        return shape_value(m, t)
    if name == "ndim":
        return rank_value(t)
    if name in ("device", "dtype", "is_cuda", "requires_grad", "layout", "is_sparse", "is_leaf", "grad_fn", "itemsize"):
        return m.unknown("other")
    if name in PROPERTIES:
        if f"Tensor.{name}" in REGISTRY:
            from shapecheck.engine.running import run_op

            return run_op(m, f"Tensor.{name}", [t], {}, node)
        return t.with_(made=None) if name == "grad" else t
    return Method(t, name)


def shape_value(m: Machine, t: Tensor) -> Value:
    """`x.shape`, `x.size()`: all sizes where the rank is known."""
    if t.axes is None:
        return ShapeOf(t)
    site = m.site
    why = Origin("a size of a tensor", site)
    return Items("size", tuple(Num(a.size, a.origin or why, t, i) for i, a in enumerate(t.axes)))


def rank_value(t: Tensor) -> Value:
    """`x.dim()`, `x.ndim`, `len(x.shape)`."""
    if t.rank is not None:
        return Num(t.rank)
    if isinstance(t.shape, Partial) and t.shape.key is not None:
        return Unknown("int", "rank " + t.shape.key)
    return Unknown("int")


def external(m: Machine, dotted: str) -> Value:
    """A name inside something external: constants that matter, else just its full name."""
    return NONE if dotted in ("torch.newaxis", "numpy.newaxis") else Extern(dotted)


# ------------------------------------------------------------------- instances


def of_instance(m: Machine, ref: Ref, name: str, node: Node) -> Value:
    obj = m.state.heap.get(ref.id)
    if obj is None:
        return m.unknown()
    if name in obj.attrs:
        return m.resolve(obj.attrs[name])
    if name == "__class__":
        return obj.cls
    found = class_member(m, obj.cls, name, ref, node)
    if found is not None:
        return m.resolve(found)
    if name == "training":
        return Unknown("bool", f"{obj.key}.training")
    if name in (MOVES | REGISTERS) and is_module_class(m, obj.cls):
        return Method(ref, name)
    value = Unknown(key=f"{obj.key}.{name}")
    m.state.heap[ref.id] = obj.noting(name, value)
    return m.resolve(value)


def class_member(
    m: Machine, cls: ClassVal, name: str, receiver: Value, node: Node, after: ClassVal | None = None
) -> Value | None:
    """A method bound to `receiver` (an instance or the class), the value of a property, which `node` calls, or a class
    attribute."""
    found = find_member(m, cls, name, after)
    if found is None:
        return None
    owner, stmt = found
    match stmt:
        case Function():
            return bind_method(m, owner, stmt, receiver, node)
        case Class():
            return ClassVal(stmt, owner.path, owner.frame)
        case Bind(value=value) if value is not None:
            result = in_module(m, owner.path, owner.frame, value)
            if isinstance(result, Closure) and result.self_value is None and isinstance(receiver, Ref):
                return Closure(result.node, result.path, result.frame, receiver, owner, result.decorators)
            return result
        case _:
            return None


def bind_method(m: Machine, owner: ClassVal, stmt: Function, receiver: Value, node: Node) -> Value:
    names = decorator_names(stmt)
    plain = Closure(stmt, owner.path, owner.frame, None, owner, names)
    if "staticmethod" in names:
        return plain
    if "classmethod" in names:
        cls = (
            receiver
            if isinstance(receiver, ClassVal)
            else m.state.heap[receiver.id].cls
            if isinstance(receiver, Ref)
            else owner
        )
        return Closure(stmt, owner.path, owner.frame, cls, owner, names)
    if not isinstance(receiver, Ref):
        return plain
    bound = Closure(stmt, owner.path, owner.frame, receiver, owner, names)
    if any(n in ("property", "cached_property", "functional_property") for n in names):
        return m.call(bound, [], {}, node)
    return bound


APPLIED = "autograd"  # a mark of the `forward` that runs by `apply`: gradients go through its `backward`


def of_class(m: Machine, cls: ClassVal, name: str, node: Node) -> Value:
    found = class_member(m, cls, name, cls, node)
    if found is not None:
        return m.resolve(found)
    if name == "__name__":
        return Lit(cls.node.name)
    if name == "apply" and any(e.rpartition(".")[2] == "Function" for e in external_bases(m, cls)):
        forward = class_member(m, cls, "forward", cls, node)
        if isinstance(forward, Closure):  # torch hands the context in front
            forward = replace(forward, decorators=(*forward.decorators, APPLIED))
            return Bound(forward, (m.unknown("other"),), ())
    # an Enum member, or something a base class outside the project provides
    return Unknown(key=f"{cls.path}:{cls.node.name}.{name}")


# ---------------------------------------------------------------------- layers


def resolved(m: Machine, layer: Layer) -> Layer:
    """The layer, with what it was made of as it is known now."""
    return replace(layer, args=tuple((k, m.resolve(v)) for k, v in layer.args))


def _of_layer(m: Machine, layer: Layer, name: str) -> Value:
    known = layers.attribute(m.kit, layer, name)  # first: `bias=True` is how it was made, `.bias` a tensor
    if known is not None:
        return m.resolve(known)
    found = layer.arg(name)
    if found is not None:
        return m.resolve(found)
    if name == "config" and (config := huggingface.config(layer)) is not None:
        return config
    if name in ("forward", "__call__"):
        return layer
    if name in MOVES or (layer.name in distributions.CONSTRUCTORS and name in distributions.METHODS):
        return Method(layer, name)
    if layer.name in distributions.CONSTRUCTORS and name in distributions.ATTRIBUTES:
        return distributions.member(m.kit, resolved(m, layer), name)
    return Unknown(key=f"{layer.key or layer.name}.{name}") if layer.key else Method(layer, name)


def one_number(m: Machine, tensor: Tensor, taking: str) -> None:
    """Python asks the tensor for its only element: state the crash where it has none, or several."""
    sizes = m.state.tensor(tensor).sizes
    if sizes is None or not all(isinstance(size, int) for size in sizes):
        return
    count = prod(size for size in sizes if isinstance(size, int))
    if count != 1:
        detail = f"it has {count} elements, and {taking}() takes one"
        m.kit.crash("setting", taking, (tensor,), count, 1, NEVER, detail)
