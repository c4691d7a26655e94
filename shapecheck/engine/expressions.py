"""What each expression is worth."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from shapecheck.dims import Size
from shapecheck.engine import attributes, branching, subscripts
from shapecheck.engine.calls import call_expression
from shapecheck.engine.globals import lookup
from shapecheck.engine.iterating import members_of
from shapecheck.engine.operators import operator
from shapecheck.engine.state import join_value
from shapecheck.engine.statements import assign
from shapecheck.engine.values import (
    FALSE,
    NONE,
    TRUE,
    UNKNOWN,
    Closure,
    Items,
    Lit,
    Many,
    Mapping,
    Num,
    OneOf,
    Origin,
    Tensor,
    Unknown,
    Value,
)
from shapecheck.engine.witness import of_attribute
from shapecheck.source.program import (
    Attr,
    Await,
    Call,
    Comp,
    Const,
    DictLit,
    Expr,
    FString,
    IfExp,
    Index,
    Lambda,
    Name,
    Op,
    Opaque,
    Seq,
    Star,
    Walrus,
    Yield,
)

if TYPE_CHECKING:
    from shapecheck.engine.machine import Machine


def evaluate(m: Machine, expr: Expr) -> Value:
    m.tick()
    return _BY_KIND[type(expr)](m, expr)


def _name(m: Machine, expr: Name) -> Value:
    value = m.state.value(lookup(m, expr.id))
    return picked(m, value) if type(value) is OneOf else value


def _attribute(m: Machine, expr: Attr) -> Value:
    owner = m.eval(expr.value)
    value = attributes.attribute(m, owner, expr.name, expr)
    return picked(m, value if m.here.ran is None else of_attribute(m, owner, expr.name, value))


def _call(m: Machine, expr: Call) -> Value:

    return call_expression(m, expr)


def _lambda(m: Machine, expr: Lambda) -> Value:
    return Closure(expr, m.here.path, m.here.frame, m.here.self_value, m.here.owner)


def _walrus(m: Machine, expr: Walrus) -> Value:

    value = m.eval(expr.value)
    assign(m, expr.target, value)
    return value


def _text(m: Machine, expr: FString) -> Value:
    texts = [m.eval(p) for p in expr.parts]
    if all((isinstance(t, Lit) and isinstance(t.value, str)) or isinstance(t, Num) for t in texts):
        return Lit("".join(str(t.value if isinstance(t, Lit) else t.size) for t in texts))  # type: ignore[union-attr]
    return Unknown("str")


def _yield(m: Machine, expr: Yield) -> Value:
    value = m.eval(expr.value) if expr.value is not None else NONE
    if expr.is_from and isinstance(value, Many):
        value = value.item
    m.here.yields.append(value)
    return m.unknown()


def _star(m: Machine, expr: Star) -> Value:
    m.eval(expr.value)
    return UNKNOWN


def _opaque(m: Machine, expr: Opaque) -> Value:
    for p in expr.parts:
        m.eval(p)
    return m.unknown()


def picked(m: Machine, value: Value) -> Value:
    """Of a name that holds one of several callables each is tried, and stays the same one from then on."""
    if not isinstance(value, OneOf):
        return value
    choice = value.options[m.oracle.choose(len(value.options))]
    m.state.narrowed[value.key] = choice
    return m.resolve(choice)


def constant(m: Machine, value: object) -> Value:
    if value is None:
        return NONE
    if value is True:
        return TRUE
    if value is False:
        return FALSE
    if isinstance(value, int):
        return Num(value, Origin("written here", m.site))
    return Lit(value)


def sequence(m: Machine, kind: str, items: tuple[Expr, ...]) -> Value:
    out: list[Value] = []
    loose: Value | None = None  # set once a starred item of unknown length was met
    for item in items:
        if not isinstance(item, Star):
            out.append(m.eval(item))
            continue
        inner = m.resolve(m.eval(item.value))
        match inner:
            case Items(items=members):
                out.extend(members)
            case Many(item=member):
                loose = member if loose is None else join_value(loose, member, m.fresh)
            case _:
                known, member = members_of(m, inner)
                if known is not None:
                    out.extend(known)
                else:
                    loose = member if loose is None else join_value(loose, member, m.fresh)
    if loose is None:
        return Items(kind, tuple(out))
    for o in out:
        loose = join_value(loose, o, m.fresh)
    return Many(loose, None, kind)


def dictionary(m: Machine, expr: DictLit) -> Value:
    items: dict[str, Value] = {}
    rest: Value | None = None
    for key, value in expr.items:
        v = m.eval(value)
        if key is None:
            v = m.resolve(v)
            if isinstance(v, Mapping):
                items.update(v.items)
                rest = v.rest if v.rest is not None else rest
            else:
                rest = UNKNOWN
            continue
        k = m.eval(key)
        if isinstance(k, Lit) and isinstance(k.value, str):
            items[k.value] = v
        else:
            rest = v if rest is None else join_value(rest, v, m.fresh)
    return Mapping(tuple(items.items()), rest)


def conditional(m: Machine, expr: IfExp) -> Value:
    seen = branching.Seen()
    truth = branching.truth(m, expr.test, seen)
    if truth is None:
        truth = m.oracle.choose(2) == 0
        branching.decide(m, expr.test, truth, seen)
    return m.eval(expr.then if truth else expr.orelse)


def comprehension(m: Machine, expr: Comp) -> Value:
    """One representative member, or every member where the source's are all known and few."""

    scope = dict(m.state.frames.get(m.here.frame, {}))

    def run(clause: int) -> tuple[list[tuple[Value | None, Value]], bool, Size | None]:
        """(key, element) pairs; whether they are all of them; the number of members where one stands for all."""
        if clause == len(expr.clauses):
            key = m.eval(expr.key) if expr.key is not None else None
            return [(key, m.eval(expr.element))], True, 1
        c = expr.clauses[clause]
        source = m.resolve(m.eval(c.iter))
        known, member = members_of(m, source)
        length = source.length if isinstance(source, Many) else None
        if length is None and (ranged := _range_length(source)) is not None:
            length = ranged
        out: list[tuple[Value | None, Value]] = []
        exact = known is not None and len(known) <= 8
        for item in known if exact and known is not None else [member]:
            assign(m, c.target, item, quiet=True)
            keep: bool | None = True
            for t in c.tests:
                truth = branching.truth(m, t)
                if truth is None:
                    exact, length = False, None
                elif not truth:
                    keep = False
            if keep:
                inner, inner_exact, inner_length = run(clause + 1)
                out += inner
                exact = exact and inner_exact
                if inner_length != 1:
                    length = None
        return out, exact, length

    pairs, exact, length = run(0)
    if m.here.frame in m.state.frames:
        m.state.frames[m.here.frame] = scope
    if expr.kind == "dict":
        named = {k.value: v for k, v in pairs if isinstance(k, Lit) and isinstance(k.value, str)}
        rest: Value | None = None
        for k, v in pairs:
            if not (isinstance(k, Lit) and isinstance(k.value, str)):
                rest = v if rest is None else join_value(rest, v, m.fresh)
        return Mapping(tuple(named.items()), rest if exact or rest is not None else UNKNOWN)
    values = [v for _, v in pairs]
    kind = {"gen": "generator"}.get(expr.kind, expr.kind)
    if exact:
        return Items("list" if kind == "generator" else kind, tuple(values))
    if not values:
        return Many(m.unknown(), None, kind)
    item = values[0]
    for v in values[1:]:
        item = join_value(item, v, m.fresh)
    return Many(item, length, kind)


def _range_length(source: Value) -> Size | None:
    match source:
        case Many(length=length):
            return length
        case Tensor() if source.axes:
            return source.axes[0].size
        case _:
            return None


_BY_KIND: dict[type, Callable[[Machine, Any], Value]] = {
    Name: _name,
    Const: lambda m, expr: constant(m, expr.value),
    Attr: _attribute,
    Call: _call,
    Index: lambda m, expr: subscripts.index(m, m.eval(expr.value), expr),
    Op: operator,
    Seq: lambda m, expr: sequence(m, expr.kind, expr.items),
    DictLit: dictionary,
    IfExp: conditional,
    Lambda: _lambda,
    Comp: comprehension,
    Walrus: _walrus,
    FString: _text,
    Await: lambda m, expr: m.eval(expr.value),
    Yield: _yield,
    Star: _star,
    Opaque: _opaque,
}
