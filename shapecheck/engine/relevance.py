"""Which functions can meet a tensor, told from their text: those get the whole budget, the others a glance."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from shapecheck.engine.modules import is_module_class
from shapecheck.engine.values import ClassVal
from shapecheck.ops.kit import REGISTRY
from shapecheck.ops.methods import SHARED, SURE
from shapecheck.source.program import Attr, Call, Const, Function, Import, Index, Node, Op, Program, walk

if TYPE_CHECKING:
    from shapecheck.engine.machine import Machine

_PACKAGES = frozenset({"torch", "einops", "jaxtyping", "torchvision", "opt_einsum"})


@cache
def _methods() -> frozenset[str]:
    """Names that only tensors and arrays have."""
    methods = {name.removeprefix("Tensor.") for name in REGISTRY if name.startswith("Tensor.")}
    return frozenset(methods - SHARED | SURE | {"last_hidden_state", "pooler_output", "logits"})


def meets_tensors(m: Machine, function: Function, path: str, owner: ClassVal | None) -> bool:
    """May running the function's own body meet a tensor? Errs on the side of yes."""
    known = m.shared.texts.relevant
    found = known.get(function)
    if found is None:
        found = known[function] = _meets(m, function, path, owner)
    return found


def _meets(m: Machine, function: Function, path: str, owner: ClassVal | None) -> bool:
    if owner is not None and function.name != "__init__" and is_module_class(m, owner):
        return True
    imported = m.shared.texts.imported
    if path not in imported:
        program = m.project.program(path)
        imported[path] = frozenset() if program is None else frozenset(_imported(program))
    if m.names_in(function) & imported[path]:
        return True
    methods = _methods()
    return any(_tells(node, methods) for node in walk(function))


def _tells(node: Node, methods: frozenset[str]) -> bool:
    match node:
        case Attr(name=name):
            return name in methods
        case Op(op="@"):
            return True
        case Index(is_tuple=True):
            return True
        case Call(args=args):
            return any(a.keyword in ("dim", "keepdim") for a in args)
        case Const(value=str(text)):
            return "Tensor" in text
        case _:
            return False


def _imported(program: Program) -> Iterator[str]:
    """Names under which the file knows parts of torch and the like, anywhere in it."""
    yield "Tensor"
    for node in walk(program):
        if isinstance(node, Import):
            for item in node.names:
                if item.module.split(".")[0] in _PACKAGES:
                    yield item.name
