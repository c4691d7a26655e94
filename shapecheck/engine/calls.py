"""What a call does: project functions are entered, known ops run, classes instantiated, the rest is unknown."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from shapecheck.dims import TooComplex
from shapecheck.engine import attributes, builtin, containers, subscripts
from shapecheck.engine.attributes import as_tensor
from shapecheck.engine.contracts import on_enter
from shapecheck.engine.facts import Applied
from shapecheck.engine.modules import (
    decorator_names,
    external_bases,
    find_member,
    in_module,
    is_module_class,
    mro,
)
from shapecheck.engine.results import blank, plain_call
from shapecheck.engine.running import LOOSE, call_layer, run_op
from shapecheck.engine.state import Instance
from shapecheck.engine.values import (
    NONE,
    UNKNOWN,
    Bound,
    ClassVal,
    Closure,
    Extern,
    Items,
    Layer,
    Many,
    Mapping,
    Method,
    Num,
    Ref,
    Tensor,
    Unknown,
    Value,
)
from shapecheck.ops import helpers
from shapecheck.ops.kit import REGISTRY
from shapecheck.ops.methods import OTHERS_TOO
from shapecheck.source.program import Attr, Bind, Call, Expr, Function, Index, Name, Node, Param, text_of

if TYPE_CHECKING:
    from shapecheck.engine.machine import Machine


def call_expression(m: Machine, expr: Call) -> Value:

    if isinstance(expr.func, Name) and expr.func.id == "super":
        return m.unknown()
    if isinstance(expr.func, Attr) and _is_super(expr.func.value):
        func = super_member(m, expr.func.name, expr)
        if func is None and expr.func.name == "__call__" and isinstance(m.here.self_value, Ref):
            func = attributes.attribute(m, m.here.self_value, "forward", expr)  # torch's own, of any module
            func = func if isinstance(func, Closure) else None
        if func is None:
            func = Extern("super." + expr.func.name)
    else:
        func = m.resolve(m.eval(expr.func))
        if isinstance(func, Unknown) and isinstance(expr.func, Attr) and attributes.is_tensor_call(expr):
            func = attributes.attribute(m, attributes.known_tensor(m, expr.func.value), expr.func.name, expr.func)
    args, kwargs = arguments(m, expr)
    if isinstance(func, Unknown) and isinstance(expr.func, Attr) and attributes.takes_tensor(expr.func.name, args):
        func = attributes.attribute(m, attributes.known_tensor(m, expr.func.value), expr.func.name, expr.func)
    previous, m.site = m.site, m.at(expr)
    try:
        if isinstance(func, Method) and isinstance(func.owner, (Items, Many, Mapping)) and isinstance(expr.func, Attr):
            changed = containers.changed_by(m, func.owner, func.name, args)
            if changed is not None:
                from shapecheck.engine.statements import assign

                assign(m, expr.func.value, changed, quiet=True)
        result = call(m, func, args, kwargs, expr)
        target = _in_place_target(func, expr)
        if target is not None and isinstance(result, Tensor):
            from shapecheck.engine.statements import assign

            assign(m, target, result, quiet=True)
        if isinstance(func, Extern) and func.name.endswith("distributed.all_gather") and expr.args:
            builtin.fill_gathered(m, expr, args, kwargs)
        return result
    finally:
        m.site = previous


def _is_super(expr: Expr) -> bool:
    return isinstance(expr, Call) and isinstance(expr.func, Name) and expr.func.id == "super"


def super_member(m: Machine, name: str, node: Node) -> Value | None:
    here = m.here
    if here.owner is None or here.self_value is None:
        return None
    cls = here.owner
    receiver = here.self_value
    if isinstance(receiver, Ref) and receiver.id in m.state.heap:
        cls = m.state.heap[receiver.id].cls
    return attributes.class_member(m, cls, name, receiver, node, after=here.owner)


def _in_place_target(func: Value, expr: Call) -> Expr | None:
    if (
        isinstance(func, Method)
        and isinstance(expr.func, Attr)
        and func.name.endswith("_")
        and not func.name.startswith("_")
    ):
        spec = REGISTRY.get("Tensor." + func.name)
        if spec is not None and spec.inplace:
            return expr.func.value
    return next((a.value for a in expr.args if a.keyword == "out"), None)


def arguments(m: Machine, expr: Call) -> tuple[list[Value], dict[str, Value]]:
    args: list[Value] = []
    kwargs: dict[str, Value] = {}
    for a in expr.args:
        value = m.resolve(m.eval(a.value))
        if a.star == "*":
            if isinstance(value, Items):
                args.extend(value.items)
            elif isinstance(value, Many) and isinstance(value.length, int) and value.length <= 8:
                args.extend([value.item] * value.length)
            else:
                kwargs["*"] = value
        elif a.star == "**":
            if isinstance(value, Mapping):
                kwargs.update(value.items)
                if value.rest is not None:
                    kwargs[LOOSE] = value
            else:
                kwargs[LOOSE] = value
        elif a.keyword is not None:
            kwargs[a.keyword] = value
        else:
            args.append(value)
    return args, kwargs


# -------------------------------------------------------------------- dispatch


def call(m: Machine, func: Value, args: list[Value], kwargs: dict[str, Value], node: Node) -> Value:

    m.tick()
    func = m.resolve(func)
    match func:
        case Closure():
            return call_closure(m, func, args, kwargs, node)
        case Bound():
            return call(m, func.func, [*func.args, *args], {**dict(func.kwargs), **kwargs}, node)
        case ClassVal():
            return instantiate(m, func, args, kwargs, node)
        case Ref():
            return _call_instance(m, func, args, kwargs, node)
        case Extern() if not _takes_default(func.name, args):
            return builtin.call_external(m, func.name, args, kwargs, node)
        case Layer():
            return call_layer(m, func, args, kwargs, node)
        case Method(owner=Tensor() as owner, name=name):
            return call_tensor_method(m, owner, name, args, kwargs, node)
        case Method(owner=Unknown(hint="array"), name=name):
            return Unknown("" if name in ("item", "tolist", "nonzero") else "array", m.fresh())
        case Method(owner=Unknown() as owner, name=name):
            tensor = as_tensor(owner)
            if tensor is not None and name not in OTHERS_TOO:
                return call_tensor_method(m, tensor, name, args, kwargs, node)
            return m.unknown()
        case Method(owner=Many(kind=helpers.GUESSED) as owner, name=name) if f"Tensor.{name}" in REGISTRY:
            return call(m, Method(helpers.settled(m.kit, owner), name), args, kwargs, node)
        case Method():
            return containers.call_method(m, func.owner, func.name, args, kwargs, node)
        case Unknown(key=str(key)) | Extern(name=key) if _takes_default(key, args):
            return args[1] if m.oracle.choose(2) == 0 else m.unknown()
        case Unknown(key=str(key)):
            normed = _named_tensor(m, kwargs, node)
            if normed is not None:
                return call_tensor_method(m, normed, "norm", args, kwargs, node)
            helped = builtin.by_name(m, key, args, kwargs, node)
            if helped is None and key.endswith(".astype"):  # arrays have it, and sparse matrices that keep both axes
                helped = Unknown("array", m.fresh())
            return _apply_unknown(m, args, kwargs, node) if helped is None else helped
        case _:
            return m.unknown()


def _takes_default(key: str, args: list[Value]) -> bool:
    """`registry.get(name, self.default_loss)` of something unknown: what it gives is a callable, maybe this one."""
    return key.endswith((".get", ".get_interface")) and len(args) == 2 and isinstance(args[1], (Closure, Layer, Bound))


def _named_tensor(m: Machine, kwargs: dict[str, Value], node: Node) -> Tensor | None:
    """`x.norm(dim=-1, keepdim=True)`: with such arguments it is a tensor's method, not a layer called `norm`."""
    if not isinstance(node, Call) or not kwargs or not kwargs.keys() <= {"dim", "keepdim", "p"}:
        return None
    if not isinstance(node.func, Attr) or node.func.name != "norm" or not isinstance(node.func.value, Name):
        return None
    return as_tensor(m.eval(node.func.value))


def _apply_unknown(m: Machine, args: list[Value], kwargs: dict[str, Value], node: Node) -> Value:
    result = m.unknown()
    if isinstance(node, Call):
        given = (*args, *kwargs.values())
        member = _is_member(m, node.func)
        m.state_fact(Applied(site=m.at(node), name=text_of(node.func), args=given, result=result, member=member))
    return result


def _is_member(m: Machine, func: Expr) -> bool:
    """`self.backbone`, `self.encoders[0]` in a method of a module's own class."""
    owner, root = m.here.self_value, func
    while isinstance(root, (Attr, Index)):
        root = root.value
    if root is func or not isinstance(root, Name) or not isinstance(owner, Ref) or owner.id not in m.state.heap:
        return False
    return m.eval(root) == owner and is_module_class(m, m.state.heap[owner.id].cls)


def call_tensor_method(
    m: Machine, owner: Tensor, name: str, args: list[Value], kwargs: dict[str, Value], node: Node
) -> Value:

    owner = m.state.tensor(owner)
    match name:
        case "size" | "sym_size":
            at = args[0] if args else kwargs.get("dim")
            if at is None or at == NONE:
                return attributes.shape_value(m, owner)
            return subscripts.of_value(m, attributes.shape_value(m, owner), [at], node, is_tuple=False)  # type: ignore[arg-type]
        case "dim" | "ndimension":
            return attributes.rank_value(owner)
        case "numel" | "nelement":
            return _numel(m, owner)
        case "item":
            attributes.one_number(m, owner, "item")
            if owner.content is not None and owner.content.stride == 0 and owner.dtype in ("int", "byte"):
                return Num(owner.content.offset)
            return _element(m, owner)
        case "tolist":
            if owner.axes == ():  # a number, not a list
                return _element(m, owner)
            return Many(m.unknown(), owner.axes[0].size if owner.axes else None)
        case "dot" if owner.rank != 1:  # a matrix that has it is an array
            return m.unknown()
        case "__len__":
            return subscripts.of_value(m, attributes.shape_value(m, owner), [Num(0)], node, is_tuple=False)  # type: ignore[arg-type]
    if f"Tensor.{name}" in REGISTRY:
        return run_op(m, f"Tensor.{name}", [owner, *args], kwargs, node)
    return m.unknown()


def _element(m: Machine, owner: Tensor) -> Unknown:
    """A Python number out of a tensor."""
    kind = "int" if owner.dtype == "byte" else owner.dtype
    return Unknown(kind if kind in ("int", "float", "bool") else "", m.fresh())


def _numel(m: Machine, t: Tensor) -> Value:
    if t.axes is None:
        return m.unknown("int")
    total: Any = 1
    try:
        for a in t.axes:
            total = total * a.size
    except TooComplex:
        return m.unknown("int")
    return Num(total)


# ------------------------------------------------------------ project functions


def call_closure(m: Machine, closure: Closure, args: list[Value], kwargs: dict[str, Value], node: Node) -> Value:
    function = closure.node
    own_args = args
    if closure.self_value is not None and isinstance(function, Function):
        args = [closure.self_value, *args]
    name = function.name if isinstance(function, Function) else "lambda"
    name = "apply" if attributes.APPLIED in closure.decorators else name
    if isinstance(function, Function) and "contextmanager" in decorator_names(function):
        return m.unknown()

    def fill(frame: int) -> None:
        m.state.scope(frame).update(bind_parameters(m, closure, args, kwargs, node))
        if isinstance(function, Function):
            on_enter(m, function, frame, as_entry=False)

    ends = plain_call(m, closure, own_args, kwargs, node)
    return m.enter(closure, node, name, fill) if ends is None else m.ended(function, ends)


def bind_parameters(
    m: Machine, closure: Closure, args: list[Value], kwargs: dict[str, Value], node: Node
) -> dict[str, Value]:
    """The new frame: arguments by parameter name; defaults evaluated where the function was defined."""
    frame: dict[str, Value] = {}
    left = list(args)
    named = dict(kwargs)
    loose = named.pop(LOOSE, None)
    starred = named.pop("*", None)
    for p in closure.node.params:
        if p.kind == "*":
            frame[p.name] = Items("tuple", tuple(left)) if starred is None else Many(UNKNOWN, None, "tuple")
            left = []
        elif p.kind == "**":
            frame[p.name] = Mapping(tuple(named.items()), None if loose is None else UNKNOWN)
        elif left and p.kind in ("any", "pos"):
            frame[p.name] = left.pop(0)
        elif p.name in named and p.kind != "pos":
            frame[p.name] = named.pop(p.name)
        elif starred is not None and p.kind in ("any", "pos"):
            told = isinstance(starred, Many) and not isinstance(starred.item, Unknown)
            frame[p.name] = starred.item if isinstance(starred, Many) and told else m.unknown()
        elif loose is not None:
            found = loose.get(p.name) if isinstance(loose, Mapping) else None
            frame[p.name] = found if found is not None and found != UNKNOWN else m.unknown()
        elif p.default is not None:
            frame[p.name] = default_of(m, closure, p)
        else:
            frame[p.name] = m.unknown()
    return frame


def default_of(m: Machine, closure: Closure, p: Param) -> Value:
    assert p.default is not None
    return in_module(m, closure.path, closure.frame, p.default)


def instantiate(m: Machine, cls: ClassVal, args: list[Value], kwargs: dict[str, Value], node: Node) -> Value:
    externals = external_bases(m, cls)
    if any(e.rsplit(".", 1)[-1] in ("Enum", "IntEnum", "StrEnum", "Protocol", "TypedDict") for e in externals):
        return Mapping(tuple(kwargs.items()), None) if "typing.TypedDict" in externals else m.unknown()
    if any(e.rsplit(".", 1)[-1].endswith("autograd.Function") for e in externals):
        return m.unknown()
    init = find_member(m, cls, "__init__")
    if init is not None and isinstance(init[1], Function):
        closure = Closure(init[1], init[0].path, init[0].frame, None, init[0], decorator_names(init[1]))
        ends = plain_call(m, closure, args, kwargs, node, new=cls)
        if ends is not None:
            return m.ended(closure.node, ends)
        ref = blank(m, cls)
        call_closure(m, replace(closure, self_value=ref), args, kwargs, node)
        return ref
    ref = blank(m, cls)
    key = f"{cls.node.name}#{ref.id}"
    fields = record_fields(m, cls)
    if fields:
        attrs: dict[str, Value] = {}
        given = dict(zip([name for name, _, _ in fields], args)) | kwargs
        for name, default, owner in fields:
            if name in given:
                attrs[name] = given[name]
            elif default is not None:
                attrs[name] = in_module(m, owner.path, owner.frame, default)
        m.state.heap[ref.id] = Instance(cls, attrs, key)
    return ref


def record_fields(m: Machine, cls: ClassVal) -> list[tuple[str, Expr | None, ClassVal]]:
    """Fields of a dataclass, NamedTuple or ModelOutput in order: annotated names of the class and its bases."""
    is_record = any(
        "dataclass" in decorator_names(c.node)
        if isinstance(c, ClassVal)
        else c.name.rsplit(".", 1)[-1] in ("NamedTuple", "ModelOutput", "BaseModel")
        if isinstance(c, Extern)
        else False
        for c in mro(m, cls)
    )
    if not is_record:
        return []
    fields: dict[str, tuple[str, Expr | None, ClassVal]] = {}
    for c in reversed(mro(m, cls)):
        if isinstance(c, ClassVal):
            for stmt in c.node.body:
                if isinstance(stmt, Bind) and stmt.annotation is not None and isinstance(stmt.targets[0], Name):
                    name = stmt.targets[0].id
                    fields[name] = (name, _field_default(stmt.value), c)
    return list(fields.values())


def record_members(m: Machine, ref: Ref) -> list[tuple[str, Value]] | None:
    """The members of a NamedTuple or ModelOutput by name, in the order in which it is unpacked and indexed; of a
    ModelOutput those that are not None. None for other objects, and where one may or may not be there."""
    obj = m.state.heap.get(ref.id)
    if obj is None:
        return None
    kinds = {e.rsplit(".", 1)[-1] for e in external_bases(m, obj.cls)} & {"NamedTuple", "ModelOutput"}
    if not kinds:
        return None
    held = [(n, m.resolve(obj.attrs[n])) for n, _, _ in record_fields(m, obj.cls) if n in obj.attrs]
    if "ModelOutput" in kinds:
        if any(isinstance(v, Unknown) for _, v in held):
            return None
        held = [(n, v) for n, v in held if v != NONE]
    return held


def _field_default(value: Expr | None) -> Expr | None:
    if isinstance(value, Call) and isinstance(value.func, (Name, Attr)):
        name = value.func.id if isinstance(value.func, Name) else value.func.name
        if name == "field":
            return next((a.value for a in value.args if a.keyword == "default"), None)
    return value


def _call_instance(m: Machine, ref: Ref, args: list[Value], kwargs: dict[str, Value], node: Node) -> Value:
    obj = m.state.heap.get(ref.id)
    if obj is None:
        return m.unknown()
    name = "forward" if is_module_class(m, obj.cls) else "__call__"
    method = attributes.of_instance(m, ref, name, node)
    if isinstance(method, (Closure, Layer, Bound)):
        return call(m, method, args, kwargs, node)
    return m.unknown()
