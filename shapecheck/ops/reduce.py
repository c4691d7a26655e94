"""Reductions and the ops that run along one axis: sum, mean, max, softmax, cumsum, normalize."""

from __future__ import annotations

from typing import Any

from shapecheck.dims import NEVER, Size, maximum
from shapecheck.engine.values import FALSE, NONE, TRUE, UNKNOWN, Axis, Items, Partial, Shape, Tensor, Value
from shapecheck.ops.axes import (
    as_tensor,
    dtype_of,
    flag,
    insert,
    integers,
    is_none,
    like,
    named,
    position,
    put,
    rank_crash,
    reach,
    take,
)  # fmt: skip
from shapecheck.ops.kit import Kit, OpFunction, op
from shapecheck.ops.pointwise import binary


def reduced(kit: Kit, name: str, tensor: Tensor, dim: Any, keepdim: Any) -> Shape:
    """The shape left when `dim` (an int, several, or None for all) is reduced."""
    keep = flag(keepdim)
    if is_none(dim):
        if keep is False:
            return ()
        if isinstance(tensor.shape, Partial) or keep is None:
            return Partial()
        return (kit.axis(1, f"{name} with keepdim"),) * len(tensor.shape)
    dims = integers(kit, dim)
    if dims is None:
        if keep and isinstance(tensor.shape, tuple):  # which axis is not known, that it stays is
            return tuple(Axis(kit.fresh("n")) for _ in tensor.shape)
        return Partial()
    if dims == ():
        return reduced(kit, name, tensor, None, keepdim)
    found = reach(kit, name, tensor, *dims)
    if found is None or keep is None:
        return Partial()
    shape = found.shape
    if shape == ():
        return ()
    if isinstance(shape, tuple):
        where = {position(shape, d) for d in dims}
        if len(where) < len(dims):
            kit.crash("setting", name, (tensor,), None, None, NEVER, "a dim is given twice")
        one = kit.axis(1, f"{name} with keepdim")
        left = [one if i in where else axis for i, axis in enumerate(shape) if keep or i not in where]
        return tuple(left)
    if keep and shape.tail and not shape.head and min(dims) > 0:
        # the last axes may be among the first ones: of the result only what stands in front is known
        return Partial(tuple(Axis(1 if i in dims else kit.fresh("n")) for i in range(max(dims) + 1)))
    # from the outside in, so that each step leaves the positions of the others alone
    front = sorted((d for d in dims if d >= 0), reverse=True)
    back = sorted(d for d in dims if d < 0)
    for d in (*front, *back):
        shape = put(shape, d, *((kit.axis(1, f"{name} with keepdim"),) if keep else ()))
    return shape


def _reduction(name: str, dtype: str) -> OpFunction:
    def reduction(kit: Kit, input: Value, dim: Any = None, keepdim: Any = False, **more: Any) -> Value:
        tensor = as_tensor(input)
        total = "int" if tensor.dtype in ("bool", "byte") else tensor.dtype
        family = {"same": tensor.dtype, "sum": total}.get(dtype, dtype)
        return Tensor(reduced(kit, name, tensor, dim, keepdim), dtype_of(more.get("dtype"), family))

    return reduction


def _register() -> None:
    for name, family in {
        "sum": "sum", "nansum": "sum", "mean": "same", "nanmean": "same", "amax": "same", "amin": "same",
        "logsumexp": "float", "prod": "sum", "any": "bool", "all": "bool", "count_nonzero": "int",
    }.items():  # fmt: skip
        required = "" if name == "logsumexp" else "=None" if name not in ("amax", "amin") else "=()"
        # torch.sum(x, dim, keepdim, *, dtype); torch.count_nonzero has no keepdim
        extra = "" if name == "count_nonzero" else ", keepdim=False"
        more = ", *, dtype=None" if name in ("sum", "nansum", "mean", "nanmean", "prod") else ""
        op(f"torch.{name}", f"Tensor.{name}", name=name, parameters=f"input, dim{required}{extra}{more}")(
            _reduction(name, family)
        )
    for name in ("argmax", "argmin"):
        op(f"torch.{name}", f"Tensor.{name}", name=name)(_argmax)
    for name in ("std", "var"):
        op(f"torch.{name}", f"Tensor.{name}", name=name, parameters="input, dim=None, unbiased=True, keepdim=False, *, "
           "correction=1")(_spread(name))  # fmt: skip
    for name in ("std_mean", "var_mean"):
        op(f"torch.{name}", name=name, parameters="input, dim=None, unbiased=True, keepdim=False, *, correction=1")(
            _spread_and_mean(name)
        )
    for name in ("max", "min"):
        op(f"torch.{name}", f"Tensor.{name}", name=name, parameters="input, dim=None, keepdim=False, *, other=None")(
            _extreme(name)
        )
    for name in ("median", "nanmedian", "mode", "cummax", "cummin", "kthvalue"):
        op(f"torch.{name}", f"Tensor.{name}", name=name, parameters=_PAIRS[name])(_pair(name))
    for name in ("softmax", "log_softmax"):
        op(f"torch.{name}", f"Tensor.{name}", name=name, parameters="input, dim, dtype=None")(_along(name, "float"))
        op(f"torch.nn.functional.{name}", name=name, parameters="input, dim=None, _stacklevel=3, dtype=None")(
            _along(name, "float")
        )
    op("torch.nn.functional.softmin", name="softmin", parameters="input, dim=None, _stacklevel=3, dtype=None")(
        _along("softmin", "float")
    )
    for name in ("softmax", "log_softmax"):
        op(f"torch.special.{name}", name=name, parameters="input, dim, *, dtype=None")(_along(name, "float"))
    op("torch.nn.functional.glu", name="glu", parameters="input, dim=-1")(_glu)
    for name in ("cumsum", "cumprod", "logcumsumexp"):
        public = [f"torch.{name}", f"Tensor.{name}"] + ([f"Tensor.{name}_"] if name != "logcumsumexp" else [])
        op(*public, name=name, parameters="input, dim, *, dtype=None")(_along(name, "sum"))


def _argmax(kit: Kit, input: Value, dim: Any = None, keepdim: Any = False) -> Value:
    return Tensor(reduced(kit, "argmax", as_tensor(input), dim, keepdim), "int")


def _spread(name: str) -> OpFunction:
    def spread(
        kit: Kit, input: Value, dim: Any = None, unbiased: Any = True, keepdim: Any = False, **more: Any
    ) -> Value:
        if dim in (TRUE, FALSE):
            dim = None  # x.std(False) is x.std(unbiased=False)
        return Tensor(reduced(kit, name, as_tensor(input), dim, keepdim), "float")

    return spread


def _spread_and_mean(name: str) -> OpFunction:
    one = _spread(name)

    def both(kit: Kit, input: Value, dim: Any = None, unbiased: Any = True, keepdim: Any = False, **more: Any) -> Value:
        result = one(kit, input, dim, unbiased, keepdim)
        return Items("tuple", (result, result))

    return both


def _extreme(name: str) -> OpFunction:
    """`x.max()` a scalar, `x.max(dim)` values and indices, `torch.max(x, y)` element by element."""

    def extreme(kit: Kit, input: Value, dim: Any = None, keepdim: Any = False, *, other: Any = None) -> Value:
        if isinstance(dim, Tensor) or not is_none(other):
            return binary(kit, name, input, dim if isinstance(dim, Tensor) else other)
        tensor = as_tensor(input)
        if is_none(dim):
            return Tensor((), tensor.dtype)
        if kit.integer(dim) is None:
            return UNKNOWN
        shape = reduced(kit, name, tensor, dim, keepdim)
        return named(values=Tensor(shape, tensor.dtype), indices=Tensor(shape, "int"))

    return extreme


_PAIRS = {
    "median": "input, dim=None, keepdim=False",
    "nanmedian": "input, dim=None, keepdim=False",
    "mode": "input, dim=-1, keepdim=False",
    "cummax": "input, dim",
    "cummin": "input, dim",
    "kthvalue": "input, k, dim=-1, keepdim=False",
}


def _pair(name: str) -> OpFunction:
    def pair(kit: Kit, input: Value, *rest: Any, dim: Any = None, keepdim: Any = False, k: Any = None) -> Value:
        rest_ = list(rest)
        if name == "kthvalue" and rest_:
            rest_.pop(0)
        dim = rest_[0] if rest_ else dim
        keepdim = rest_[1] if len(rest_) > 1 else keepdim
        tensor = as_tensor(input)
        if is_none(dim):
            return Tensor((), tensor.dtype)
        if name.startswith("cum"):
            shape = along(kit, name, tensor, dim).shape
        else:
            shape = reduced(kit, name, tensor, dim, keepdim)
        return named(values=Tensor(shape, tensor.dtype), indices=Tensor(shape, "int"))

    return pair


def along(kit: Kit, name: str, tensor: Tensor, dim: Any) -> Tensor:
    """The tensor, known to have the axis `dim` (an int, or unknown: then nothing is learned)."""
    dims = None if is_none(dim) else integers(kit, dim)
    return (reach(kit, name, tensor, *dims) if dims else None) or tensor


def _along(name: str, family: str) -> OpFunction:
    def run(kit: Kit, input: Value, dim: Any = None, *rest: Any, **more: Any) -> Value:
        tensor = along(kit, name, as_tensor(input), dim)
        dtype = ("int" if tensor.dtype in ("bool", "byte") else tensor.dtype) if family == "sum" else family
        return like(tensor, dtype_of(more.get("dtype"), dtype))

    return run


def _glu(kit: Kit, input: Value, dim: Any = -1) -> Value:
    """Halves the axis."""
    tensor = along(kit, "glu", as_tensor(input), dim)
    at = kit.integer(dim)
    axis = None if at is None else take(tensor.shape, at)
    if at is None or axis is None:
        return Tensor(Partial(), tensor.dtype)
    if isinstance(axis.size, int) and axis.size % 2:
        kit.crash("setting", "glu", (tensor,), axis.size, 2, NEVER, "glu halves the axis: its size must be even")
    return Tensor(put(tensor.shape, at, kit.axis(axis.size // 2, "half of glu's input")), tensor.dtype)


_register()


@op("torch.nn.functional.normalize")
def normalize(kit: Kit, input: Value, p: Any = 2.0, dim: Any = 1, eps: Any = 1e-12) -> Value:
    return like(along(kit, "normalize", as_tensor(input), dim), "float")


@op("torch.norm", "Tensor.norm")
def norm(kit: Kit, input: Value, p: Any = "fro", dim: Any = None, keepdim: Any = False, dtype: Any = None) -> Value:
    return Tensor(reduced(kit, "norm", as_tensor(input), dim, keepdim), "float")


@op("torch.linalg.norm", name="norm")
def linalg_norm(kit: Kit, A: Value, ord: Any = None, dim: Any = None, keepdim: Any = False) -> Value:
    return Tensor(reduced(kit, "norm", as_tensor(A), dim, keepdim), "float")


@op("torch.linalg.vector_norm", name="norm")
def vector_norm(kit: Kit, x: Value, ord: Any = 2, dim: Any = None, keepdim: Any = False) -> Value:
    return Tensor(reduced(kit, "norm", as_tensor(x), dim, keepdim), "float")


@op("torch.linalg.matrix_norm")
def matrix_norm(kit: Kit, A: Value, ord: Any = "fro", dim: Any = (-2, -1), keepdim: Any = False) -> Value:
    return Tensor(reduced(kit, "norm", as_tensor(A), dim, keepdim), "float")


@op("Tensor.renorm", "torch.renorm")
def renorm(kit: Kit, input: Value, p: Value, dim: Value, maxnorm: Value) -> Value:
    return like(along(kit, "renorm", as_tensor(input), dim))


@op("torch.quantile", "torch.nanquantile", "Tensor.quantile", "Tensor.nanquantile")
def quantile(
    kit: Kit, input: Value, q: Value, dim: Any = None, keepdim: Any = False, *, interpolation: Any = "linear"
) -> Value:
    """One value for a number `q`; an axis of the quantiles in front for a tensor of them."""
    tensor, asked = as_tensor(input), as_tensor(q)
    if asked.rank is None or asked.rank > 1:
        if asked.rank is not None:
            rank_crash(kit, "quantile", (tensor, asked), asked.rank, 1, "q is a number or a vector")
        return Tensor(Partial(), "float")
    shape = reduced(kit, "quantile", tensor, dim, keepdim)
    if asked.axes:
        front = insert(shape, 0, asked.axes[0])
        return Tensor(Partial() if front is None else front, "float")
    return Tensor(shape, "float")


@op("torch.dist", "Tensor.dist")
def dist(kit: Kit, input: Value, other: Value, p: Any = 2) -> Value:
    kit.broadcast("dist", as_tensor(input), as_tensor(other))
    return Tensor((), "float")


@op("torch.diff", "Tensor.diff")
def diff(kit: Kit, input: Value, n: Any = 1, dim: Any = -1, prepend: Value = NONE, append: Value = NONE) -> Value:
    tensor = along(kit, "diff", as_tensor(input), dim)
    at, times = kit.integer(dim), kit.integer(n)
    axis = None if at is None else take(tensor.shape, at)
    if at is None or axis is None:
        return Tensor(Partial(), tensor.dtype)
    if isinstance(times, int) and times > 1 and is_none(prepend) and is_none(append):
        left = maximum(axis.size - times, 0)
        return Tensor(put(tensor.shape, at, kit.axis(left, "differences of neighbours")), tensor.dtype)
    if times != 1 or not is_none(prepend) or not is_none(append):
        return Tensor(put(tensor.shape, at, kit.axis(kit.fresh("n"), "diff")), tensor.dtype)
    return Tensor(put(tensor.shape, at, kit.axis(axis.size - 1, "differences of neighbours")), tensor.dtype)


@op("torch.fft.fft", "torch.fft.ifft", parameters="input, n=None, dim=-1, norm=None")
def fft(kit: Kit, input: Value, n: Any = None, dim: Any = -1, norm: Any = None) -> Value:
    """As many frequencies as there are values, or `n`."""
    tensor = along(kit, "fft", as_tensor(input), dim)
    return _resized(kit, tensor, kit.integer(dim), None if is_none(n) else kit.size(n), not is_none(n))


@op("torch.fft.rfft", parameters="input, n=None, dim=-1, norm=None")
def rfft(kit: Kit, input: Value, n: Any = None, dim: Any = -1, norm: Any = None) -> Value:
    """`n // 2 + 1` frequencies."""
    tensor, at = along(kit, "rfft", as_tensor(input), dim), kit.integer(dim)
    axis = None if at is None else take(tensor.shape, at)
    length = axis.size if is_none(n) and axis is not None else kit.size(n)
    return _resized(kit, tensor, at, None if length is None else length // 2 + 1, True)


def _resized(kit: Kit, tensor: Tensor, at: int | None, size: Size | None, changed: bool) -> Tensor:
    if not changed:
        return like(tensor, "complex")
    if at is None or take(tensor.shape, at) is None:
        return Tensor(Partial(), "complex")
    return Tensor(put(tensor.shape, at, kit.axis(kit.fresh("n") if size is None else size, "fft")), "complex")


@op("torch.trace", "Tensor.trace")
def trace(kit: Kit, input: Value) -> Value:
    tensor = kit.rank(as_tensor(input), 2)
    if tensor.rank not in (2, None):
        kit.crash("rank", "trace", (tensor,), tensor.rank, 2, NEVER, "trace needs a matrix")
    return Tensor((), tensor.dtype)


@op("torch.cov", "torch.corrcoef", "Tensor.cov", "Tensor.corrcoef")
def cov(kit: Kit, input: Value, *settings: Any, **more: Any) -> Value:
    """Variables in rows: `[N, T]` gives `[N, N]`."""
    axes = as_tensor(input).axes
    if axes is None:
        return Tensor(Partial(), "float")
    if len(axes) > 2:
        kit.crash("rank", "cov", (as_tensor(input),), len(axes), 2, NEVER, "cov needs rows of observations")
        return Tensor(Partial(), "float")
    alone = len(axes) < 2 or axes[0].size == 1  # torch squeezes the covariance of one variable
    return Tensor(() if alone else (axes[0], axes[0]), "float")
