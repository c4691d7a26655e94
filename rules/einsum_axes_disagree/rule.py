"""SC203: two matrices of pairs meet, and the rows of one are the columns of the other; letters that say so."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.enclosing import guards_of
from shapecheck.analysis.letters import Equation, equation, letters_of
from shapecheck.analysis.origin import ancestors
from shapecheck.analysis.pairs import exchanged, names_of, pairs_of
from shapecheck.analysis.per_row import crosswise
from shapecheck.analysis.roles import name_of
from shapecheck.dims import as_symbol
from shapecheck.engine.facts import Assigned, Broadcasted, Called, Demanded, Facts
from shapecheck.engine.values import Axis, Made, Tensor
from shapecheck.findings.rule import Finding, Note, Rule, Severity, when_one

META = Rule(
    "SC203",
    "einsum-axes-disagree",
    Severity.WARNING,
    "two matrices of pairs meet, and the rows of one are the columns of the other",
)


@META.on(Broadcasted)
def check(fact: Broadcasted, facts: Facts) -> Iterator[Finding]:
    matrices = [t for t in fact.operands if t.rank is not None and t.rank >= 2]
    if len(matrices) != 2:
        return
    names = facts.once(names_of)
    one, two = (pairs_of(t, names) for t in matrices)
    if one is None or two is None or not exchanged(one, two):
        yield from _crossed(fact, matrices, facts)
        return
    first, second = sorted((one, two), key=lambda p: _order(p.made.site.node, facts))
    yield META.finding(
        first.made.site,
        f"this pairs {first.rows} (rows) with {first.columns} (columns), but it meets a matrix that has {second.rows} "
        f"along its rows and {second.columns} along its columns: one of them is transposed",
        notes=(
            Note(f"{second.rows} stands along the rows here", second.made.site),
            Note("they meet here, element by element", fact.site),
        ),
        condition="both sides hold the same rows, so that the matrix is symmetric",
        help="exchange `[:, None]` and `[None, :]` of the two operands, or transpose one of the matrices",
    )


@META.on(Called)
def check_per_row(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`(x @ y.t()) / y.norm(dim=1, keepdim=True)`: a column has one number for each row of x, not of y."""
    found = crosswise(fact) if fact.site.path == facts.path else None
    if found is None:
        return
    names = facts.names()
    numbers, scores = found.numbers, found.product
    side, lies = ("rows", "row") if found.of_rows else ("columns", "column")
    yield META.finding(
        fact.site,
        f"the {numbers.made.op} {names.shape(numbers.shown)} has one number for each of the {side} of the "
        f"{scores.spec.name} that it meets, but lies in a {lies}: each number meets the scores of another one",
        notes=(
            Note("the pairs are made here", scores.site),
            Note(f"{numbers.made.op} is taken here", numbers.made.site),
        ),
        condition="both sides hold the same rows",
        help="turn the numbers: those of the rows stand in a column, `[:, None]`, those of the columns in a row",
    )


def _crossed(fact: Broadcasted, matrices: list[Tensor], facts: Facts) -> Iterator[Finding]:
    """`[N, M]` meets `[M, N]`: two counts, each where the other has the other."""
    left, right = matrices
    if left.axes is None or right.axes is None or fact.site.path != facts.path:
        return
    (n, m), (p, q) = left.axes[-2:], right.axes[-2:]
    if n.size != q.size or m.size != p.size or n.size == m.size or not (_named(n, facts) and _named(m, facts)):
        return
    if any(t.made is left.made for t in ancestors(right)) or any(t.made is right.made for t in ancestors(left)):
        return  # a matrix and its own transpose
    names = facts.names()
    one, two = names.shape(left), names.shape(right)
    yield META.finding(
        fact.site,
        f"{one} meets {two}, element by element: the {names.axis(n)} rows of the one are the columns of the other",
        notes=tuple(
            Note(f"{names.shape(t)} is made here", t.made.site)
            for t in matrices
            if t.made is not None and t.made.site.node is not fact.site.node
        ),
        condition=f"{names.axis(n)} = {names.axis(m)}, and the matrix is symmetric",
        help="transpose one of the two, or give its operands their new axes the other way round",
        covers=("SC106",),
    )


def _named(axis: Axis, facts: Facts) -> bool:
    return as_symbol(axis.size) is not None and name_of(axis, facts) != ""


@META.on(Broadcasted)
def check_copies(fact: Broadcasted, facts: Facts) -> Iterator[Finding]:
    """Both operands are expanded to all pairs along the same axis, so that no two different rows ever meet."""
    if len(fact.operands) != 2 or fact.site.path != facts.path:
        return
    left, right = fact.operands
    if left.axes is None or right.axes is None or len(left.axes) != len(right.axes) or len(left.axes) < 2:
        return
    if any(t.made is left.made for t in ancestors(right)) or any(t.made is right.made for t in ancestors(left)):
        return  # a mask of its own numbers: the copies are the same ones
    for i, (a, b) in enumerate(zip(left.axes, right.axes)):
        own = [j for j, c in enumerate(left.axes) if j != i and c.size == a.size and c.role != "copy"]
        if a.role == b.role == "copy" and a.size == b.size and not isinstance(a.size, int) and own:
            names = facts.names()
            n = names.axis(a)
            yield META.finding(
                fact.site,
                f"both operands {names.shape(left)} are {n} copies along axis {i}, so row k only ever meets row k: "
                f"this makes {n} times the same rows, and no pairs of different ones",
                condition=when_one(n),
                help=f"give one of the two its new axis at {own[0]} instead: `x.unsqueeze({i})` with "
                f"`y.unsqueeze({own[0]})`",
            )
            return


@META.on(Called)
def check_letters(fact: Called, facts: Facts) -> Iterator[Finding]:
    """What an equation calls the axes of its operands, against what they were called where they were made."""
    if fact.key != "einsum" or fact.site.path != facts.path:
        return
    found = equation(Made(fact.spec, fact.args, fact.site))
    if found is None or any(c.site.node is fact.site.node for c in facts.of(Demanded)):
        return
    names = facts.names()
    for i, (letters, operand) in enumerate(zip(found.inputs, found.operands)):
        twice = next((c for c in letters if letters.count(c) > 1), None)
        if twice is not None and _elsewhere(found, i, twice):
            shown = names.shape(operand) if operand is not None and operand.axes else f"operand {i}"
            yield META.finding(
                fact.site,
                f'"{letters}" takes only the diagonal of {shown}: its other numbers are never used, and nothing is '
                f"summed over {twice}",
                help="give its two axes letters of their own, and the one that is summed over to both operands",
            )
            return
        if operand is None or len(set(letters)) != len(letters):
            continue
        before = letters_of(operand)
        if before is not None and before.letters != letters and sorted(before.letters) == sorted(letters):
            yield META.finding(
                fact.site,
                f'the axes of this operand were "{before.letters}" where it was made, and are "{letters}" here: the '
                "letters change places, the numbers do not",
                notes=(Note(f'made here as "{before.letters}"', before.made.site),),
                condition="the axes that change places have one size, and either may be summed over",
                help=f'call it "{before.letters}" here too, or make it as "{letters}"',
            )
            return
        swapped = _exchanged_names(letters, operand, facts)
        if swapped is not None:
            a, b = swapped
            yield META.finding(
                fact.site,
                f'"{letters}" calls axis {a} of {names.shape(operand)} {letters[a]} and axis {b} {letters[b]}: the '
                "code's own names for them are the other way round",
                help="write the letters in the order of the axes",
            )
            return


def _elsewhere(found: Equation, i: int, letter: str) -> bool:
    return any(letter in letters for j, letters in enumerate(found.inputs) if j != i)


def _exchanged_names(letters: str, operand: Tensor, facts: Facts) -> tuple[int, int] | None:
    """Two axes that the code calls by each other's letter."""
    if operand.axes is None or len(operand.axes) != len(letters):
        return None
    called = [name_of(axis, facts).lower() for axis in operand.axes]
    for a in range(len(letters)):
        for b in range(a + 1, len(letters)):
            if called[a] == letters[b].lower() != called[b] == letters[a].lower():
                return a, b
    return None


@META.on(Assigned)
def check_renamed(fact: Assigned, facts: Facts) -> Iterator[Finding]:
    """One variable has the axes "it" on one way through the code and "ti" on the other."""
    if not isinstance(fact.value, Tensor) or fact.site.path != facts.path:
        return
    now = letters_of(fact.value)
    if now is None or len(set(now.letters)) != len(now.letters) or len(now.letters) < 2:
        return
    for other in facts.of(Assigned):
        if other is fact:
            return
        if other.name != fact.name or other.activation != fact.activation or not isinstance(other.value, Tensor):
            continue
        before = letters_of(other.value)
        if (
            before is None
            or before.made is now.made
            or before.letters == now.letters
            or not _optional(fact, other, facts)
        ):
            continue
        if sorted(before.letters) == sorted(now.letters):
            yield META.finding(
                now.made.site,
                f'`{fact.name}` has the axes "{now.letters}" after this, but "{before.letters}" where it is not run',
                notes=(Note(f'`{fact.name}` is "{before.letters}" here', other.site),),
                condition="the matrix is symmetric",
                help=f'write "->{before.letters}", or transpose the result',
            )
            return


def _optional(now: Assigned, before: Assigned, facts: Facts) -> bool:
    """Does the later of two assignments stand under a condition under which the earlier does not stand?"""
    if facts.program is None:
        return False
    return len(guards_of(facts.program, now.site.node)) > len(guards_of(facts.program, before.site.node))


def _order(node: object, facts: Facts) -> int:
    for i, fact in enumerate(facts.items):
        if fact.site.node is node:
            return i
    return len(facts.items)
