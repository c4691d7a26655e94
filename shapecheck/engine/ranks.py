"""Ranks that follow from each other: the operands' from what is learned of a result, and the other way round.

Only what torch needs is told: `x.sum(1)` has one axis less than x, whatever x is; of `a * b` the rank is known when one
operand has fewer axes than the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from shapecheck.engine.values import Items, Lit, Made, Many, Num, Partial, SliceVal, Tensor, Value
from shapecheck.ops.axes import is_number

Rank = Callable[[Tensor], "int | None"]

# results with as many axes as their first operand
_ALONG = frozenset(
    {
        "all_gather",
        "cat",
        "chunk",
        "split",
        "tensor_split",
        "narrow",
        "normalize",
        "softmax",
        "log_softmax",
        "softmin",
        "cumsum",
        "cumprod",
        "logcumsumexp",
        "cummax",
        "cummin",
        "sort",
        "argsort",
        "topk",
        "flip",
        "roll",
        "tril",
        "triu",
        "t",
        "T",
        "mT",
        "transpose",
        "permute",
        "movedim",
        "gather",
        "index_select",
        "scatter",
        "scatter_add",
        "index_fill",
        "index_add",
        "fill_diagonal",
        "Linear",
        "layer_norm",
        "LayerNorm",
        "dropout",
        "batch_norm",
        "type_as",
        "same",
        "pad",
    }
)
_MORE = {"unsqueeze": 1, "stack": 1, "embedding": 1, "Embedding": 1, "one_hot": 1, "unbind": -1, "select": -1,
         "diagonal": -1, "diag_embed": 1}  # fmt: skip
_REDUCTIONS = frozenset(
    {
        "sum",
        "nansum",
        "mean",
        "nanmean",
        "amax",
        "amin",
        "logsumexp",
        "prod",
        "any",
        "all",
        "count_nonzero",
        "argmax",
        "std",
        "var",
        "max",
        "min",
        "median",
        "nanmedian",
        "mode",
        "norm",
        "linalg_norm",
    }
)
_ELEMENTWISE = frozenset(
    {
        "add",
        "sub",
        "mul",
        "div",
        "pow",
        "remainder",
        "fmod",
        "floor_divide",
        "maximum",
        "minimum",
        "fmax",
        "fmin",
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
        "logical_and",
        "logical_or",
        "logical_xor",
        "bitwise_and",
        "bitwise_or",
        "bitwise_xor",
        "subtract",
        "multiply",
        "true_divide",
        "atan2",
        "xlogy",
    }
)
_PRODUCTS = frozenset({"matmul"})
_ROWWISE = frozenset({"cosine_similarity", "pairwise_distance"})


def operands_learn(made: Made, rank: int, known: Rank) -> Iterator[tuple[Tensor, int]]:
    """What a result of this rank tells of the operands."""
    along = _along(made)
    if along is not None:
        operand, more = along
        if rank - more >= 0:
            yield operand, rank - more
        return
    pair = _pair(made)
    if pair is None:
        return
    if made.op in _PRODUCTS:
        for one, other in (pair, pair[::-1]):
            if known(other) == 2 or (known(other) == 1 and rank > 0):
                yield one, rank + (known(other) == 1)
        return
    widest = rank + (made.op in _ROWWISE)
    for one, other in (pair, pair[::-1]):
        least = known(other)
        if _made_of(other, one) or (least is not None and least < widest):
            yield one, widest


def follows(made: Made, known: Rank) -> int | None:
    """The rank of the result, where those of the operands tell."""
    along = _along(made)
    if along is not None:
        rank = known(along[0])
        return None if rank is None or rank + along[1] < 0 else rank + along[1]
    pair = _pair(made)
    if pair is None:
        return None
    for one, other in (pair, pair[::-1]):
        if made.op not in _PRODUCTS and _made_of(other, one):
            rank = known(one)
            return None if rank is None else rank - (made.op in _ROWWISE)
    a, b = known(pair[0]), known(pair[1])
    if a is None or b is None or (made.op in _PRODUCTS and min(a, b) == 0):
        return None
    if made.op in _PRODUCTS:
        return max(a, b) if min(a, b) > 1 else max(a, b) - (2 if a == b == 1 else 1)
    return max(a, b) - (made.op in _ROWWISE)


_ASKED = _ALONG | _MORE.keys() | _REDUCTIONS | _ELEMENTWISE | _PRODUCTS | _ROWWISE | {"getitem", "masked_fill"}
_READ = ("input", "other", "tensor", "tensors", "A", "x1", "x2", "mask", "dim", "keepdim", "index")


def looked_at(made: Made) -> tuple[Any, ...]:
    """All of its arguments that the answers above depend on."""
    return tuple(made.args[name] for name in _READ if name in made.args) if made.op in _ASKED else ()


def _along(made: Made) -> tuple[Tensor, int] | None:
    """The one operand whose rank decides the result's, and how many more axes the result has."""
    if made.op in _ELEMENTWISE:
        a, b = made.args.get("input"), made.args.get("other")
        for one, other in ((a, b), (b, a)):
            if isinstance(one, Tensor) and is_number(other):
                return one, 0
        return None
    operand = _first(made.args)
    if operand is None:
        return None
    if made.op in _ALONG:
        return operand, 0
    if made.op in _MORE:
        return operand, _MORE[made.op]
    if made.op == "getitem":
        more = _indexed(made.args.get("index"))
        return None if more is None else (operand, more)
    if made.op in _REDUCTIONS:
        dims = _dims(made.args.get("dim"))
        keep = made.args.get("keepdim", False)
        if dims is None or keep not in (True, False, Lit(True), Lit(False)):
            return None
        return operand, 0 if keep in (True, Lit(True)) else -dims
    return None


def _made_of(part: Tensor, whole: Tensor) -> bool:
    """`x.norm(dim=-1)` beside x, `x[None]` beside `x[:, None]`: has the part no more axes than the whole, whatever the
    rank of what both were made of?"""
    theirs = dict(_chain(whole))
    return any(more <= theirs[key] for key, more in _chain(part) if key in theirs)


def _chain(tensor: Tensor) -> Iterator[tuple[str, int]]:
    """The unknown shapes that this one follows from, each with how many more axes this one has."""
    more = 0
    for _ in range(8):
        if isinstance(tensor.shape, Partial) and tensor.shape.key is not None:
            yield tensor.shape.key, more
        along = None if tensor.made is None else _along(tensor.made)
        if along is None:
            return
        tensor, more = along[0], more + along[1]


def _first(args: dict[str, Any]) -> Tensor | None:
    value = args.get("input", args.get("tensor", args.get("tensors", args.get("A"))))
    match value:
        case Many(item=member):
            value = member
        case Items(items=(first, *_)):
            value = first
        case (first, *_):
            value = first
    return value if isinstance(value, Tensor) else None


def _pair(made: Made) -> tuple[Tensor, Tensor] | None:
    if made.op in _ELEMENTWISE or made.op in _PRODUCTS:
        a, b = made.args.get("input"), made.args.get("other")
    elif made.op == "masked_fill":
        a, b = made.args.get("input"), made.args.get("mask")
    elif made.op in _ROWWISE:
        a, b = made.args.get("x1"), made.args.get("x2")
    else:
        return None
    return (a, b) if isinstance(a, Tensor) and isinstance(b, Tensor) else None


def _dims(value: Any) -> int | None:
    """How many axes `dim=` names; None for all of them, or where that is not known."""
    match value:
        case bool():
            return None
        case int() | Num(size=int()):
            return 1
        case Items(items=items) if items and all(isinstance(i, Num) and isinstance(i.size, int) for i in items):
            return len(items)
        case _:
            return None


def _indexed(index: Value | None) -> int | None:
    """How many more axes a basic index leaves: `x[:, None]` one more, `x[0]` one less."""
    if index is None:
        return None
    more = 0
    for item in index.items if isinstance(index, Items) else (index,):
        match item:
            case Lit(value=None):
                more += 1
            case Num():
                more -= 1
            case SliceVal() | Lit(value=slice()):
                pass
            case Lit(value=v) if v is ...:
                pass
            case _:
                return None
    return more


__all__ = ["follows", "looked_at", "operands_learn"]
