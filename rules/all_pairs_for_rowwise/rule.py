"""SC104: every row against every row where row against row is meant, or the reverse."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.crossing import ALL_PAIRS, ELEMENTWISE_LOSSES, ROW_BY_ROW, contradicted, row_operands
from shapecheck.dataflow import IN_PLACE_ORDER, base, blame
from shapecheck.facts import Called, Facts
from shapecheck.labels import operand_sites
from shapecheck.naming import Names
from shapecheck.program import Attr, Call, Name
from shapecheck.rule import Edit, Finding, Fix, Label, Note, Rule, Severity
from shapecheck.values import Site, Tensor

META = Rule(
    "SC104",
    "all-pairs-for-rowwise",
    Severity.ERROR,
    "a function of all pairs ([B, N]) where one value for each row ([B]) is meant, or the reverse",
)

COVERS = ("SC701", "SC702", "SC902", "SC906", "SC105", "SC102")
PRODUCTS = frozenset({"matmul", "mm", "inner", "linear", "cdist"})  # of any ranks
SPLITS_ROWS = frozenset({"cross_entropy", "CrossEntropyLoss"})


@META.on(Called)
def check_written(fact: Called, facts: Facts) -> Iterator[Finding]:
    """The result has rank 1 where a matrix was written down, or rank 2 where a vector was."""
    result = fact.result
    if not isinstance(result, Tensor) or (fact.op not in ROW_BY_ROW and fact.op not in ALL_PAIRS):
        return
    pair = row_operands(fact)
    wanted = 2 if fact.op in ROW_BY_ROW else 1
    if pair is None or result.rank != 3 - wanted:
        return
    contract = contradicted(result, facts)
    if contract is None or len(contract.declared.axes) != wanted or contract.declared.variadic:
        return
    names = facts.names()
    left, right = (names.shape(t) for t in pair)
    written = f'the {contract.declared.source} says "{contract.declared.text}"'
    if wanted == 2:
        message = f"{_called(fact)} compares row by row: {left} and {right} give {names.shape(result)}, where {written}"
    else:
        message = f"{_called(fact)} compares all pairs: {left} and {right} give {names.shape(result)}, where {written}"
    yield _finding(fact, facts, pair, names, message, (Note(written, contract.declared.site),), wanted)


@META.on(Called)
def check_loss(fact: Called, facts: Facts) -> Iterator[Finding]:
    """A matrix of all pairs against one target for each row in an elementwise loss."""
    if fact.op not in ELEMENTWISE_LOSSES:
        return
    left, right = fact.args.get("input"), fact.args.get("target")
    if not isinstance(left, Tensor) or not isinstance(right, Tensor):
        return
    for matrix, vector in ((left, right), (right, left)):
        call = _made_by(matrix, ALL_PAIRS, facts)
        if call is None or matrix.rank != 2 or vector.rank != 1:
            continue
        pair = row_operands(call)
        assert vector.axes is not None
        if (pair is None and call.op in PRODUCTS) or isinstance(vector.axes[0].size, int):
            continue
        names = facts.names()
        shape, target = names.shape(matrix), names.shape(vector)
        message = (
            f"{_called(call)} compares all pairs and gives {shape}, which {_called(fact)} holds against {target}: "
            "one score for each row is meant"
        )
        site = blame(fact, [matrix, vector], facts.path)
        yield _finding(call, facts, pair or (), names, message, (Note(f"{shape} meets {target} here", site),), 1)


@META.on(Called)
def check_split(fact: Called, facts: Facts) -> Iterator[Finding]:
    """Scores of each row with its own partner, given to a loss that picks one of many for each row."""
    scores, target = fact.args.get("input"), fact.args.get("target")
    if fact.op not in SPLITS_ROWS or not isinstance(scores, Tensor) or scores.rank != 1:
        return
    call = _made_by(scores, ROW_BY_ROW, facts)
    if call is None or not isinstance(target, Tensor) or target.rank != 1 or target.dtype == "float":
        return
    pair = row_operands(call)
    if pair is None:
        return
    names = facts.names()
    shape = names.shape(scores)
    message = (
        f"{_called(call)} compares row by row and gives {shape}, where {_called(fact)} needs a row of scores for each "
        "target"
    )
    site = blame(fact, [scores, target], facts.path)
    yield _finding(call, facts, pair, names, message, (Note("the scores are used here", site),), 2)


def _made_by(tensor: Tensor, ops: frozenset[str], facts: Facts) -> Called | None:
    made = base(tensor, IN_PLACE_ORDER | {"same"}).made
    if made is None or made.op not in ops:
        return None
    for f in facts.of(Called):
        if isinstance(f.result, Tensor) and f.result.made is made:
            return f
    return None


def _finding(
    fact: Called,
    facts: Facts,
    pair: tuple[Tensor, ...],
    names: Names,
    message: str,
    notes: tuple[Note, ...],
    wanted: int,
) -> Finding:
    site = blame(fact, list(pair), facts.path) if pair else _here(fact, facts)
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
        labels=tuple(Label(p[0], names.shape(t)) for p, t in zip(places, pair) if p is not None),
        notes=notes,
        help=text,
        fix=_fix(fact, site, wanted),
        covers=COVERS,
    )


def _here(fact: Called, facts: Facts) -> Site:
    """The call itself, or the call in this file that led to it."""
    outer = (frame.site for frame in reversed(fact.stack))
    return next((s for s in (fact.site, *outer) if s.path == facts.path), fact.site)


def _called(fact: Called) -> str:
    """The name as the code has it: `F.cosine_similarity`, `cos_sim`."""
    match fact.site.node:
        case Call(func=Attr(name=name)) | Call(func=Name(id=name)):
            return name
        case _:
            return fact.op


def _fix(fact: Called, site: Site, wanted: int) -> Fix | None:
    """A row-wise cosine becomes one of all pairs by an axis of its own for the first operand."""
    node = fact.site.node
    if fact.op != "cosine_similarity" or wanted != 2 or site.node is not node or not isinstance(node, Call):
        return None
    if len(node.args) < 2 or any(arg.keyword or arg.star for arg in node.args[:2]):
        return None
    left, right = (Site(site.path, arg.value) for arg in node.args[:2])
    text = "{function}({left}.unsqueeze(1), {right}, dim=-1)"
    parts = (("function", Site(site.path, node.func)), ("left", left), ("right", right))
    return Fix("compare every row with every row", (Edit(site, text, parts),))
