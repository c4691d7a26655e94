"""Classes: their members and bases; expressions evaluated where a class or module stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from shapecheck.engine.control import STEPS_PER_INIT, Activation, Oracle, OutOfBudget, PathEnds
from shapecheck.engine.state import State
from shapecheck.engine.values import ClassVal, Extern, Unknown, Value
from shapecheck.source.program import Attr, Bind, Branch, Class, Expr, Function, Name, Stmt, walk

if TYPE_CHECKING:
    from shapecheck.engine.machine import Machine

# --------------------------------------------------------------------- classes


def class_body(cls: ClassVal) -> dict[str, Stmt]:
    """The statements of a class body by the name that each binds; a later one wins."""
    found: dict[str, Stmt] = {}
    _collect(cls.node.body, found)
    return found


def _collect(body: tuple[Stmt, ...], found: dict[str, Stmt]) -> None:
    for stmt in body:
        match stmt:
            case Function(name=name):
                if not any(_last(d) == "overload" for d in stmt.decorators) and not any(
                    _last(d) in ("setter", "deleter") for d in stmt.decorators
                ):
                    found[name] = stmt
            case Class(name=name):
                found[name] = stmt
            case Bind(targets=targets):
                for t in targets:
                    if isinstance(t, Name):
                        found[t.id] = stmt
            case Branch():
                _collect(stmt.orelse, found)
                _collect(stmt.body, found)


def _last(expr: Expr) -> str:
    from shapecheck.source.program import Call

    match expr:
        case Attr(name=name):
            return name
        case Name(id=name):
            return name
        case Call(func=func):
            return _last(func)
        case _:
            return ""


def decorator_names(node: Function | Class) -> tuple[str, ...]:
    return tuple(_last(d) for d in node.decorators)


def bases(m: Machine, cls: ClassVal) -> list[Value]:
    """The values of the base classes."""
    known = m.library_of(cls).bases
    if cls in known:
        return known[cls]
    known[cls] = []  # a class that inherits from itself ends here
    out: list[Value] = []
    m.bases_open += 1
    try:
        for arg in cls.node.bases:
            if arg.keyword is None and not arg.star:
                out.append(in_module(m, cls.path, cls.frame, arg.value))
    finally:
        m.bases_open -= 1
    known[cls] = out
    return out


def set_later(m: Machine, cls: ClassVal) -> frozenset[str]:
    """The attributes of its own objects that methods other than `__init__` set, those of its bases too."""
    known = m.library_of(cls).set_later
    found = known.get(cls)
    if found is None:
        own = (c.node for c in mro(m, cls) if isinstance(c, ClassVal))
        found = known[cls] = frozenset(name for node in own for name in _set_later(node))
    return found


def _set_later(cls: Class) -> Iterator[str]:
    for method in cls.body:
        if isinstance(method, Function) and method.name != "__init__" and method.params:
            receiver = method.params[0].name
            for node in walk(method):
                for target in node.targets if isinstance(node, Bind) else ():
                    match target:
                        case Attr(value=Name(id=owner), name=name) if owner == receiver:
                            yield name


def in_module(m: Machine, path: str, frame: int, expr: Expr) -> Value:
    """Evaluate an expression as if it stood at the top level of that module (or in that frame)."""

    if not frame and path != m.path:
        return _of_module(m, path, expr)
    with m.silently():
        m.activations.append(Activation(m.serial(), frame or -1, path, None, outer_frames=m.scopes_of(frame)))
        site, m.site = m.site, m.at(expr)
        try:
            return m.eval(expr)
        finally:
            m.activations.pop()
            m.site = site


def _of_module(m: Machine, path: str, expr: Expr) -> Value:
    """What stands at the top level of an imported module is evaluated once: a default, a class attribute, a base."""
    from shapecheck.engine.globals import bring

    known = m.shared.library.evaluated
    value = known.get(expr)
    if value is None:
        k = m.knowing(path)
        known[expr] = Unknown(key=k.fresh())  # where it needs itself
        kept = (k.state, k.stack, k.activations, k.oracle, k.site, k.entry_steps, k.steps, k.entry_limit)
        k.state, k.stack, k.oracle = State(), [], Oracle()
        k.activations = [Activation(k.serial(), -1, path, None)]
        k.site = k.at(expr)
        k.entry_steps, k.steps, k.entry_limit = 0, 0, STEPS_PER_INIT
        try:
            value = k.resolve(k.eval(expr))
        except (OutOfBudget, PathEnds, RecursionError):
            value = known[expr]
        finally:
            made = k.state.heap
            k.state, k.stack, k.activations, k.oracle, k.site, k.entry_steps, k.steps, k.entry_limit = kept
        k.own.heap.update((n, o) for n, o in made.items() if n not in k.own.heap)
        known[expr] = value
    bring(m, value)
    return value


def mro(m: Machine, cls: ClassVal) -> list[Value]:
    """The class and its bases, depth first, left to right, each once; external ones as `Extern`."""
    lines = m.library_of(cls).lines
    known = lines.get(cls)
    if known is not None:
        return known
    opened = m.bases_open
    out: list[Value] = []
    pending: list[Value] = [cls]
    while pending and len(out) < 40:
        c = pending.pop(0)
        if c in out:
            continue
        out.append(c)
        if isinstance(c, ClassVal):
            pending = bases(m, c) + pending
    if not opened:  # else a class around this one is about to learn its bases
        lines[cls] = out
    return out


def find_member(m: Machine, cls: ClassVal, name: str, after: ClassVal | None = None) -> tuple[ClassVal, Stmt] | None:
    """The statement that binds `name` in the class or the nearest base; `after` starts behind that class (super)."""
    library = m.library_of(cls)
    if after is None and (cls, name) in library.members:
        return library.members[cls, name]
    skipping = after is not None
    found = None
    for c in mro(m, cls):
        if skipping:
            skipping = c != after
            continue
        if isinstance(c, ClassVal):
            body = library.bodies.get(c.node)
            if body is None:
                body = library.bodies[c.node] = class_body(c)
            if name in body:
                found = c, body[name]
                break
    if after is None and cls in library.lines:
        library.members[cls, name] = found
    return found


def external_bases(m: Machine, cls: ClassVal) -> list[str]:
    """Dotted names of the bases that are not of the project ("torch.nn.Module")."""
    return [c.name for c in mro(m, cls) if isinstance(c, Extern)]


def is_module_class(m: Machine, cls: ClassVal) -> bool:
    """Is this (as far as can be seen) a `torch.nn.Module`: calling an instance runs its `forward`."""
    if find_member(m, cls, "__call__") is not None:
        return False
    return find_member(m, cls, "forward") is not None
