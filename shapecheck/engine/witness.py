"""What was seen while the program ran, put to what the interpreter makes of the same places.

Where the interpreter knows nothing, it takes what was seen: so many axes, each of a size of its own that stays a
symbol; a size of 1 is 1. Where it knows a shape, the seen one checks it. Where both differ the interpreter is wrong:
that is noted as its fault, and what was seen stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from shapecheck.dims import Size, TooComplex, as_symbol, evaluate, symbol
from shapecheck.engine.evidence import (
    Evidence,
    OfFile,
    Place,
    Ran,
    Seen,
    SeenConst,
    SeenFloat,
    SeenInt,
    SeenItems,
    SeenMapping,
    SeenObject,
    SeenTensor,
    joined,
)
from shapecheck.engine.values import (
    UNKNOWN,
    Axis,
    Items,
    Lit,
    Many,
    Mapping,
    Num,
    Origin,
    Partial,
    Ref,
    Tensor,
    Unknown,
    Value,
)
from shapecheck.source.program import Attr, Call, Expr, Function, Index, Lambda, Name, Node, Op, Stmt

if TYPE_CHECKING:
    from shapecheck.engine.machine import Activation, Machine
    from shapecheck.ops.kit import OpSpec


def evidence_of(m: Machine) -> Evidence | None:
    found = m.project.evidence
    return found if isinstance(found, Evidence) else None


def file_of(m: Machine, path: str) -> OfFile | None:
    """What was seen of that file."""
    evidence = evidence_of(m)
    if evidence is None or path not in evidence.files:
        return None
    program = m.facts.program if path == m.path else None
    return evidence.of(path, program or m.project.program(path))


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
        for inner, tensor in _tensors(name, m.resolve(value)):
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


def _tensors(name: str, value: Value) -> Iterator[tuple[str, Tensor]]:
    match value:
        case Tensor():
            yield name, value
        case Items(items=items):
            for i, item in enumerate(items):
                yield from _tensors(f"{name}[{i}]", item)
        case Mapping(items=pairs):
            for key, item in pairs:
                yield from _tensors(f"{name}[{key!r}]", item)


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
    from shapecheck.engine.statements import text_of

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


# ------------------------------------------------------------------------ values


def told(m: Machine, value: Value, seen: list[Seen], node: Node | None = None, *, first: bool = False) -> Value:
    """The value as seen. `first`: a first axis of size 1 is a size like others."""
    value = m.resolve(value)
    match value:
        case Tensor():
            tensors = [s for s in seen if isinstance(s, SeenTensor)]
            return _tensor(m, value, tensors, node, first) if len(tensors) == len(seen) else value
        case Unknown(hint="" | "int" | "float" | "bool" | "array" | "other"):
            made = made_of(m, seen, value, first)
            if made is None:
                return value
            if value.key is not None and not (isinstance(made, Unknown) and made.key == value.key):
                m.state.narrowed[value.key] = made
            return made
        case Items(items=items) if all(isinstance(s, SeenItems) and len(s.items) == len(items) for s in seen):
            return _members(m, value, [s for s in seen if isinstance(s, SeenItems)], node)
        case Many(item=item):
            return _many(m, value, item, [s for s in seen if isinstance(s, SeenItems)], node)
        case Mapping(items=pairs):
            maps = [dict(s.items) for s in seen if isinstance(s, SeenMapping)]
            found = [
                (k, told(m, v, [mapping[k] for mapping in maps]) if maps and all(k in x for x in maps) else v)
                for k, v in pairs
            ]
            known = {k for k, _ in pairs}
            more = dict.fromkeys(k for mapping in maps for k in mapping if k not in known and all(k in x for x in maps))
            for k in more:
                extra = made_of(m, [mapping[k] for mapping in maps], UNKNOWN, first)
                if extra is not None:
                    found.append((k, extra))
            return replace(value, items=tuple(found))
        case Num(size=size):
            _note_number(m, size, seen)
            return value
        case _:
            return value


def _members(m: Machine, value: Items, seen: list[SeenItems], node: Node | None) -> Value:
    items = [told(m, item, [s.items[i] for s in seen], node) for i, item in enumerate(value.items)]
    return replace(value, items=tuple(items))


def _many(m: Machine, value: Many, item: Value, seen: list[SeenItems], node: Node | None) -> Value:
    """One member stands for all: only what all of them have is told of it."""
    members = [i for s in seen for i in s.items]
    if not members or not all(isinstance(i, SeenTensor) for i in members):
        return value
    tensors = [i for i in members if isinstance(i, SeenTensor)]
    if len({len(t.sizes) for t in tensors}) != 1:
        return value
    return replace(value, item=told(m, item, list(tensors), node))


def made_of(m: Machine, seen: list[Seen], unknown: Unknown, first: bool = False) -> Value | None:
    """A value made of what was seen of something unknown; None where that tells nothing."""
    kinds = {type(s) for s in seen}
    if kinds == {SeenTensor}:
        tensors = [s for s in seen if isinstance(s, SeenTensor)]
        return _tensor(m, Tensor(Partial(key=unknown.key)), tensors, None, first)
    if kinds == {SeenInt}:
        numbers = {s.value for s in seen if isinstance(s, SeenInt)}
        return _number(m, numbers, unknown)
    if kinds == {SeenFloat}:
        return Unknown("float", unknown.key)
    if len(set(seen)) != 1:
        return None
    match seen[0]:
        case SeenConst(value=value):
            return Lit(value)
        case SeenItems(kind=kind, items=items, length=length):
            made = [made_of(m, [i], UNKNOWN, first) or m.unknown() for i in items]
            if length == len(items):
                return Items(kind, tuple(made))
            return Many(made[0], None, "list" if kind == "size" else kind)
        case SeenMapping(kind=kind, items=pairs):
            return Mapping(tuple((k, made_of(m, [v], UNKNOWN, first) or m.unknown()) for k, v in pairs), UNKNOWN, kind)
        case _:
            return None


def _number(m: Machine, numbers: set[int | None], unknown: Unknown) -> Value:
    """A number of which a size may be made stays a symbol; 0, 1 and what is below are what they are."""
    value = Unknown("int", unknown.key or m.fresh())
    if len(numbers) != 1:
        return value
    (n,) = numbers
    if n is None:
        return value
    if n > 1:
        m.observed["$" + str(value.key)] = n
        return value
    return Num(n, Origin("as it was when the program ran", m.site))


def _note_number(m: Machine, size: Size, seen: list[Seen]) -> None:
    numbers = {s.value for s in seen if isinstance(s, SeenInt)}
    name = as_symbol(m.size(size))
    number_then = numbers.pop() if len(numbers) == 1 else None
    if name is not None and number_then is not None and name not in m.observed and name[0] in "?$":
        m.observed[name] = number_then


def _tensor(m: Machine, value: Tensor, seen: list[SeenTensor], node: Node | None, first: bool) -> Tensor:
    ranks = {len(s.sizes) for s in seen}
    value = m.state.tensor(value)
    if len(ranks) != 1:
        return value
    (rank,) = ranks
    dtypes = {s.dtype for s in seen}
    if value.dtype is None and len(dtypes) == 1:
        value = value.with_(dtype=dtypes.pop())
    sizes = [{s.sizes[i] for s in seen} for i in range(rank)]
    axes = value.axes
    if axes is None:
        shape = value.shape
        assert isinstance(shape, Partial)
        if shape.min_rank > rank:
            _disagree(m, node, value, seen)
            return value.with_(shape=_fresh(m, sizes, first))
        middle = _fresh(m, sizes, first)
        tail = rank - len(shape.tail)
        known = (*shape.head, *middle[len(shape.head) : tail], *shape.tail)
        if shape.key is not None and len(set(map(frozenset, sizes))) < rank:  # a square, or by chance
            m.apart.of.setdefault(shape.key, [])
        refined = m.kit.refine(value, tuple(_checked(m, a, s) or f for a, s, f in zip(known, sizes, middle)))
        return refined
    if len(axes) != rank:
        _disagree(m, node, value, seen)
        return value.with_(shape=_fresh(m, sizes, first))
    checked = [_checked(m, a, s) for a, s in zip(axes, sizes)]
    if all(c is not None for c in checked):
        return value
    _disagree(m, node, value, seen)
    fresh = _fresh(m, sizes, first)
    return value.with_(shape=tuple(c or f for c, f in zip(checked, fresh)))


def _fresh(m: Machine, sizes: list[set[int]], first: bool) -> tuple[Axis, ...]:
    """An axis for each size, or sizes, that were seen there."""
    axes: list[Axis] = []
    for i, seen in enumerate(sizes):
        role = "batch" if i == 0 and len(sizes) > 1 else ""
        if seen == {1} and not (first and i == 0):
            axes.append(Axis(1, role=role))
            continue
        name = m.fresh()
        if len(seen) == 1:
            m.observed[name] = next(iter(seen))
        axes.append(Axis(symbol(name), role=role))
    return tuple(axes)


def _checked(m: Machine, axis: Axis, seen: set[int]) -> Axis | None:
    """The axis, if it may have had the size that was seen."""
    size = m.size(axis.size)
    known = number(m, size)
    if known is not None:
        return axis if known in seen or len(seen) > 1 else None
    name = as_symbol(size)
    if name is not None and len(seen) == 1:
        m.observed[name] = next(iter(seen))
    return axis


def differ(m: Machine, a: Size, b: Size) -> bool:
    """Were the two sizes different when the program ran, and torch had nothing against it? Then no op learns that they
    are one."""
    x, y = number(m, a), number(m, b)
    return x is not None and y is not None and x != y and not refused_here(m)


def needs(m: Machine, a: Size, b: Size) -> None:
    """An op needs two sizes to be one: where it was refused, and they were not, that is why."""
    x, y = number(m, a), number(m, b)
    if x is not None and y is not None and x != y and refused_here(m):
        names = m.facts.names()
        m.refused.append(f"{names.size(a)} is {x} and {names.size(b)} is {y}, but they have to be one")


def refuses(m: Machine, left: Size | None, right: Size | None, detail: str) -> None:
    """An op cannot be done: where it was refused, that is why."""
    if not refused_here(m):
        return
    names = m.facts.names()
    sizes = [f"{names.size(s)} is {x}" for s in (left, right) if s is not None and (x := number(m, s)) is not None]
    m.refused.append(detail or " and ".join(dict.fromkeys(sizes)) or "its operands do not fit")


def explain(m: Machine, spec: OpSpec, args: dict[str, Any]) -> None:
    """Say once why the op that has just been looked at was refused."""
    why, m.refused = m.refused, []
    evidence, of_file = evidence_of(m), file_of(m, m.here.path)
    if evidence is None or of_file is None:
        return
    try:
        place = of_file.place(m.site.node)
    except KeyError:
        return
    names = m.facts.names()
    given = [
        f"{role} {names.shape(tensor)} = {[number(m, a.size) for a in tensor.axes]}"
        for name, value in args.items()
        if isinstance(value, (Tensor, Items))
        for role, tensor in _tensors(name, m.resolve(value))
        if tensor.axes is not None
    ]
    text = f"{spec.name} of {', '.join(given)}: {why[0]}"
    evidence.refusals.setdefault((m.here.path, place), text.replace("None", "?"))


def refused_here(m: Machine) -> bool:
    """Was something raised at the place where the run stands?"""
    for activation in reversed(m.activations):
        of_file = None if activation.ran is None or not activation.ran.raised else file_of(m, activation.path)
        if of_file is None or activation.ran is None:
            continue
        try:
            return of_file.place(m.site.node) in activation.ran.raised
        except KeyError:
            continue
    return False


def as_it_was(m: Machine, key: str) -> int | None:
    """The number that an unknown one was, for ops that need a plain one: an axis, a position."""
    return m.observed.get("$" + key)


def stretches_neither(m: Machine, a: Size, b: Size) -> bool:
    """Had the two axes one size, more than 1, so that neither was stretched to the other?"""
    x = number(m, a)
    return x is not None and x > 1 and x == number(m, b)


def number(m: Machine, size: Size) -> int | None:
    """The number that a size was when the program ran, as far as that is known."""
    size = m.size(size)
    if isinstance(size, int):
        return size
    if not m.observed:
        return None
    try:
        return evaluate(size, m.observed)
    except (KeyError, ZeroDivisionError, TooComplex):
        return None


def _disagree(m: Machine, node: Node | None, value: Tensor, seen: list[SeenTensor]) -> None:
    """The interpreter computes another shape than torch did: its fault, not the program's."""
    evidence = evidence_of(m)
    of_file = file_of(m, m.here.path)
    if evidence is None or of_file is None or not m.here.sure:
        return
    place: Place = (0, 0, 0, 0)
    if node is not None:
        place = of_file.place(node)
    made = "" if value.made is None else f" by {value.made.op}"
    had = " or ".join(str(list(s.sizes)) for s in seen)
    names = m.facts.names()
    numbers = [number(m, a.size) for a in value.axes or ()]
    text = f"{names.shape(value)}{made}, {numbers} at these sizes; torch computed {had}"
    evidence.disagreements.setdefault((m.here.path, place), text)
