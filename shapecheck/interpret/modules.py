"""Names: frames, module globals, imports followed on demand, classes and their bases."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shapecheck.interpret.state import State
from shapecheck.program import Bind, Branch, Class, Expr, Function, Import, ImportName, Name, Program, Stmt, Try
from shapecheck.values import ClassVal, Closure, Extern, ModuleVal, Unknown, Value

if TYPE_CHECKING:
    from shapecheck.interpret.machine import Machine

_BUILTINS = frozenset(dir(builtins))


@dataclass(frozen=True, slots=True)
class Imported:
    """A name bound by an import that nobody has looked at yet."""

    module: str
    attr: str | None
    level: int
    importer: str


def lookup(m: Machine, name: str) -> Value:
    """The value of a name where the run stands."""
    here = m.here
    for frame in (here.frame, *here.outer_frames):
        scope = m.state.frames.get(frame)
        if scope is not None and name in scope:
            return resolve_import(m, scope[name])
    found = module_global(m, here.path, name)
    if found is not None:
        return found
    if name in _BUILTINS or name in ("reveal_type",):
        return Extern("builtins." + name)
    return Unknown(key=f"{here.path}:{name}")


def module_global(m: Machine, path: str, name: str) -> Value | None:
    """The value of a module's global, or None when it has no such name."""
    env = module_env(m, path)
    if env is None or name not in env:
        return None
    value = env[name]
    if isinstance(value, Imported):
        value = resolve_import(m, value)
        env[name] = value
    return value  # type: ignore[no-any-return]


def module_env(m: Machine, path: str) -> dict[str, Any] | None:
    """The globals of a module: what its top level binds. Cycles see what is bound so far."""
    if path in m.modules:
        env: dict[str, Any] = m.modules[path]
        return env
    program = m.project.program(path)
    if program is None:
        return None
    env = m.modules[path] = {}
    run_top_level(m, program, env)
    return env


def run_top_level(m: Machine, program: Program, env: dict[str, Any], *, shallow: bool = True) -> State:
    """Run a module's top level, filling `env`. Shallow: states no facts and enters no function."""
    from shapecheck.interpret.machine import Activation, OutOfBudget

    state, stack, entry, before = m.state, m.stack, m.entry_steps, m.last_serial
    frame = m.serial()
    m.state = State(frames={frame: env}, heap=dict(state.heap))
    m.stack = []
    m.activations.append(Activation(m.serial(), frame, program.path, None, live=None))
    m.shallow += shallow
    m.quiet += shallow
    m.summaries.closed += 1
    try:
        _declare(m, program.body, env, program.path)
        live = m.state
        for stmt in program.body:
            # the module's own dict is the frame, so that functions called early see what is bound so far
            outcomes = [o for o in m.run_statement(stmt, live) if o.signal.kind in ("next", "break", "continue")]
            if not outcomes:
                break
            live = m.joined([o.state for o in outcomes])
            env.update(live.frames.get(frame, {}))
        m.state = live
    except OutOfBudget:
        pass
    finally:
        m.activations.pop()
        m.shallow -= shallow
        m.quiet -= shallow
        m.summaries.closed -= 1
        top, m.state, m.stack, m.entry_steps = m.state, state, stack, entry
    m.summaries.share(before, m.last_serial, top.heap)
    for k, v in top.heap.items():
        m.state.heap.setdefault(k, v)
    return top


def _declare(m: Machine, body: tuple[Stmt, ...], env: dict[str, Any], path: str) -> None:
    """Bind functions, classes and imports first: code that runs early may already look at them."""
    for stmt in body:
        match stmt:
            case Import():
                bind_import(m, stmt, env, path)
            case Function():
                env[stmt.name] = Closure(stmt, path)
            case Class():
                env[stmt.name] = ClassVal(stmt, path)
            case Branch():
                _declare(m, stmt.orelse, env, path)
                _declare(m, stmt.body, env, path)
            case Try():
                for h in stmt.handlers:
                    _declare(m, h.body, env, path)
                _declare(m, stmt.body, env, path)


# --------------------------------------------------------------------- imports


def bind_import(m: Machine, stmt: Import, env: dict[str, Any], path: str) -> None:
    for item in stmt.names:
        env[item.name] = _imported(item, path)
    if stmt.star is not None:
        module, level = stmt.star
        target = m.project.resolve(module, level, path)
        if target is not None and target != path:
            for name, value in (module_env(m, target) or {}).items():
                if not name.startswith("_"):
                    env.setdefault(name, value)


def _imported(item: ImportName, path: str) -> Imported:
    return Imported(item.module, item.attr, item.level, path)


def resolve_import(m: Machine, value: Any) -> Value:
    """Follow an import to what it means; a plain value comes back as it is."""
    if not isinstance(value, Imported):
        return value  # type: ignore[no-any-return]
    if value.level == 0 and value.module.split(".")[0] in _WELL_KNOWN:
        return Extern(value.module if value.attr is None else f"{value.module}.{value.attr}")
    target = m.project.resolve(value.module, value.level, value.importer)
    if target is None:
        if value.level:
            return Unknown(key=f"{value.importer}:{value.module}.{value.attr}")
        return Extern(value.module if value.attr is None else f"{value.module}.{value.attr}")
    if value.attr is None:
        return ModuleVal(target, value.module)
    found = module_attr(m, target, value.attr)
    return found if found is not None else Unknown(key=f"{target}:{value.attr}")


_WELL_KNOWN = frozenset({"torch", "numpy", "einops", "transformers", "typing", "functools", "math", "jaxtyping"})


def module_attr(m: Machine, path: str, name: str, seen: frozenset[tuple[str, str]] = frozenset()) -> Value | None:
    """`module.name`: a global of the module, or its submodule. Re-exports in a circle end in None."""
    if (path, name) in seen:
        return None
    env = module_env(m, path)
    if env is not None and name in env:
        value = env[name]
        if isinstance(value, Imported):
            target = m.project.resolve(value.module, value.level, value.importer)
            if target is not None and value.attr is not None and value.module.split(".")[0] not in _WELL_KNOWN:
                found = module_attr(m, target, value.attr, seen | {(path, name)})
                if found is not None:
                    return found
            return resolve_import(m, value) if (target, value.attr) != (path, name) else None
        return value  # type: ignore[no-any-return]
    sub = m.project.submodule(path, name)
    return ModuleVal(sub, name) if sub is not None else None


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
    from shapecheck.program import Attr, Call

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
    key = (cls.path, id(cls.node))
    if key in m.base_cache:
        return m.base_cache[key]
    m.base_cache[key] = []  # a class that inherits from itself ends here
    out: list[Value] = []
    for arg in cls.node.bases:
        if arg.keyword is None and not arg.star:
            out.append(in_module(m, cls.path, cls.frame, arg.value))
    m.base_cache[key] = out
    return out


def in_module(m: Machine, path: str, frame: int, expr: Expr) -> Value:
    """Evaluate an expression as if it stood at the top level of that module (or in that frame)."""
    from shapecheck.interpret.machine import Activation

    with m.silently():
        m.activations.append(Activation(m.serial(), frame or -1, path, None, outer_frames=m.scopes_of(frame)))
        try:
            return m.eval(expr)
        finally:
            m.activations.pop()


def mro(m: Machine, cls: ClassVal) -> list[Value]:
    """The class and its bases, depth first, left to right, each once; external ones as `Extern`."""
    out: list[Value] = []
    pending: list[Value] = [cls]
    while pending and len(out) < 40:
        c = pending.pop(0)
        if c in out:
            continue
        out.append(c)
        if isinstance(c, ClassVal):
            pending = bases(m, c) + pending
    return out


def find_member(m: Machine, cls: ClassVal, name: str, after: ClassVal | None = None) -> tuple[ClassVal, Stmt] | None:
    """The statement that binds `name` in the class or the nearest base; `after` starts behind that class (super)."""
    skipping = after is not None
    for c in mro(m, cls):
        if skipping:
            skipping = c != after
            continue
        if isinstance(c, ClassVal):
            key = id(c.node)
            body = m.body_cache.get(key)
            if body is None:
                body = m.body_cache[key] = class_body(c)
            if name in body:
                return c, body[name]
    return None


def external_bases(m: Machine, cls: ClassVal) -> list[str]:
    """Dotted names of the bases that are not of the project ("torch.nn.Module")."""
    return [c.name for c in mro(m, cls) if isinstance(c, Extern)]


def is_module_class(m: Machine, cls: ClassVal) -> bool:
    """Is this (as far as can be seen) a `torch.nn.Module`: calling an instance runs its `forward`."""
    if find_member(m, cls, "__call__") is not None:
        return False
    return find_member(m, cls, "forward") is not None
