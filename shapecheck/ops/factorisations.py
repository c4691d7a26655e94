"""Matrices in parts, and what solves with them: svd, qr, lu, eigenvalues, solve, vander."""

from __future__ import annotations

from typing import Any

from shapecheck.dims import Size, minimum
from shapecheck.engine.values import Axis, Items, Partial, Tensor, Value
from shapecheck.ops.axes import (
    as_tensor,
    flag,
    is_none,
    like,
    named,
    rank_crash,
    require,
    text,
)  # fmt: skip
from shapecheck.ops.kit import Kit, OpFunction, op


def _matrix(kit: Kit, name: str, value: Value) -> tuple[Tensor, tuple[Axis, ...], Size, Size] | None:
    """The tensor, its batch axes, its rows and columns; None where they are not known, or torch raises (stated)."""
    x = as_tensor(value)
    if x.axes is None:
        return None
    if len(x.axes) < 2:
        rank_crash(kit, name, (x,), len(x.axes), 2, f"{name} needs a matrix")
        return None
    return x, x.axes[:-2], x.axes[-2].size, x.axes[-1].size


def _wide(kit: Kit, size: Size) -> Axis:
    return kit.axis(size, "linalg")


@op("torch.linalg.svdvals", name="svdvals", parameters="A, *, driver=None")
def svdvals(kit: Kit, A: Value, **more: Any) -> Value:
    found = _matrix(kit, "svdvals", A)
    if found is None:
        return Tensor(Partial(), "float")
    _, batch, rows, columns = found
    return Tensor((*batch, _wide(kit, minimum(rows, columns))), "float")


@op("torch.linalg.svd", name="svd", parameters="A, full_matrices=True, *, driver=None")
def linalg_svd(kit: Kit, A: Value, full_matrices: Any = True, **more: Any) -> Value:
    return _svd(kit, A, flag(full_matrices), True, True)


@op("torch.svd", "Tensor.svd", name="svd", parameters="input, some=True, compute_uv=True")
def svd(kit: Kit, input: Value, some: Any = True, compute_uv: Any = True) -> Value:
    part, whole = flag(some), flag(compute_uv)
    return _svd(kit, input, None if part is None or whole is None else not part or not whole, False, whole)


def _svd(kit: Kit, value: Value, full: bool | None, adjoint: bool, vectors: bool | None) -> Value:
    found = _matrix(kit, "svd", value)
    if found is None or full is None or vectors is None:
        unknown = Tensor(Partial())
        return named(U=unknown, S=unknown, **{"Vh" if adjoint else "V": unknown})
    x, batch, rows, columns = found
    small = minimum(rows, columns)
    u = Tensor((*batch, _wide(kit, rows), _wide(kit, rows if full else small)), x.dtype)
    right = (columns, columns if full else small)
    v = Tensor((*batch, *(_wide(kit, s) for s in (right[::-1] if adjoint else right))), x.dtype)
    return named(U=u, S=Tensor((*batch, _wide(kit, small)), "float"), **{"Vh" if adjoint else "V": v})


@op("torch.linalg.qr", name="qr", parameters="A, mode='reduced'")
@op("torch.qr", "Tensor.qr", name="qr", parameters="input, some=True")
def qr(kit: Kit, A: Value, mode: Any = True) -> Value:
    found, how = _matrix(kit, "qr", A), text(mode) or {True: "reduced", False: "complete"}.get(flag(mode) is True)
    if found is None or how not in ("reduced", "complete", "r"):
        return named(Q=Tensor(Partial()), R=Tensor(Partial()))
    x, batch, rows, columns = found
    small = rows if how == "complete" else minimum(rows, columns)
    q = Tensor((Axis(0),), x.dtype) if how == "r" else Tensor((*batch, _wide(kit, rows), _wide(kit, small)), x.dtype)
    return named(Q=q, R=Tensor((*batch, _wide(kit, small), x.axes[-1] if x.axes else Axis(columns)), x.dtype))


@op("torch.geqrf", "Tensor.geqrf")
def geqrf(kit: Kit, input: Value) -> Value:
    found = _matrix(kit, "geqrf", input)
    if found is None:
        return named(a=Tensor(Partial()), tau=Tensor(Partial()))
    x, batch, rows, columns = found
    return named(a=like(x), tau=Tensor((*batch, _wide(kit, minimum(rows, columns))), x.dtype))


def _lu_factor(more: tuple[str, ...]) -> OpFunction:
    def run(kit: Kit, A: Value, *settings: Any, **rest: Any) -> Value:
        found = _matrix(kit, "lu_factor", A)
        if found is None:
            return Items("tuple", tuple(Tensor(Partial()) for _ in range(2 + len(more))))
        x, batch, rows, columns = found
        pivots = Tensor((*batch, _wide(kit, minimum(rows, columns))), "int")
        return Items("tuple", (like(x), pivots, *(Tensor(batch, "int") for _ in more)))

    return run


op("torch.linalg.lu_factor", name="lu_factor", parameters="A, *settings, **rest")(_lu_factor(()))
op("torch.linalg.lu_factor_ex", name="lu_factor", parameters="A, *settings, **rest")(_lu_factor(("info",)))


@op("torch.linalg.lu", name="lu", parameters="A, *, pivot=True")
def lu(kit: Kit, A: Value, *, pivot: Any = True) -> Value:
    found = _matrix(kit, "lu", A)
    unknown = Tensor(Partial())
    if found is None or flag(pivot) is None:
        return named(P=unknown, L=unknown, U=unknown)
    x, batch, rows, columns = found
    small = _wide(kit, minimum(rows, columns))
    p = Tensor((*batch, _wide(kit, rows), _wide(kit, rows)), x.dtype) if flag(pivot) else Tensor((Axis(0),), x.dtype)
    return named(P=p, L=Tensor((*batch, _wide(kit, rows), small), x.dtype),
                 U=Tensor((*batch, small, _wide(kit, columns)), x.dtype))  # fmt: skip


def _square(outputs: str, dtype: str = "") -> OpFunction:
    """Of square matrices: `outputs` has "m" for a matrix, "v" for a vector, "i" for one number each."""

    def run(kit: Kit, A: Value, *settings: Any, **more: Any) -> Value:
        found = _matrix(kit, "linalg", A)
        if found is None:
            return Items("tuple", tuple(Tensor(Partial()) for _ in outputs)) if len(outputs) > 1 else Tensor(Partial())
        x, batch, rows, columns = found
        require(kit, "inner", "linalg", (x,), rows, columns, "a square matrix")
        shapes = {"m": x.shape, "v": (*batch, x.axes[-1]) if x.axes else (), "i": batch}
        made = tuple(Tensor(shapes[letter], x.dtype if letter != "i" else "int") for letter in outputs)
        return made[0] if len(made) == 1 else Items("tuple", made)

    return run


for _public, _outputs in {
    "torch.linalg.cholesky_ex": "mi", "torch.linalg.inv_ex": "mi", "torch.linalg.ldl_factor": "mv",
    "torch.linalg.ldl_factor_ex": "mvi",
}.items():  # fmt: skip
    op(_public, name="linalg_parts", parameters="A, *settings, **more")(_square(_outputs))


@op("torch.linalg.matrix_rank", "torch.linalg.cond", parameters="A, *settings, **more", name="matrix_rank")
def matrix_rank(kit: Kit, A: Value, *settings: Any, **more: Any) -> Value:
    found = _matrix(kit, "matrix_rank", A)
    return Tensor(Partial()) if found is None else Tensor(found[1])


def _solver(first: int) -> OpFunction:
    """The unknowns have the shape of the right side, with the batch axes of both; `first`: where that side stands."""

    def run(kit: Kit, A: Value, B: Value, *more: Value, **rest: Any) -> Value:
        given = [as_tensor(v) for v in (A, B, *more[: max(first - 1, 0)])]
        side, matrix = given[first], given[0] if first else given[1]
        left = flag(rest.get("left", True))
        if side.axes is None or matrix.axes is None or len(side.axes) < 2 or len(matrix.axes) < 2 or left is None:
            return Tensor(Partial())
        batch = kit.broadcast("solve", Tensor(matrix.axes[:-2]), Tensor(side.axes[:-2]))
        if isinstance(batch, Partial):
            return Tensor(Partial())
        require(kit, "inner", "solve", (matrix, side), matrix.axes[-1].size, side.axes[-2 if left else -1].size)
        return Tensor((*batch, *side.axes[-2:]), side.dtype)

    return run


@op("torch.linalg.solve", name="solve", parameters="A, B, *, left=True, check_errors=False")
def linalg_solve(kit: Kit, A: Value, B: Value, *, left: Any = True, check_errors: Any = False) -> Value:
    """The right side is a vector where it has one axis, or the batch axes of A and one more."""
    matrix, side = as_tensor(A), as_tensor(B)
    if matrix.axes is None or side.axes is None or flag(left) is None:
        return like(side) if side.rank == matrix.rank and side.rank is not None else Tensor(Partial(), side.dtype)
    if len(matrix.axes) < 2:
        rank_crash(kit, "solve", (matrix, side), len(matrix.axes), 2, "solve needs matrices")
        return Tensor(Partial(), side.dtype)
    require(kit, "inner", "solve", (matrix,), matrix.axes[-2].size, matrix.axes[-1].size, "a square matrix")
    batch, own = matrix.axes[:-2], tuple(a.size for a in side.axes)
    if len(side.axes) == 1 or own == tuple(a.size for a in matrix.axes[:-1]):
        require(kit, "inner", "solve", (matrix, side), matrix.axes[-1].size, own[-1])
        return Tensor((*batch, side.axes[-1]), side.dtype)
    solved = _solver(1)(kit, A, B, left=left)
    return solved if isinstance(solved, Tensor) else Tensor(Partial(), side.dtype)


@op("torch.linalg.solve_ex", name="solve", parameters="A, B, *, left=True, check_errors=False")
def solve_ex(kit: Kit, A: Value, B: Value, *, left: Any = True, check_errors: Any = False) -> Value:
    matrix = as_tensor(A)
    info = Tensor(Partial() if matrix.axes is None else matrix.axes[:-2], "int")
    return named(result=linalg_solve(kit, A, B, left=left), info=info)


@op("torch.ormqr", "Tensor.ormqr")
def ormqr(kit: Kit, input: Value, tau: Value, other: Value, left: Any = True, transpose: Any = False) -> Value:
    return like(as_tensor(other))


op("torch.linalg.solve_triangular", name="solve", parameters="A, B, *more, **rest")(_solver(1))
op("torch.cholesky_solve", "Tensor.cholesky_solve", name="solve", parameters="A, B, *more, **rest")(_solver(0))
op("torch.lu_solve", "Tensor.lu_solve", name="solve", parameters="A, B, *more, **rest")(_solver(0))
op("torch.linalg.lu_solve", "torch.linalg.ldl_solve", name="solve", parameters="A, P, B, *more, **rest")(
    lambda kit, A, P, B, *more, **rest: _solver(1)(kit, A, B, *more, **rest)
)


@op("torch.triangular_solve", "Tensor.triangular_solve", parameters="B, A, *settings, **more")
def triangular_solve(kit: Kit, B: Value, A: Value, *settings: Any, **more: Any) -> Value:
    right = as_tensor(A)
    solution = _solver(1)(kit, A, B)
    batch = Partial() if not isinstance(solution, Tensor) or solution.axes is None else solution.axes[:-2]
    known = isinstance(batch, tuple) and right.axes is not None
    clone = (
        Tensor((*batch, *right.axes[-2:])) if known and right.axes and isinstance(batch, tuple) else Tensor(Partial())
    )
    return named(solution=solution, cloned_coefficient=clone)


@op("torch.linalg.vander", parameters="x, *, N=None")
def vander(kit: Kit, x: Value, *, N: Any = None) -> Value:
    tensor = as_tensor(x)
    if not tensor.axes:
        return Tensor(Partial(), tensor.dtype)
    count = tensor.axes[-1].size if is_none(N) else kit.size(N)
    return Tensor((*tensor.axes, kit.axis(kit.fresh("n") if count is None else count, "vander")), tensor.dtype)
