"""Runs what torch defines, ops and layers, and states that they were called."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from shapecheck.dims import TooComplex
from shapecheck.engine import refused
from shapecheck.engine.attributes import as_tensor
from shapecheck.engine.control import OutOfBudget, PathEnds
from shapecheck.engine.facts import Called, Met
from shapecheck.engine.values import (
    Bound,
    ClassVal,
    Closure,
    Content,
    Extern,
    Items,
    Layer,
    Lit,
    Many,
    Mapping,
    Method,
    Num,
    Partial,
    Ref,
    ShapeOf,
    Tensor,
    Unknown,
    Value,
)
from shapecheck.ops import helpers
from shapecheck.ops.kinds import (
    ADDS_AXIS,
    CAST,
    CLASS_LOSS,
    DROPS_AXIS,
    INDEXES,
    JOINS,
    MOVES_AXES,
    REPEATS,
    RESHAPES,
    SCALES,
    SHIFTS,
    SPLITS,
    STACKS,
    TURNS_ROUND,
)
from shapecheck.ops.kit import LAYERS, REGISTRY, OpSpec, bind
from shapecheck.source.program import Node

if TYPE_CHECKING:
    from shapecheck.engine.machine import Machine

LOOSE = "**"  # the key under which an unknown `**mapping` of a call travels


def run_op(m: Machine, public: str, args: list[Value], kwargs: dict[str, Value], node: Node) -> Value:
    """Run a registered op and state that it was called; unknown where its arguments don't fit."""
    spec = REGISTRY.get(public)
    if spec is None:
        return m.unknown()
    return run_spec(m, public, spec, args, node, kwargs)


def run_spec(
    m: Machine, public: str, spec: OpSpec, args: list[Value], node: Node, kwargs: dict[str, Value] | None = None
) -> Value:
    return _run(m, public, spec, args, kwargs or {}, node)


def _run(
    m: Machine,
    public: str,
    spec: OpSpec,
    args: list[Value],
    kwargs: dict[str, Value],
    node: Node,
    layer: Layer | None = None,
) -> Value:
    if LOOSE in kwargs or "*" in kwargs:
        return m.unknown()
    if m.promised:
        args, kwargs = [m.used(a) for a in args], {name: m.used(a) for name, a in kwargs.items()}
    bound = bind(spec.parameters, args, kwargs)
    if bound is None:
        return m.unknown()
    m.tick(10)
    previous = (m.site, m.op_name, m.op_kind)
    m.site, m.op_name, m.op_kind = m.at(node), spec.name, spec.kind
    m.of_torch = public.startswith(("torch.", "Tensor."))
    try:
        values: dict[str, Any] = {}
        for p in spec.parameters:
            v = bound.arguments.get(p.name)
            values[p.name] = _prepared(m, v, p) if p.name in bound.arguments else v
        bound.arguments.update(values)
        if spec.kind & (SHIFTS | SCALES) and not public.startswith("operator."):
            met(m, [values["input"], values["other"]], node)
        try:
            result = spec.function(m.kit, *bound.args, **bound.kwargs)
        except TooComplex:
            result = m.unknown()
        except (PathEnds, OutOfBudget, RecursionError):
            raise
        except Exception as error:
            m.fault(error, f"op {spec.name}")
            result = m.unknown()
        if layer is not None:
            values["self"] = layer
        if m.refused:
            refused.explain(m, spec, values)
        given = frozenset(kwargs) | frozenset(p.name for p, _ in zip(spec.parameters, args))
        result = with_history(m, result, spec, values)
        if spec.kind & CLASS_LOSS:  # class indices tell the rank of their scores: shown as known after the call
            values = {
                k: m.state.tensor(v) if isinstance(v, Tensor) and v.rank is None else v for k, v in values.items()
            }
        m.state_fact(Called(site=m.site, spec=spec, name=public, args=values, result=result, given=given))
        return result
    finally:
        m.site, m.op_name, m.op_kind = previous


def met(m: Machine, values: list[Value], node: Node) -> None:
    """State that two operands meet, of which one at least has no known rank."""
    if _rank_open(values):
        m.state_fact(Met(site=m.at(node), operands=tuple(values)))


def _rank_open(values: list[Value]) -> bool:
    """May both be tensors, of which one at least has no known rank?"""
    open_ = [(isinstance(v, Tensor) and v.rank is None) or v == Unknown("", getattr(v, "key", None)) for v in values]
    return any(open_) and all(o or (isinstance(v, Tensor) and v.rank) for o, v in zip(open_, values))


def with_history(m: Machine, result: Value, op: OpSpec, args: dict[str, Any]) -> Value:
    """Tensors of the result remember the call that made them."""
    match result:
        case Tensor():
            return _remembering(m, result, op, args)
        case Items():
            items = (_remembering(m, i, op, {**args, "#": n}) for n, i in enumerate(result.items))
            return replace(result, items=tuple(items))
        case Many(item=item):
            return replace(result, item=_remembering(m, item, op, args))
        case Mapping():
            return replace(result, items=tuple((k, _remembering(m, v, op, {**args, "#": k})) for k, v in result.items))
        case _:
            return result


def _remembering(m: Machine, value: Value, op: OpSpec, args: dict[str, Any]) -> Value:
    if not isinstance(value, Tensor):
        return value
    if isinstance(value.shape, Partial) and value.shape.key is None:
        # later code may still teach us its rank
        value = value.with_(shape=replace(value.shape, key=m.fresh()))
    if value.content is None and value.dtype in ("int", "float") and op.kind & _REARRANGES:
        value = value.with_(content=_constant(op, args))
    return m.made(value, op, args)


# However the numbers of such an op are picked, moved or copied, they are those of its operands
_REARRANGES = (
    REPEATS | RESHAPES | ADDS_AXIS | DROPS_AXIS | MOVES_AXES | JOINS | STACKS | INDEXES | SPLITS | TURNS_ROUND | CAST
)  # fmt: skip


def _constant(op: OpSpec, args: dict[str, Any]) -> Content:
    """The one number that all operands are filled with."""
    given = op.argument(args, "tensors") or op.argument(args, "input")
    members = given.items if isinstance(given, Items) else given if isinstance(given, tuple) else (given,)
    held = {t.content if isinstance(t, Tensor) else None for t in members}
    content = held.pop() if len(held) == 1 else None
    return content if content is not None and content.stride == 0 else None


def _prepared(m: Machine, value: Any, parameter: Any) -> Any:
    """An argument as ops expect it: resolved, and a tensor where torch takes nothing else."""
    if isinstance(value, tuple):  # *args
        return tuple(_prepared(m, v, parameter) for v in value)
    if isinstance(value, dict):
        return {k: m.resolve(v) for k, v in value.items()}
    if not isinstance(value, _VALUES):
        return value
    value = m.resolve(value)
    if parameter.name != "tensors":
        value = helpers.settled(m.kit, value)
    if parameter.name == "input" and isinstance(value, Unknown) and m.of_torch:
        return as_tensor(value) or value  # torch takes nothing else there: what it needs of the shape is learned
    wants = str(parameter.annotation)
    if "Tensor" in wants and isinstance(value, Unknown) and "None" not in wants and "Value" not in wants:
        return as_tensor(value) or Tensor()
    if parameter.name in _TENSORS_ALWAYS and isinstance(value, Unknown):
        return as_tensor(value) or value
    if parameter.name == "tensors" and isinstance(value, Items):
        return replace(value, items=tuple(as_tensor(i) or i for i in value.items))
    if parameter.name == "tensors" and isinstance(value, Many):
        return replace(value, item=as_tensor(value.item) or value.item)
    return value


_TENSORS_ALWAYS = frozenset({"input", "x1", "x2"})
_VALUES = (
    Tensor,
    Num,
    Lit,
    Unknown,
    Items,
    Many,
    Mapping,
    ShapeOf,
    Extern,
    Layer,
    Method,
    Closure,
    Bound,
    ClassVal,
    Ref,
)


def call_layer(m: Machine, layer: Layer, args: list[Value], kwargs: dict[str, Value], node: Node) -> Value:
    spec = LAYERS.get(layer.name)
    if spec is None:
        return m.unknown()
    bound_layer = replace(layer, args=tuple((k, m.resolve(v)) for k, v in layer.args))
    op = OpSpec(
        layer.name.rsplit(".", 1)[-1],
        lambda kit, *a, **k: spec.function(kit, bound_layer, *a, **k),
        spec.parameters,
        stands_for=spec.key,
    )
    loose = kwargs.get(LOOSE)
    if loose is not None and "*" not in kwargs:
        kwargs = {k: v for k, v in kwargs.items() if k != LOOSE} | _batch_members(m, loose, spec.parameters)
    return _run(m, layer.name, op, args, kwargs, node, bound_layer)


def _batch_members(m: Machine, loose: Value, parameters: Any) -> dict[str, Value]:
    """`model(**features)`: the members of an unknown batch that the model asks for by name."""
    found: dict[str, Value] = {}
    for p in parameters:
        if p.name in ("input_ids", "attention_mask"):
            value = loose.get(p.name) if isinstance(loose, Mapping) else None
            if value is None and isinstance(loose, Unknown) and loose.key is not None:
                value = Unknown(key=f"{loose.key}[{p.name!r}]")
            if value is not None:
                value = m.resolve(value)
                found[p.name] = as_tensor(value) or value
    return found
