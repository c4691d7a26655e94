"""Written shapes that the code contradicts: when that is worth a word, where to say it, and how."""

from __future__ import annotations

from shapecheck.analysis.crashes import kept_an_axis, maybe_computed
from shapecheck.analysis.enclosing import function_of
from shapecheck.analysis.expected import proves_nothing
from shapecheck.analysis.origin import ancestors
from shapecheck.analysis.relied_on import relied_on
from shapecheck.dims import Dim, as_symbol, compare, has_compound, symbols
from shapecheck.engine.facts import Assigned, Beside, Contract, Demanded, Facts
from shapecheck.engine.history import operands
from shapecheck.engine.naming import Names
from shapecheck.engine.values import Partial, Site, Tensor
from shapecheck.findings.rule import Finding, Note, Rule, Severity
from shapecheck.source.program import Bind, Function, Param, walk

NAMED_FOR = {"comment": "comment", "docstring": "docstring", "annotation": "annotation", "assert": "assertion"}


def contradicted(fact: Contract, facts: Facts) -> bool:
    """Whether no way through the code makes the written shape true, by rank first, then by size."""
    if fact.verdict.always or place(fact, facts) is None or proves_nothing(fact, facts):
        return False
    if fact.verdict.sometimes and not (_exchanged(fact, facts) or _declared(fact, facts)):
        return False
    if fact.verdict.never and (_an_example(fact) or _another_meaning(fact)):
        return False
    if any(axis.size == 0 for axis in fact.value.axes or ()):
        return False  # `return torch.empty(0)`: there was nothing to do
    if fact.axis is None and (kept_an_axis(fact.value) or _of_supposed_rank(fact)):
        return False
    if _only_told(fact.value) or _told_where_made(fact, facts):
        return False
    if _fits_later(fact, facts):
        return False
    if not _about_parameter(fact) and any(
        c.activation == fact.activation and _about_parameter(c) and not c.verdict.always for c in facts.of(Contract)
    ):
        return False  # it follows from arguments that break the contract already
    return not any(
        other.declared.site.node is fact.declared.site.node
        and other.declared.text == fact.declared.text
        and other.subject == fact.subject
        and not _worse(other, facts)
        for other in facts.of(Contract)
        if _from(other) == _from(fact)
    )


def alone(fact: Beside, facts: Facts) -> bool:
    """Whether the comment can speak of nothing else nearby: not of what went into the value, nor of any value that
    the function gives a name to, nor of an adjacent one of unknown shape."""
    contract = fact.contract
    if not contradicted(contract, facts):
        return False
    if any(t is not contract.value and _may_be(contract, t) for t in ancestors(contract.value)):
        return False
    named = [f for f in facts.of(Assigned) if f.activation == fact.activation]
    if any(f.value.rank is not None and _may_be(contract, f.value) for f in named if isinstance(f.value, Tensor)):
        return False
    inside = {id(node) for node in walk(contract.declared.site.node)}
    at = next((i for i, f in enumerate(named) if id(f.site.node) in inside), None)
    if at is None:
        return False
    adjacent = [f.value for f in (*named[max(at - 1, 0) : at], *named[at + 1 : at + 2])]
    return not any(isinstance(v, Tensor) and v.rank is None for v in adjacent)


def _fits_later(fact: Contract, facts: Facts) -> bool:
    """Does a comment that stands over several lines tell what the name is after the last of them?"""
    stmt, text = fact.declared.site.node, fact.declared.text
    if not isinstance(stmt, Bind) or text not in (stmt.above or "") or text in (stmt.comment or ""):
        return False
    return any(
        f.name == fact.subject and isinstance(f.value, Tensor) and f.value.rank is not None and _may_be(fact, f.value)
        for f in facts.of(Assigned)
        if f.activation == fact.activation
    )


def _may_be(contract: Contract, tensor: Tensor) -> bool:
    """Could this tensor have the written shape?"""
    sizes = contract.declared.sizes
    if tensor.sizes is None:
        return True
    if len(tensor.sizes) != len(sizes):
        return False
    return not any(s is not None and compare(s, have).never for s, have in zip(sizes, tensor.sizes))


def _from(fact: Contract) -> list[int]:
    return [id(frame.site.node) for frame in fact.stack]


def _worse(fact: Contract, facts: Facts) -> bool:
    return fact.verdict.never or _exchanged(fact, facts) or _declared(fact, facts)


def _exchanged(fact: Contract, facts: Facts) -> bool:
    """`# B T` at a `[T, B]`: each axis is there by its name, in another order."""
    sizes, have = fact.declared.sizes, fact.value.sizes
    if have is None or None in sizes or not fact.verdict.sometimes:
        return False
    if tuple(sizes) == have or sorted(map(str, sizes)) != sorted(map(str, have)):
        return False
    named = [(as_symbol(s), text) for s, text in zip(sizes, fact.declared.axes) if s is not None and s != 1]
    return all(name is not None and facts.authored.get(name, name) == text for name, text in named)


def _declared(fact: Contract, facts: Facts) -> bool:
    """Are both sizes made of names that annotations gave them?"""
    axis = fact.have
    if fact.axis is None or axis is None or fact.verdict.always or fact.declared.source != "annotation":
        return False
    written = fact.declared.sizes[fact.axis]
    if written is None or maybe_computed((written, axis.size), facts):
        return False
    used = symbols(written) | symbols(axis.size)
    return bool(used) and not any(n.startswith(("$", "?")) for n in used)


def _another_meaning(fact: Contract) -> bool:
    """Is an axis called as a variable is, and not by what the variable holds?

    `# B T C` where T is 4 and the axis 16: some other variable counts this one. `x: (B, seq_len)` where seq_len is
    given as `max(length, position) + 1`: no axis is that long.
    """
    axis = fact.have
    if fact.axis is None or axis is None or fact.declared.source == "assert":
        return False
    name = fact.declared.axes[fact.axis]
    written, have = fact.declared.sizes[fact.axis], axis.size
    if isinstance(written, Dim):
        return name.isidentifier() and has_compound(written)
    if fact.declared.source == "annotation":  # a checker at run time takes names for what axes were called by them
        return False
    return isinstance(written, int) and isinstance(have, int) and len(name) == 1 and name.isalpha()


def _of_supposed_rank(fact: Contract) -> bool:
    """Was the way here taken on `if x.ndim == 0:`? Nobody says that a tensor of that rank ever comes."""
    return _about_parameter(fact) and any(outcome and test.startswith("rank ") for test, outcome in fact.path)


def _only_told(value: Tensor) -> bool:
    """Is the shape itself what another text says, and nothing that the code computes?"""
    told = {axis.origin.assumption for axis in value.axes or () if axis.origin is not None}
    if not told or None in told or not all(axis.origin is not None for axis in value.axes or ()):
        return False
    if value.made is None:
        return True
    used = (axis.origin for operand in operands(value.made) for axis in operand.axes or ())
    return not any(origin is not None and origin.assumption in told for origin in used)


def _told_where_made(fact: Contract, facts: Facts) -> bool:
    """Another file makes the value and hands it on: it has its own finding there."""
    made = fact.value.made
    elsewhere = made is not None and made.site.path != facts.path
    return elsewhere and _about_parameter(fact) and bool(fact.stack) and fact.stack[-1].site.path != facts.path


def _an_example(fact: Contract) -> bool:
    """`# (4, 8, 512)`, `# [4, 1, ...]`: sizes or values of one run, written down as an example."""
    axes = fact.declared.axes
    return fact.declared.source in ("comment", "docstring") and all(a.isdigit() or a == "..." for a in axes)


def place(fact: Contract, facts: Facts) -> Site | None:
    """Where to say it: what is written about a parameter is answered for by the call, all else where it is written."""
    site = fact.declared.site
    if _about_parameter(fact):
        return next((frame.site for frame in reversed(fact.stack) if frame.site.path == facts.path), None)
    made = fact.value.made
    if isinstance(site.node, Function) and made is not None and made.site.path == facts.path == site.path:
        return made.site  # of a result: where it is computed says more than the head of the function
    return site if site.path == facts.path else None


def _about_parameter(fact: Contract) -> bool:
    node = fact.declared.site.node
    return isinstance(node, Param) or (isinstance(node, Function) and not fact.subject.startswith("return value"))


def finding(rule: Rule, fact: Contract, facts: Facts, names: Names) -> Finding:
    site = place(fact, facts)
    assert site is not None
    source, written = NAMED_FOR[fact.declared.source], fact.declared.text
    have = names.shape(fact.value)
    subject = fact.subject.replace("return value", "the result")
    message = f'the {source} says that {subject} is "{written}", but the code computes {have}'
    if fact.axis is None:
        wanted = len(fact.declared.axes)
        message += f": {_count(fact)} where {wanted} {'is' if wanted == 1 else 'are'} written"
    elif (axis := fact.have) is not None:
        message += f": axis {fact.axis} is {names.axis(axis)}"
    notes = []
    made = fact.value.made
    if made is not None and made.site.node is not site.node:
        notes.append(Note(f"{have} is made here, by {made.op}", made.site))
    if site.node is not fact.declared.site.node:
        notes.append(Note(f"the {source} stands here", fact.declared.site))
    help_ = f"one of the two is wrong: make the code compute {written}, or correct the {source}"
    severity = None
    if _taken_as_it_is(fact, facts):
        severity = Severity.INFO
        message += "; the function runs with it all the same"
        help_ = f"correct the {source}, or give it {written}"
    elif not relied_on(fact, facts):
        severity = Severity.INFO
        message += "; nothing that is computed from it relies on what is written"
    return rule.finding(
        site,
        message,
        severity,
        notes=tuple(notes),
        condition=fact.verdict.when(names.symbol),
        help=help_,
        cause=_cause(fact, facts),
    )


def _taken_as_it_is(fact: Contract, facts: Facts) -> bool:
    """Does a function that others call say of a parameter what its own code needs nowhere?"""
    if not _about_parameter(fact) or fact.declared.source != "docstring":
        return False
    return not any(
        f.activation == fact.activation and f.verdict.never
        for f in facts.items
        if isinstance(f, Demanded) or (isinstance(f, Contract) and f.declared.source != "docstring")
    )


def _cause(fact: Contract, facts: Facts) -> tuple[object, ...]:
    """What one who wrote this got wrong: a parameter's shape, or, within one function, what an axis name stands for."""
    if _about_parameter(fact):
        return (id(fact.declared.site.node), fact.subject)
    axis = fact.have
    if fact.axis is None or axis is None:
        return ()
    return (
        id(function_of(fact.site.node, facts)),
        fact.declared.axes[fact.axis],
        str(axis.size),
    )


def _count(fact: Contract) -> str:
    shape = fact.value.shape
    if isinstance(shape, Partial):
        return f"at least {shape.min_rank} axes"
    return "1 axis" if len(shape) == 1 else f"{len(shape)} axes"


__all__ = ["alone", "contradicted", "finding", "place"]
