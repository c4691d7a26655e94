"""What torch demands of arguments, by name: whoever reads a demand asks which it is, never how it is worded.

Every demand compares two sizes, or two counts: `left` is what there is, `right` what it must be (or stay under).
"""

from __future__ import annotations

from typing import Literal, TypeAlias

Demand: TypeAlias = Literal[
    "rank",  # the ranks are among those that the op takes
    "dim",  # the tensor has that axis
    "setting",  # a number, an order of axes or a text that the op can work with
    "indices",  # no more indices than axes
    "inner",  # the axes that are multiplied have one size
    "broadcast",  # counted from the right, sizes are equal or 1
    "stretch",  # only axes of size 1 are stretched
    "elements",  # as many elements as the sizes asked for have
    "divides",  # the elements can be split by the sizes that are given
    "open size",  # at most one size is left to torch
    "pattern",  # an axis has the size that a pattern or its lengths give to it
    "joined",  # all axes but the joined one are equal
    "letter",  # one letter of an einsum stands for one size
    "terms",  # an einsum has a term for each operand, and a letter for each axis
    "made for",  # the sizes that a layer was made for
    "window",  # a kernel fits into what it runs over
    "target",  # the target fits the scores
    "mask",  # a mask has the shape of what it picks from
    "within",  # an index, a count or a place stays within its axis
    "fits",  # indices and what is written have no more places than what they stand in
    "sum",  # the parts add up to the axis
    "count",  # one count, index or row for each place of an axis
]
