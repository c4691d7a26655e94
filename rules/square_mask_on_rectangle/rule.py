"""SC501: the diagonal (i, i) of a matrix whose columns are not its rows."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.origin import ancestors
from shapecheck.analysis.own_column import diagonal_index, of_diagonal, own_column
from shapecheck.dims import Size, as_symbol, compare, exact_div, symbols
from shapecheck.engine.facts import Called, Facts, Stored
from shapecheck.engine.naming import Names
from shapecheck.engine.values import Affine, Axis, Joined, Merged, Num, Tensor
from shapecheck.findings.rule import Finding, Note, Rule, Severity
from shapecheck.ops.kinds import ADDS_AXIS, CAST, DIAGONAL, PRODUCT, RESHAPES, SQUARE

META = Rule(
    "SC501",
    "square-mask-on-rectangle",
    Severity.ERROR,
    "the self pairs (i, i) are masked in a matrix whose columns are not its rows",
)

# what only changes type, place or shape of the indices 0..n-1
INDEX_STEPS = CAST | RESHAPES | ADDS_AXIS


@META.on(Called)
def check(fact: Called, facts: Facts) -> Iterator[Finding]:
    matrix = _diagonal_of(fact)
    if matrix is None or matrix.axes is None or len(matrix.axes) != 2 or fact.site.path != facts.path:
        return
    rows, columns = matrix.axes
    index = fact.args.get("index") if fact.key == "scatter" else None
    if isinstance(index, Tensor) and index.axes and not _named(rows.size, facts) and _named(index.axes[0].size, facts):
        rows = index.axes[0]  # the code itself says what the rows are
    if not _differ(rows, columns, facts) or _own_block_first(matrix, rows, columns):
        return
    names = facts.names()
    shape, n, m = names.shape(matrix), names.axis(rows), names.axis(columns)
    factor = exact_div(columns.size, rows.size)
    verdict = compare(columns.size, rows.size)
    gathered = _gathered(columns)
    done = "taken" if fact.kind & DIAGONAL else "marked" if fact.kind & SQUARE else "cleared"
    if gathered or (factor is not None and "world_size" in symbols(factor)):
        message = (
            f"the diagonal of {shape} is {done}, but row i's own column is rank*{n} + i after the gather: "
            f"column i is its own only on rank 0"
        )
        help = f"use the own rank's block of columns first: `x[:, rank * n : (rank + 1) * n]` with n = {n}"
    else:
        message = (
            f"the diagonal of {shape} is {done} as if column i were row i, but the {m} columns are not the {n} rows"
        )
        help = f"mask the diagonal only where rows and columns are the same {n} things"
    yield META.finding(
        fact.site,
        message,
        None if factor is not None else Severity.WARNING,
        notes=_notes(matrix, names, fact),
        condition=verdict.when(names.symbol),
        help=help,
        covers=("SC801",),
    )


@META.on(Called)
def check_own(fact: Called, facts: Facts) -> Iterator[Finding]:
    """The diagonal of `bank[index] @ bank.t()`: row i meets itself in column index[i]."""
    if fact.site.path == facts.path:
        matrix = of_diagonal(fact) or _diagonal_of(fact)
        yield from _elsewhere(fact, facts, matrix) if matrix is not None else ()


@META.on(Stored)
def check_stored(fact: Stored, facts: Facts) -> Iterator[Finding]:
    """`sim[arange(n), arange(n)] = -inf`."""
    if fact.site.path == facts.path and diagonal_index(fact.items):
        yield from _elsewhere(fact, facts, fact.tensor)


def _elsewhere(fact: Called | Stored, facts: Facts, matrix: Tensor) -> Iterator[Finding]:
    own = own_column(matrix)
    if own is None:
        return
    shape = facts.names().shape(matrix)
    yield META.finding(
        fact.site,
        f"the entries (i, i) of {shape} are not the rows beside themselves: row i's own column is {own.text}",
        Severity.WARNING,
        notes=(Note("this tells the own column", own.site),),
        help="use the own columns: `x[torch.arange(n), index]`, or `x.diagonal(offset)` of a block further on",
    )


def _own_block_first(matrix: Tensor, rows: Axis, columns: Axis) -> bool:
    """Are the columns blocks of which the first is the rows themselves: views one after the other, not a gather?
    A mask that was repeated for such blocks counts; scores against copies of the rows do not."""
    match columns.layout:
        case Merged(factors=(first, *_, last)) if last.size == rows.size:
            scores = any(t.made is not None and t.made.kind & PRODUCT for t in ancestors(matrix, 8))
            return first.role == "block" or (first.role == "copy" and not scores)
        case _:
            return False


def _diagonal_of(fact: Called) -> Tensor | None:
    """The matrix whose entries (i, i) this writes or reads; None for other calls."""
    if fact.kind & SQUARE:
        return _measured(fact)
    x = fact.args.get("input")
    if not isinstance(x, Tensor):
        return None
    if fact.key == "fill_diagonal":
        return x
    if fact.kind & DIAGONAL and fact.key != "trace":
        offset = fact.args.get("offset", fact.args.get("diagonal"))
        plain = offset in (0, None, Num(0))
        return x if plain and not fact.given & {"dim1", "dim2"} else None
    if fact.key == "scatter" and x.axes is not None and len(x.axes) == 2:
        dim, index = fact.args.get("dim"), fact.args.get("index")
        if isinstance(index, Tensor) and isinstance(dim, Num) and dim.size in (1, -1) and _counts_rows(index):
            return x
    return None


def _measured(fact: Called) -> Tensor | None:
    """The gathered matrix whose two sizes `eye(*x.shape)` takes. Of other columns the first may well be the own."""
    n, m = fact.args.get("n"), fact.args.get("m")
    pairs = [(v.of, v.at) for v in (n, m) if isinstance(v, Num) and v.of is not None]
    if len(pairs) != 2 or pairs[0][0] is None or pairs[1][0] is None:
        return None
    matrix = pairs[0][0]
    if matrix.made is not pairs[1][0].made or (pairs[0][1], pairs[1][1]) != (0, 1):
        return None
    axes = matrix.axes if matrix.rank == 2 else None
    gathered = axes is not None and _gathered(axes[1]) and not _gathered(axes[0])
    return matrix if gathered or own_column(matrix) is not None else None


def _counts_rows(index: Tensor) -> bool:
    """`arange(n).view(-1, 1)`: entry i is i."""
    if index.axes is None or len(index.axes) != 2 or index.axes[1].size != 1:
        return False
    for _ in range(10):
        if index.content == Affine(0, 1):
            return True
        made = index.made
        source = made.args.get("input") if made is not None and made.kind & INDEX_STEPS else None
        if not isinstance(source, Tensor):
            return False
        index = source
    return False


def _differ(rows: Axis, columns: Axis, facts: Facts) -> bool:
    """The axes are known to count different things, and not merely by two names that nothing ties."""
    if not compare(rows.size, columns.size).sometimes:
        return False
    if isinstance(columns.layout, Joined) and columns.layout.parts[0].size == rows.size:
        return False  # the rows themselves come first
    if exact_div(columns.size, rows.size) is not None:
        return True
    if _gathered(columns):
        assert isinstance(columns.layout, Merged)
        own = columns.layout.factors[-1].size
        return as_symbol(own) is not None and not _named(own, facts)  # as many rows as there are here
    if symbols(rows.size) & symbols(columns.size) or (_is_count(rows.size) and _is_count(columns.size)):
        return False
    return _named(rows.size, facts) and _named(columns.size, facts)


def _is_count(size: Size) -> bool:
    """The plain number of rows of some tensor: two of them may well be equal by the caller's will."""
    name = as_symbol(size)
    return name is not None and not name.startswith("$")


def _gathered(axis: Axis) -> bool:
    return isinstance(axis.layout, Merged) and axis.layout.factors[0].role == "rank"


def _named(size: Size, facts: Facts) -> bool:
    """The author, or a constructor, gave every part of the size a name."""
    name = as_symbol(size)
    parts = symbols(size) if name is None else {name}
    return bool(parts) and all(not p.startswith("?") or p in facts.authored for p in parts)


def _notes(matrix: Tensor, names: Names, fact: Called) -> tuple[Note, ...]:
    """Where the columns come from, and for a diagonal that is read where the matrix does."""
    notes: list[Note] = []
    columns = (matrix.axes or ())[1]
    if (
        columns.origin is not None
        and columns.origin.site is not None
        and columns.origin.site.node is not fact.site.node
    ):
        notes.append(Note(f"the {names.axis(columns)} columns come from here", columns.origin.site))
    if fact.kind & (DIAGONAL | SQUARE) and matrix.made is not None and matrix.made.site.node is not fact.site.node:
        notes.append(Note("the matrix is made here", matrix.made.site))
    return tuple(notes)
