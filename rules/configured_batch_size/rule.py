"""SC602: code that needs every batch to have the configured size."""

from __future__ import annotations

import re
from collections.abc import Iterator

from shapecheck.analysis.batch import configured_batch
from shapecheck.analysis.enclosing import function_of
from shapecheck.dims import Size, as_symbol, symbols
from shapecheck.engine.facts import Applied, Assigned, Called, Facts, Learned
from shapecheck.engine.values import Num, Partial, Site, Tensor, Unknown
from shapecheck.findings.rule import Edit, Finding, Fix, Note, Rule, Severity
from shapecheck.ops.kinds import CREATES
from shapecheck.source.program import Arg, Attr, Bind, Call, Function, Index, Name, Node, Op, walk

META = Rule(
    "SC602",
    "configured-batch-size",
    Severity.WARNING,
    "a tensor's rows are taken to be the configured batch size, which the last batch may not have",
)


@META.on(Learned)
def check_meeting(fact: Learned, facts: Facts) -> Iterator[Finding]:
    """A size of the data had to be one that is built from the configuration."""
    found = _configured(fact.size)
    if not found or not fact.symbol.startswith("?") or fact.site.path != facts.path:
        return
    if not isinstance(fact.site.node, Call | Index | Op) or fact.op == "view":  # an assertion or a guard says so openly
        return
    symbol = found
    if _data_made_to_size(symbol, facts) or _set_while_running(symbol, facts) or _of_the_data(symbol, facts):
        return
    made = _made_of(symbol, fact, facts)
    names = facts.names()
    name, size = names.symbol(symbol), names.size(fact.size)
    # a constructor that asks for the batch size says what it needs, if not to whom it matters
    severity = Severity.INFO if symbol.startswith("$__init__.") else None
    if made is None:
        message = f"the data must have {size} rows here, a number made of the configured {name}"
    else:
        message = f"this is sized by the configured {name}, but it meets data that has its own number of rows"
    fix = None if made is None else _fix(made, fact, facts)
    yield META.finding(
        fact.site if made is None else made.site,
        message,
        severity,
        notes=() if made is None else (Note(f"here the data must have {size} rows", fact.site),),
        condition=f"every batch has exactly {name} examples, the last one too",
        help="take the size from the tensor itself, `x.size(0)`",
        cause=(id(function_of(fact.site.node, facts)), symbol) if fix is None else (),
        fix=fix,
    )


def _fix(made: Called, fact: Learned, facts: Facts) -> Fix | None:
    """Take the size from what the created tensor meets, where that has a name and was there before."""
    node, met = made.site.node, _met(fact.site.node)
    if not isinstance(node, Call) or met is None or not node.args or node.args[0].keyword or node.args[0].star:
        return None
    if not made.kind & CREATES or any(not a.keyword for a in node.args[1:]):
        return None
    if not isinstance(made.result, Tensor) or made.result.axes is None or made.result.axes[0].size != fact.size:
        return None
    if not isinstance(node.args[0].value, Name | Attr) or made.site.path != fact.site.path:
        return None
    for f in facts.items:
        if f is made:
            return None
        if isinstance(f, Assigned) and f.name == met and f.activation == made.activation:
            axes = f.value.axes if isinstance(f.value, Tensor) else None
            if axes and as_symbol(axes[0].size) == fact.symbol:
                edit = Edit(Site(made.site.path, node.args[0].value), f"{met}.size(0)")
                return Fix(f"take the number of rows from {met}", (edit,))
    return None


def _met(node: Node) -> str | None:
    """The variable that a loss scores, or that a mask is applied to."""
    match node:
        case Index(value=Name(id=name)) | Call(args=(Arg(value=Name(id=name), keyword=None), *_)):
            return name
        case _:
            return None


def _data_made_to_size(symbol: str, facts: Facts) -> bool:
    """Does the code make its batch itself, `torch.zeros(batch_size, 3, 224, 224)`, as a benchmark does?"""
    batches = (f.result for f in facts.of(Called) if f.kind & CREATES and isinstance(f.result, Tensor))
    return any(t.axes is not None and len(t.axes) > 2 and as_symbol(t.axes[0].size) == symbol for t in batches)


def _set_while_running(symbol: str, facts: Facts) -> bool:
    """Is the attribute set outside the constructor too, `self.batch_size = x.shape[0]`? Then it is the batch's own."""
    last = configured_batch(symbol).rpartition(".")[2]
    return last in facts.once(_attributes_set_while_running)


def _of_the_data(symbol: str, facts: Facts) -> bool:
    """Does what tells the size hold the tensors too: `batch["batch_size"]` beside `batch["user_id"]`?"""
    holder = _HELD.match(symbol.removeprefix("$"))
    held = (_HELD.match(key) for key in facts.once(_keys_of_tensors)) if holder is not None else ()
    return holder is not None and any(other is not None and other[1] == holder[1] for other in held)


_HELD = re.compile(r"\w+\.(\w+)@\d+(?:\['\w+'\]|\.\w+)\Z")  # a member of a parameter, whichever function has that


def _keys_of_tensors(facts: Facts) -> frozenset[str]:
    """The keys of all unknown things that an op, or a member of a module, took for tensors."""
    given = (value for fact in facts.of(Called) for value in fact.args.values())
    shapes = (value.shape for value in given if isinstance(value, Tensor))
    fed = (value.key for fact in facts.of(Applied) if fact.member for value in fact.args if isinstance(value, Unknown))
    keys = {*(s.key for s in shapes if isinstance(s, Partial)), *fed, *facts.shaped}
    return frozenset(key for key in keys if key is not None)


def _attributes_set_while_running(facts: Facts) -> frozenset[str]:
    functions = [n for n in walk(facts.program) if isinstance(n, Function)] if facts.program is not None else []
    return frozenset(
        target.name
        for function in functions
        if function.name != "__init__"
        for stmt in walk(function)
        if isinstance(stmt, Bind)
        for target in stmt.targets
        if isinstance(target, Attr)
    )


def _made_of(symbol: str, fact: Learned, facts: Facts) -> Called | None:
    """The first tensor that this run of the function created with that size, before the two met."""
    for f in facts.items:
        if f is fact:
            return None
        if not isinstance(f, Called) or not f.kind & CREATES or f.activation != fact.activation:
            continue
        if isinstance(f.result, Tensor) and any(symbol in symbols(a.size) for a in f.result.axes or ()):
            return f
    return None


@META.on(Called)
def check_view(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`x.view(self.batch_size, -1)`: with fewer rows the rest is grouped wrongly, or torch raises."""
    if fact.key != "view" or fact.site.path != facts.path:
        return
    x = fact.args.get("input")
    wanted = fact.args.get("shape")
    if not isinstance(x, Tensor) or not isinstance(wanted, tuple) or len(wanted) < 2:
        return
    first = _symbol(wanted[0])
    if first is None or not configured_batch(first) or _data_made_to_size(first, facts):
        return
    if _set_while_running(first, facts) or _of_the_data(first, facts):
        return
    known = x.shape.head + x.shape.tail if isinstance(x.shape, Partial) else x.shape
    if not known or isinstance(known[0].size, int) or any(first in symbols(a.size) for a in known):
        return
    names = facts.names()
    name = names.symbol(first)
    yield META.finding(
        fact.site,
        f"this view of {names.shape(x)} takes the configured {name} for the number of rows",
        condition=f"every batch has exactly {name} examples, the last one too",
        help="take the size from the tensor itself, `x.size(0)`",
        cause=(id(function_of(fact.site.node, facts)), first),
    )


def _symbol(value: object) -> str | None:
    match value:
        case Num(size=size):
            return as_symbol(size)
        case Unknown(hint="" | "int", key=str(key)):
            return "$" + key
        case _:
            return None


def _configured(size: Size) -> str:
    return next((symbol for symbol in sorted(symbols(size)) if configured_batch(symbol)), "")
