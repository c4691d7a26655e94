"""A module's globals. Those of the file under analysis are what its top level leaves; those of a module that it
imports are made one by one, each when something first asks for it: most are never asked for.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shapecheck.engine.control import STEPS_AT_TOP, Activation, OutOfBudget
from shapecheck.engine.modules import decorator_names
from shapecheck.engine.state import State
from shapecheck.engine.values import (
    Bound,
    ClassVal,
    Closure,
    Extern,
    Items,
    Layer,
    Many,
    Mapping,
    Method,
    ModuleVal,
    Num,
    Ref,
    Tensor,
    Unknown,
    Value,
)
from shapecheck.engine.witness import entered, entering
from shapecheck.source.program import (
    Attr,
    Bind,
    Branch,
    Call,
    Class,
    Eval,
    Expr,
    Function,
    Import,
    ImportName,
    Index,
    Loop,
    Name,
    Program,
    Seq,
    Star,
    Stmt,
    Try,
    With,
    walk,
)

if TYPE_CHECKING:
    from shapecheck.engine.machine import Machine

_BUILTINS = frozenset(dir(builtins))
_STARS = "*"  # the key in a module's globals under which its `from x import *` stand
MAX_SOURCE = 1_000_000  # characters of other modules that one file's run reads; what is imported beyond stays unknown
MAX_CHAIN = 200  # modules whose globals wait for each other's; what lies behind stays unknown


@dataclass(frozen=True, slots=True)
class Imported:
    """A name bound by an import that nobody has looked at yet."""

    module: str
    attr: str | None
    level: int
    importer: str


@dataclass(frozen=True, slots=True)
class Later:
    """A global that nobody has asked for yet: the one statement that binds it, or None where the whole top level
    has to run, since it is bound in a branch or a loop, or more than once, or changed after."""

    path: str
    stmt: Stmt | None


def lookup(m: Machine, name: str) -> Value:
    """The value of a name where the run stands."""
    here = m.here
    for frame in (here.frame, *here.outer_frames):
        scope = m.state.frames.get(frame)
        if scope is not None and name in scope:
            found: Any = scope[name]
            if isinstance(found, Later):
                break  # of this module's own top level, which runs
            return resolve_import(m, found)
    known = module_global(m, here.path, name)
    if known is not None:
        return known
    if name in _BUILTINS or name in ("reveal_type",):
        return Extern("builtins." + name)
    return Unknown(key=f"{here.path}:{name}")


def module_global(m: Machine, path: str, name: str) -> Value | None:
    """The value of a module's global, or None when it has no such name."""
    k = m.knowing(path)
    env = module_env(k, path)
    if env is None:
        return None
    if name not in env:
        value: Any = _starred(k, env, name, frozenset({(path, name)}))
    else:
        value = _made(k, env, name)
        if isinstance(value, Imported):
            value = resolve_import(k, value)
            env[name] = value
    bring(m, value)
    return value  # type: ignore[no-any-return]


def bring(m: Machine, value: Any) -> None:
    """Objects that a top level made are there in every state, also in one that was there before."""
    kind = type(value)
    if kind in _HOLDING:
        _bring(m, value)
    elif kind is Unknown and m.adopted != len(m.shared.tables.authored) + len(m.shared.tables.hints):
        m.adopt()


_HOLDING = frozenset({Ref, Items, Many, Mapping, Layer, Bound, Method, Closure, Num, Tensor})


def _bring(m: Machine, value: Any) -> None:
    if m.adopted != len(m.shared.tables.authored) + len(m.shared.tables.hints):
        m.adopt()
    heap = m.state.heap
    for number in refs_in(value):
        if number not in heap:
            made = m.own.heap.get(number) or m.shared.library.heap.get(number)
            if made is not None:
                heap[number] = made
                for inner in made.attrs.values():
                    if type(inner) in _HOLDING:
                        _bring(m, inner)


def refs_in(value: Any) -> Iterator[int]:
    """The numbers of the objects that a value holds."""
    match value:
        case Ref(id=number):
            yield number
        case Items(items=items):
            for item in items:
                yield from refs_in(item)
        case Many(item=item) | Method(owner=item):
            yield from refs_in(item)
        case Mapping(items=pairs, rest=rest):
            for _, item in pairs:
                yield from refs_in(item)
            if rest is not None:
                yield from refs_in(rest)
        case Layer(args=pairs):
            for _, item in pairs:
                yield from refs_in(item)
        case Bound(func=func, args=args, kwargs=kwargs):
            for item in (func, *args, *(v for _, v in kwargs)):
                yield from refs_in(item)
        case Closure(self_value=Ref(id=number)):
            yield number


def module_env(m: Machine, path: str) -> dict[str, Any] | None:
    """The globals of a module, as far as they were made. Cycles see what is bound so far. `m` is who knows it."""
    env = m.own.envs.get(path)
    if env is not None:
        return env
    if m.own.source_read > MAX_SOURCE:
        return None
    program = m.project.program(path)
    if program is None:
        return None
    m.own.source_read += len(program.text)
    env = m.own.envs[path] = {}
    _declare(m, program.body, env, path)
    plainly = {item.name for stmt in program.body if isinstance(stmt, Import) for item in stmt.names}
    for name, stmt in _bound_later(program).items():
        if not isinstance(env.get(name), Imported):
            env[name] = Later(path, stmt)
        elif name in plainly:
            env[name] = Later(path, None)  # else `except ImportError: name = None`, and the import is there to succeed
    return env


def _made(m: Machine, env: dict[str, Any], name: str) -> Any:
    """What the globals have under a name that is among them."""
    value = env[name]
    if not isinstance(value, Later):
        return value
    if len(m.activations) > MAX_CHAIN:
        return Unknown(key=f"{value.path}:{name}")
    program = m.project.program(value.path)
    env[name] = Unknown(key=f"{value.path}:{name}")  # for a definition that needs itself
    if program is not None:
        if value.stmt is None:
            run_top_level(m, program, env)
        else:
            run_top_level(m, program, env, only=value.stmt)
    return env[name]


# --------------------------------------------------------------- what binds what


def _bound_later(program: Program) -> dict[str, Stmt | None]:
    """Names that statements bind by running: each with its statement, or None where one alone does not tell."""
    found: dict[str, Stmt | None] = {}
    for stmt in program.body:
        match stmt:
            case Import() | Function() | Class():
                continue
            case Bind(aug=None, value=value) if value is not None:
                for name, plainly in _targets(stmt):
                    found[name] = stmt if plainly and name not in found else None
            case _:
                for name in _touched(stmt):
                    found[name] = None
    defined = {s.name for s in program.body if isinstance(s, (Function, Class))}
    return {n: (None if n in defined else s) for n, s in found.items()}


def _targets(stmt: Bind) -> Iterator[tuple[str, bool]]:
    """Names that an assignment gives a value, or (False) only changes."""
    pending = list(stmt.targets)
    while pending:
        match pending.pop():
            case Name(id=name):
                yield name, True
            case Seq(items=items):
                pending += items
            case Star(value=inner):
                pending.append(inner)
            case Index() | Attr() as target:
                name = _root(target)
                if name and isinstance(target, Index):
                    yield name, False


def _root(expr: Expr) -> str:
    while isinstance(expr, (Index, Attr)):
        expr = expr.value
    return expr.id if isinstance(expr, Name) else ""


_CHANGING = frozenset(
    {"append", "extend", "insert", "pop", "remove", "clear", "update", "setdefault", "add", "reverse"}
)


def _touched(stmt: Stmt) -> Iterator[str]:
    """Names that a compound statement, or a call for its effect, binds or changes."""
    for node in (stmt, *walk(stmt)):
        match node:
            case Bind():
                yield from (name for name, _ in _targets(node))
            case Loop(target=target) if target is not None:
                yield from (n.id for n in (target, *walk(target)) if isinstance(n, Name))
            case With(items=items):
                yield from (i.target.id for i in items if isinstance(i.target, Name))
            case Eval(value=Call(func=Attr(value=owner, name=method))) if method in _CHANGING:
                if name := _root(owner):
                    yield name


# -------------------------------------------------------------------- top levels


def run_top_level(
    m: Machine, program: Program, env: dict[str, Any], *, shallow: bool = True, only: Stmt | None = None
) -> State:
    """Run a module's top level, or only one statement of it, filling `env`. Shallow: states no facts and enters no
    function."""

    state, stack, site, oracle, activations = m.state, m.stack, m.site, m.oracle, m.activations
    entry, limit, steps = m.entry_steps, m.entry_limit, m.steps
    frame = m.serial()
    m.state = State(frames={frame: env}, heap=dict(state.heap))
    m.stack, m.activations = [], list(activations)
    if shallow:
        m.entry_steps, m.steps, m.entry_limit = 0, 0, STEPS_AT_TOP
    m.activations.append(Activation(m.serial(), frame, program.path, None, live=None))
    m.shallow += shallow
    m.quiet += shallow
    m.closed += 1
    try:
        if not shallow:
            _declare(m, program.body, env, program.path)
            entering(m, None, frame)
            entered(m, frame)
        live = m.state
        for stmt in program.body if only is None else (only,):
            # the module's own dict is the frame, so that functions called early see what is bound so far
            outcomes = [o for o in m.run_statement(stmt, live) if o.signal.kind in ("next", "break", "continue")]
            if not outcomes:
                break
            live = m.joined([o.state for o in outcomes])
            _take_over(env, live.frames.get(frame, {}))
        m.state = live
    except OutOfBudget:
        pass
    finally:
        m.shallow -= shallow
        m.quiet -= shallow
        m.closed -= 1
        top, m.state, m.stack, m.site, m.oracle, m.activations = m.state, state, stack, site, oracle, activations
        m.entry_steps, m.entry_limit = entry, limit
        if shallow:
            m.steps = steps
    for k, v in top.heap.items():
        if k not in state.heap:
            m.own.heap[k] = state.heap[k] = v
    return top


def _take_over(env: dict[str, Any], scope: dict[str, Any]) -> None:
    """What a statement bound; a global that was made meanwhile, as it was asked for, stays."""
    if scope is not env:
        env.update((k, v) for k, v in scope.items() if not isinstance(v, Later))


def _declare(m: Machine, body: tuple[Stmt, ...], env: dict[str, Any], path: str) -> None:
    """Bind functions, classes and imports first: code that runs early may already look at them."""
    for stmt in body:
        match stmt:
            case Import():
                bind_import(m, stmt, env, path)
            case Function():
                env[stmt.name] = Closure(stmt, path, decorators=decorator_names(stmt))
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
        k = m.knowing(path)
        if target is not None and target != path and path in k.own.envs:
            known = k.own.envs[path].setdefault(_STARS, ())
            if target not in known:
                k.own.envs[path][_STARS] = (*known, target)
            m.project.looked(path, target)


def _starred(m: Machine, env: dict[str, Any], name: str, seen: frozenset[tuple[str, str]]) -> Value | None:
    """A name that `from x import *` brings."""
    if name.startswith("_"):
        return None
    for target in env.get(_STARS, ()):
        if target not in m.shared.library.envs and not m.project.mentions(target, name, next(iter(seen))[0]):
            continue
        found = module_attr(m, target, name, seen, submodules=False)
        if found is not None:
            env[name] = found
            return found
    return None


def _imported(item: ImportName, path: str) -> Imported:
    return Imported(item.module, item.attr, item.level, path)


def resolve_import(m: Machine, value: Any, seen: frozenset[tuple[str, str]] = frozenset()) -> Value:
    """Follow an import to what it means; a plain value comes back as it is. `seen`: globals on the way to it."""
    if not isinstance(value, Imported):
        return value  # type: ignore[no-any-return]
    if value.level == 0 and value.module.split(".")[0] in _WELL_KNOWN:
        return Extern(value.module if value.attr is None else f"{value.module}.{value.attr}")
    target = m.project.resolve(value.module, value.level, value.importer)
    if target is None:
        if value.level:
            return Unknown(key=f"{value.importer}:{value.module}.{value.attr}")
        return Extern(value.module if value.attr is None else f"{value.module}.{value.attr}")
    m.project.looked(value.importer, target)
    if value.attr is None:
        return ModuleVal(target, value.module)
    found = module_attr(m, target, value.attr, seen)
    if f"{_dotted(target)}.{value.attr}" in TABLES:
        return Extern(f"{_dotted(target)}.{value.attr}")
    return found if found is not None else Unknown(key=f"{target}:{value.attr}")


# of transformers' own files: objects that look callables up, which no reading of their code would tell
TABLES = frozenset({"transformers.activations.ACT2FN"})


def _dotted(path: str) -> str:
    """The last two parts of a module's name."""
    return ".".join(path.removesuffix(".py").replace("\\", "/").split("/")[-2:])


_WELL_KNOWN = frozenset({"torch", "numpy", "einops", "transformers", "typing", "functools", "math", "jaxtyping"})


def module_attr(
    m: Machine, path: str, name: str, seen: frozenset[tuple[str, str]] = frozenset(), *, submodules: bool = True
) -> Value | None:
    """`module.name`: a global of the module, or its submodule. Re-exports in a circle end in None."""
    if (path, name) in seen or len(seen) > MAX_CHAIN:
        return None
    k = m.knowing(path)
    env = module_env(k, path)
    if env is not None and name in env and name != _STARS:
        value = _made(k, env, name)
        if isinstance(value, Imported):
            target = m.project.resolve(value.module, value.level, value.importer)
            if target is not None and value.attr is not None and value.module.split(".")[0] not in _WELL_KNOWN:
                m.project.looked(value.importer, target)
                found = module_attr(k, target, value.attr, seen | {(path, name)})
                if found is not None:
                    bring(m, found)
                    return found
            seen |= {(path, name)}
            return resolve_import(k, value, seen) if (target, value.attr) not in seen else None
        bring(m, value)
        return value  # type: ignore[no-any-return]
    if env is not None and (found := _starred(k, env, name, seen | {(path, name)})) is not None:
        bring(m, found)
        return found
    sub = m.project.submodule(path, name) if submodules else None
    if sub is not None:
        m.project.looked(path, sub)
    return ModuleVal(sub, name) if sub is not None else None
