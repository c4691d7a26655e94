"""A written shape against a value: compared where the value is known, adopted where it is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from shapecheck.dims import ALWAYS, NEVER, Size, TooComplex, Verdict, as_symbol, maximum, minimum, spec, symbol
from shapecheck.engine.assumptions import WRITTEN
from shapecheck.engine.attributes import as_tensor
from shapecheck.engine.facts import Contract, Declared
from shapecheck.engine.learner import is_free_name
from shapecheck.engine.values import (
    Axis,
    Lit,
    Num,
    Origin,
    Partial,
    Shape,
    Site,
    Tensor,
    Value,
)
from shapecheck.intent import (
    Written,
)

if TYPE_CHECKING:
    from shapecheck.engine.machine import Machine


@lru_cache(maxsize=4096)
def axis_text(text: str) -> spec.Axis | None:
    try:
        parsed = spec.parse(text).axes
    except spec.SpecError:
        return None
    return parsed[0] if len(parsed) == 1 else None


def declare(
    m: Machine, written: Written, value: Value, subject: str, source: str, site: Site, *, claim: bool = False
) -> Value:
    """Compare a written shape with a value; adopt it where nothing is known. The value as known after that.

    `claim`: it is written of a function that others call. They may hold it against the function, but not build on it.
    """
    tensor = as_tensor(value)
    if tensor is None or isinstance(value, Lit):
        return value
    tensor = m.state.tensor(tensor)
    axes = [axis_text(a) for a in written.axes]
    if any(a is None for a in axes):
        return value
    known: Sequence[spec.Axis] = [a for a in axes if a is not None]
    names = m.state.axes.setdefault(m.here.id, {})
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
    if not written.certain or not isinstance(tensor.shape, Partial) or tensor.shape.min_rank:
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
        if bare is not None and is_free_name(bare):
            m.authored.setdefault(bare, axis.name)


def _named(m: Machine, axis: spec.Axis, names: dict[str, Size], origin: Origin) -> Size:
    """The size of a declared axis of an otherwise unknown tensor: known, or a new symbol of that name."""
    size = size_of(m, axis, names)
    if size is not None:
        return size
    if isinstance(axis, spec.Named):
        if origin.text == "annotation":
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
        if not variadic and max(len(partial.head), len(partial.tail)) > len(sizes):
            _state(m, tensor, sizes, texts, text, subject, source, site, NEVER, None, variadic)
        return
    if (len(axes) != len(sizes)) if not variadic else (len(axes) < len(sizes)):
        _state(m, tensor, sizes, texts, text, subject, source, site, NEVER, None, variadic)
        return
    have = axes if not variadic else (*axes[:at], *axes[len(axes) - (len(sizes) - at) :])
    outcome: tuple[Verdict, int | None] = (ALWAYS, None)
    for i, (size, axis) in enumerate(zip(sizes, have)):
        if size is None:
            continue
        verdict = m.kit.compare(axis.size, size)
        believed = source not in WRITTEN or m.supposing.active
        if verdict.sometimes and believed and tensor.made is None and _is_nameless(m, axis.size):
            verdict = m.kit.agree(axis.size, size)  # an argument of which nothing but its rank was known
        if verdict.never or (verdict.sometimes and outcome[0].always):
            outcome = (verdict, i)
        if verdict.never:
            break
    _state(m, tensor, sizes, texts, text, subject, source, site, *outcome, variadic)


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
