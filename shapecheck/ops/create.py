"""Tensors out of nothing: zeros, arange, full, tensor, and their `_like` and `new_` twins."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isfinite
from typing import Any

from shapecheck.dims import Size
from shapecheck.engine.values import (
    NONE,
    UNKNOWN,
    Affine,
    Axis,
    Content,
    Items,
    Lit,
    Many,
    Num,
    Partial,
    ShapeOf,
    Tensor,
    Unknown,
    Value,
)  # fmt: skip
from shapecheck.ops.axes import as_tensor, dtype_of, is_none, like, members, numel, reach, refuse, take
from shapecheck.ops.kit import Kit, OpFunction, op


def _filled(kit: Kit, sizes: Sequence[Value], dtype: str | None, number: Size | None, why: str) -> Tensor:
    """A tensor of these sizes, every element of which is `number` (None: not an int that is known)."""
    wanted = kit.sizes(sizes)
    if wanted is None:
        return Tensor(Partial(), dtype)
    axes = tuple(kit.axis(kit.fresh("n") if s is None else s, why) for s in wanted)
    return Tensor(axes, dtype, content=None if number is None else Affine(number, 0))


def _factory(name: str, number: Size | None, dtype: str) -> OpFunction:
    def create(kit: Kit, *size: Value, **more: Any) -> Value:
        if not size and "size" in more:
            size = (more["size"],)
        return _filled(kit, size, dtype_of(more.get("dtype"), dtype), number, f"torch.{name}")

    return create


def _method_factory(name: str, number: Size | None) -> OpFunction:
    def create(kit: Kit, input: Value, *size: Value, **more: Any) -> Value:
        if not size and "size" in more:
            size = (more["size"],)
        return _filled(kit, size, dtype_of(more.get("dtype"), as_tensor(input).dtype), number, name)

    return create


def _like(number: Size | None) -> OpFunction:
    def create(kit: Kit, input: Value, **more: Any) -> Value:
        tensor = as_tensor(input)
        content: Content = None if number is None else Affine(number, 0)
        return Tensor(tensor.shape, dtype_of(more.get("dtype"), tensor.dtype), content=content)

    return create


def _register() -> None:
    for name, number in {"zeros": 0, "ones": 1, "empty": None, "rand": None, "randn": None}.items():
        op(f"torch.{name}", name=name, parameters="*size, **more")(_factory(name, number, "float"))
        like_names = [f"torch.{name}_like"]
        op(*like_names, name=f"{name}_like", parameters="input, *, dtype=None")(_like(number))
        if number is not None or name == "empty":
            op(f"Tensor.new_{name}", name=f"new_{name}", parameters="input, *size, **more")(
                _method_factory(f"new_{name}", number)
            )
    op("torch.Tensor", "torch.FloatTensor", name="empty", parameters="*size, **more")(_constructor("float"))
    op("torch.LongTensor", "torch.IntTensor", name="empty", parameters="*size, **more")(_constructor("int"))
    op("torch.BoolTensor", name="empty", parameters="*size, **more")(_constructor("bool"))
    op("torch.ByteTensor", name="empty", parameters="*size, **more")(_constructor("byte"))


def _constructor(dtype: str) -> OpFunction:
    """`torch.LongTensor(2, 3)` and `LongTensor(x.shape)` are empty, `torch.LongTensor([2, 3])` holds the numbers."""

    def create(kit: Kit, *size: Value, **more: Any) -> Value:
        if not size:
            return Tensor((Axis(0),), dtype)  # `torch.Tensor()` has nothing in it, and one axis
        of_shape = isinstance(size[0], ShapeOf) or (isinstance(size[0], Items) and size[0].kind == "size")
        if len(size) == 1 and kit.size(size[0]) is None and not of_shape:
            return tensor_of(kit, size[0]).with_(dtype=dtype)
        return _filled(kit, size, dtype, None, "constructor")

    return create


_register()


@op("torch.full")
def full(kit: Kit, size: Value, fill_value: Value, *, dtype: Any = None) -> Value:
    filled = as_tensor(fill_value)
    known = kit.size(fill_value)
    return _filled(kit, (size,), dtype_of(dtype, filled.dtype), known, "torch.full")


@op("Tensor.new_full")
def new_full(kit: Kit, input: Value, size: Value, fill_value: Value, *, dtype: Any = None) -> Value:
    return _filled(kit, (size,), dtype_of(dtype, as_tensor(input).dtype), kit.size(fill_value), "new_full")


@op("torch.full_like")
def full_like(kit: Kit, input: Value, fill_value: Value, *, dtype: Any = None) -> Value:
    tensor, number = as_tensor(input), kit.size(fill_value)
    content = None if number is None else Affine(number, 0)
    return Tensor(tensor.shape, dtype_of(dtype, tensor.dtype), content=content)


@op("torch.randint", parameters="*bounds, size=None, dtype=None, **more")
def randint(kit: Kit, *bounds: Value, size: Any = None, dtype: Any = None, **more: Any) -> Value:
    """`randint(high, size)` or `randint(low, high, size)`."""
    if is_none(size):
        if len(bounds) < 2:
            return Tensor(Partial(), "int")
        size = bounds[-1]
    return _filled(kit, (size,), dtype_of(dtype, "int"), None, "torch.randint")


@op("torch.randint_like", parameters="input, *bounds, **more")
def randint_like(kit: Kit, input: Value, *bounds: Value, **more: Any) -> Value:
    return like(as_tensor(input))


@op("torch.normal")
def normal(kit: Kit, mean: Value, std: Value = NONE, size: Any = None) -> Value:
    if not is_none(size):
        return _filled(kit, (size,), "float", None, "torch.normal")
    if isinstance(mean, Tensor) and isinstance(std, Tensor):
        return Tensor(kit.broadcast("normal", mean, std), "float")
    return like(mean if isinstance(mean, Tensor) else as_tensor(std), "float")


@op("torch.randperm")
def randperm(kit: Kit, n: Value, *, dtype: Any = None) -> Value:
    count = kit.size(n)
    return Tensor((kit.axis(kit.fresh("n") if count is None else count, "torch.randperm"),), dtype_of(dtype, "int"))


@op("torch.eye")
def eye(kit: Kit, n: Value, m: Value = NONE, *, dtype: Any = None) -> Value:
    rows = kit.size(n)
    rows = kit.fresh("n") if rows is None else rows
    columns: Size | None = rows if is_none(m) else kit.size(m)
    axes = (kit.axis(rows, "torch.eye"), kit.axis(kit.fresh("m") if columns is None else columns, "torch.eye"))
    return Tensor(axes, dtype_of(dtype, "float"))


@op("torch.range", name="arange", parameters="start, end=None, step=1, *, dtype=None")
def inclusive(kit: Kit, start: Value, end: Value = NONE, step: Any = 1, *, dtype: Any = None) -> Value:
    """The old `range(a, b, s)`, whose end belongs to it: floor((b - a) / s) + 1 numbers."""
    if is_none(end):
        start, end = Num(0), start
    low, last, stride = kit.size(start), kit.size(end), kit.integer(step)
    family = dtype_of(dtype, "float")
    if low is None or last is None or not stride:
        return Tensor((kit.axis(kit.fresh("n"), "torch.range"),), family)
    found = arange(kit, start, Num(last + (1 if stride > 0 else -1)), step)
    return as_tensor(found).with_(dtype=family)


@op("torch.arange", parameters="start, end=None, step=1, *, dtype=None")
def arange(kit: Kit, start: Value, end: Value = NONE, step: Any = 1, *, dtype: Any = None) -> Value:
    """`arange(n)` or `arange(a, b, s)`: ceil((b - a) / s) numbers, `a + s*i`."""
    if is_none(end):
        start, end = Num(0), start
    low, high, stride = kit.size(start), kit.size(end), kit.size(step)
    family = dtype_of(dtype, _number_family(kit, start, end, step))
    if stride == 0 or step == Lit(0.0):
        refuse(kit, "arange", (), "the step is 0", 0)
        return Tensor((kit.axis(kit.fresh("n"), "torch.arange"),), family)
    if low is None or high is None or stride is None:
        given = [v.value if isinstance(v, Lit) else kit.integer(v) for v in (start, end, step)]
        literal = [float(v) for v in given if isinstance(v, int | float)]
        if len(literal) == 3 and literal[2] and all(map(isfinite, literal)):
            steps = ceil((literal[1] - literal[0]) / literal[2])
            return Tensor((kit.axis(max(steps, 0), "torch.arange"),), family)
        return Tensor((kit.axis(kit.fresh("n"), "torch.arange"),), family)
    if isinstance(stride, int) and stride < 0:
        low, high, sign = -low, -high, -1
        count = _ceil(high - low, -stride)
    else:
        sign = 1
        count = _ceil(high - low, stride)
    if isinstance(count, int) and count < 0:
        return Tensor((kit.axis(kit.fresh("n"), "torch.arange"),), family)
    content = Affine(sign * low, stride) if family == "int" else None
    return Tensor((kit.axis(count, "torch.arange"),), family, content=content)


def _ceil(length: Size, stride: Size) -> Size:
    return length if stride == 1 else (length + stride - 1) // stride


def _number_family(kit: Kit, *values: Any) -> str | None:
    families = {as_tensor(v).dtype for v in values}
    return "float" if "float" in families else "int" if families == {"int"} else None


@op("torch.linspace", "torch.logspace", parameters="start, end, steps, *rest, dtype=None")
def linspace(kit: Kit, start: Value, end: Value, steps: Value, *rest: Any, dtype: Any = None) -> Value:
    count = kit.size(steps)
    return Tensor((kit.axis(kit.fresh("n") if count is None else count, "steps"),), dtype_of(dtype, "float"))


@op("torch.tensor", "torch.as_tensor", "torch.asarray", name="tensor", parameters="data, *, dtype=None")
def tensor(kit: Kit, data: Value, *, dtype: Any = None) -> Value:
    made = tensor_of(kit, data)
    return made.with_(dtype=dtype_of(dtype, made.dtype))


@op("Tensor.new_tensor", parameters="input, data, *, dtype=None")
def new_tensor(kit: Kit, input: Value, data: Value, *, dtype: Any = None) -> Value:
    return tensor_of(kit, data).with_(dtype=dtype_of(dtype, as_tensor(input).dtype), content=None)


@op("torch.from_numpy", "torch.scalar_tensor", parameters="data")
def from_numpy(kit: Kit, data: Value) -> Value:
    return tensor_of(kit, data)


def tensor_of(kit: Kit, data: Value) -> Tensor:
    """What `torch.tensor` makes of nested lists of numbers."""
    match data:
        case Tensor():
            return data.with_(made=None)
        case Num(size):
            return Tensor((), "int", content=None if size is None else Affine(size, 0))
        case Lit(bool()):
            return Tensor((), "bool")
        case Lit(float()):
            return Tensor((), "float")
        case Unknown(hint="int" | "float" | "bool" as hint):
            return Tensor((), hint)
        case Many(item, length):
            inner = tensor_of(kit, item)
            axis = kit.axis(kit.fresh("n") if length is None else length, "torch.tensor")
            if isinstance(inner.shape, Partial):
                return Tensor(Partial((axis, *inner.shape.head), inner.shape.tail), inner.dtype)
            return Tensor((axis, *inner.shape), inner.dtype)
    listed = members(data)
    if listed is None:
        return Tensor()
    rows = kit.axis(len(listed), "torch.tensor")
    if not listed:
        return Tensor((rows,), "float")
    rows_ = [tensor_of(kit, v) for v in listed]
    first = next((t for t in rows_ if t.rank is not None), rows_[0])
    dtypes = {t.dtype for t in rows_}
    dtype = "float" if "float" in dtypes and None not in dtypes else dtypes.pop() if len(dtypes) == 1 else None
    if isinstance(first.shape, Partial):
        return Tensor(Partial((rows,)), dtype)
    return Tensor((rows, *first.shape), dtype)


@op("torch.empty_strided")
def empty_strided(kit: Kit, size: Value, stride: Value, *, dtype: Any = None) -> Value:
    return _filled(kit, (size,), dtype_of(dtype, "float"), None, "torch.empty_strided")


@op("torch.complex", "torch.polar")
def complex_(kit: Kit, real: Value, imag: Value) -> Value:
    return Tensor(kit.broadcast("complex", as_tensor(real), as_tensor(imag)), "complex")


@op("torch.view_as_complex")
def view_as_complex(kit: Kit, input: Value) -> Value:
    tensor = as_tensor(input)
    if tensor.axes is None or not tensor.axes:
        return Tensor(Partial(), "complex")
    return Tensor(tensor.axes[:-1], "complex")


@op("torch.view_as_real")
def view_as_real(kit: Kit, input: Value) -> Value:
    tensor = as_tensor(input)
    if tensor.axes is None:
        return Tensor(Partial((), (Axis(2),)), "float")
    return Tensor((*tensor.axes, Axis(2)), "float")


@op("torch.nn.functional.one_hot")
def one_hot(kit: Kit, tensor: Value, num_classes: Any = -1) -> Value:
    classes = kit.size(num_classes)
    axis = kit.axis(kit.fresh("c") if classes is None or classes == -1 else classes, "num_classes")
    given = as_tensor(tensor)
    if isinstance(given.shape, Partial):
        return Tensor(Partial(given.shape.head, (*given.shape.tail, axis)), "int")
    return Tensor((*given.shape, axis), "int")


# ------------------------------------------------------ what a tensor tells


@op("Tensor.size", name="size")
def size(kit: Kit, input: Value, dim: Any = None) -> Value:
    """`x.size()` is all sizes, `x.size(0)` one."""
    given = as_tensor(input)
    if is_none(dim):
        if given.sizes is None:
            return ShapeOf(given)
        return Items("size", tuple(Num(s, a.origin) for s, a in zip(given.sizes, given.axes or ())))
    at = kit.integer(dim)
    found = None if at is None else reach(kit, "size", given, at)
    axis = None if found is None or at is None else take(found.shape, at)
    return Unknown("int") if axis is None else Num(axis.size, axis.origin)


@op("Tensor.shape", name="size")
def shape(kit: Kit, input: Value) -> Value:
    return size(kit, input)


@op("Tensor.dim", "Tensor.ndimension", "Tensor.ndim", name="dim")
def dim(kit: Kit, input: Value) -> Value:
    rank = as_tensor(input).rank
    return Unknown("int") if rank is None else Num(rank)


@op("Tensor.numel", "Tensor.nelement", "torch.numel", name="numel")
def count(kit: Kit, input: Value) -> Value:
    total = numel(as_tensor(input))
    return Unknown("int") if total is None else Num(total)


@op("Tensor.item")
def item(kit: Kit, input: Value) -> Value:
    kinds = {"int": "int", "byte": "int", "float": "float", "bool": "bool"}
    return Unknown(kinds.get(as_tensor(input).dtype or "", ""))


@op("Tensor.tolist")
def outside(kit: Kit, input: Value, *more: Any, **settings: Any) -> Value:
    return UNKNOWN


@op("Tensor.numpy", "Tensor.__array__")
def array(kit: Kit, input: Value, *more: Any, **settings: Any) -> Value:
    """numpy's methods differ from torch's (`a.max(0)` is one array), so an array never passes for a tensor."""
    return Unknown("array")


@op("torch.is_grad_enabled", "torch.cuda.is_available")
def environment(kit: Kit) -> Value:
    return Unknown("bool")


@op("torch.broadcast_shapes")
def broadcast_shapes(kit: Kit, *shapes: Value) -> Value:
    operands = []
    for given in shapes:
        sizes = kit.sizes((given,))
        if sizes is None or None in sizes:
            return UNKNOWN
        operands.append(Tensor(tuple(Axis(s) for s in sizes if s is not None)))
    result = kit.broadcast("broadcast_shapes", *operands)
    if isinstance(result, Partial):
        return UNKNOWN
    return Items("size", tuple(Num(a.size) for a in result))


@op("torch.nn.Parameter", "torch.nn.parameter.Parameter", "torch.nn.Buffer", name="same",
    parameters="data=None, requires_grad=True, *, persistent=True")  # fmt: skip
def parameter(kit: Kit, data: Value = NONE, requires_grad: Any = True, *, persistent: Any = True) -> Value:
    return as_tensor(data).with_(made=None)


@op("torch.empty_permuted")
def empty_permuted(kit: Kit, size: Value, physical_layout: Value, *, dtype: Any = None) -> Value:
    return _filled(kit, (size,), dtype_of(dtype, "float"), None, "torch.empty_permuted")
