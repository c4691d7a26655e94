"""SC301: zeros as labels of a matrix of all pairs make column 0 the positive of every row."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.blocks import Pairs, first_blocks
from shapecheck.analysis.constant import constant
from shapecheck.analysis.origin import NEUTRAL, base, blame, identity
from shapecheck.analysis.targets import grouped_by, labelled, multiple
from shapecheck.engine.facts import Called, Facts
from shapecheck.engine.values import Affine, Partial, Tensor
from shapecheck.findings.rule import Finding, Note, Rule, Severity, when_one
from shapecheck.ops.kinds import ASKS, CREATES, LEARNED

META = Rule(
    "SC301",
    "zero-target-on-all-pairs",
    Severity.ERROR,
    "zeros as labels of a matrix of all pairs make column 0 the positive of every row",
)


@META.on(Called)
def check(fact: Called, facts: Facts) -> Iterator[Finding]:
    loss = labelled(fact)
    if loss is None:
        return
    zeros = loss.content == Affine(0, 0)
    if not zeros and constant(loss.target) is None:
        return
    rows, columns = loss.rows.size, loss.columns.size
    blocks = first_blocks(loss.scores)
    if not blocks or (isinstance(rows, int) and not grouped_by(loss)):
        return
    groups = [multiple(*reversed([axis.size for axis in pairs.product.axes or ()])) for pairs in blocks]
    group = None if None in groups else groups[0]
    if any(_learned(pairs.right) for pairs in blocks) or (
        group is None and not _of_the_batch(blocks) and not _moved_on(loss.content)
    ):
        return
    names = facts.names()
    b = names.size(rows)
    stride = "" if group is None or group == 1 else f" * {names.size(group)}"
    notes = [
        Note(f"the scores {names.shape(pairs.product)} of all pairs are made here", made.site)
        for pairs in blocks
        if (made := pairs.product.made) is not None
    ]
    if loss.target.made is not None:
        notes.append(Note("the labels are all 0" if zeros else "the labels are all one number", loss.target.made.site))
    yield META.finding(
        blame(fact, [loss.scores, loss.target], facts.path),
        f"the labels are {'zeros' if zeros else 'one number'}, but these scores {names.shape(loss.scores)} pair every "
        f"row with all {names.size(columns)} columns of the batch: "
        + (
            "column 0 belongs to row 0, and every other row is trained towards it"
            if zeros
            else "one row has its own column there, and every other row is trained towards it"
        ),
        None if group is not None and zeros else Severity.WARNING,
        notes=tuple(notes),
        condition=when_one(b),
        help=(
            "label each row with the column of its own positive in the first block"
            if len(blocks) > 1
            else f"label row i with its own column, `torch.arange({b}){stride}`, or score each row against its own "
            "group only"
        ),
    )


def _moved_on(content: Affine | None) -> bool:
    """One number that the code computes, an offset: of classes or of a positive put first it would be 0, 1 or 2."""
    return content is not None and not isinstance(content.offset, int)


def _learned(right: Tensor) -> bool:
    """Are the columns a module's own, such as the classes of a layer, a queue or a bank, not rows of the batch?"""
    source = base(right)
    if source.made is not None:
        return bool(source.made.kind & (LEARNED | CREATES | ASKS))
    key = source.shape.key if isinstance(source.shape, Partial) else None
    return key is not None and "#" in key


def _of_the_batch(blocks: tuple[Pairs, ...]) -> bool:
    """Are the columns of each block the rows of another, as with two views of one batch?"""
    rows = {identity(pairs.left, NEUTRAL) for pairs in blocks}
    return len(blocks) > 1 and all(identity(pairs.right, NEUTRAL) in rows for pairs in blocks)
