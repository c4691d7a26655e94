"""What each expression is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shapecheck.dims import Size
from shapecheck.engine import attributes, branching, subscripts
from shapecheck.engine.globals import lookup
from shapecheck.engine.operators import operator
from shapecheck.engine.state import join_value
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
    match expr:
        case Name():
            return picked(m, m.resolve(lookup(m, expr.id)))
        case Const(value=value):
            return constant(m, value)
        case Attr():
            owner = m.eval(expr.value)
            value = attributes.attribute(m, owner, expr.name, expr)
            return picked(m, value if m.here.ran is None else of_attribute(m, owner, expr.name, value))
        case Call():
            from shapecheck.engine.calls import call_expression

            return call_expression(m, expr)
        case Index():
            return subscripts.index(m, m.eval(expr.value), expr)
        case Op():
            return operator(m, expr)
        case Seq(kind=kind, items=items):
            return sequence(m, kind, items)
        case DictLit():
            return dictionary(m, expr)
        case IfExp():
            return conditional(m, expr)
        case Lambda():
            return Closure(expr, m.here.path, m.here.frame, m.here.self_value, m.here.owner)
        case Comp():
            return comprehension(m, expr)
        case Walrus():
            from shapecheck.engine.statements import assign

            value = m.eval(expr.value)
            assign(m, expr.target, value)
            return value
        case FString(parts=parts):
            texts = [m.eval(p) for p in parts]
            if all((isinstance(t, Lit) and isinstance(t.value, str)) or isinstance(t, Num) for t in texts):
                return Lit("".join(str(t.value if isinstance(t, Lit) else t.size) for t in texts))  # type: ignore[union-attr]
            return Unknown("str")
        case Await():
            return m.eval(expr.value)
        case Yield():
            value = m.eval(expr.value) if expr.value is not None else NONE
            if expr.is_from and isinstance(value, Many):
                value = value.item
            m.here.yields.append(value)
            return m.unknown()
        case Star():
            m.eval(expr.value)
            return UNKNOWN
        case Opaque(parts=parts):
            for p in parts:
                m.eval(p)
            return m.unknown()
    raise TypeError(f"not an expression: {expr!r}")  # the tree has no other nodes


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
                from shapecheck.engine.iterating import members_of

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
    from shapecheck.engine.iterating import members_of
    from shapecheck.engine.statements import assign

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
