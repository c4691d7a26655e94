"""SC104: every row against every row where row against row is meant, or the reverse."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.crossing import (
    contradicted,
    meets_matrix,
    row_operands,
)
from shapecheck.analysis.enclosing import same_text
from shapecheck.analysis.labels import operand_sites
from shapecheck.analysis.origin import blame
from shapecheck.analysis.rowwise import before_axis, here, is_loss, made_by, one_of_each, spoken, written_pair
from shapecheck.engine.facts import Called, Facts, Overridden
from shapecheck.engine.naming import Names
from shapecheck.engine.values import Site, Tensor
from shapecheck.findings.rule import Edit, Finding, Fix, Label, Note, Rule, Severity
from shapecheck.ops.kinds import (
    ALL_PAIRS,
    COMPARES,
    ELEMENTWISE_LOSS,
    EQUALS,
    ROW_BY_ROW,
    SIMILARITY,
)
from shapecheck.source.program import Attr, Call, Name

META = Rule(
    "SC104",
    "all-pairs-for-rowwise",
    Severity.ERROR,
    "a function of all pairs ([B, N]) where one value for each row ([B]) is meant, or the reverse",
)

COVERS = ("SC701", "SC702", "SC902", "SC906", "SC105", "SC102")


@META.on(Called)
def check_written(fact: Called, facts: Facts) -> Iterator[Finding]:
    """The result has rank 1 where a matrix was written down, or rank 2 where a vector was."""
    result = fact.result
    if not isinstance(result, Tensor) or not fact.kind & (ROW_BY_ROW | ALL_PAIRS):
        return
    pair = row_operands(fact)
    wanted = 2 if fact.kind & ROW_BY_ROW else 1
    if pair is None or result.rank != 3 - wanted:
        return
    contract = contradicted(result, facts)
    if contract is None or len(contract.declared.axes) != wanted or contract.declared.variadic:
        return
    names = facts.names()
    left, right = (names.shape(t) for t in pair)
    written = f'the {contract.declared.source} says "{contract.declared.text}"'
    if wanted == 2:
        message = f"{spoken(fact)} compares row by row: {left} and {right} give {names.shape(result)}, where {written}"
    else:
        message = f"{spoken(fact)} compares all pairs: {left} and {right} give {names.shape(result)}, where {written}"
    yield _finding(fact, facts, pair, names, message, (Note(written, contract.declared.site),), wanted)


@META.on(Called)
def check_loss(fact: Called, facts: Facts) -> Iterator[Finding]:
    """A matrix of all pairs against one target for each row in an elementwise loss."""
    if not fact.kind & ELEMENTWISE_LOSS:
        return
    left, right = fact.args.get("input"), fact.args.get("target")
    if not isinstance(left, Tensor) or not isinstance(right, Tensor):
        return
    for matrix, vector in ((left, right), (right, left)):
        call = made_by(matrix, ALL_PAIRS, facts)
        if call is None or matrix.rank != 2 or vector.rank != 1:
            continue
        pair = row_operands(call)
        assert vector.axes is not None
        if (pair is None and not call.kind & SIMILARITY) or isinstance(vector.axes[0].size, int):
            continue
        names = facts.names()
        shape, target = names.shape(matrix), names.shape(vector)
        message = (
            f"{spoken(call)} compares all pairs and gives {shape}, which {spoken(fact)} holds against {target}: "
            "one score for each row is meant"
        )
        site = blame(fact, [matrix, vector], facts.path)
        yield _finding(call, facts, pair or (), names, message, (Note(f"{shape} meets {target} here", site),), 1)


@META.on(Overridden)
def check_override(fact: Overridden, facts: Facts) -> Iterator[Finding]:
    """A class hands its base a function of all pairs where the base, whose code uses it, has a row-wise one."""
    if {fact.result.rank, fact.inherited.rank} != {1, 2}:
        return
    names = facts.names()
    usual, given = names.shape(fact.inherited), names.shape(fact.result)
    what = "compares all pairs" if fact.result.rank == 2 else "compares row by row"
    yield META.finding(
        fact.site,
        f"this default of {fact.name} {what} and gives {given}; {fact.owner}, whose code calls it, has {fact.default}, "
        f"which gives {usual}",
        Severity.WARNING,
        help=f"use a function that gives {usual}, as {fact.default} does",
        covers=COVERS,
    )


@META.on(Called)
def check_margin(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`sim(a, p) - sim(a, n)` of functions of all pairs, in a hinge or a regression: a margin that every anchor is to
    keep between its own two, computed between everybody's."""
    left, right, margin = fact.args.get("input"), fact.args.get("other"), fact.result
    if fact.key != "sub" or not isinstance(left, Tensor) or not isinstance(right, Tensor):
        return
    first, second = made_by(left, ALL_PAIRS, facts), made_by(right, ALL_PAIRS, facts)
    if first is None or second is None or first.result is second.result or not isinstance(margin, Tensor):
        return
    near, far = written_pair(first, facts), written_pair(second, facts)
    if near is None or far is None or not one_of_each(left) or not one_of_each(right):
        return
    if not same_text(near[0], far[0]) or same_text(near[1], far[1]):
        return
    if meets_matrix(margin, facts) or not is_loss(margin, facts):
        return
    names = facts.names()
    shape = names.shape(margin)
    message = (
        f"{_named(first, facts)} compares all pairs, so that the margin between the two is {shape}: every anchor is "
        "held to the partners of all the others, where each has one of its own"
    )
    site = blame(fact, [left, right], facts.path)
    yield _finding(first, facts, (), names, message, (Note("the margin is taken here", site),), 1, Severity.WARNING)


@META.on(Called)
def check_difference(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`s[:, None] - s[None, :]`, each score with each other, of an s that is a matrix of all pairs already."""
    left, right, cube = fact.args.get("input"), fact.args.get("other"), fact.result
    orders = fact.kind & COMPARES and not fact.kind & EQUALS
    if not (fact.key == "sub" or orders) or not isinstance(cube, Tensor) or cube.rank != 3:
        return
    if not isinstance(left, Tensor) or not isinstance(right, Tensor):
        return
    scores = [before_axis(t) for t in (left, right)]
    if scores[0] is None or scores[1] is None or scores[0][0].made is not scores[1][0].made:
        return
    matrix = scores[0][0]
    call = made_by(matrix, ALL_PAIRS, facts)
    if call is None or matrix.rank != 2 or {scores[0][1], scores[1][1]} != {"[:, None]", "[None, :]"}:
        return
    names = facts.names()
    shape, wide = names.shape(matrix), names.shape(cube)
    message = (
        f"{_named(call, facts)} compares all pairs and gives {shape}; every row of that is then held against every "
        f"other, {wide}, where one score for each row is meant"
    )
    yield _finding(call, facts, (), names, message, (Note(f"{wide} is made here", fact.site),), 1, Severity.WARNING)


def _named(fact: Called, facts: Facts) -> str:
    """The function as this file names it."""
    match here(fact, facts).node:
        case Call(func=Attr(name=name)) | Call(func=Name(id=name)):
            return name
    return spoken(fact)


@META.on(Called)
def check_split(fact: Called, facts: Facts) -> Iterator[Finding]:
    """Scores of each row with its own partner, given to a loss that picks one of many for each row."""
    scores, target = fact.args.get("input"), fact.args.get("target")
    if fact.key != "cross_entropy" or not isinstance(scores, Tensor) or scores.rank != 1:
        return
    call = made_by(scores, ROW_BY_ROW, facts)
    if call is None or not isinstance(target, Tensor) or target.rank != 1 or target.dtype == "float":
        return
    pair = row_operands(call)
    if pair is None:
        return
    names = facts.names()
    shape = names.shape(scores)
    message = (
        f"{spoken(call)} compares row by row and gives {shape}, where {spoken(fact)} needs a row of scores for each "
        "target"
    )
    site = blame(fact, [scores, target], facts.path)
    yield _finding(call, facts, pair, names, message, (Note("the scores are used here", site),), 2)


def _finding(
    fact: Called,
    facts: Facts,
    pair: tuple[Tensor, ...],
    names: Names,
    message: str,
    notes: tuple[Note, ...],
    wanted: int,
    severity: Severity | None = None,
) -> Finding:
    site = blame(fact, list(pair), facts.path) if pair else here(fact, facts)
    places = operand_sites(site, pair, facts) if pair else []
    if wanted == 2:
        text = "compare every row with every row: `a @ b.T`, or `F.cosine_similarity(a.unsqueeze(1), b, dim=-1)`"
    else:
        text = "compare row with row: `(a * b).sum(-1)`, `F.cosine_similarity(a, b, dim=-1)`, or `pairwise_cos_sim`"
    if fact.site.node is not site.node:
        notes = (*notes, Note("it is computed here", fact.site))
    return META.finding(
        site,
        message,
        severity,
        labels=tuple(Label(place, names.shape(meant)) for place, meant in filter(None, places)),
        notes=notes,
        help=text,
        fix=_fix(fact, site, wanted),
        covers=COVERS,
    )


def _fix(fact: Called, site: Site, wanted: int) -> Fix | None:
    """A row-wise cosine becomes one of all pairs by an axis of its own for the first operand."""
    node = fact.site.node
    if (
        fact.key != "cosine_similarity"
        or fact.args.get("self") is not None
        or wanted != 2
        or site.node is not node
        or not isinstance(node, Call)
    ):
        return None
    if len(node.args) < 2 or any(arg.keyword or arg.star for arg in node.args[:2]):
        return None
    left, right = (Site(site.path, arg.value) for arg in node.args[:2])
    text = "{function}({left}.unsqueeze(1), {right}, dim=-1)"
    parts = (("function", Site(site.path, node.func)), ("left", left), ("right", right))
    return Fix("compare every row with every row", (Edit(site, text, parts),))
