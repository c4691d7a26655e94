"""The long tail of torch: ops that do to shapes what their family does, a line for each family.

`benchmarks/op_db.py` judges what stands here.
"""

from __future__ import annotations

from typing import Any

from shapecheck.dims import Size
from shapecheck.engine.values import Axis, Items, Partial, Shape, Tensor, Value
from shapecheck.ops import functional, joining, moving, product, repeat, reshape, select
from shapecheck.ops.axes import (
    as_tensor,
    convolved,
    integers,
    is_none,
    like,
    members,
    named,
    not_positive,
    put,
    rank_crash,
    reach,
    refuse,
    require,
    take,
)  # fmt: skip
from shapecheck.ops.kit import REGISTRY, Kit, OpFunction, op
from shapecheck.ops.pointwise import binary
from shapecheck.ops.reduce import reduced
from shapecheck.ops.windows import per_axis

FIRST = (functional, joining, moving, product, repeat, reshape, select)  # what they register is used by name below

# ------------------------------------------------------------- element by element

# a function of each number, with or without settings
_EACH = """
    torch.conj_physical Tensor.conj_physical Tensor.conj_physical_ torch.resolve_neg Tensor.resolve_neg
    torch.mvlgamma Tensor.mvlgamma torch.special.multigammaln torch.alias_copy torch.detach_copy torch.fill
    torch.zero_ torch.special.i0 torch.special.i0e torch.special.i1 torch.special.i1e torch.special.ndtr
    torch.special.ndtri torch.special.log_ndtr torch.special.entr torch.special.erfcx torch.special.erfc
    torch.special.erfinv torch.special.airy_ai torch.special.bessel_j0 torch.special.bessel_j1
    torch.special.bessel_y0 torch.special.bessel_y1 torch.special.modified_bessel_i0
    torch.special.modified_bessel_i1 torch.special.modified_bessel_k0 torch.special.modified_bessel_k1
    torch.special.scaled_modified_bessel_k0 torch.special.scaled_modified_bessel_k1
    torch.special.spherical_bessel_j0 torch.special.digamma torch.special.psi torch.special.gammaln
    torch.special.sinc torch.special.round Tensor.cdouble Tensor.cfloat Tensor.chalf torch.fft.fftshift
    torch.fft.ifftshift torch.nn.functional.channel_shuffle torch.channel_shuffle torch.cholesky_inverse
    Tensor.cholesky_inverse torch.linalg.householder_product torch.orgqr Tensor.orgqr
    torch.put Tensor.put Tensor.put_ torch.index_reduce Tensor.index_reduce Tensor.index_reduce_
    torch.select_scatter Tensor.select_scatter torch.slice_scatter Tensor.slice_scatter torch.diagonal_scatter
    Tensor.diagonal_scatter torch.as_strided_scatter Tensor.as_strided_scatter torch.msort Tensor.msort
    torch._unsafe_masked_index_put_accumulate torch._softmax_backward_data torch.nn.functional.threshold_
    torch.ops.aten._safe_softmax.default torch.masked.cumsum torch.masked.cumprod torch.masked.softmax
    torch.masked.log_softmax torch.masked.softmin
"""
_POLYNOMIALS = " ".join(
    f"torch.special.{kind}_polynomial_{letter}"
    for kind, letters in (("chebyshev", "tuvw"), ("shifted_chebyshev", "tuvw"), ("hermite", "h"), ("laguerre", "l"),
                          ("legendre", "p"))
    for letter in letters
)  # fmt: skip
# a number of the one and its counterpart of the other
_PAIRED = f"""
    torch.heaviside Tensor.heaviside Tensor.heaviside_ torch.igamma Tensor.igamma torch.igammac Tensor.igammac
    torch.ldexp Tensor.ldexp torch.special.xlog1py torch.special.xlogy torch.special.zeta torch.special.gammainc
    torch.special.gammaincc torch.special.hermite_polynomial_he {_POLYNOMIALS}
    Tensor.__rand__ Tensor.__ror__ Tensor.__rxor__ Tensor.__rdiv__ Tensor.__rmod__ Tensor.__rpow__ Tensor.__and__
    Tensor.__or__ Tensor.__xor__ torch.masked.logaddexp
"""


def _last(public: str) -> str:
    return public.removesuffix(".default").rpartition(".")[2].rstrip("_").lstrip("_")


def _by_name(names: str) -> dict[str, list[str]]:
    """Canonical name -> public ones."""
    found: dict[str, list[str]] = {}
    for public in names.split():
        found.setdefault(_last(public), []).append(public)
    return found


def _each(kit: Kit, input: Value, *settings: Any, **more: Any) -> Value:
    return like(as_tensor(input), None)


def _paired(name: str) -> OpFunction:
    def run(kit: Kit, input: Value, other: Value, *settings: Any, **more: Any) -> Value:
        return binary(kit, name, input, other)

    return run


def _register_elements() -> None:
    for name, public in _by_name(_EACH).items():
        op(*public, name=name, parameters="input, *settings, **more")(_each)
    for name, public in _by_name(_PAIRED).items():
        op(*public, name=name, parameters="input, other, *settings, **more")(_paired(name))


_register_elements()


@op("torch.polygamma", "torch.special.polygamma")
def polygamma(kit: Kit, n: Value, input: Value) -> Value:
    return like(as_tensor(input), "float")


@op("torch.frexp", "Tensor.frexp")
def frexp(kit: Kit, input: Value) -> Value:
    x = as_tensor(input)
    return named(mantissa=like(x), exponent=like(x, "int"))


# -------------------------------------------------------------- copies of views

_COPIES = """
    expand=Tensor.expand view=Tensor.view permute=torch.permute narrow=torch.narrow unbind=torch.unbind
    unfold=Tensor.unfold squeeze=torch.squeeze unsqueeze=torch.unsqueeze transpose=torch.transpose t=torch.t
    split_with_sizes=torch.split_with_sizes diagonal=torch.diagonal split=torch.split select=torch.select
"""


def _register_copies() -> None:
    for pair in _COPIES.split():
        name, _, source = pair.partition("=")
        spec = REGISTRY[source]
        parameters = "input, size" if name in ("expand", "view") else spec.parameters
        op(f"torch.{name}_copy", name=spec.name, parameters=parameters)(spec.function)  # type: ignore[arg-type]
    for name in ("chunk", "split"):
        spec = REGISTRY[f"torch.{name}"]
        op(f"torch.unsafe_{name}", f"Tensor.unsafe_{name}", name=spec.name, parameters=spec.parameters)(spec.function)  # type: ignore[arg-type]
    spec = REGISTRY["operator.matmul"]
    op("Tensor.__rmatmul__", name="matmul", parameters="input, other")(
        lambda kit, input, other: spec.function(kit, other, input)
    )


_register_copies()

# -------------------------------------------------------------------- windows

_SIGNALS = "bartlett blackman cosine exponential gaussian general_cosine general_hamming hamming hann kaiser nuttall"


def _signal(kit: Kit, M: Value, *settings: Any, **more: Any) -> Value:
    count = kit.size(M)
    not_positive(kit, "window", Tensor(()), "M", count, 0)
    return Tensor((kit.axis(kit.fresh("n") if count is None else count, "M"),), "float")


for _name in _SIGNALS.split():
    op(f"torch.signal.windows.{_name}", name="window", parameters="M, *settings, **more")(_signal)
for _name in ("bartlett", "blackman", "hamming", "hann", "kaiser"):
    op(f"torch.{_name}_window", name="window", parameters="M, *settings, **more")(_signal)

# --------------------------------------------------------------------- spectra


def _spectrum(name: str, last: str) -> OpFunction:
    """`last`: of the last axis that is transformed: "" as many, "half" n//2 + 1, "whole" 2*(n - 1)."""

    def run(kit: Kit, input: Value, s: Any = None, dim: Any = None, norm: Any = None) -> Value:
        x = as_tensor(input)
        dims = None if is_none(dim) else integers(kit, dim)
        given = None if is_none(s) else members(s) or ((s,) if kit.size(s) is not None else None)
        if (not is_none(dim) and dims is None) or (not is_none(s) and given is None) or x.rank is None:
            return Tensor(Partial())
        count = len(given) if given is not None else x.rank
        dims = tuple(range(-count, 0)) if dims is None else dims
        if given is not None and len(given) != len(dims):
            refuse(kit, name, (x,), f"{len(given)} sizes for {len(dims)} axes", len(given), len(dims))
            return Tensor(Partial())
        found = reach(kit, name, x, *dims)
        if found is None:
            return Tensor(Partial())
        shape: Shape = found.shape
        for at, place in enumerate(dims):
            axis = take(shape, place)
            if axis is None:
                return Tensor(Partial())
            wanted = None if given is None else kit.size(given[at])
            is_last = at == len(dims) - 1
            size: Size | None = axis.size if given is None or wanted == -1 else wanted
            if size is None:
                size = kit.fresh("n")
            if is_last and last == "half":
                size = size // 2 + 1
            elif is_last and last == "whole" and (given is None or wanted == -1):
                size = 2 * (size - 1)
            if isinstance(size, int) and size < 1:
                refuse(kit, name, (x,), f"an axis of {size} has no spectrum", size, 1)
                return Tensor(Partial())
            shape = put(shape, place, kit.axis(size, "fft"))
        return Tensor(shape, "float" if last == "whole" else "complex")

    return run


def _register_spectra() -> None:
    kinds = {"fft": "", "ifft": "", "rfft": "half", "irfft": "whole", "hfft": "whole", "ihfft": "half"}
    for name, last in kinds.items():
        spectrum = _spectrum(name, last)
        if name not in ("fft", "ifft", "rfft"):
            op(f"torch.fft.{name}", name="fft", parameters="input, s=None, dim=-1, norm=None")(spectrum)
        op(f"torch.fft.{name}2", name="fft", parameters="input, s=None, dim=(-2, -1), norm=None")(spectrum)
        op(f"torch.fft.{name}n", name="fft", parameters="input, s=None, dim=None, norm=None")(spectrum)


_register_spectra()


@op("torch.addbmm", "Tensor.addbmm", "Tensor.addbmm_", parameters="input, batch1, batch2, *, beta=1")
def addbmm(kit: Kit, input: Value, batch1: Value, batch2: Value, **more: Any) -> Value:
    made = REGISTRY["torch.bmm"].function(kit, batch1, batch2)
    shape = made.axes if isinstance(made, Tensor) else None
    return Tensor(Partial() if shape is None else kit.broadcast("addbmm", as_tensor(input), Tensor(shape[1:])))


op("torch.nn.functional.upsample_nearest", "torch.nn.functional.upsample_bilinear", name="interpolate",
   parameters="input, size=None, scale_factor=None")(REGISTRY["torch.nn.functional.interpolate"].function)  # fmt: skip

# ---------------------------------------------------------------------- masked


def _masked(name: str, first: bool) -> OpFunction:
    """`first`: another argument (an order, a flag) stands in front of `dim`."""

    def run(kit: Kit, input: Value, *settings: Any, dim: Any = None, keepdim: Any = False, **more: Any) -> Value:
        given = settings[1:] if first else settings
        return Tensor(reduced(kit, name, as_tensor(input), given[0] if given else dim, keepdim))

    return run


for _name in ["sum", "prod", "amax", "amin", "argmax", "argmin", "mean", "median", "logsumexp", "var", "std", "norm"]:
    op(f"torch.masked.{_name}", name=f"masked_{_name}", parameters="input, *settings, dim=None, keepdim=False, **more")(
        _masked(f"masked_{_name}", _name == "norm")
    )
op("torch.masked.normalize", name="masked_normalize", parameters="input, *settings, **more")(_each)


@op("torch.aminmax", "Tensor.aminmax", parameters="input, *, dim=None, keepdim=False")
def aminmax(kit: Kit, input: Value, *, dim: Any = None, keepdim: Any = False) -> Value:
    shape = reduced(kit, "aminmax", as_tensor(input), dim, keepdim)
    return named(min=Tensor(shape, as_tensor(input).dtype), max=Tensor(shape, as_tensor(input).dtype))


# ------------------------------------------------------------------------ axes


def _halves(name: str, at: int) -> OpFunction:
    def run(kit: Kit, input: Value, indices_or_sections: Value) -> Value:
        x = as_tensor(input)
        least = {"hsplit": 1, "vsplit": 2, "dsplit": 3}[name]
        if x.rank is not None and x.rank < least:
            rank_crash(kit, name, (x,), x.rank, least, f"{name} needs {least} axes or more")
        place = 0 if name == "hsplit" and x.rank == 1 else at
        sections, axis = kit.size(indices_or_sections), take(x.shape, place) if x.axes else None
        size = None if axis is None else axis.size
        if isinstance(sections, int) and isinstance(size, int) and (sections <= 0 or size % sections):
            refuse(kit, name, (x,), f"{size} cannot be cut in {sections} parts", size, sections)
        return REGISTRY["torch.tensor_split"].function(kit, input, indices_or_sections, place)

    return run


for _name, _at in (("hsplit", 1), ("vsplit", 0), ("dsplit", 2)):
    op(f"torch.{_name}", f"Tensor.{_name}", name="tensor_split", parameters="input, indices_or_sections")(
        _halves(_name, _at)
    )


@op("Tensor.sum_to_size", "Tensor.resize_", "Tensor.resize")
def sum_to_size(kit: Kit, input: Value, *size: Value, **more: Any) -> Value:
    wanted = kit.sizes(size)
    x = as_tensor(input)
    if wanted is None:
        return Tensor(Partial(), x.dtype)
    return Tensor(tuple(kit.axis(kit.fresh("n") if s is None else s, "size") for s in wanted), x.dtype)


@op("Tensor.resize_as_", parameters="input, other, memory_format=None")
def resize_as_(kit: Kit, input: Value, other: Value, *more: Any) -> Value:
    return Tensor(as_tensor(other).shape, as_tensor(input).dtype)


@op("torch.as_strided", "Tensor.as_strided", "torch.as_strided_copy", "Tensor.as_strided_",
    parameters="input, size, stride, storage_offset=None")  # fmt: skip
@op("Tensor.new_empty_strided", name="as_strided", parameters="input, size, stride, *, dtype=None")
def as_strided(kit: Kit, input: Value, size: Value, stride: Value, *more: Any, **rest: Any) -> Value:
    wanted = kit.sizes((size,))
    x = as_tensor(input)
    if wanted is None:
        return Tensor(Partial(), x.dtype)
    steps = members(stride)
    if steps is not None and len(steps) != len(wanted):
        refuse(kit, "as_strided", (x,), f"{len(wanted)} sizes and {len(steps)} strides", len(wanted), len(steps))
    return Tensor(tuple(kit.axis(kit.fresh("n") if s is None else s, "size") for s in wanted), x.dtype)


def _triangle(kit: Kit, row: Value, col: Value, offset: Any = 0, *, upper: bool) -> Value:
    rows, columns, shift = kit.integer(row), kit.integer(col), kit.integer(offset)
    if rows is None or columns is None or shift is None or not 0 <= rows * columns <= 1_000_000:
        return Tensor((Axis(2), Axis(kit.fresh("n"))), "int")
    below = sum(min(max(r + shift + (0 if upper else 1), 0), columns) for r in range(rows))
    return Tensor((Axis(2), kit.axis(rows * columns - below if upper else below, "triangle")), "int")


op("torch.tril_indices", name="triangle_indices", parameters="row, col, offset=0, **more")(
    lambda kit, row, col, offset=0, **more: _triangle(kit, row, col, offset, upper=False)
)
op("torch.triu_indices", name="triangle_indices", parameters="row, col, offset=0, **more")(
    lambda kit, row, col, offset=0, **more: _triangle(kit, row, col, offset, upper=True)
)


@op("torch.diagflat", "Tensor.diagflat", parameters="input, offset=0")
def diagflat(kit: Kit, input: Value, offset: Any = 0) -> Value:
    x, shift = as_tensor(input), kit.integer(offset)
    size: Size = 1
    for axis in x.axes or ():
        size = size * axis.size
    wide = kit.axis(kit.fresh("n") if x.axes is None or shift is None else size + abs(shift), "diagflat")
    return Tensor((wide, wide), x.dtype)


def _trapezoid(running: bool) -> OpFunction:
    def run(kit: Kit, y: Value, x: Any = None, *, dx: Any = None, dim: Any = -1) -> Value:
        tensor, at = as_tensor(y), kit.integer(dim)
        if isinstance(x, Tensor) or at is None or tensor.axes is None:
            if tensor.axes is None or at is None or not isinstance(x, Tensor) or x.axes is None:
                return Tensor(Partial(), tensor.dtype)
            if len(x.axes) > 1:  # the distances broadcast with the values
                return Tensor(Partial(), tensor.dtype)
        found = reach(kit, "trapezoid", tensor, at)
        if found is None or not found.axes:
            return Tensor(Partial(), tensor.dtype)
        axis = take(found.shape, at)
        assert axis is not None
        if not running:
            return Tensor(put(found.shape, at), tensor.dtype)
        return Tensor(put(found.shape, at, kit.axis(axis.size - 1, "trapezoid")), tensor.dtype)

    return run


op("torch.trapezoid", "torch.trapz", name="trapezoid", parameters="y, x=None, *, dx=None, dim=-1")(_trapezoid(False))
op("torch.cumulative_trapezoid", name="cumulative_trapezoid", parameters="y, x=None, *, dx=None, dim=-1")(
    _trapezoid(True)
)


@op("torch.unravel_index", parameters="indices, shape")
def unravel_index(kit: Kit, indices: Value, shape: Value) -> Value:
    places, sizes = as_tensor(indices), kit.sizes((shape,))
    return Tensor(Partial()) if sizes is None else Items("tuple", tuple(like(places, "int") for _ in sizes))


@op("torch.nonzero_static", "Tensor.nonzero_static", parameters="input, *, size, fill_value=-1")
def nonzero_static(kit: Kit, input: Value, *, size: Value, fill_value: Any = -1) -> Value:
    count, rank = kit.size(size), as_tensor(input).rank
    rows = Axis(kit.fresh("n") if count is None else count)
    return Tensor((rows, Axis(kit.fresh("r") if rank is None else rank)), "int")


@op("torch.nn.functional.pixel_unshuffle", "torch.pixel_unshuffle")
def pixel_unshuffle(kit: Kit, input: Value, downscale_factor: Value) -> Value:
    x, factor = as_tensor(input), kit.size(downscale_factor)
    if x.axes is None or len(x.axes) < 3 or factor is None or not_positive(kit, "pixel_unshuffle", x, "factor", factor):
        return Tensor(Partial(), x.dtype)
    channels, height, width = x.axes[-3:]
    for axis in (height, width):
        if isinstance(axis.size, int) and isinstance(factor, int) and axis.size % factor:
            refuse(kit, "pixel_unshuffle", (x,), f"{axis.size} is no multiple of {factor}", axis.size, factor)
    made = (channels.size * factor * factor, kit.divides(height.size // factor), kit.divides(width.size // factor))
    return Tensor((*x.axes[:-3], *(kit.axis(s, "pixel_unshuffle") for s in made)), x.dtype)


def _atleast(rank: int) -> OpFunction:
    def one(x: Tensor) -> Tensor:
        axes = x.axes
        if axes is None or len(axes) >= rank:
            return x if axes is not None else Tensor(Partial(), x.dtype)
        new = Axis(1)
        if rank == 3:
            filled = {0: (new, new, new), 1: (new, *axes, new), 2: (*axes, new)}[len(axes)]
        else:
            filled = (*(new for _ in range(rank - len(axes))), *axes)
        return Tensor(filled, x.dtype)

    def run(kit: Kit, *tensors: Value) -> Value:
        listed = members(tensors[0]) if len(tensors) == 1 and not isinstance(tensors[0], Tensor) else None
        given = tensors if listed is None else listed
        made = tuple(one(as_tensor(t)) for t in given)
        return made[0] if len(tensors) == 1 and listed is None else Items("tuple", made)

    return run


for _rank in (1, 2, 3):
    op(f"torch.atleast_{_rank}d", name="atleast")(_atleast(_rank))

# ------------------------------------------------------------------- windows of layers


def _conv_transpose(rank: int) -> OpFunction:
    def run(
        kit: Kit, input: Value, weight: Value, bias: Any = None, stride: Any = 1, padding: Any = 0,
        output_padding: Any = 0, groups: Any = 1, dilation: Any = 1,
    ) -> Value:  # fmt: skip
        x, w = as_tensor(input), as_tensor(weight)
        name, parts = f"conv_transpose{rank}d", kit.size(groups)
        if x.axes is None or w.axes is None or parts is None:
            return Tensor(Partial(), x.dtype)
        if not convolved(kit, name, x, w, rank):
            return Tensor(Partial(), x.dtype)
        require(kit, "made for", name, (x, w), x.axes[-rank - 1].size, w.axes[0].size, "channels")
        settings = [per_axis(kit, v, rank) for v in (stride, padding, output_padding, dilation)]
        sizes: list[Size] = []
        for axis, kernel, s, p, extra, d in zip(x.axes[-rank:], w.axes[2:], *settings):
            known = s is not None and p is not None and extra is not None and d is not None
            size = kit.fresh("n")
            if known:
                size = (axis.size - 1) * s - 2 * p + d * (kernel.size - 1) + extra + 1
            sizes.append(size)
        made = tuple(kit.axis(size, name) for size in sizes)
        return Tensor((*x.axes[: -rank - 1], kit.axis(w.axes[1].size * parts, name), *made), x.dtype)

    return run


def _register_transposed() -> None:
    for rank in (1, 2, 3):
        op(f"torch.nn.functional.conv_transpose{rank}d", f"torch.conv_transpose{rank}d", name=f"conv_transpose{rank}d",
           parameters="input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1")(
            _conv_transpose(rank))  # fmt: skip


_register_transposed()


@op("torch.native_layer_norm", "torch.native_group_norm", "torch.native_batch_norm", name="native_norm",
    parameters="input, *settings, **more")  # fmt: skip
def native_norm(kit: Kit, input: Value, *settings: Any, **more: Any) -> Value:
    return Items("tuple", (like(as_tensor(input)), Tensor(Partial()), Tensor(Partial())))


@op("torch.constant_pad_nd", parameters="input, pad, value=0")
def constant_pad_nd(kit: Kit, input: Value, pad: Value, value: Any = 0) -> Value:
    return REGISTRY["torch.nn.functional.pad"].function(kit, input, pad)
