"""SC703: a computed axis of an annotation whose names are not bound when a runtime checker comes to it."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.dims import spec
from shapecheck.engine.facts import Facts, Signature, Signed
from shapecheck.findings.rule import Finding, Note, Rule, Severity
from shapecheck.source.program import Attr, Call, Expr, Name

META = Rule(
    "SC703",
    "unbound-axis",
    Severity.WARNING,
    "an annotation computes an axis from names that nothing has bound yet, which jaxtyping rejects at the first call",
)

# They read the whole signature first, or never read it.
_ORDERLESS = frozenset({"shaped", "no_type_check", "overload"})
_CHECKERS = frozenset({"jaxtyped", "beartype", "typechecked"})


@META.on(Signed)
def check(fact: Signed, facts: Facts) -> Iterator[Finding]:
    decorators = {_last(d) for d in fact.function.decorators}
    if fact.stack or decorators & _ORDERLESS:
        return
    severity = Severity.ERROR if decorators & _CHECKERS else None
    bound: set[str] = set()
    told: set[str] = set()
    later = _bound_by(fact.params)
    for signature in (*fact.params, *fact.returns):
        for axis in _axes(signature):
            missing = sorted(set(spec.tree_names(axis.tree)) - bound) if isinstance(axis, spec.Expr) else []
            if signature.certain and not told.issuperset(missing):
                told |= set(missing)
                yield _finding(fact, signature, axis, missing, later, severity)
            bound |= _names(axis)


def _finding(
    fact: Signed, signature: Signature, axis: object, missing: list[str], later: set[str], severity: Severity | None
) -> Finding:
    names = " and ".join(missing)
    verb = "is" if len(missing) == 1 else "are"
    is_result = any(signature is r for r in fact.returns)
    subject = "the result" if is_result else signature.subject
    message = f'the annotation of {subject}, "{signature.axes}", computes {axis}, but {names} {verb} bound'
    late = [name for name in missing if name in later and not is_result]
    message += " only by a later parameter" if late and len(late) == len(missing) else " nowhere before it"
    notes = tuple(
        Note(f"{name} is bound here, too late", other.site)
        for name in late
        for other in fact.params
        if other is not signature and name in _bound_by((other,))
    )
    help = f"write a name of its own for the axis, or put a parameter before it that has {names} as an axis"
    if is_result:
        help = f"write a name of its own for the axis, or give a parameter an axis {names}"
    return META.finding(signature.site, message, severity, notes=notes[:1], help=help)


def _axes(signature: Signature) -> tuple[spec.Axis, ...]:
    try:
        return spec.parse(signature.axes).axes
    except spec.SpecError:
        return ()


def _names(axis: spec.Axis) -> set[str]:
    return {axis.name} if isinstance(axis, (spec.Named, spec.Variadic)) and axis.name else set()


def _bound_by(signatures: tuple[Signature, ...]) -> set[str]:
    return {name for signature in signatures for axis in _axes(signature) for name in _names(axis)}


def _last(expr: Expr) -> str:
    match expr:
        case Call(func=func):
            return _last(func)
        case Attr(name=name) | Name(id=name):
            return name
    return ""
