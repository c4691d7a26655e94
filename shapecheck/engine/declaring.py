"""A written shape against a value: compared where the value is known, adopted where it is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from shapecheck.dims import (
    ALWAYS,
    NEVER,
    Size,
    TooComplex,
    Verdict,
    as_symbol,
    maximum,
    minimum,
    positive,
    spec,
    substitute,
    symbol,
    symbols,
)
from shapecheck.engine.assumptions import WRITTEN
from shapecheck.engine.attributes import as_tensor
from shapecheck.engine.facts import Contract, Declared
from shapecheck.engine.learner import is_free_name
from shapecheck.engine.values import (
    Axis,
    Lit,
    Mapping,
    Num,
    Origin,
    Partial,
    Ref,
    Shape,
    Site,
    Tensor,
    Unknown,
    Value,
)
from shapecheck.intent import (
    Written,
    as_meant,
)
from shapecheck.source.program import Bind, Const, Function, Name, Return

if TYPE_CHECKING:
    from shapecheck.engine.machine import Machine


@lru_cache(maxsize=4096)
def axis_text(text: str) -> spec.Axis | None:
    try:
        parsed = spec.parse(text).axes
    except spec.SpecError:
        return None
    return parsed[0] if len(parsed) == 1 else None


def settle(m: Machine, axes: Sequence[spec.Axis]) -> None:
    """Annotations that call an axis as an `int` parameter of the function, or of its object's `__init__`, mean its
    value. All such parameters are then sizes with names, two of which are no more equal than two names of axes."""
    if m.stack:
        return
    used = {name for axis in axes for name in _names_in(axis)}
    names = m.state.axes.setdefault(m.here.id, {})
    owner, function = m.here.self_value, m.here.function
    own = int_parameters(m, function) if isinstance(function, Function) else {}
    made = _given_to(m, owner) if isinstance(owner, Ref) else {}
    for group in (own, {n: v for n, v in made.items() if n not in own}):
        if used.isdisjoint(group):
            continue
        for name, value in group.items():
            if name in names or not isinstance(value, Unknown) or value.key is None:
                continue
            if m.size(symbol("$" + value.key)) == symbol("$" + value.key):
                m.state.sizes["$" + value.key] = symbol(name)
                m.facts.settled.add(name)
            names[name] = m.size(symbol("$" + value.key))


def int_parameters(m: Machine, function: Function) -> dict[str, Value]:
    """Those of the function that runs which are annotated `int`, with their values."""
    scope = m.state.frames.get(m.here.frame, {})
    return {
        p.name: m.resolve(scope[p.name])
        for p in function.params
        if p.name in scope and isinstance(p.annotation, (Name, Const)) and _is_int(p.annotation)
    }


_GIVEN = "(given)"  # no attribute can be called so


def note_given(m: Machine, init: Function) -> None:
    """An object remembers the `int` parameters that its `__init__` was given."""
    owner = m.here.self_value
    if isinstance(owner, Ref) and owner.id in m.state.heap and (found := int_parameters(m, init)):
        m.state.heap[owner.id] = m.state.heap[owner.id].having(_GIVEN, Mapping(tuple(found.items())))


def _given_to(m: Machine, owner: Ref) -> dict[str, Value]:
    obj = m.state.heap.get(owner.id)
    given = None if obj is None else obj.attrs.get(_GIVEN)
    return {name: m.resolve(value) for name, value in given.items} if isinstance(given, Mapping) else {}


def _is_int(annotation: Name | Const) -> bool:
    return (annotation.id if isinstance(annotation, Name) else annotation.value) == "int"


def _names_in(axis: spec.Axis) -> Iterator[str]:
    match axis:
        case spec.Named(name=name):
            yield name
        case spec.Expr(tree=tree):
            yield from spec.tree_names(tree)


def declare(
    m: Machine, written: Written, value: Value, subject: str, source: str, site: Site, *, claim: bool = False
) -> Value:
    """Compare a written shape with a value; adopt it where nothing is known. The value as known after that.

    `claim`: it is written of a function that others call. They may hold it against the function, but not build on it.
    """
    tensor = as_tensor(value)
    if tensor is None or isinstance(value, Lit):
        return value
    if source in ("comment", "docstring"):
        written = as_meant(written, m.here.function)
    axes = [axis_text(a) for a in written.axes]
    if any(a is None for a in axes):
        return value
    known: Sequence[spec.Axis] = [a for a in axes if a is not None]
    if source == "annotation":
        settle(m, known)
    tensor = m.state.tensor(tensor)
    names = m.state.axes.setdefault(m.here.id, {})
    if source == "comment" and isinstance(site.node, (Bind, Return)):
        _as_unpacked(m, known, names)
    if (id(site.node), subject) in m.supposing.tried and tensor.rank is not None and not written.variadic:
        instead = Tensor(Partial(key=m.fresh()), tensor.dtype)
        value = _adopt(m, known, written, instead, value, subject, source, site, claim)
        if value is not instead:
            return value
    if written.variadic:
        return _declare_variadic(m, known, written, tensor, value, subject, source, site, claim)
    if tensor.rank is None:
        if not written.certain:
            return value
        return _adopt(m, known, written, tensor, value, subject, source, site, claim)
    if not written.certain:
        return value
    if tensor.rank == len(known):
        for axis, have in zip(known, tensor.axes or ()):
            _bind_name(m, axis, have.size, names, source)
    sizes = [size_of(m, a, names) for a in known]
    compare_axes(m, tensor, sizes, written.axes, written.text, subject, source, site, False)
    return value


def _declare_variadic(
    m: Machine,
    known: Sequence[spec.Axis],
    written: Written,
    tensor: Tensor,
    value: Value,
    subject: str,
    source: str,
    site: Site,
    claim: bool,
) -> Value:
    at = next(i for i, a in enumerate(known) if isinstance(a, (spec.Anything, spec.Variadic)))
    head, tail = known[:at], known[at + 1 :]
    names = m.state.axes.setdefault(m.here.id, {})
    if tensor.axes is not None:
        if tensor.rank is not None and tensor.rank >= len(head) + len(tail):
            for axis, have in zip(head, tensor.axes):
                _bind_name(m, axis, have.size, names, source)
            for axis, have in zip(reversed(tail), reversed(tensor.axes)):
                _bind_name(m, axis, have.size, names, source)
        sizes = [size_of(m, a, names) for a in (*head, *tail)]
        texts = tuple(written.axes[:at] + written.axes[at + 1 :])
        compare_axes(m, tensor, sizes, texts, written.text, subject, source, site, True, at)
        return value
    if not written.certain or not isinstance(tensor.shape, Partial):
        return value
    if tensor.shape.min_rank:
        sizes = [size_of(m, a, names) for a in (*head, *tail)]
        texts = tuple(written.axes[:at] + written.axes[at + 1 :])
        compare_axes(m, tensor, sizes, texts, written.text, subject, source, site, True, at)
        return value
    origin = _believed(m, written, subject, source, site, claim)
    if origin is None:
        return value
    shape = Partial(
        tuple(Axis(_named(m, a, names, origin), origin=origin) for a in head),
        tuple(Axis(_named(m, a, names, origin), origin=origin) for a in tail),
        m.fresh(),
    )
    return m.kit.refine(tensor, shape)


def _adopt(
    m: Machine,
    known: Sequence[spec.Axis],
    written: Written,
    tensor: Tensor,
    value: Value,
    subject: str,
    source: str,
    site: Site,
    claim: bool,
) -> Value:
    """Nothing contradicts the declaration: its axes become the tensor's."""
    partial = tensor.shape
    assert isinstance(partial, Partial)
    names = m.state.axes.setdefault(m.here.id, {})
    if partial.min_rank > len(known) and max(len(partial.head), len(partial.tail)) > len(known):
        sizes = [size_of(m, a, names) for a in known]
        _state(m, tensor, sizes, written.axes, written.text, subject, source, site, NEVER, None, False)
        return value
    origin = _believed(m, written, subject, source, site, claim)
    if origin is None:
        return value
    axes: list[Axis] = []
    for i, a in enumerate(known):
        back = i - len(known)
        have = partial.head[i] if i < len(partial.head) else partial.tail[back] if -back <= len(partial.tail) else None
        if have is not None:
            _bind_name(m, a, have.size, names, source)
            learned = origin if have.origin is None else replace(have.origin, assumption=origin.assumption)
            axes.append(replace(have, origin=learned))
        else:
            axes.append(Axis(_named(m, a, names, origin), origin=origin))
    shape: Shape = tuple(axes)
    dtype = tensor.dtype or written.dtype
    return m.kit.refine(tensor, shape).with_(
        dtype=dtype if dtype in ("float", "int", "bool", "complex") else tensor.dtype
    )


def _believed(m: Machine, written: Written, subject: str, source: str, site: Site, claim: bool) -> Origin | None:
    """A shape of which nothing else is known is taken for what is written: in a comment or docstring, by assumption."""
    if source not in WRITTEN:
        return Origin(source, site)
    if claim:
        return None
    assumption = m.supposing.written(source, subject, written.text, site)
    return None if assumption is None else Origin(source, site, assumption)


def _bind_name(m: Machine, axis: spec.Axis, size: Size, names: dict[str, Size], source: str) -> None:
    """An axis name seen for the first time means the size that stands there."""
    if isinstance(axis, spec.Named) and axis.name not in names and _variable(m, axis.name) is None:
        names[axis.name] = size
        bare = as_symbol(m.size(size))
        if bare is not None and is_free_name(bare) and not m.stack:  # in a callee the name means the callee's axis
            m.authored.setdefault(bare, axis.name)


def _named(m: Machine, axis: spec.Axis, names: dict[str, Size], origin: Origin) -> Size:
    """The size of a declared axis of an otherwise unknown tensor: known, or a new symbol of that name."""
    size = size_of(m, axis, names)
    if size is not None:
        return size
    if isinstance(axis, spec.Named):
        if origin.text == "annotation" and not m.stack:  # the names of a callee are its own
            names[axis.name] = made = symbol(axis.name)
            return made
        key = m.fresh()
        m.authored[key] = axis.name
        if origin.assumption is not None:
            m.facts.supposed[key] = origin.assumption
        names[axis.name] = made = symbol(key)
        return made
    if isinstance(axis, spec.Expr) and origin.text != "annotation":
        # `docs (B*G, D)`: names that nothing has bound yet are sizes of their own
        for name in spec.tree_names(axis.tree):
            if size_of(m, spec.Named(name), names) is None:
                _named(m, spec.Named(name), names, origin)
        size = size_of(m, axis, names)
    return symbol(m.fresh()) if size is None else size


def _variable(m: Machine, name: str) -> Size | None:
    """The size held by a variable of that name where the run stands."""
    here = m.here
    for frame in (here.frame, *here.outer_frames):
        scope = m.state.frames.get(frame)
        if scope is not None and name in scope:
            value = m.resolve(scope[name])
            return m.size(value.size) if isinstance(value, Num) else None
    return None


def _as_unpacked(m: Machine, axes: Sequence[spec.Axis], names: dict[str, Size]) -> None:
    """`B, T, N = x.shape` above a comment says what its letters stand for, whatever the docstring called them."""
    for axis in axes:
        if isinstance(axis, spec.Named) and axis.name in names:
            found = _variable(m, axis.name)
            if found is not None and not isinstance(found, int) and as_symbol(found) in m.authored:
                names[axis.name] = found


def size_of(m: Machine, axis: spec.Axis, names: dict[str, Size]) -> Size | None:
    match axis:
        case spec.Fixed(value=n):
            return n
        case spec.Named(name=name):
            found = names.get(name)
            if found is None:
                found = _variable(m, name)
            return None if found is None else m.size(found)
        case spec.Expr(tree=tree):
            try:
                return _evaluate(m, tree, names)
            except (TooComplex, ZeroDivisionError):
                return None
        case _:
            return None


def _evaluate(m: Machine, tree: spec.Tree, names: dict[str, Size]) -> Size | None:
    match tree:
        case spec.Num(value=int(n)):
            return n
        case spec.Var(name=name):
            return size_of(m, spec.Named(name), names)
        case spec.BinOp(op=op, left=left, right=right):
            a, b = _evaluate(m, left, names), _evaluate(m, right, names)
            if a is None or b is None:
                return None
            match op:
                case "+":
                    return a + b
                case "-":
                    return a - b
                case "*":
                    return a * b
                case "//":
                    return a // b
                case "%":
                    return a % b
        case spec.CallFn(name=("min" | "max") as name, args=args):
            sizes = [_evaluate(m, x, names) for x in args]
            if sizes and all(s is not None for s in sizes):
                out = sizes[0]
                for s in sizes[1:]:
                    assert out is not None
                    assert s is not None
                    out = (maximum if name == "max" else minimum)(out, s)
                return out
    return None


def compare_axes(
    m: Machine,
    tensor: Tensor,
    sizes: Sequence[Size | None],
    texts: tuple[str, ...],
    text: str,
    subject: str,
    source: str,
    site: Site,
    variadic: bool,
    at: int = 0,
) -> None:
    axes = tensor.axes
    if axes is None:
        partial = tensor.shape
        assert isinstance(partial, Partial)
        if not variadic:
            if max(len(partial.head), len(partial.tail)) > len(sizes):
                _state(m, tensor, sizes, texts, text, subject, source, site, NEVER, None, variadic)
            return
        behind = len(sizes) - at
        pairs = [(i, axis) for i, axis in enumerate(partial.head[:at])]
        pairs += [(i, partial.tail[i]) for i in range(-min(behind, len(partial.tail)), 0)]
    elif (len(axes) != len(sizes)) if not variadic else (len(axes) < len(sizes)):
        _state(m, tensor, sizes, texts, text, subject, source, site, NEVER, None, variadic)
        return
    elif variadic:
        pairs = [*((i, axes[i]) for i in range(at)), *((i, axes[i]) for i in range(at - len(sizes), 0))]
    else:
        pairs = list(enumerate(axes))
    outcome: tuple[Verdict, int | None] = (ALWAYS, None)
    for i, axis in pairs:
        size = sizes[i]
        if size is None:
            continue
        verdict = _compared(m, axis.size, size)
        believed = source not in WRITTEN or m.supposing.active
        if verdict.sometimes and believed and tensor.made is None and _is_nameless(m, axis.size):
            verdict = m.kit.agree(axis.size, size)  # an argument of which nothing but its rank was known
        if verdict.never or (verdict.sometimes and outcome[0].always):
            outcome = (verdict, i)
        if verdict.never:
            break
    if pairs or axes is not None:
        _state(m, tensor, sizes, texts, text, subject, source, site, *outcome, variadic)


def _compared(m: Machine, have: Size, written: Size) -> Verdict:
    """Whoever writes "T-2" says that T is 2 or more: where that makes the two equal, they are."""
    verdict = m.kit.compare(have, written)
    if not verdict.sometimes or as_symbol(written) is not None:
        return verdict
    for name in symbols(written):
        taken = symbol(name) - written
        if name not in symbols(taken) and positive(taken):
            larger = {name: symbol(name) + taken - 1}
            if m.kit.compare(substitute(have, larger), substitute(written, larger)).always:
                return ALWAYS
    return verdict


def _is_nameless(m: Machine, size: Size) -> bool:
    return m.kit.is_free(size) and as_symbol(m.size(size)) not in m.authored


def _state(
    m: Machine,
    tensor: Tensor,
    sizes: Sequence[Size | None],
    texts: tuple[str, ...],
    text: str,
    subject: str,
    source: str,
    site: Site,
    verdict: Verdict,
    axis: int | None,
    variadic: bool,
) -> None:
    declared = Declared(source, text, tuple(texts), tuple(sizes), site, variadic)
    m.state_fact(Contract(site=m.site, subject=subject, declared=declared, value=tensor, verdict=verdict, axis=axis))
