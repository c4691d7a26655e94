"""The matmul family, einsum, tensordot and the products that need more than a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from shapecheck.dims import NEVER
from shapecheck.engine.values import Assumption, Axis, Many, Origin, Partial, Shape, Tensor, Value
from shapecheck.ops import customs
from shapecheck.ops.axes import (
    as_tensor,
    integers,
    is_none,
    members,
    position,
    promote,
    put,
    rank_crash,
    require,
    same_axis,
    take,
    text,
    wrong_dim,
)  # fmt: skip
from shapecheck.ops.demands import Demand
from shapecheck.ops.kit import Kit, op
from shapecheck.ops.layout import merge
from shapecheck.ops.pointwise import fits_into
from shapecheck.ops.reduce import reduced
from shapecheck.ops.signature import apply

# --------------------------------------------------------------------- matmul

MATMUL = "k, k -> | n k, k -> n | k, k m -> m | *#b n k, k -> *b n | k, *#b k m -> *b m | *#b n k, *#b k m -> *b n m"


@op("torch.matmul", "Tensor.matmul", "Tensor.__matmul__", "operator.matmul", "torch.linalg.matmul")
def matmul(kit: Kit, input: Value, other: Value) -> Value:
    a, b = as_tensor(input), as_tensor(other)
    return Tensor(multiplied(kit, "matmul", a, b), promote(a.dtype, b.dtype))


def multiplied(kit: Kit, name: str, a: Tensor, b: Tensor) -> Shape:
    if isinstance(a.shape, tuple) and isinstance(b.shape, tuple):
        return apply(kit, name, MATMUL, (a, b))[0]
    return _half_known(kit, name, a, b)


def _half_known(kit: Kit, name: str, a: Tensor, b: Tensor) -> Shape:
    """One rank is open. What holds for every rank that it can have."""
    last = take(a.shape, -1)
    inner = take(b.shape, -1 if b.rank == 1 else -2)
    if last is not None and inner is not None and (b.rank or 0) > 0:
        require(kit, "inner", name, (a, b), last.size, inner.size)
    if b.rank == 1:
        return put(a.shape, -1)
    if b.rank == 2 and b.axes is not None:
        if isinstance(a.shape, Partial) and not a.shape.tail:
            return Partial(a.shape.head[:-1], (b.axes[1],))
        return put(a.shape, -1, b.axes[1])
    column = take(b.shape, -1) if _least(b) >= 2 else None
    if a.rank == 1 and _least(b) >= 2:
        return put(b.shape, -2)
    front = _in_front(a, b) or _in_front(b, a)
    if column is None:
        return Partial(front)
    row = take(a.shape, -2)
    return Partial(front, (row, column) if row is not None else (column,))


def _in_front(tensor: Tensor, other: Tensor) -> tuple[Axis, ...]:
    """The leading axes of a tensor of open rank that stand before all axes of the other, so that nothing meets them."""
    if isinstance(tensor.shape, Partial) and other.axes is not None:
        return tensor.shape.head[: max(tensor.shape.min_rank - max(len(other.axes), 2), 0)]
    return ()


def _least(tensor: Tensor) -> int:
    return tensor.shape.min_rank if isinstance(tensor.shape, Partial) else len(tensor.shape)


@op("torch.addmm", "Tensor.addmm", "Tensor.addmm_")
def addmm(kit: Kit, input: Value, mat1: Value, mat2: Value, *, beta: Any = 1, alpha: Any = 1) -> Value:
    return _added(kit, "addmm", "n k, k m -> n m", input, mat1, mat2)


@op("torch.addmv", "Tensor.addmv", "Tensor.addmv_")
def addmv(kit: Kit, input: Value, mat: Value, vec: Value, *, beta: Any = 1, alpha: Any = 1) -> Value:
    return _added(kit, "addmv", "n k, k -> n", input, mat, vec)


@op("torch.addr", "Tensor.addr", "Tensor.addr_")
def addr(kit: Kit, input: Value, vec1: Value, vec2: Value, *, beta: Any = 1, alpha: Any = 1) -> Value:
    return _added(kit, "addr", "n, m -> n m", input, vec1, vec2)


@op("torch.baddbmm", "Tensor.baddbmm", "Tensor.baddbmm_")
def baddbmm(kit: Kit, input: Value, batch1: Value, batch2: Value, *, beta: Any = 1, alpha: Any = 1) -> Value:
    return _added(kit, "baddbmm", "b n k, b k m -> b n m", input, batch1, batch2)


def _added(kit: Kit, name: str, line: str, input: Value, left: Value, right: Value) -> Tensor:
    """A product plus something that broadcasts to it."""
    shape = apply(kit, name, line, (left, right))[0]
    dtype = promote(as_tensor(input).dtype, as_tensor(left).dtype)
    if isinstance(shape, tuple):
        fits_into(kit, name, Tensor(shape), as_tensor(input))
    return Tensor(shape, dtype)


@op("torch.linalg.multi_dot", "torch.chain_matmul")
def multi_dot(kit: Kit, tensors: Value) -> Value:
    given = members(tensors)
    if given is None or not given:
        return Tensor()
    result = as_tensor(given[0])
    for value in given[1:]:
        result = Tensor(multiplied(kit, "multi_dot", result, as_tensor(value)), result.dtype)
    return result


@op("torch.nn.functional.linear")
def linear(kit: Kit, input: Value, weight: Value, bias: Value | None = None) -> Value:
    x, w = as_tensor(input), as_tensor(weight)
    if w.rank == 1:  # a vector of weights: a product with it
        return Tensor(multiplied(kit, "linear", x, w), promote(x.dtype, w.dtype))
    w = kit.rank(w, 2)
    if w.axes is None or len(w.axes) != 2:
        if w.axes is not None:
            rank_crash(kit, "linear", (x, w), len(w.axes), 2, "linear needs a weight of rank 2")
        return Tensor(Partial(), x.dtype)
    if isinstance(bias, Tensor) and bias.rank == 1 and bias.sizes != (1,):
        require(kit, "inner", "linear", (x, w, bias), w.axes[0].size, (bias.sizes or (1,))[0], "bias")
    return Tensor(project(kit, "linear", x, w.axes[1], w.axes[0], "inner"), x.dtype)


def project(kit: Kit, name: str, x: Tensor, inside: Axis, outside: Axis, demand: Demand) -> Shape:
    """`x` with its last axis, which must be `inside`, turned into `outside`."""
    if x.shape == ():
        rank_crash(kit, name, (x,), 0, 1, f"{name} needs at least one axis")
        return Partial()
    last = take(x.shape, -1)
    if last is not None:
        require(kit, demand, name, (x,), last.size, inside.size)
    elif isinstance(x.shape, Partial) and not x.shape.head:
        x = kit.refine(x, Partial((), (inside,), x.shape.key))
    if take(x.shape, -1) is None:
        # who asks for the size of axis 0 counts rows with it: it is not the axis of the features
        head = x.shape.head if isinstance(x.shape, Partial) else ()
        if len(head) == 1:
            custom = kit.assume(customs.HEADED)
            head = () if custom is None else (_assumed(kit, head[0], custom),)
        else:
            head = head[:-1]
        return Partial(head, (outside,))
    return put(x.shape, -1, outside)


def _assumed(kit: Kit, axis: Axis, custom: Assumption) -> Axis:
    return axis if axis.origin is not None else replace(axis, origin=Origin("by custom", custom.site, custom))


@op("torch.nn.functional.bilinear")
def bilinear(kit: Kit, input1: Value, input2: Value, weight: Value, bias: Value | None = None) -> Value:
    line = "*b n, *b m, o n m -> *b o"
    return Tensor(apply(kit, "bilinear", line, (input1, input2, weight))[0], "float")


@op("torch.cross", "torch.linalg.cross", "Tensor.cross")
def cross(kit: Kit, input: Value, other: Value, dim: Any = -1) -> Value:
    a, b = as_tensor(input), as_tensor(other)
    if a.rank is not None and b.rank is not None and a.rank != b.rank:
        rank_crash(kit, "cross", (a, b), a.rank, b.rank, "cross needs one rank")
        return Tensor(Partial(), a.dtype)
    shape, at = kit.broadcast("cross", a, b), kit.integer(dim)
    axis = None if at is None else take(shape, at)
    if axis is not None:
        require(kit, "setting", "cross", (a, b), axis.size, 3, "a cross product is of 3 numbers")
    return Tensor(shape, a.dtype)


@op("torch.linalg.vecdot")
def vecdot(kit: Kit, x: Value, y: Value, *, dim: Any = -1) -> Value:
    both = Tensor(kit.broadcast("vecdot", as_tensor(x), as_tensor(y)), as_tensor(x).dtype)
    return summed(kit, "vecdot", both, dim)


@op("torch.nn.functional.cosine_similarity", "torch.cosine_similarity")
def cosine_similarity(kit: Kit, x1: Value, x2: Value, dim: Any = 1, eps: Any = 1e-8) -> Value:
    """Row by row: both broadcast, then `dim` is summed."""
    both = Tensor(kit.broadcast("cosine_similarity", as_tensor(x1), as_tensor(x2)), "float")
    return summed(kit, "cosine_similarity", both, dim)


@op("torch.nn.functional.pairwise_distance", "torch.pairwise_distance")
def pairwise_distance(kit: Kit, x1: Value, x2: Value, p: Any = 2.0, eps: Any = 1e-6, keepdim: Any = False) -> Value:
    """Row by row over the last axis, whatever its name says."""
    both = Tensor(kit.broadcast("pairwise_distance", as_tensor(x1), as_tensor(x2)), "float")
    return summed(kit, "pairwise_distance", both, -1, keepdim)


def summed(kit: Kit, name: str, tensor: Tensor, dim: Any, keepdim: Any = False) -> Tensor:
    return Tensor(reduced(kit, name, tensor, dim, keepdim), tensor.dtype)


@op("torch.tensordot")
def tensordot(kit: Kit, a: Value, b: Value, dims: Any = 2, out: Any = None) -> Value:
    left, right = as_tensor(a), as_tensor(b)
    if left.axes is None or right.axes is None:
        return Tensor(Partial(), left.dtype)
    count, pair = kit.integer(dims), members(dims)
    if count is not None:
        mine: tuple[int, ...] | None = tuple(range(len(left.axes) - count, len(left.axes)))
        theirs: tuple[int, ...] | None = tuple(range(count))
        if count > min(len(left.axes), len(right.axes)):
            wrong_dim(kit, "tensordot", left, count)
            return Tensor(Partial(), left.dtype)
    elif pair is not None and len(pair) == 2:
        mine, theirs = integers(kit, pair[0]), integers(kit, pair[1])
    else:
        return Tensor(Partial(), left.dtype)
    if mine is None or theirs is None:
        return Tensor(Partial(), left.dtype)
    here = [position(left.shape, d) for d in mine]
    there = [position(right.shape, d) for d in theirs]
    if None in here or None in there or len(here) != len(there):
        wrong_dim(kit, "tensordot", left, mine[0])
        return Tensor(Partial(), left.dtype)
    for i, j in zip(here, there):
        assert i is not None
        assert j is not None
        if left.axes[i].size != 1 and right.axes[j].size != 1:
            require(kit, "inner", "tensordot", (left, right), left.axes[i].size, right.axes[j].size)
    rest = [x for i, x in enumerate(left.axes) if i not in here]
    rest += [x for j, x in enumerate(right.axes) if j not in there]
    return Tensor(tuple(rest), promote(left.dtype, right.dtype))


@op("torch.nn.functional.scaled_dot_product_attention")
def scaled_dot_product_attention(
    kit: Kit, query: Value, key: Value, value: Value, attn_mask: Value | None = None, dropout_p: Any = 0.0,
    is_causal: Any = False, scale: Any = None, enable_gqa: Any = False,
) -> Value:  # fmt: skip
    line = "*#b l e, *#b s e, *#b s v -> *b l v"
    if is_none(enable_gqa) or enable_gqa is False:
        return Tensor(apply(kit, "scaled_dot_product_attention", line, (query, key, value))[0], as_tensor(query).dtype)
    width = take(as_tensor(value).shape, -1)
    shape = as_tensor(query).shape
    return Tensor(put(shape, -1, width) if width and take(shape, -1) else Partial(), as_tensor(query).dtype)


# --------------------------------------------------------------------- einsum


@op("torch.einsum")
def einsum(kit: Kit, equation: Value, *operands: Value) -> Value:
    """Letters are sizes; `...` axes broadcast; without `->` the letters that occur once, in alphabetical order."""
    pattern = text(equation)
    listed = members(operands[0]) if len(operands) == 1 and not isinstance(operands[0], Tensor) else None
    given = [as_tensor(v) for v in (listed if listed is not None else operands)]
    if pattern is None:
        return Tensor()
    pattern = pattern.replace(" ", "")
    left, arrow, right = pattern.partition("->")
    terms = left.split(",")
    if len(terms) != len(given):
        kit.crash("terms", "einsum", given, len(terms), len(given), NEVER,
                  f"{len(terms)} terms for {len(given)} operands")  # fmt: skip
        return Tensor()
    if not arrow:
        letters = sorted(c for c in set(left) if c.isalpha() and left.count(c) == 1)
        right = ("..." if "..." in left else "") + "".join(letters)
    return contracted(kit, "einsum", [_letters(t) for t in terms], _letters(right), given)


def _letters(term: str) -> list[str]:
    found: list[str] = []
    for part in term.replace("...", "\0"):
        found.append("..." if part == "\0" else part)
    return found


def contracted(
    kit: Kit, name: str, terms: Sequence[Sequence[str]], output: Sequence[str], given: Sequence[Tensor]
) -> Tensor:
    """Operands with named axes, and the names that the result has. Sizes of 1 stretch, as torch's einsum lets them."""
    bound: dict[str, Axis] = {}
    rest: list[Shape] = []
    for term, tensor in zip(terms, given):
        if not _bind_term(kit, name, term, tensor, given, bound, rest):
            return Tensor()
    dtype = promote(*(t.dtype for t in given))
    if any(c != "..." and c not in bound and not any(c in t for t in terms) for c in output):
        kit.crash("terms", name, given, None, None, NEVER, "the result names an axis that no operand has")
        return Tensor(Partial(), dtype)
    between: Shape = ()
    if "..." in output or rest:
        shapes = [Tensor(s) for s in rest]
        between = kit.broadcast(name, *shapes) if len(shapes) > 1 else rest[0] if rest else ()
    axes = [c if c == "..." else bound.get(c) or Axis(kit.fresh(c)) for c in output]
    at = axes.index("...") if "..." in axes else None
    before = tuple(a for a in axes[:at] if isinstance(a, Axis))
    after = tuple(a for a in axes[at + 1 :] if isinstance(a, Axis)) if at is not None else ()
    if at is None:
        return Tensor(before, dtype)
    if isinstance(between, Partial):
        return Tensor(Partial((*before, *between.head), (*between.tail, *after)), dtype)
    return Tensor((*before, *between, *after), dtype)


def _bind_term(
    kit: Kit, name: str, term: Sequence[str], tensor: Tensor, given: Sequence[Tensor], bound: dict[str, Axis],
    rest: list[Shape],
) -> bool:  # fmt: skip
    """Give the letters of one operand their sizes. False where the ranks disagree (stated)."""
    at = term.index("...") if "..." in term else None
    if at is None:
        tensor = kit.rank(tensor, len(term))
    axes = tensor.axes
    if axes is None:
        shape = tensor.shape
        assert isinstance(shape, Partial)
        assert at is not None
        head, tail = list(zip(term[:at], shape.head)), list(zip(reversed(term[at + 1 :]), reversed(shape.tail)))
        pairs = head + tail
        rest.append(Partial())
    else:
        if len(axes) < len(term) - (at is not None) or (at is None and len(axes) > len(term)):
            kit.crash("terms", name, given, len(axes), len(term), NEVER,
                      f"{''.join(term)!r} for an operand of rank {len(axes)}")  # fmt: skip
            return False
        count = len(term) - at - 1 if at is not None else 0
        pairs = list(zip(term[:at], axes))
        if at is not None:
            rest.append(axes[at : len(axes) - count])
            pairs += list(zip(term[at + 1 :], axes[len(axes) - count :]))
    own: dict[str, Axis] = {}
    for letter, axis in pairs:
        if letter in own:  # a diagonal: its two sizes must be equal, also where one is 1
            require(kit, "letter", name, given, own[letter].size, axis.size, f"axis {letter!r} twice in one operand")
            continue
        own[letter] = axis
        known = bound.get(letter)
        if known is None or known.size == 1:
            bound[letter] = axis
        elif axis.size != 1:
            require(kit, "letter", name, given, known.size, axis.size, f"axis {letter!r}")
            bound[letter] = same_axis(kit, known, axis)
    return True


@op("torch.inner", "Tensor.inner")
def inner(kit: Kit, input: Value, other: Value) -> Value:
    """Sums over both last axes; with a scalar, a plain product."""
    a, b = as_tensor(input), as_tensor(other)
    dtype = promote(a.dtype, b.dtype)
    if a.axes is None or b.axes is None:
        return Tensor(Partial(), dtype)
    if not a.axes or not b.axes:
        return Tensor(a.axes or b.axes, dtype)
    require(kit, "inner", "inner", (a, b), a.axes[-1].size, b.axes[-1].size)
    return Tensor((*a.axes[:-1], *b.axes[:-1]), dtype)


@op("torch.kron", "Tensor.kron")
def kron(kit: Kit, input: Value, other: Value) -> Value:
    """Sizes multiply, axis by axis from the right."""
    a, b = as_tensor(input), as_tensor(other)
    if a.axes is None or b.axes is None:
        return Tensor(Partial(), promote(a.dtype, b.dtype))
    rank = max(len(a.axes), len(b.axes))
    left, right = ((Axis(1),) * (rank - len(t)) + t for t in (a.axes, b.axes))
    return Tensor(tuple(merge(kit, (x, y), "kron") for x, y in zip(left, right)), promote(a.dtype, b.dtype))


@op("torch.linalg.lstsq")
def decomposition(kit: Kit, A: Value, *more: Any, **settings: Any) -> Value:
    return Many(Tensor(), None, "tuple")
