"""What was seen while the program ran, put to what the interpreter makes of the same places: bodies that are entered,
expressions, names, tests. `told.py` says what becomes of a value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shapecheck.dims import Size, as_symbol
from shapecheck.engine.evidence import (
    Ran,
    Seen,
    SeenConst,
    SeenInt,
    SeenObject,
    SeenTensor,
    joined,
)
from shapecheck.engine.told import evidence_of, file_of, made_of, number, tensors_of, told
from shapecheck.engine.values import (
    UNKNOWN,
    Axis,
    Lit,
    Num,
    Partial,
    Ref,
    Tensor,
    Unknown,
    Value,
)
from shapecheck.source.program import Attr, Call, Expr, Function, Index, Lambda, Name, Op, Stmt, text_of

if TYPE_CHECKING:
    from shapecheck.engine.control import Activation
    from shapecheck.engine.machine import Machine


# ------------------------------------------------------------------ activations


def entering(m: Machine, function: Function | Lambda | None, frame: int) -> None:
    """A body begins to run, its frame is filled: which of the ways seen is it?"""
    here = m.here
    of_file = file_of(m, here.path)
    if of_file is None or isinstance(function, Lambda):
        return
    ways = of_file.ways(function)
    scope = m.state.frames.get(frame, {})
    if m.way in ways:
        here.ran = m.way
        return
    linked = _linked(m)
    fitting = [ran for ran in ways if (linked is None or ran.number in linked) and _fits(m, ran, scope)]
    if len({_ranks(ran) for ran in fitting}) == 1:
        here.ran = fitting[0] if len(fitting) == 1 else joined(fitting)
        outer = m.activations[-2] if m.stack else None
        here.sure = linked is not None and len(linked) == 1 and (outer is None or outer.sure)


def _ranks(ran: Ran) -> tuple[tuple[str, object], ...]:
    """What tells ways apart that may not stand for each other."""
    return tuple(
        (name, len(seen.sizes) if isinstance(seen, SeenTensor) else seen if isinstance(seen, SeenConst) else type(seen))
        for name, seen in ran.args.items()
    )


def _linked(m: Machine) -> list[int] | None:
    """The ways that ran at the call that is being entered; None where that was not seen."""
    if not m.stack:  # the object of a method that is looked at
        return None if m.way is None or m.way.made is None else [m.way.made]
    caller = m.activations[-2] if len(m.activations) > 1 else None
    of_file = None if caller is None or caller.ran is None else file_of(m, caller.path)
    if caller is None or caller.ran is None or of_file is None:
        return None
    try:
        return caller.ran.calls.get(of_file.place(m.stack[-1].site.node))
    except KeyError:
        return None


def entered(m: Machine, frame: int) -> bool:
    """What was written of the arguments has been read: now what was seen of them. True where that is another number of
    axes: then it has to be compared again."""
    ran = m.here.ran
    if ran is None:
        return False
    scope = m.state.scope(frame)
    evidence = evidence_of(m)
    if evidence is not None and not m.quiet and not any(map(_of_numbers, map(m.resolve, scope.values()))):
        evidence.entered.add(id(ran))
    otherwise = False
    for name in ran.args:
        seen = ran.given(name)
        if name not in scope:
            if m.here.function is None and (made := made_of(m, seen, UNKNOWN)) is not None:
                scope[name] = made  # of a notebook's earlier cells
            continue
        if isinstance(seen[0], SeenTensor) and not any(_may_be(m, m.resolve(scope[name]), s) for s in seen):
            scope[name] = Tensor(Partial(key=m.fresh()))
            otherwise = True
        scope[name] = told(m, scope[name], seen, first=_batch_of_one(ran))
    if (
        len(m.activations) == 2 and not otherwise and m.here.function is not None
    ):  # what callers of the file give is known better
        m.site = m.at(m.here.function)
        together(m, {name: scope[name] for name in ran.args if name in scope and scope[name] != m.here.self_value})
    return otherwise


def _of_numbers(value: Value) -> bool:
    """Has a tensor a size that the program wrote as a number? Of such sizes nobody can say which are one."""
    return isinstance(value, Tensor) and any(isinstance(a.size, int) and a.size > 1 for a in value.axes or ())


def together(m: Machine, given: dict[str, Value]) -> None:
    """Of what comes together, tensors that had as many rows are taken to have as many: that is an assumption."""
    by_rows: dict[int, list[tuple[str, Size]]] = {}
    for name, value in given.items():
        for inner, tensor in tensors_of(name, m.resolve(value)):
            count = number(m, tensor.axes[0].size) if tensor.axes else None
            if tensor.axes and count is not None and count > 1 and m.kit.is_free(tensor.axes[0].size):
                by_rows.setdefault(count, []).append((inner, tensor.axes[0].size))
    for (first, rows), *others in by_rows.values():
        for name, more in others:
            if m.size(rows) == m.size(more):
                continue
            if not _assumed_one(
                m, f"{first} and {name} have as many rows, as they had when this ran", Axis(rows), Axis(more)
            ):
                return


def _assumed_one(m: Machine, text: str, a: Axis, b: Axis) -> bool:
    """Take two sizes for one, unless nothing is to be assumed."""
    assumption = m.kit.assume(text)
    if assumption is None:
        return False
    with m.silently():
        m.kit.agree(a.size, b.size)
    kept = as_symbol(m.size(a.size))
    if kept is not None:
        m.facts.supposed[kept] = assumption
    return True


def _batch_of_one(ran: Ran) -> bool:
    """Do all that is given have one row: then 1 is a size like others?"""
    tensors = [s for s in ran.args.values() if isinstance(s, SeenTensor) and s.sizes]
    return bool(tensors) and all(t.sizes[0] == 1 for t in tensors)


def _fits(m: Machine, ran: Ran, scope: dict[str, Value]) -> bool:
    """May the function have been called with these arguments then?"""
    return all(_may_be(m, m.resolve(scope[name]), seen) for name, seen in ran.args.items() if name in scope)


def _may_be(m: Machine, value: Value, seen: Seen) -> bool:
    match value, seen:
        case Tensor(shape=tuple(axes)), SeenTensor(sizes=sizes):
            if len(axes) != len(sizes):
                return False
            known = [number(m, a.size) for a in axes]
            return all(k is None or k == s for k, s in zip(known, sizes))
        case Tensor(shape=Partial() as shape), SeenTensor(sizes=sizes):
            return len(sizes) >= shape.min_rank
        case Tensor(), _:
            return False
        case Lit(value=bool() | None as v), SeenConst(value=w):
            return v is w
        case Lit(value=str(v)), SeenConst(value=w):
            return v == w
        case (Lit(value=None), _) | (Num(), SeenTensor() | SeenConst()):
            return False
        case Num(size=size), SeenInt(value=n):
            known_size = number(m, size)
            return known_size is None or n is None or known_size == n
        case _:
            return True


# ------------------------------------------------------------------ expressions


def of_expression(m: Machine, expr: Expr, value: Value) -> Value:
    """The value of an expression, with what was seen of it."""
    here = m.here
    ran = here.ran
    if ran is None or not isinstance(expr, (Call, Op, Index)):
        return value
    of_file = file_of(m, here.path) if ran.values else None
    try:
        seen = of_file.value(ran, expr) if of_file is not None else []
    except KeyError:  # a node that the interpreter made itself
        return value
    if seen:
        open_ = isinstance(value, Unknown)
        value = told(m, value, seen, expr)
        if open_ and isinstance(expr, Call):
            value = _keeping_rows(m, expr, value)
    here.worth[expr] = value
    return value


def _keeping_rows(m: Machine, call: Call, result: Value) -> Value:
    """What a call of something unknown gave: axes in front that had the sizes of an argument's are taken for those."""
    if not isinstance(result, Tensor) or not result.axes:
        return result
    text = f"{text_of(call.func)} keeps the rows that it is given, as it did when this ran"
    for argument in call.args:
        if isinstance(argument.value, (Name, Attr)):
            with m.silently():
                value = m.resolve(m.eval(argument.value))
        else:
            value = m.resolve(m.here.worth.get(argument.value, UNKNOWN))
        for mine, theirs in zip(result.axes, value.axes or ()) if isinstance(value, Tensor) else ():
            count = number(m, mine.size)
            if count is None or count == 1 or count != number(m, theirs.size) or not m.kit.is_free(mine.size):
                break
            if not _assumed_one(m, text, mine, theirs):
                return m.state.tensor(result)
    return m.state.tensor(result)


def of_name(m: Machine, target: Name, value: Value, source: Expr | None = None) -> Value:
    """The value that a statement gives to a name, with what was seen that the name held after it. `source`: the
    expression whose value it is."""
    here = m.here
    ran = here.ran
    if ran is None or not ran.names:
        return value
    of_file = file_of(m, here.path)
    if of_file is None:
        return value
    try:
        seen = of_file.name(ran, target, target.id)
    except KeyError:
        return value
    if not seen:
        return value
    result = told(m, value, seen, target)
    return _keeping_rows(m, source, result) if isinstance(value, Unknown) and isinstance(source, Call) else result


def of_attribute(m: Machine, owner: Value, name: str, value: Value) -> Value:
    """An attribute of the function's own object, with what was seen of it when the function began."""
    ran = m.here.ran
    if ran is None or not isinstance(owner, Ref) or owner != m.here.self_value:
        return value
    if not isinstance(value, Unknown) and not (isinstance(value, Tensor) and value.rank is None):
        return value
    mine = ran.given(_first_parameter(m.here))
    found = [dict(me.attrs).get(name) for me in mine if isinstance(me, SeenObject)]
    known = [seen for seen in found if seen is not None]
    return told(m, value, known) if known and len(known) == len(found) else value


def _first_parameter(here: Activation) -> str:
    function = here.function
    return function.params[0].name if isinstance(function, Function) and function.params else ""


def went(m: Machine, test: Expr, body: tuple[Stmt, ...]) -> bool | None:
    """Which way `if test` went in all runs that were seen; None where that is not known."""
    here = m.here
    of_file = None if here.ran is None else file_of(m, here.path)
    evidence = evidence_of(m)
    if of_file is None or here.ran is None or evidence is None or not evidence.only_ran or not body:
        return None
    try:
        return of_file.went(here.ran, test, body)
    except KeyError:
        return None
