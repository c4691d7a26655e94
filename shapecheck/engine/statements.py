"""What each statement does to the states."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shapecheck.dims import TooComplex, as_symbol
from shapecheck.engine import branching
from shapecheck.engine.carrying import Carried, brings_nothing, carried, of_any_turn
from shapecheck.engine.contracts import before, on_assert, on_assign
from shapecheck.engine.control import NEXT, Outcome, Signal
from shapecheck.engine.facts import Assigned, Stored
from shapecheck.engine.globals import bind_import
from shapecheck.engine.iterating import UNROLL, members_of, unpack
from shapecheck.engine.learner import is_settable_name
from shapecheck.engine.modules import decorator_names
from shapecheck.engine.operators import apply
from shapecheck.engine.state import join_state
from shapecheck.engine.subscripts import item_value, with_item
from shapecheck.engine.values import (
    NONE,
    ClassVal,
    Closure,
    Items,
    Lit,
    Many,
    Mapping,
    Num,
    Ref,
    Tensor,
    Unknown,
    Value,
)
from shapecheck.engine.witness import of_name, together, went
from shapecheck.engine.worlds import named
from shapecheck.ops import index
from shapecheck.ops.kinds import WRITES
from shapecheck.source.program import (
    Assert,
    Attr,
    Bind,
    Branch,
    Class,
    Eval,
    Expr,
    Function,
    Import,
    Index,
    Jump,
    Loop,
    Match,
    Name,
    Raise,
    Return,
    Scope,
    Seq,
    Star,
    Stmt,
    Try,
    With,
    text_of,
    walk,
)

if TYPE_CHECKING:
    from shapecheck.engine.machine import Machine
    from shapecheck.engine.state import State


def execute(m: Machine, stmt: Stmt) -> list[Outcome]:
    """Run one statement on `m.state`."""
    m.tick()
    m.site = m.at(stmt)
    before(m, stmt)
    match stmt:
        case Bind():
            bind(m, stmt)
        case Eval():
            m.eval(stmt.value)
        case Return():
            value = m.resolve(m.eval(stmt.value)) if stmt.value is not None else NONE
            if stmt.comment is not None or stmt.above is not None:
                value = on_assign(m, stmt, "return value", value)
            return [Outcome(m.state, Signal("return", value, stmt))]
        case Branch():
            return branch(m, stmt)
        case Loop():
            return loop(m, stmt)
        case Function():
            assign(m, Name(stmt.name, cst=stmt.cst), decorated(m, stmt), quiet=True)
        case Class():
            assign(m, Name(stmt.name, cst=stmt.cst), ClassVal(stmt, m.here.path, _frame_of_definitions(m)), quiet=True)
        case Import():
            scope: dict[str, Value] = m.state.scope(m.here.frame)
            bind_import(m, stmt, scope, m.here.path)
        case Assert():
            m.eval(stmt.test)
            on_assert(m, stmt)
            seen = branching.Seen()
            if branching.truth(m, stmt.test, seen) is None:
                branching.decide(m, stmt.test, True, seen)
        case Raise():
            if stmt.value is not None:
                m.eval(stmt.value)
            return [Outcome(m.state, Signal("raise"))]
        case With():
            return with_(m, stmt)
        case Try():
            return try_(m, stmt)
        case Match():
            return match_(m, stmt)
        case Jump(kind=kind):
            return [Outcome(m.state, NEXT if kind == "pass" else Signal(kind))]
        case Scope(kind="del", names=names):
            frame = m.state.scope(m.here.frame)
            for n in names:
                frame.pop(n, None)
    return [Outcome(m.state)]


# ------------------------------------------------------------------ assignment


def bind(m: Machine, stmt: Bind) -> None:
    if stmt.aug is not None:
        target = stmt.targets[0]
        from shapecheck.source.program import Op

        values = [m.resolve(m.eval(target)), m.resolve(m.eval(stmt.value))] if stmt.value is not None else []
        node = Op(stmt.aug, (target, stmt.value), cst=stmt.cst) if stmt.value is not None else target
        if values:
            result = apply(m, stmt.aug, values, node)
            result = on_assign(m, stmt, text_of(target), result)
            assign(m, target, result)
        return
    if stmt.value is None:
        return
    value = m.resolve(m.eval(stmt.value))
    for target in stmt.targets:
        if isinstance(target, Name) and m.here.ran is not None:
            value = of_name(m, target, value, stmt.value)
        if isinstance(target, (Name, Attr)):
            value = on_assign(m, stmt, text_of(target), value)
        assign(m, target, value, told=True)
        if isinstance(target, Seq):
            _comments_on_unpacked(m, stmt, target)


def _comments_on_unpacked(m: Machine, stmt: Bind, target: Seq) -> None:
    if stmt.comment is None:
        return
    for t in target.items:
        if isinstance(t, Name):
            value = on_assign(m, stmt, t.id, m.resolve(m.eval(t)), named_only=True)
            assign(m, t, value, quiet=True, told=True)


def assign(m: Machine, target: Expr, value: Value, *, quiet: bool = False, told: bool = False) -> None:
    """Give a target a value. States `Assigned` for names and attributes, unless quiet. `told`: it has been compared
    with what was seen of it, and what the author wrote of it came after."""
    match target:
        case Name(id=name):
            if m.here.ran is not None and not told:
                value = of_name(m, target, value)
            _set_name(m, name, value)
            if not quiet:
                named(m, name, value, target)
                _learn_name(m, name, value)
                _state_assigned(m, target, name, value)
        case Attr(value=owner_expr, name=name):
            owner = m.resolve(m.eval(owner_expr))
            if isinstance(owner, Ref) and owner.id in m.state.heap:
                m.state.heap[owner.id] = m.state.heap[owner.id].having(name, value)
            if not quiet:
                _state_assigned(m, target, text_of(target), value)
        case Index(value=owner_expr, items=items):
            if any(isinstance(i, Star) for i in items):
                return
            owner = m.resolve(m.eval(owner_expr))
            keys = [item_value(m, i) for i in items]
            if isinstance(owner, Tensor):
                m.state_fact(Stored(site=m.at(target), tensor=owner, items=tuple(keys), value=value))
                _demand_of_store(m, target, owner, keys, value)
            changed = with_item(m, owner, keys, value)
            if changed is not owner:
                _forget_elsewhere(m, owner)
                assign(m, owner_expr, changed, quiet=True)
        case Seq(items=targets):
            _unpack(m, targets, value, quiet=quiet)
        case Star(value=inner):
            assign(m, inner, value, quiet=quiet)


def _forget_elsewhere(m: Machine, owner: Value) -> None:
    """A called function writes into what it was handed: whoever handed it in has it too, changed."""
    if not m.stack or not isinstance(owner, (Mapping, Items, Many)):
        return
    for frame, scope in m.state.frames.items():
        if frame != m.here.frame:
            for name, value in scope.items():
                if value is owner:
                    m.state.scope(frame)[name] = m.unknown()


def _demand_of_store(m: Machine, target: Expr, owner: Tensor, keys: list[Value], value: Value) -> None:
    """What torch demands of `owner[keys] = value`."""
    previous = m.site, m.op_name, m.op_kind
    m.site, m.op_name, m.op_kind = m.at(target), "assignment", WRITES
    try:
        index.stored(m.kit, m.state.tensor(owner), keys, m.resolve(value))
    except TooComplex:
        pass  # nothing is known of such sizes
    finally:
        m.site, m.op_name, m.op_kind = previous


def _state_assigned(m: Machine, target: Expr, name: str, value: Value) -> None:
    if isinstance(value, (Tensor, Num, Items, Many, Mapping)) or (isinstance(value, Unknown) and value.hint == ""):
        m.state_fact(Assigned(site=m.at(target), name=name, value=value))


def _unpack(m: Machine, targets: tuple[Expr, ...], value: Value, *, quiet: bool) -> None:
    star = next((i for i, t in enumerate(targets) if isinstance(t, Star)), None)
    value = m.resolve(value)
    parts = unpack(m, value, len(targets), star)
    if parts is None and star is None and isinstance(value, Items) and len(value.items) != len(targets):
        m.path_ends()  # ValueError, unless something is taken for what it is not
    for i, t in enumerate(targets):
        if parts is not None:
            part: Value = parts[i]
        elif isinstance(value, Unknown) and value.key is not None:
            part = Unknown(key=f"{value.key}[{i}]") if star is None else m.unknown()
        else:
            part = m.unknown()
        assign(m, t, m.resolve(part), quiet=quiet)
    if m.here.ran is not None and isinstance(value, Unknown):
        scope = m.state.frames.get(m.here.frame, {})
        together(m, {t.id: scope[t.id] for t in targets if isinstance(t, Name) and t.id in scope})


def _set_name(m: Machine, name: str, value: Value) -> None:
    here = m.here
    function = here.function
    if isinstance(function, Function):
        declared = m.outer_names(function)
        if name in declared:
            for frame in here.outer_frames:
                if name in m.state.frames.get(frame, {}):
                    m.state.scope(frame)[name] = value
                    return
            return  # a global: other code may set it too, so nothing is kept
    m.state.scope(here.frame)[name] = value


def _learn_name(m: Machine, name: str, value: Value) -> None:
    """`batch_size = x.size(0)`: from here on that size is called so."""
    if isinstance(value, Num):
        size = m.size(value.size)
        symbol = as_symbol(size)
        if symbol is None and not isinstance(size, int):
            m.spoken.setdefault(size, name)
        if symbol is not None and is_settable_name(symbol) and len(name) > 0 and not name.startswith("_"):
            m.authored.setdefault(symbol, name)


def _frame_of_definitions(m: Machine) -> int:
    """The frame that a definition here closes over: 0 at a module's top level."""
    return 0 if m.here.function is None else m.here.frame


def decorated(m: Machine, stmt: Function) -> Value:

    closure: Value = Closure(stmt, m.here.path, _frame_of_definitions(m), decorators=decorator_names(stmt))
    if m.shallow:
        return closure
    for d in reversed(stmt.decorators):
        wrapper = m.resolve(m.eval(d))
        if isinstance(wrapper, Closure):
            result = m.call(wrapper, [closure], {}, stmt)
            if isinstance(result, Closure):
                closure = result
    return closure


# --------------------------------------------------------------------- control


def branch(m: Machine, stmt: Branch) -> list[Outcome]:
    seen = branching.Seen()
    truth = branching.truth(m, stmt.test, seen)
    if truth is None and m.here.ran is not None and (truth := went(m, stmt.test, stmt.body)) is not None:
        branching.decide(m, stmt.test, truth, seen)
    if _has_walrus(stmt.test):
        m.eval(stmt.test)
    start = m.state
    if truth is not None:
        return m.run_block(stmt.body if truth else stmt.orelse, start)
    other = start.copy()
    branching.decide(m, stmt.test, True, seen)
    outcomes = m.run_block(stmt.body, m.state)
    m.state = other
    branching.decide(m, stmt.test, False, seen)
    return outcomes + m.run_block(stmt.orelse, m.state)


def _has_walrus(test: Expr) -> bool:
    from shapecheck.source.program import Op, Walrus

    if isinstance(test, Walrus):
        return True
    return isinstance(test, Op) and any(_has_walrus(o) for o in test.operands)


def loop(m: Machine, stmt: Loop) -> list[Outcome]:
    """Few known members: one run each. Else two runs of the body stand for all, joined with none at all."""
    outer = m.here.live
    if outer is not None:  # what the body reads is read again
        again = _carried(m, stmt)
        m.here.live = outer.union(*map(m.names_in, stmt.body)) if again is None else outer | again.read | again.appended
    try:
        return _loop(m, stmt)
    finally:
        m.here.live = outer


def _loop(m: Machine, stmt: Loop) -> list[Outcome]:
    start = m.state
    done: list[Outcome] = []
    if stmt.iter is not None and stmt.target is not None:
        source = m.resolve(m.eval(stmt.iter))
        known, member = members_of(m, source)
        start = m.state
        unrolled = m.here.unrolled
        if known is not None and len(known) * unrolled <= UNROLL:
            live = [start]
            m.here.unrolled = unrolled * max(len(known), 1)
            try:
                for value in known:
                    live = _iterate(m, stmt, live, value, done)
                    if not live:
                        break
            finally:
                m.here.unrolled = unrolled
            return done + _after_loop(m, stmt, live)
    else:
        assert stmt.test is not None
        if branching.truth(m, stmt.test) is False:
            return m.run_block(stmt.orelse, start)
        member = NONE
    since = m.serials.last
    once = _iterate(m, stmt, [start.copy()], member, done)
    if not once:
        return done + _after_loop(m, stmt, [start])
    merged = m.joined([_summed(start.copy(), once, m.here.frame), *once])
    carries = _carried(m, stmt)
    if carries is not None and (m.for_result or brings_nothing(start, merged, m.here.frame, carries.read)):
        scope = merged.scope(m.here.frame)
        for name in carries.appended:
            if isinstance(now := scope.get(name), Many):
                scope[name] = of_any_turn(m, now, since)
    else:
        m.around += 1  # the first turn told the ways apart
        try:
            again = _iterate(m, stmt, [merged.copy()], _refreshed(m, member), done)
        finally:
            m.around -= 1
        if again:
            merged = join_state(merged, m.joined(again), m.fresh)
    if stmt.iter is not None:
        _count_appended(m, stmt, start, once, merged, source)
    return done + _after_loop(m, stmt, [merged])


def _carried(m: Machine, stmt: Loop) -> Carried | None:
    known = m.shared.texts.carried
    if stmt not in known:
        known[stmt] = carried(stmt)
    return known[stmt]


def _count_appended(m: Machine, stmt: Loop, start: State, once: list[State], after: State, source: Value) -> None:
    """A list to which each turn of `for i in range(G)` appends k members has k*G more of them."""
    count = source.length if isinstance(source, Many) else None
    if count is None or any(isinstance(inner, Jump) for inner in walk(stmt)):
        return
    frame = m.here.frame
    for name, value in start.frames.get(frame, {}).items():
        now = after.frames.get(frame, {}).get(name)
        if not isinstance(value, Items) or value.kind != "list" or not isinstance(now, Many):
            continue
        held = [s.frames.get(frame, {}).get(name) for s in once]
        more = {len(h.items) - len(value.items) if isinstance(h, Items) else 0 for h in held}
        if len(more) == 1 and (each := more.pop()) > 0:
            after.scope(frame)[name] = Many(now.item, len(value.items) + each * m.size(count), now.kind)


def _summed(start: State, after: list[State], frame: int) -> State:
    """`total = 0` before a loop that adds tensors to it: the loop is there to run, so the sum is a tensor behind it."""
    names = start.scope(frame)
    for name, value in list(names.items()):
        if isinstance(value, Num) or (isinstance(value, Lit) and isinstance(value.value, float)):
            later = [s.frames.get(frame, {}).get(name) for s in after]
            if later and all(isinstance(v, Tensor) for v in later):
                names[name] = later[0]  # type: ignore[assignment]
    return start


def _refreshed(m: Machine, member: Value) -> Value:
    """Another member of the same kind: what was learned of the first need not hold for it."""
    if not isinstance(member, Unknown):
        return member
    other = m.unknown(member.hint)
    if member.key in m.facts.counters and other.key is not None:
        m.facts.counters[other.key] = m.facts.counters[member.key]
    return other


def _iterate(m: Machine, stmt: Loop, states: list[State], member: Value, done: list[Outcome]) -> list[State]:
    """One run of the body; states that go on. Returns and raises are collected in `done`, breaks go on too."""
    after: list[State] = []
    for st in states:
        m.state = st
        if stmt.target is not None:
            assign(m, stmt.target, member)
        elif stmt.test is not None:
            m.eval(stmt.test)
        for outcome in m.run_block(stmt.body, m.state):
            if outcome.signal.kind in ("next", "continue", "break"):
                after.append(outcome.state)
            else:
                done.append(outcome)
    return m.fewer(after)


def _after_loop(m: Machine, stmt: Loop, states: list[State]) -> list[Outcome]:
    out: list[Outcome] = []
    for st in states:
        out += m.run_block(stmt.orelse, st) if stmt.orelse else [Outcome(st)]
    return out


def with_(m: Machine, stmt: With) -> list[Outcome]:
    for item in stmt.items:
        value = m.resolve(m.eval(item.value))
        if item.target is not None:
            entered: Value = m.unknown()
            if isinstance(value, (Tensor, Items, Mapping)):
                entered = value
            assign(m, item.target, entered)
    return m.run_block(stmt.body, m.state)


def try_(m: Machine, stmt: Try) -> list[Outcome]:
    """The body as if nothing failed; each handler from where the body began."""
    start = m.state.copy()
    outcomes: list[Outcome] = []
    for out in m.run_block(stmt.body, m.state):
        if out.signal.kind == "next" and stmt.orelse:
            outcomes += m.run_block(stmt.orelse, out.state)
        else:
            outcomes.append(out)
    for handler in stmt.handlers:
        st = start.copy()
        if handler.name:
            st.scope(m.here.frame)[handler.name] = m.unknown("other")
        outcomes += m.run_block(handler.body, st)
    if not stmt.final:
        return outcomes
    finished: list[Outcome] = []
    for out in outcomes:
        for last in m.run_block(stmt.final, out.state):
            finished.append(Outcome(last.state, last.signal if last.signal.kind != "next" else out.signal))
    return finished


def match_(m: Machine, stmt: Match) -> list[Outcome]:
    subject = m.resolve(m.eval(stmt.subject))
    outcomes: list[Outcome] = []
    for case in stmt.cases:
        st = m.state.copy()
        rest = m.state
        m.state = st
        verdict: bool | None = True
        if case.pattern is not None:
            value = m.resolve(m.eval(case.pattern))
            verdict = branching.compare_values(m, "==", subject, value) if not isinstance(value, Unknown) else None
        if verdict is False:
            m.state = rest
            continue
        for name in case.binds:
            bound = subject if case.pattern is None and len(case.binds) == 1 else m.unknown()
            assign(m, Name(name, cst=case.cst), bound, quiet=True)
        if case.guard is not None:
            guard = branching.truth(m, case.guard)
            if guard is False:
                m.state = rest
                continue
            verdict = verdict if guard else None
        outcomes += m.run_block(case.body, m.state)
        if verdict is True:
            return outcomes
        m.state = rest
    return [*outcomes, Outcome(m.state)]
