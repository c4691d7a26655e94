"""From a program to its facts: the top level, then every function and method on its own, with unknown arguments."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from shapecheck.dims import as_symbol
from shapecheck.engine.assumptions import Tried, refuted
from shapecheck.engine.calls import bind_parameters, record_fields
from shapecheck.engine.contracts import on_enter
from shapecheck.engine.control import (
    STEPS_AT_A_GLANCE,
    STEPS_AT_TOP,
    STEPS_OF_A_MODULE,
    STEPS_OF_INIT,
    STEPS_PER_ENTRY,
    STEPS_PER_INIT,
    Activation,
    Entry,
    Oracle,
    OutOfBudget,
    Ranked,
    Told,
)
from shapecheck.engine.evidence import Ran
from shapecheck.engine.facts import Facts
from shapecheck.engine.globals import run_top_level
from shapecheck.engine.learner import assumed_of
from shapecheck.engine.machine import Machine
from shapecheck.engine.modules import decorator_names, find_member, in_module, is_module_class
from shapecheck.engine.overriding import overridden
from shapecheck.engine.relevance import meets_tensors
from shapecheck.engine.results import blank, copied, instance_of, put
from shapecheck.engine.state import State
from shapecheck.engine.told import evidence_of, file_of
from shapecheck.engine.values import (
    NONE,
    Bound,
    ClassVal,
    Closure,
    Extern,
    Layer,
    Lit,
    Many,
    Num,
    Partial,
    Ref,
    Tensor,
    Unknown,
    Value,
)
from shapecheck.engine.worlds import run_customary, tensorish
from shapecheck.source.imports import Project
from shapecheck.source.program import (
    Attr,
    Branch,
    Class,
    Const,
    Function,
    Name,
    Node,
    Param,
    Program,
    Stmt,
    Try,
    With,
)

RECURSION = 12_000
RUNS = 3  # of one entry: the ranks that one run learned may let the next learn more


def analyze(program: Program, project: Project, *, supposing: bool = True, tried: Tried = frozenset()) -> Facts:
    """All facts of one file. Reads other files of the project through `project`; runs nothing of any. Not `supposing`:
    only those that need no assumption. `tried`: comments that are believed whatever the code computes; `Facts.refuted`
    then has those that it cannot live with.

    Bounded: a file that asks for more steps than the budget allows keeps the facts found until then.
    """
    machine = run(program, project, supposing=supposing, tried=tried)
    machine.facts.read = project.read_for(program.path)
    return machine.facts


def run(program: Program, project: Project, *, supposing: bool = True, tried: Tried = frozenset()) -> Machine:
    project.know(program)  # first: what was made of an older text of this file goes with it
    m = Machine(project, program.path, supposing, tried)
    m.facts.program = program
    if sys.getrecursionlimit() < RECURSION:
        sys.setrecursionlimit(RECURSION)
    env = m.own.envs[program.path] = {}
    try:
        m.entry_limit = STEPS_AT_TOP
        top = run_top_level(m, program, env, shallow=False)
        m.state = State(heap=top.heap)
    except Exception as error:
        m.broken_off(error, "the top level")
        m.state = State()
    m.own.heap = dict(m.state.heap)
    m.entry_steps = 0
    m.entry_limit = STEPS_PER_ENTRY
    own = entries(program.body, program.path)
    for function, cls, way in _in_turn(m, [*own, *inherited(m, own)]):
        if m.spent:
            m.facts.unfinished.append(function.name)
            continue
        m.way = way
        run_entry(m, function, cls)
        if function.name == "__init__" and cls is not None:
            _state_overridden(m, function, cls)
    return m


def _in_turn(
    m: Machine, own: Sequence[tuple[Function, ClassVal | None]]
) -> Iterator[tuple[Function, ClassVal | None, Ran | None]]:
    """Each function with the way of running it that is looked at. What was called by watched code comes last, and not
    at all where running that code has come through it: then its callers have said what there is to say."""
    evidence = evidence_of(m)
    inner: list[tuple[Function, ClassVal | None, Ran]] = []
    for function, cls in own:
        m.entry_steps = m.idle_steps = 0
        ways: Sequence[Ran | None] = (None,)
        with suppress(OutOfBudget):  # the file's: nothing more of it is run
            ways = _ways(m, function, cls)
        for way in ways:
            if way is None or way.outer or evidence is None or not evidence.only_ran:
                yield function, cls, way
            else:
                inner.append((function, cls, way))
    for function, cls, way in inner:
        if evidence is None or id(way) not in evidence.entered:
            yield function, cls, way


def _ways(m: Machine, function: Function, cls: ClassVal | None) -> Sequence[Ran | None]:
    """The ways in which the function ran; one unknown way where nothing was seen."""
    path = m.path if cls is None else _owner_of(m, cls, function).path
    of_file, evidence = file_of(m, path), evidence_of(m)
    ways: list[Ran] = [] if of_file is None else of_file.ways(function)
    if ways or (evidence is not None and evidence.only_ran):
        return ways
    return (None,)


def inherited(m: Machine, own: list[tuple[Function, ClassVal | None]]) -> list[tuple[Function, ClassVal | None]]:
    """`forward` of a base class in another file, for each class of this one that fills in what it calls."""
    classes = {cls.node: cls for function, cls in own if cls is not None and not function.name.startswith("__")}
    found: list[tuple[Function, ClassVal | None]] = []
    for cls in classes.values():
        for name in ("forward", "__call__"):
            member = None
            with suppress(OutOfBudget):  # the file's: nothing more of it is run
                member = find_member(m, cls, name)
            if member is not None and isinstance(member[1], Function) and member[0].path != cls.path:
                found.append((member[1], cls))
                break
    return found


def _state_overridden(m: Machine, init: Function, cls: ClassVal) -> None:
    base, m.entry_steps, m.idle_steps, m.entry_limit = m.state, 0, 0, STEPS_PER_ENTRY
    m.state, m.oracle = base.copy(), Oracle()
    m.activations = [Activation(m.serial(), -1, m.path, None)]
    try:
        for fact in overridden(m, init, cls):
            m.state_fact(fact)
    except Exception as error:
        m.broken_off(error, f"the defaults of {cls.node.name}")
        m.stack = []
    finally:
        m.state, m.activations = base, []


def entries(body: tuple[Stmt, ...], path: str, cls: ClassVal | None = None) -> list[tuple[Function, ClassVal | None]]:
    """Every function and method that the file defines at its top level or in its classes, in order."""
    found: list[tuple[Function, ClassVal | None]] = []
    for stmt in body:
        match stmt:
            case Function():
                found.append((stmt, cls))
            case Class():
                found += entries(stmt.body, path, ClassVal(stmt, path))
            case Branch():
                found += entries(stmt.body, path, cls) + entries(stmt.orelse, path, cls)
            case Try() | With():
                found += entries(stmt.body, path, cls)
    return found


def run_entry(m: Machine, function: Function, cls: ClassVal | None) -> None:
    """Run one function as if called from outside, with arguments of which only its own text tells anything.

    A line far down may tell how many axes an argument has (`z @ z.t()`: two). The function is then run once more, so
    that all lines above know it too.
    """
    base = m.state
    mark = len(m.facts.items)
    told: Told = {}
    runs = RUNS
    while runs:
        m.cut = False
        ended = _attempt(m, function, cls, told)
        cut = m.cut and not ended and m.entry_limit != STEPS_AT_A_GLANCE
        if m.facts.assumed and m.supposing.refute(refuted(m.facts.items[mark:], m.facts)):
            m.state, told = base, {}
            m.own.results.clear()
            m.of_calls.clear()
            m.facts.forget(mark)
            continue
        runs -= 1
        learned = _learned(m, told) if ended and m.entry_steps < STEPS_PER_ENTRY // 4 else {}
        m.state = base
        if not learned or m.spent:
            break
        m.facts.forget(mark)
        told |= learned
    if cut:
        m.facts.unfinished.append(function.name)
    m.facts.items += m.of_calls
    m.of_calls.clear()
    run_customary(m, function, cls, told, _attempt)


def _attempt(m: Machine, function: Function, cls: ClassVal | None, told: Told) -> bool:
    """One run of an entry; False when it was broken off."""
    m.entry_steps = m.idle_steps = 0
    m.of_init = function.name == "__init__"
    limit = _budget(m, function, cls)
    m.around, m.for_result = (2, True) if limit == STEPS_AT_A_GLANCE else (0, False)
    m.entry = Entry(told)
    m.observed.clear()
    m.stack = []
    m.oracle = Oracle()
    m.state = m.state.copy()
    m.activations = [Activation(m.serial(), -1, m.path, None)]
    try:
        receiver = _receiver(m, cls, function) if cls is not None else None
        m.entry_steps, m.idle_steps, m.entry_limit = 0, 0, limit
        m.entry_facts = len(m.facts.items)
        m.oracle = Oracle()
        owner = cls if cls is None else _owner_of(m, cls, function)
        path = m.path if owner is None else owner.path
        closure = Closure(function, path, 0, receiver, owner, decorator_names(function))
        args = [receiver] if receiver is not None else []
        m.entry = Entry(told)
        ended = True
        try:
            _run_unknown(m, closure, function, args, function)
        except Exception as error:  # what was set until then stands
            m.broken_off(error, f"function {function.name}")
            m.stack = []
            ended = False
    except Exception as error:
        m.broken_off(error, f"function {function.name}")
        m.stack = []
        return False
    finally:
        m.activations, m.around, m.for_result = [], 0, False
    return ended


def _budget(m: Machine, function: Function, cls: ClassVal | None) -> int:
    """The steps that a function's own run may take, by what it has to do with tensors."""
    if not meets_tensors(m, function, m.path if cls is None else _owner_of(m, cls, function).path, cls):
        return STEPS_AT_A_GLANCE
    if function.name == "__init__":
        return STEPS_OF_INIT
    return STEPS_OF_A_MODULE if cls is not None and is_module_class(m, cls) else STEPS_PER_ENTRY


def _owner_of(m: Machine, cls: ClassVal, function: Function) -> ClassVal:
    """The class that defines the method: the class itself, or a base of it."""
    found = find_member(m, cls, function.name)
    return found[0] if found is not None and found[1] is function else cls


def _learned(m: Machine, told: Told) -> Told:
    """The parameters whose rank every way through the function told, beside those known at its beginning."""
    found: Told = {}
    for name, key in m.entry.keys.items():
        shapes = [state.tensor(Tensor(Partial(key=key))).axes or () for state in m.entry.ends]
        if name not in told and shapes and shapes[0] and len({len(axes) for axes in shapes}) == 1:
            hints = tuple(m.hints.get(as_symbol(axis.size) or "", "") for axis in shapes[0])
            found[name] = Ranked(hints, next(filter(None, map(assumed_of, shapes)), None))
    return found


def _tell(m: Machine, name: str, key: str) -> None:
    """Give the argument the rank that an earlier run learned; else note where this run may learn it."""
    ranked = m.entry.told.get(name)
    if ranked is not None:
        other = m.entry.axes.get(ranked.like) if ranked.like is not None else None
        m.entry.axes[name] = m.give_rank(key, ranked, other)
    m.entry.keys[name] = key


def _arguments(m: Machine, closure: Closure, args: list[Value], function: Function, node: Node) -> dict[str, Value]:
    """Parameters of an entry: unknown each, by a key that carries its name. A default tells the kind of value; one
    that is a function stays, since that is what callers leave in place."""
    frame = bind_parameters(m, closure, args, {}, function)
    for i, p in enumerate(function.params):
        if i < len(args):
            continue
        if p.kind == "*":
            frame[p.name] = Many(m.unknown(), None, "tuple")
        elif p.kind == "**":
            frame[p.name] = m.unknown()
        else:
            default = frame[p.name] if p.default is not None else NONE
            if not isinstance(default, (Closure, Extern, ClassVal, Layer, Bound)):
                made = _of_class(m, p, function)
                key = f"{function.name}.{p.name}@{m.serial()}"
                frame[p.name] = made or Unknown(_hint(default), key)
                if default == NONE and p.default is not None and p.annotation is not None and not tensorish(p):
                    m.optional.add(key)
                if made is None and closure.node is node:
                    _tell(m, p.name, key)
    return frame


def _of_class(m: Machine, p: Param, function: Function) -> Value | None:
    """An instance for `model: Encoder`, where Encoder is a module of the project."""
    match p.annotation:
        case Name() | Attr() as expr:
            pass
        case Const(value=str(name)) if name.isidentifier():
            expr = Name(name)
        case _:
            return None
    with m.silently():
        cls = m.resolve(m.eval(expr))
        if not isinstance(cls, ClassVal) or not is_module_class(m, cls):
            return None
        return copied(m, instance_of(m, cls, _unknown_init(cls)))


def _hint(default: Value) -> str:
    match default:
        case Lit(value=bool()):
            return "bool"
        case Lit(value=float()):
            return "float"
        case Lit(value=str()):
            return "str"
        case Num():
            return "int"
        case _:
            return ""


def _receiver(m: Machine, cls: ClassVal, function: Function) -> Value | None:
    """`self` for a method's own run: an instance whose `__init__` ran with unknown arguments."""
    names = decorator_names(function)
    if "staticmethod" in names or not function.params:
        return None
    if "classmethod" in names:
        return cls
    if function.name == "__init__":
        return blank(m, cls)
    return put(m, instance_of(m, cls, _unknown_init(cls)))


def _unknown_init(cls: ClassVal) -> Callable[[Machine, Ref], None]:
    """Runs the `__init__` of a new instance with arguments of which nothing is known."""

    def run(m: Machine, ref: Ref) -> None:
        m.entry_limit = STEPS_PER_INIT
        m.activations = [Activation(m.serial(), -1, cls.path, None)]
        found = find_member(m, cls, "__init__")
        if found is None or not isinstance(found[1], Function):
            for name, default, owner in record_fields(m, cls):
                if default is not None:
                    value = in_module(m, owner.path, owner.frame, default)
                    m.state.heap[ref.id] = m.state.heap[ref.id].having(name, value)
            return
        owner, init = found[0], found[1]
        closure = Closure(init, owner.path, owner.frame, ref, owner, decorator_names(init))
        _run_unknown(m, closure, init, [ref], cls.node)

    return run


def _run_unknown(m: Machine, closure: Closure, function: Function, args: list[Value], node: Node) -> None:
    """Run a function whose further arguments nobody knows."""

    def fill(frame: int) -> None:
        arguments = _arguments(m, closure, args, function, node)  # may run an `__init__`, which replaces the state
        m.state.scope(frame).update(arguments)
        on_enter(m, function, frame, as_entry=True)
        if closure.node is node:
            keys = m.entry.keys.items()
            m.entry.keys = {n: key for n, key in keys if m.state.tensor(Tensor(Partial(key=key))).rank is None}

    m.enter(closure, node, function.name, fill, as_entry=True)
