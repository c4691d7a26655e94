"""Ways to break correct tensor code at one place: what `mutants.py` does to public files.

Each way is a function from a parsed node to the texts that may stand in its place. A way looks at the form of the code
only, never at what the linter knows, so that no rule can be tuned to it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Way = Callable[[ast.AST], Iterator[str]]
WAYS: dict[str, Way] = {}


@dataclass(frozen=True)
class Mutant:
    """One file's text with one node replaced: the way, the row of the node, and the whole new text."""

    way: str
    row: int
    before: str
    after: str
    text: str


def way(function: Way) -> Way:
    WAYS[function.__name__] = function
    return function


def mutants(text: str) -> Iterator[Mutant]:
    """Every mutant of a file that is still Python and differs from it."""
    tree = ast.parse(text)
    starts = [0]
    data = text.encode()
    for line in data.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for node in ast.walk(tree):
        if not isinstance(node, ast.expr):
            continue
        begin = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or 1) - 1] + (node.end_col_offset or 0)
        old = data[begin:end].decode()
        if "\n" in old:  # rows must stay where they are
            continue
        for name, make in WAYS.items():
            for new in make(node):
                if new == old:
                    continue
                changed = data[:begin] + new.encode() + data[end:]
                yield Mutant(name, node.lineno, old, new, changed.decode())


# ------------------------------------------------------------------ what a node is


def _call(node: ast.AST, *names: str) -> ast.Call | None:
    """A call of a function or method with one of these last names."""
    if not isinstance(node, ast.Call):
        return None
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return node if name in names else None


def _method(node: ast.AST, *names: str) -> tuple[ast.Call, ast.expr] | None:
    """A method call and what it is called on; not a function of torch or of a module named F, np, nn."""
    call = _call(node, *names)
    if call is None or not isinstance(call.func, ast.Attribute):
        return None
    owner = call.func.value
    if isinstance(owner, ast.Name) and owner.id in ("torch", "F", "np", "nn", "math", "einops"):
        return None
    return call, owner


def _keyword(call: ast.Call, name: str) -> ast.keyword | None:
    return next((k for k in call.keywords if k.arg == name), None)


def _int(node: ast.AST | None) -> int | None:
    match node:
        case ast.Constant(value=int(n)) if not isinstance(n, bool):
            return n
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(n))):
            return -n
    return None


def _with(call: ast.Call, args: list[ast.expr] | None = None, keywords: list[ast.keyword] | None = None) -> str:
    return ast.unparse(
        ast.Call(call.func, call.args if args is None else args, call.keywords if keywords is None else keywords)
    )


def _renamed(call: ast.Call, name: str, args: list[ast.expr] | None = None) -> str:
    assert isinstance(call.func, ast.Attribute)
    func = ast.Attribute(call.func.value, name, ast.Load())
    return ast.unparse(ast.Call(func, call.args if args is None else args, call.keywords))


def _dim(call: ast.Call, position: int) -> tuple[int | None, Callable[[int], str]]:
    """The plain dim of a call, and the call's text with another one."""
    given = _keyword(call, "dim") or _keyword(call, "axis")
    if given is not None:
        value = _int(given.value)

        def by_name(dim: int) -> str:
            more = [ast.keyword(k.arg, ast.Constant(dim)) if k is given else k for k in call.keywords]
            return _with(call, keywords=more)

        return value, by_name
    value = _int(call.args[position]) if len(call.args) > position else None

    def by_place(dim: int) -> str:
        args: list[ast.expr] = [ast.Constant(dim) if i == position else a for i, a in enumerate(call.args)]
        return _with(call, args)

    return value, by_place


def _place_of_dim(call: ast.Call) -> int:
    return 0 if _method(call, *_names(call)) else 1


def _names(call: ast.Call) -> tuple[str, ...]:
    return (call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", ""),)


# ------------------------------------------------------------------ the ways

REDUCTIONS = ("sum", "mean", "max", "min", "norm", "logsumexp", "std", "var", "amax", "amin", "prod")


@way
def keepdim_dropped(node: ast.AST) -> Iterator[str]:
    call = _call(node, *REDUCTIONS)
    if call and (given := _keyword(call, "keepdim")) and ast.unparse(given.value) == "True":
        yield _with(call, keywords=[k for k in call.keywords if k is not given])


@way
def unsqueeze_dropped(node: ast.AST) -> Iterator[str]:
    if found := _method(node, "unsqueeze"):
        yield ast.unparse(found[1])
    match node:
        case ast.Subscript(value=value, slice=ast.Tuple(elts=items)) if any(
            isinstance(i, ast.Constant) and i.value is None for i in items
        ):
            kept = [i for i in items if not (isinstance(i, ast.Constant) and i.value is None)]
            if all(isinstance(i, ast.Slice) and i.lower is i.upper is i.step is None for i in kept):
                yield ast.unparse(value)


@way
def squeeze_made_bare(node: ast.AST) -> Iterator[str]:
    if (found := _method(node, "squeeze")) and (found[0].args or found[0].keywords):
        yield _with(found[0], [], [])


@way
def transpose_dropped(node: ast.AST) -> Iterator[str]:
    """A transposed operand of a product."""
    match node:
        case ast.BinOp(left=left, op=ast.MatMult(), right=right):
            if (plain := _untransposed(right)) is not None:
                yield f"{ast.unparse(left)} @ {ast.unparse(plain)}"
            if (plain := _untransposed(left)) is not None:
                yield f"{ast.unparse(plain)} @ {ast.unparse(right)}"
    if (call := _call(node, "matmul", "mm", "bmm")) and call.args:
        plain = _untransposed(call.args[-1])
        if plain is not None:
            yield _with(call, [*call.args[:-1], plain])


def _untransposed(node: ast.expr) -> ast.expr | None:
    if found := _method(node, "t", "transpose"):
        return found[1]
    if isinstance(node, ast.Attribute) and node.attr in ("T", "mT"):
        return node.value
    return None


@way
def transpose_before_view_dropped(node: ast.AST) -> Iterator[str]:
    if found := _method(node, "view", "reshape", "flatten", "contiguous"):
        inner = _method(found[1], "transpose", "permute")
        if inner is not None and isinstance(found[0].func, ast.Attribute):
            func = ast.Attribute(inner[1], found[0].func.attr, ast.Load())
            yield ast.unparse(ast.Call(func, found[0].args, found[0].keywords))


@way
def view_axes_swapped(node: ast.AST) -> Iterator[str]:
    found = _method(node, "view", "reshape")
    if found and len(found[0].args) >= 2 and not any(isinstance(a, ast.Starred) for a in found[0].args):
        args = list(found[0].args)
        if ast.unparse(args[0]) != ast.unparse(args[1]):
            yield _with(found[0], [args[1], args[0], *args[2:]])


@way
def repeat_for_interleave(node: ast.AST) -> Iterator[str]:
    found = _method(node, "repeat_interleave")
    if found and found[0].args and (not found[0].keywords or _dim(found[0], 1)[0] == 0):
        yield ast.unparse(ast.Call(ast.Attribute(found[1], "repeat", ast.Load()), [found[0].args[0]], []))
    other = _method(node, "repeat")
    if other and len(other[0].args) == 1 and not isinstance(other[0].args[0], (ast.Starred, ast.Tuple, ast.List)):
        yield _renamed(other[0], "repeat_interleave")


@way
def cat_over_the_batch(node: ast.AST) -> Iterator[str]:
    call = _call(node, "cat")
    if call and call.args and isinstance(call.args[0], (ast.List, ast.Tuple)):
        dim, other = _dim(call, 1)
        if dim in (1, -1):
            yield other(0)


@way
def stack_for_cat(node: ast.AST) -> Iterator[str]:
    call = _call(node, "cat")
    if call and isinstance(call.func, ast.Attribute) and call.args and isinstance(call.args[0], (ast.List, ast.Tuple)):
        yield _renamed(call, "stack")


@way
def softmax_over_the_batch(node: ast.AST) -> Iterator[str]:
    call = _call(node, "softmax", "log_softmax")
    if call:
        dim, other = _dim(call, _place_of_dim(call))
        if dim in (1, -1):
            yield other(0)


@way
def normalize_over_the_batch(node: ast.AST) -> Iterator[str]:
    call = _call(node, "normalize")
    if call and isinstance(call.func, ast.Attribute) and call.args:
        dim, other = _dim(call, 2)
        if dim in (1, -1):
            yield other(0)
        elif dim is None and len(call.args) == 1 and not call.keywords:
            yield _with(call, keywords=[ast.keyword("dim", ast.Constant(0))])


@way
def reduced_over_the_batch(node: ast.AST) -> Iterator[str]:
    call = _call(node, "sum", "mean", "norm", "logsumexp", "argmax", "max")
    if call:
        dim, other = _dim(call, _place_of_dim(call))
        if dim in (1, -1) and not (_names(call) == ("norm",) and not _keyword(call, "dim")):
            yield other(0)


@way
def einsum_output_swapped(node: ast.AST) -> Iterator[str]:
    if (parts := _equation(node)) and len(parts[2]) >= 2 and parts[2].isalpha():
        call, sides, out = parts
        yield _equated(call, f"{sides}->{out[1]}{out[0]}{out[2:]}")


@way
def einsum_operand_swapped(node: ast.AST) -> Iterator[str]:
    if (parts := _equation(node)) and "," in parts[1]:
        call, sides, out = parts
        first, rest = sides.split(",", 1)
        first = first.strip()
        if len(first) >= 2 and first.isalpha():
            yield _equated(call, f"{first[1]}{first[0]}{first[2:]},{rest}->{out}")


def _equation(node: ast.AST) -> tuple[ast.Call, str, str] | None:
    call = _call(node, "einsum")
    if call is None or not call.args:
        return None
    match call.args[0]:
        case ast.Constant(value=str(text)) if "->" in text and " " not in text.replace(", ", ",").replace(" ->", "->"):
            sides, _, out = text.partition("->")
            return call, sides.strip(), out.strip()
    return None


def _equated(call: ast.Call, text: str) -> str:
    return _with(call, [ast.Constant(text), *call.args[1:]])


@way
def target_stride_dropped(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            for side in (left, right):
                if _call(side, "arange"):
                    yield ast.unparse(side)
    call = _call(node, "arange")
    if call and len(call.args) == 3 and _int(call.args[2]) != 1:
        yield _with(call, call.args[:2])


@way
def rank_offset_dropped(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            for kept, gone in ((left, right), (right, left)):
                if "rank" in ast.unparse(gone).lower() and "rank" not in ast.unparse(kept).lower():
                    yield ast.unparse(kept)


@way
def gather_dropped(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call) and "gather" in _names(node)[0].lower() and len(node.args) == 1 and not node.keywords:
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        if owner is None or ast.unparse(owner) in ("self", "dist", "torch.distributed", "self.accelerator"):
            yield ast.unparse(node.args[0])


@way
def arange_target_made_zeros(node: ast.AST) -> Iterator[str]:
    call = _call(node, "arange")
    if call and len(call.args) == 1 and isinstance(call.func, ast.Attribute):
        dtype = [] if _keyword(call, "dtype") else [ast.keyword("dtype", ast.parse("torch.long", mode="eval").body)]
        func = ast.Attribute(call.func.value, "zeros", ast.Load())
        yield ast.unparse(ast.Call(func, call.args, [*call.keywords, *dtype]))


@way
def mask_axis_changed(node: ast.AST) -> Iterator[str]:
    """A mask unsqueezed at another place."""
    found = _method(node, "unsqueeze")
    if found and "mask" in ast.unparse(found[1]).lower():
        dim, other = _dim(found[0], 0)
        if dim is not None:
            yield other(1 if dim in (0, -1, 2) else 0)


@way
def eye_size_changed(node: ast.AST) -> Iterator[str]:
    call = _call(node, "eye")
    if call and call.args:
        size = call.args[0]
        match size:
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                yield _with(call, [right if isinstance(left, ast.Constant) else left, *call.args[1:]])
            case _:
                double = ast.BinOp(ast.Constant(2), ast.Mult(), size)
                yield _with(call, [double, *call.args[1:]])


@way
def diagonal_offset_changed(node: ast.AST) -> Iterator[str]:
    call = _call(node, "diag", "diagonal")
    if call and len(call.args) >= 2 and _int(call.args[-1]) is None:
        yield _with(call, call.args[:-1])


@way
def rowwise_made_all_pairs(node: ast.AST) -> Iterator[str]:
    call = _call(node, "cosine_similarity")
    if call and len(call.args) >= 2 and not any(isinstance(n, ast.Subscript) for n in ast.walk(call)):
        yield ast.unparse(ast.BinOp(call.args[0], ast.MatMult(), ast.Attribute(call.args[1], "T", ast.Load())))
    match node:
        case ast.Call(func=ast.Attribute(value=ast.BinOp(left=left, op=ast.Mult(), right=right), attr="sum")) as whole:
            if _dim(whole, 0)[0] in (1, -1):
                yield f"{ast.unparse(left)} @ {ast.unparse(right)}.T"


@way
def expand_axes_swapped(node: ast.AST) -> Iterator[str]:
    found = _method(node, "expand", "repeat")
    if found and len(found[0].args) >= 2 and not any(isinstance(a, ast.Starred) for a in found[0].args):
        args = list(found[0].args)
        if ast.unparse(args[0]) != ast.unparse(args[1]):
            yield _with(found[0], [args[1], args[0], *args[2:]])


@way
def configured_for_own_size(node: ast.AST) -> Iterator[str]:
    """`x.size(0)`, `x.shape[0]` replaced by the configured batch size, inside a method."""
    match node:
        case ast.Call(func=ast.Attribute(attr="size"), args=[ast.Constant(value=0)]):
            yield "self.batch_size"
        case ast.Subscript(value=ast.Attribute(attr="shape"), slice=ast.Constant(value=0)):
            yield "self.batch_size"


@way
def chunk_order_changed(node: ast.AST) -> Iterator[str]:
    call = _call(node, "cat")
    match call.args[:1] if call else []:
        case [ast.List(elts=[first, second]) | ast.Tuple(elts=[first, second])]:
            assert call is not None
            yield _with(call, [ast.List([second, first], ast.Load()), *call.args[1:]])


@way
def permute_axes_swapped(node: ast.AST) -> Iterator[str]:
    found = _method(node, "permute")
    if found and len(found[0].args) >= 3 and all(_int(a) is not None for a in found[0].args):
        args = list(found[0].args)
        yield _with(found[0], [args[1], args[0], *args[2:]])


@way
def dim_of_size_changed(node: ast.AST) -> Iterator[str]:
    """`x.size(0)` made `x.size(1)`, and the other way round."""
    match node:
        case ast.Call(func=ast.Attribute(attr="size"), args=[ast.Constant(value=0 | 1 as dim)]) as call:
            yield _with(call, [ast.Constant(1 - dim)])
        case ast.Subscript(value=ast.Attribute(attr="shape") as shape, slice=ast.Constant(value=0 | 1 as dim)):
            yield f"{ast.unparse(shape)}[{1 - dim}]"


__all__ = ["WAYS", "Mutant", "mutants"]
