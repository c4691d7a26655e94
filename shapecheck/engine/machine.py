"""The evaluator's frame: runs blocks over sets of states, forks at undecided tests, enters calls, keeps the budget.

One recursive evaluator from `Program` to `Facts`: `expressions.py` and `statements.py` say what each node means,
`calls.py` what a call does; this file says how states flow. The code under analysis is never run or imported.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import NoReturn

from shapecheck.dims import Size, TooComplex, as_symbol, symbol
from shapecheck.engine.apart import Apart
from shapecheck.engine.assumptions import Supposing, Tried
from shapecheck.engine.calls import bind_parameters, call
from shapecheck.engine.carrying import effects
from shapecheck.engine.contracts import on_enter, on_return
from shapecheck.engine.control import (
    MAX_CHOICES,
    MAX_DEPTH,
    MAX_STATES,
    NEXT,
    STEPS_AT_A_GLANCE,
    STEPS_PER_ENTRY,
    STEPS_PER_FILE,
    STEPS_WITHOUT_TENSORS,
    STRAINED,
    Activation,
    Ends,
    Entry,
    MeetsNone,
    Oracle,
    Outcome,
    OutOfBudget,
    PathEnds,
    Ranked,
    Signal,
)
from shapecheck.engine.evidence import Ran
from shapecheck.engine.expressions import evaluate
from shapecheck.engine.facts import Assigned, Called, Fact, Facts, Frame, Returned
from shapecheck.engine.faults import Fault, bound_by
from shapecheck.engine.learner import Learner
from shapecheck.engine.library import Library, Shared, Tables
from shapecheck.engine.relevance import meets_tensors
from shapecheck.engine.state import VARIES, State, alike, join_shape, join_state, join_value, same_world
from shapecheck.engine.statements import execute
from shapecheck.engine.values import (
    NONE,
    Axis,
    ClassVal,
    Closure,
    Items,
    Made,
    Many,
    Mapping,
    Origin,
    Partial,
    Site,
    Tensor,
    Unknown,
    Value,
)
from shapecheck.engine.witness import of_expression
from shapecheck.ops.kit import OpSpec
from shapecheck.source.imports import Project
from shapecheck.source.program import (
    Branch,
    Expr,
    Function,
    Lambda,
    Loop,
    Name,
    Node,
    Return,
    Scope,
    Stmt,
    Try,
    With,
    walk,
)


class Machine:
    """All that one file's analysis shares: the project, the facts, the present state and activation.

    `path` is the file under analysis, "" for what is made once for all files.
    """

    def __init__(
        self,
        project: Project,
        path: str,
        supposing: bool = True,
        tried: Tried = frozenset(),
        own: Library | None = None,
        tables: Tables | None = None,
    ) -> None:
        self.project = project
        self.path = path
        shared = project.kept.get(supposing)
        if shared is None:
            shared = project.kept[supposing] = Shared()
        self.shared: Shared = shared
        self.own = own or Library()
        self.tables = tables or Tables()
        self.serials = self.shared.serials
        self.facts = Facts(
            path,
            authored=self.tables.authored,
            hints=self.tables.hints,
            counters=self.tables.counters,
            supposed=self.tables.supposed,
        )
        self.of_calls: list[Fact] = []  # facts of plain calls, which are run once: they stand whoever asked first
        self.supposing = Supposing(supposing, tried, self.facts.refuted, self.facts.assumed)
        self.state = State()
        self.apart = Apart()
        self.kit = Learner(self)
        self.oracle = Oracle()
        self.stack: list[Frame] = []
        self.activations: list[Activation] = []
        self.around = 0  # what is run for itself is run as if under so many calls
        self.for_result = False  # is only what a call gives asked for, and no fact
        self.bases_open = 0  # classes whose bases are being found
        self.computed = self.tables.computed
        self.spoken = self.tables.spoken
        self.hints = self.tables.hints
        self.authored = self.tables.authored
        self.adopted = 0  # how much is known that other modules' top levels remember
        texts = self.shared.texts
        self.read_cache, self.inner_cache, self.outer_cache = texts.read_after, texts.inside, texts.outer
        self.steps = 0
        self.entry_steps = 0
        self.idle_steps = 0  # of those of the entry, spent in calls that met no tensor
        self.optional: set[str] = set()  # keys of parameters that may be None, and are no tensors if they are not
        self.promised: dict[str, Tensor] = {}  # key of a parameter that may be None -> what it is if it is not
        self.of_init = False  # is the entry an `__init__`, most of which meets none
        self.entry_limit = STEPS_PER_ENTRY
        self.cut = False  # did the step limit break off the last run that came to no end
        self.ops_run = 0  # calls of torch, and of unknown things, that were stated
        self.entry = Entry()
        self.entry_about: str | None = None  # in a customary world: what the entry is for (`ops.customs.about`)
        self.entry_facts = 0  # how many facts there were when the present entry began
        self.quiet = 0  # > 0: states no facts
        self.site = Site(path, _NOWHERE)
        self.op_name = ""
        self.op_kind = 0  # what that op is, as bits of `shapecheck.ops.kinds`
        self.of_torch = False  # is the op that is run a function or method of torch, not an operator
        self.frame_parents: dict[int, tuple[int, ...]] = {}
        self.shallow = 0  # > 0: project functions are not entered (while other modules' top levels run)
        self.varying = self.tables.varying
        self.observed: dict[str, int] = {}  # symbol -> the size that it was when the program ran
        self.refused: list[str] = []  # what the op that is run needs, and did not have when the program ran
        self.way: Ran | None = None  # the way of running the entry that is looked at
        self.closed = 0  # > 0: the file's own top level runs, whose globals are not all there yet

    # ---------------------------------------------------------------- services

    @property
    def max_depth(self) -> int:
        return MAX_DEPTH

    @property
    def spent(self) -> bool:
        return self.steps > STEPS_PER_FILE

    @property
    def narrowness(self) -> int:
        """How few ways are told apart: the deeper the call, and the more this entry has cost already, the fewer."""
        strain = bisect_right(STRAINED, self.entry_steps - self.idle_steps)
        return min(min(len(self.stack) + self.around, 3) + strain, 4)

    @property
    def constructs(self) -> bool:
        """Does an `__init__` run that some code calls? All its ways end in one object, so they are joined early."""
        function = self.here.function
        return bool(self.stack) and isinstance(function, Function) and function.name == "__init__"

    def outer_names(self, function: Function) -> frozenset[str]:
        """Names that the function declares `global` or `nonlocal`."""
        found = self.outer_cache.get(function)
        if found is None:
            found = self.outer_cache[function] = frozenset(_outer_names(function.body))
        return found

    def give_rank(self, key: str, ranked: Ranked, of_another: tuple[Axis, ...] | None) -> tuple[Axis, ...]:
        """The unknown shape `key` has this many axes, of sizes of their own or those `of_another`."""
        hints, assumption = ranked.hints, ranked.assumption
        origin = None if assumption is None else Origin("by custom", assumption.site, assumption)
        roles = ["" if i or len(hints) < 2 else "batch" for i in range(len(hints))]
        sizes = [symbol(self.fresh(hint)) for hint in hints] if of_another is None else [a.size for a in of_another]
        axes = tuple(Axis(size, origin=origin, role=role) for size, role in zip(sizes, roles))
        self.state.shapes[key] = axes
        self.apart.know(key, axes)
        return axes

    def fresh(self, hint: str = "") -> str:
        """A new free symbol, or key of an unknown value."""
        name = f"?{self.serial()}"
        if hint == VARIES:
            self.varying.add(name)
        elif hint:
            self.hints[name] = hint
        return name

    def another(self, member: Value, at: str = "") -> Value:
        """A member of many: the sizes in which they differ are others each time that one is taken. `at`: which one it
        is, where they may differ in more than sizes (`features, labels = gathered`)."""
        match member:
            case Tensor(shape=tuple(axes)) if self.varying:
                return member.with_(shape=tuple(map(self._another_axis, axes)))
            case Tensor(shape=Partial(key=str(key)) as shape) if at and key not in self.state.shapes:
                return member.with_(shape=replace(shape, key=f"{key}[{at}]"))
            case Unknown(key=str(key)) if at and key not in self.state.shapes and key not in self.state.narrowed:
                return replace(member, key=f"{key}[{at}]")
            case Items(items=items):
                return replace(member, items=tuple(self.another(i, at) for i in items))
            case Many(item=item):
                return replace(member, item=self.another(item, at))
            case _:
                return member

    def _another_axis(self, axis: Axis) -> Axis:
        return Axis(symbol(self.fresh())) if as_symbol(axis.size) in self.varying else axis

    def unknown(self, hint: str = "") -> Unknown:
        return Unknown(hint, self.fresh())

    def serial(self) -> int:
        self.serials.last += 1
        return self.serials.last

    def tick(self, cost: int = 1) -> None:
        self.steps += cost
        self.entry_steps += cost
        if self.steps > STEPS_PER_FILE or self.entry_steps > self.entry_limit:
            raise OutOfBudget
        if self.entry_steps > STEPS_WITHOUT_TENSORS and len(self.facts.items) == self.entry_facts and not self.quiet:
            raise MeetsNone

    def knowing(self, path: str) -> Machine:
        """The machine that knows the globals of that module: this one those of its own file, the reader all others."""
        if path == self.path:
            return self
        reader = self.shared.reader
        if reader is None:
            reader = self.shared.reader = Machine(
                self.project, "", self.supposing.active, own=self.shared.library, tables=self.shared.tables
            )
            reader.serials = self.shared.of_top_levels
            reader.quiet = 1
        reader.facts.faults = self.facts.faults
        return reader  # type: ignore[no-any-return]

    def adopt(self) -> None:
        """Remember what other modules' top levels remember."""
        mine, theirs = self.tables, self.shared.tables
        self.adopted = len(theirs.authored) + len(theirs.hints)
        if mine is not theirs:
            mine.varying |= theirs.varying
            for field_of in ("authored", "hints", "computed", "spoken", "counters", "supposed"):
                known = getattr(mine, field_of)
                for key, value in getattr(theirs, field_of).items():
                    known.setdefault(key, value)

    def library_of(self, cls: ClassVal) -> Library:
        return self.own if cls.frame or cls.path == self.path else self.shared.library

    def child(self, *, loud: bool) -> Machine:
        """A machine for one call that is run on its own: as part of this file's analysis, or once for all files."""
        if not loud:
            child = Machine(self.project, "", self.supposing.active)
            child.quiet = 1
            child.facts.faults = self.facts.faults
            return child
        child = Machine(self.project, self.path, self.supposing.active, own=self.own, tables=self.tables)
        child.supposing = self.supposing
        child.facts.later, child.facts.like = self.facts.later, self.facts.like
        child.facts.program, child.facts.faults = self.facts.program, self.facts.faults
        child.facts.settled = self.facts.settled
        child.observed = self.observed
        return child

    @property
    def here(self) -> Activation:
        return self.activations[-1]

    def path_ends(self) -> NoReturn:
        raise PathEnds

    def at(self, node: Node) -> Site:
        return Site(self.here.path, node)

    def state_fact(self, fact: Fact) -> None:
        """Record a fact with where the run stands."""
        if self.quiet:
            return
        self.ops_run += isinstance(fact, Called)
        # it was made for this, and nobody else has it yet
        fact.stack = tuple(self.stack)  # type: ignore[misc]
        fact.activation = self.here.id  # type: ignore[misc]
        fact.path = tuple(self.state.path.items())  # type: ignore[misc]
        self.facts.items.append(fact)

    def fault(self, error: Exception, doing: str) -> None:
        """A bug of ours: what was asked for is unknown, the rest goes on, and the report says so once."""
        found = Fault.of(error, doing, self.site)
        self.facts.faults.setdefault((found.doing, found.error, found.place), found)

    def broken_off(self, error: Exception, doing: str) -> None:
        """A run came to no end: out of budget, all ways raise, or by a bug of ours."""
        self.cut = isinstance(error, OutOfBudget) and not isinstance(error, MeetsNone)
        if not isinstance(error, (OutOfBudget, PathEnds, TooComplex)):
            self.fault(error, doing)

    def unsay(self, mark: int) -> None:
        """Take back the names given since `mark`: shown alone they would pass for all that a line can give."""
        self.facts.items[mark:] = [f for f in self.facts.items[mark:] if not isinstance(f, Assigned)]

    def resolve(self, value: Value) -> Value:
        return self.state.value(value)

    def used(self, value: Value) -> Value:
        """The value, now that something is done with it that None would not bear."""
        if isinstance(value, Unknown) and value.key in self.promised and value.key not in self.state.narrowed:
            self.state.narrowed[value.key] = self.promised[value.key]
        return self.resolve(value)

    def size(self, size: Size) -> Size:
        return self.state.size(size)

    @contextmanager
    def silently(self) -> Iterator[None]:
        self.quiet += 1
        try:
            yield
        finally:
            self.quiet -= 1

    # --------------------------------------------------------------- statements

    def run_block(self, body: Sequence[Stmt], state: State) -> list[Outcome]:
        """Run statements from one state; every way through them is one outcome."""
        live = [state]
        done: list[Outcome] = []
        here = self.here
        outer = here.live
        mark, waiting = len(self.facts.items), 0
        try:
            for stmt, read_later in zip(body, self.read_after(body)):
                here.live = outer | read_later if outer is not None else None
                after: list[State] = []
                mark, waiting = len(self.facts.items), len(live)
                for st in live:
                    waiting -= 1
                    for outcome in self.run_statement(stmt, st):
                        if outcome.signal.kind == "next":
                            after.append(outcome.state)
                        else:
                            done.append(outcome)
                live = self.fewer(after)
                if not live:
                    break
        except OutOfBudget:
            if waiting:  # other ways through this statement were never run: what these gave is not all
                self.unsay(mark)
            raise
        finally:
            here.live = outer
        return [*done, *(Outcome(s) for s in live)]

    def read_inside(self, function: Function | Lambda) -> frozenset[str]:
        """Names that functions nested in this one read: they may run at any time."""
        found = self.inner_cache.get(function)
        if found is None:
            inner = [n for n in walk(function) if isinstance(n, (Function, Lambda)) and n is not function]
            self.shared.texts.nesting[function] = bool(inner)
            found = self.inner_cache[function] = frozenset(n.id for f in inner for n in walk(f) if isinstance(n, Name))
        return found

    def names_in(self, node: Node) -> frozenset[str]:
        """Every name that a piece of the program mentions."""
        names = self.shared.texts.names
        found = names.get(node)
        if found is None:
            found = names[node] = frozenset(n.id for n in walk(node) if isinstance(n, Name))
        return found

    def read_after(self, body: Sequence[Stmt]) -> tuple[frozenset[str], ...]:
        """For each statement of a block: the names that the statements behind it may read before they bind them."""
        if not body:
            return ()
        found = self.read_cache.get(body[0])
        if found is None:
            rows: list[frozenset[str]] = []
            later: frozenset[str] = frozenset()
            for stmt in reversed(body):
                rows.append(later)
                reads, binds = effects(stmt)
                later = reads | (later - binds)
            found = self.read_cache[body[0]] = tuple(reversed(rows))
        return found

    def run_statement(self, stmt: Stmt, state: State) -> list[Outcome]:
        """All ways through one statement: as many runs as its inner choices ask for."""
        outer = self.oracle
        outcomes: list[Outcome] = []
        pending: list[tuple[int, ...]] = [()]
        untried = False
        mark = len(self.facts.items)
        ended: dict[tuple[object, ...], Ends] = {}
        try:
            while pending:
                self.oracle = Oracle(pending.pop(), ended=ended)
                self.state = state.copy()
                depth = (len(self.stack), len(self.activations))
                try:
                    outcomes += execute(self, stmt)
                except PathEnds:
                    del self.stack[depth[0] :], self.activations[depth[1] :]
                    outcomes.append(Outcome(self.state, Signal("raise")))
                except (OutOfBudget, RecursionError):
                    raise
                except Exception as error:
                    if not isinstance(error, TooComplex):
                        self.fault(error, f"a statement ({type(stmt).__name__})")
                    del self.stack[depth[0] :], self.activations[depth[1] :]
                    scope = self.state.scope(self.here.frame)
                    scope.update({name: self.unknown() for name in bound_by(stmt)})
                    outcomes.append(Outcome(self.state))
                if len(self.oracle.taken) > len(self.oracle.prefix):
                    room = max(MAX_CHOICES[self.narrowness] - len(outcomes) - len(pending), 0)
                    others = list(self.oracle.others())
                    pending += others[:room]
                    untried = untried or len(others) > room
            if untried:
                outcomes.append(self._untried(stmt, state))
        except OutOfBudget:
            if outcomes or pending or next(self.oracle.others(), None) is not None:
                self.unsay(mark)
            raise
        finally:
            self.oracle = outer
        return outcomes

    def _untried(self, stmt: Stmt, state: State) -> Outcome:
        """The ways through a statement that there was no room to run, as one: nothing is known of what they give."""
        other = state.copy()
        other.scope(self.here.frame).update({name: self.unknown() for name in bound_by(stmt)})
        return Outcome(other, Signal("return", self.unknown(), stmt) if isinstance(stmt, Return) else NEXT)

    def fewer(self, states: list[State]) -> list[State]:
        """States that differ in nothing visible become one; too many become fewer by joining."""
        if len(states) < 2:
            return states
        kept: list[State] = []
        for s in states:
            for i, k in enumerate(kept):
                if same_world(k, s, self.here.frame, self.here.live):
                    kept[i] = join_state(k, s, self.fresh)
                    break
            else:
                kept.append(s)
        most = 1 if self.constructs else MAX_STATES[self.narrowness]
        if len(kept) > most > 1:
            kept = self._by_ranks(kept, most)
        while len(kept) > most:
            last = kept.pop()
            kept[-1] = join_state(kept[-1], last, self.fresh)
        return kept

    def _by_ranks(self, states: list[State], most: int) -> list[State]:
        """Join such states first as agree in the ranks of all that is named here, the last ones before the first."""
        frame = self.here.frame
        kinds = [tuple((n, _rank_of(s.value(v))) for n, v in s.frames.get(frame, {}).items()) for s in states]
        while len(states) > most:
            later = range(len(states) - 1, 0, -1)
            pair = next(((i, j) for j in later for i in range(j - 1, -1, -1) if kinds[i] == kinds[j]), None)
            if pair is None:
                return states
            i, j = pair
            states[i] = join_state(states[i], states.pop(j), self.fresh)
            del kinds[j]
        return states

    def joined(self, states: list[State]) -> State:
        out = states[0]
        for s in states[1:]:
            out = join_state(out, s, self.fresh)
        return out

    # -------------------------------------------------------------------- calls

    def enter(
        self, closure: Closure, node: Node, name: str, bind: Callable[[int], None], *, as_entry: bool = False
    ) -> Value:
        """Run a project function's body on the present state and come back with its value.

        `bind` fills the new frame. Several different results are a choice of the calling statement.
        """
        if (
            self.shallow
            or len(self.stack) >= MAX_DEPTH
            or sum(a.function is closure.node for a in self.activations) > 1
        ):
            return self.unknown()
        with self.activated(closure, node, name, bind, as_entry=as_entry) as activation:
            function = closure.node
            if isinstance(function, Lambda):
                return self.eval(function.body)
            return self.ended(function, lambda: self.ends_of(function, activation))

    @contextmanager
    def activated(
        self, closure: Closure, node: Node, name: str, bind: Callable[[int], None], *, as_entry: bool = False
    ) -> Iterator[Activation]:
        """A run of a function's body, with its frame in place."""
        activation = Activation(
            self.serial(),
            self.serial(),
            closure.path,
            closure.node,
            closure.owner,
            closure.self_value,
            self.scopes_of(closure.frame),
            live=self.read_inside(closure.node),
        )
        self.frame_parents[activation.frame] = activation.outer_frames
        if not as_entry:
            self.stack.append(Frame(self.at(node), activation.id, name))
        self.activations.append(activation)
        site, op_name, op_kind = self.site, self.op_name, self.op_kind
        spent, idle, ops = self.entry_steps, self.idle_steps, self.ops_run
        try:
            self.state.frames[activation.frame] = {}
            self.state.axes[activation.id] = {}
            bind(activation.frame)
            yield activation
        finally:
            self.activations.pop()
            if not as_entry:
                self.stack.pop()
            self.site, self.op_name, self.op_kind = site, op_name, op_kind
            if ops == self.ops_run and not self.quiet and not self.of_init and self.entry_steps > spent:
                self.idle_steps = idle + self.entry_steps - spent

    def run_alone(
        self, closure: Closure, args: list[Value], kwargs: dict[str, Value], node: Node, caller: str
    ) -> list[tuple[State, Value]]:
        """The ends of a call that is run for itself, from the present state: each way's state and value. `caller` is
        the file in which the call stands."""
        function = closure.node
        assert isinstance(function, Function)
        self.activations = [Activation(self.serial(), -1, path, None) for path in (self.path, caller)]
        if not meets_tensors(self, function, closure.path, closure.owner):
            self.entry_limit = STEPS_AT_A_GLANCE
        if self.quiet:
            self.around, self.for_result = 3, True  # nobody looks at the ways through it: fewer are told apart
        if closure.self_value is not None:
            args = [closure.self_value, *args]

        def fill(frame: int) -> None:
            self.state.scope(frame).update(bind_parameters(self, closure, args, kwargs, node))
            on_enter(self, function, frame, as_entry=False)

        with self.activated(closure, node, function.name, fill) as activation:
            return [(self.joined(states), value) for states, value in self.ends_of(function, activation)]

    def ended(self, function: Function | Lambda, run: Callable[[], Ends]) -> Value:
        """The value of a call, on the state in which it ended: one of the ways in which `run` says that it may end."""
        oracle = self.oracle
        at = (function, oracle.calls, *(choice for choice, _ in oracle.taken))
        oracle.calls += 1
        groups = oracle.ended.get(at)
        if groups is None:
            groups = run()
            self.oracle = oracle
            oracle.ended[at] = groups
        if not groups:
            return self.unknown()
        pick = self.oracle.choose(min(len(groups), 4)) if len(groups) > 1 else 0
        states, value = groups[pick]
        if len(groups) > 4 and pick == 3:  # too many: the rest as one
            for more, v in groups[4:]:
                states, value = [*states, *more], join_value(value, v, self.fresh)
        self.state = self.joined([s.copy() for s in states])
        return value

    def ends_of(self, function: Function, activation: Activation) -> Ends:
        """Run a body: the different results, each with the states that end in it. None at all: every way raises."""

        outcomes = self.run_block(function.body, self.state.copy())
        results: list[tuple[State, Value]] = []
        for out in outcomes:
            if out.signal.kind == "raise":
                continue
            self.state = out.state
            value = out.state.value(out.signal.value if out.signal.kind == "return" else NONE)
            value = on_return(self, function, value)
            if out.signal.kind == "return":
                self.state_fact(Returned(site=self.at(out.signal.node or function), name=function.name, value=value))
            if activation.yields:
                value = _generated(activation.yields, self.fresh)
            results.append((out.state, value))
        if not self.stack and len(self.activations) == 2:
            self.entry.ends = [st for st, _ in results]
        if not results:  # every way raises: what comes after is never reached
            self.state = outcomes[0].state if outcomes else self.state
            return []
        if any(isinstance(v, (Tensor, Items, Mapping)) for _, v in results):
            # None beside tensors is the answer to a missing input; its callers test for it or crash
            results = [(st, v) for st, v in results if v != NONE]
        if len(self.activations) == 2:  # the entry itself: all that its ways could teach is known
            self._learned([st for st, _ in results])
        groups: Ends = []
        for st, value in results:
            self._leave(st, activation)
            for i, (states, have) in enumerate(groups):
                if alike(have, value):
                    states.append(st)
                    groups[i] = (states, join_value(have, value, self.fresh) if have != value else have)
                    break
            else:
                groups.append(([st], value))
        return [
            (states, _merge_made(value, [v for _, v in results if alike(v, value)]))
            if len(states) > 1 and isinstance(value, Tensor)
            else (states, value)
            for states, value in groups
        ]

    def _learned(self, states: list[State]) -> None:
        """Note the ranks that unknown shapes turned out to have on every way that comes to an end."""
        for key in states[0].shapes:
            if all(key in s.shapes for s in states):
                shape, *others = [s.shape(Partial(key=key)) for s in states]
                for other in others:
                    shape = join_shape(shape, other, self.fresh)
                if isinstance(shape, tuple):
                    self.facts.later[key] = shape

    def _leave(self, state: State, activation: Activation) -> None:
        """Forget the frame, unless a function defined in it may still look there."""
        state.axes.pop(activation.id, None)
        if activation.function is not None and not self.has_inner(activation.function):
            state.frames.pop(activation.frame, None)

    def has_inner(self, function: Function | Lambda) -> bool:
        self.read_inside(function)
        return self.shared.texts.nesting[function]

    def scopes_of(self, frame: int) -> tuple[int, ...]:
        """The frame and those around it, innermost first."""
        if frame == 0:
            return ()
        for a in reversed(self.activations):
            if a.frame == frame:
                return (frame, *a.outer_frames)
        return (frame, *self.frame_parents.get(frame, ()))

    # ----------------------------------------------------------------- dispatch

    def eval(self, expr: Expr) -> Value:
        try:
            value = evaluate(self, expr)
            return value if self.activations[-1].ran is None else of_expression(self, expr, value)
        except (PathEnds, OutOfBudget, RecursionError):
            raise
        except TooComplex:
            return self.unknown()
        except Exception as error:
            self.fault(error, f"an expression ({type(expr).__name__})")
            return self.unknown()

    def call(self, func: Value, args: list[Value], kwargs: dict[str, Value], node: Node) -> Value:
        return call(self, func, args, kwargs, node)

    def made(self, tensor: Tensor, spec: OpSpec, args: dict[str, object]) -> Tensor:
        return tensor.with_(made=Made(spec, args, self.site, self.here.id))


def _rank_of(value: Value) -> object:
    match value:
        case Tensor():
            return value.rank
        case Items(items=items):
            return len(items), sum(isinstance(i, Tensor) and i.rank is not None for i in items)
        case _:
            return value == NONE


def _outer_names(body: Sequence[Stmt]) -> Iterator[str]:
    for stmt in body:
        match stmt:
            case Scope(kind="global" | "nonlocal", names=names):
                yield from names
            case Branch():
                yield from _outer_names(stmt.body)
                yield from _outer_names(stmt.orelse)
            case Loop() | With() | Try():
                yield from _outer_names(stmt.body)


def _merge_made(value: Tensor, all_values: list[Value]) -> Tensor:
    """One value for equal shapes from several ways: its history stands only if all ways have the same kind of one."""
    ops = {v.made.op if v.made else None for v in all_values if isinstance(v, Tensor)}
    contents = {v.content for v in all_values if isinstance(v, Tensor)}
    return value.with_(
        made=value.made if len(ops) == 1 else None, content=value.content if len(contents) == 1 else None
    )


def _generated(yields: list[Value], fresh: Callable[[str], str]) -> Value:

    item = yields[0]
    for y in yields[1:]:
        item = join_value(item, y, fresh)
    return Many(item, None, "generator")


_NOWHERE = Node()
