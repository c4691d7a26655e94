"""Ops that work element by element: one operand keeps its shape, several broadcast."""

from __future__ import annotations

from typing import Any

from shapecheck.dims import NEVER, Size
from shapecheck.engine.values import NONE, Affine, Axis, Content, Extern, Items, Tensor, Unknown, Value
from shapecheck.ops.axes import as_tensor, dtype_of, flag, is_none, is_number, like, product, promote, rank_crash
from shapecheck.ops.kit import REGISTRY, Kit, OpFunction, op

# ---------------------------------------------------------------- one operand

# torch.x, Tensor.x and Tensor.x_ with float results
_TO_FLOAT = [
    "exp",
    "exp2",
    "expm1",
    "log",
    "log2",
    "log10",
    "log1p",
    "sqrt",
    "rsqrt",
    "sin",
    "cos",
    "tan",
    "sinh",
    "cosh",
    "tanh",
    "asin",
    "acos",
    "atan",
    "asinh",
    "acosh",
    "atanh",
    "sigmoid",
    "logit",
    "erf",
    "erfc",
    "erfinv",
    "lgamma",
    "digamma",
    "reciprocal",
    "rad2deg",
    "deg2rad",
    "i0",
    "sinc",
]
_SAME = [
    "abs",
    "neg",
    "square",
    "round",
    "floor",
    "ceil",
    "trunc",
    "frac",
    "sign",
    "sgn",
    "positive",
    "negative",
    "absolute",
]
_TO_BOOL = ["isnan", "isinf", "isfinite", "isneginf", "isposinf", "isreal", "signbit", "logical_not"]
# torch.nn.functional.x (input, **settings): activations and the like
_ACTIVATIONS = [
    "elu",
    "selu",
    "celu",
    "gelu",
    "silu",
    "mish",
    "leaky_relu",
    "relu6",
    "hardtanh",
    "hardswish",
    "hardsigmoid",
    "hardshrink",
    "softplus",
    "softshrink",
    "softsign",
    "tanhshrink",
    "logsigmoid",
    "threshold",
    "rrelu",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "alpha_dropout",
    "feature_alpha_dropout",
]


# torch's second names
_SAME_AS = {
    "negative": "neg", "absolute": "abs", "expit": "sigmoid", "subtract": "sub", "multiply": "mul",
    "true_divide": "div", "not_equal": "ne", "less": "lt", "less_equal": "le", "greater": "gt", "greater_equal": "ge",
}  # fmt: skip


def _unary(dtype: str) -> OpFunction:
    def unary(kit: Kit, input: Value) -> Value:
        operand = as_tensor(input)
        return like(operand, _result(operand.dtype))

    def _result(given: str | None) -> str | None:
        if dtype == "float":
            return "complex" if given == "complex" else "float" if given else None
        return given if dtype == "same" else dtype

    return unary


def _register_unary() -> None:
    in_place_absent = {"isnan", "isinf", "isfinite", "isneginf", "isposinf", "isreal", "signbit", "positive"}
    for names, dtype in ((_TO_FLOAT, "float"), (_SAME, "same"), (_TO_BOOL, "bool")):
        for name in names:
            public = [f"torch.{name}", f"Tensor.{name}"]
            if name not in in_place_absent:
                public.append(f"Tensor.{name}_")
            function = _any_settings(_unary(dtype)) if name == "logit" else _unary(dtype)
            op(*public, name=_SAME_AS.get(name, name), parameters="input, eps=None" if name == "logit" else None)(
                function
            )
    for name in _ACTIVATIONS:
        function = REGISTRY["torch.square"].function
        op(f"torch.nn.functional.{name}", name=name, parameters="input, *settings, **more")(_any_settings(function))
    op("torch.nn.functional.gumbel_softmax", name="gumbel_softmax",
       parameters="logits, tau=1, hard=False, eps=1e-10, dim=-1")(_any_settings(_unary("same")))  # fmt: skip
    for name in ("relu", "sigmoid", "tanh"):
        public = [f"torch.nn.functional.{name}"]
        public += ["torch.relu", "Tensor.relu", "Tensor.relu_"] if name == "relu" else []
        op(*public, name=name, parameters="input, inplace=False")(_any_settings(_unary("same")))
    for name in ("special.expit", "special.logit", "special.log1p", "special.erf", "special.exp2", "special.expm1"):
        last = name.rpartition(".")[2]
        op(f"torch.{name}", name=_SAME_AS.get(last, last), parameters="input, eps=None")(_any_settings(_unary("float")))
    for name in ("angle", "real", "imag", "conj", "resolve_conj"):
        public = [f"torch.{name}", f"Tensor.{name}"]
        op(*public, name=name)(_unary("same" if "conj" in name else "float"))
    op("operator.neg", "operator.pos", name="neg")(_unary("same"))
    op("operator.invert", "torch.bitwise_not", "Tensor.bitwise_not", "Tensor.bitwise_not_", name="bitwise_not")(
        _unary("same")
    )
    op("operator.abs", name="abs")(_unary("same"))


def _any_settings(function: OpFunction) -> OpFunction:
    def with_settings(kit: Kit, input: Value, *settings: Any, **more: Any) -> Value:
        return function(kit, input)

    return with_settings


_register_unary()


@op(
    "Tensor.clone", "Tensor.contiguous", "Tensor.detach", "Tensor.detach_", "Tensor.cpu", "Tensor.cuda",
    "Tensor.to_dense", "Tensor.coalesce", "Tensor.requires_grad_", "Tensor.share_memory_",
    "Tensor.pin_memory", "torch.clone", "torch.detach",
    "torch.nan_to_num", "Tensor.nan_to_num", "Tensor.nan_to_num_", "Tensor.data", "Tensor.grad", "Tensor.retain_grad",
    "torch.autograd.Variable",
    name="same",
)  # fmt: skip
def same(kit: Kit, input: Value, *settings: Any, **more: Any) -> Value:
    """The same numbers elsewhere."""
    return as_tensor(input).with_(made=None)


@op("Tensor.to", "Tensor.type")
def to(kit: Kit, input: Value, *target: Any, dtype: Value = NONE, **more: Any) -> Value:
    """`x.to(device)`, `x.to(torch.long)`, `x.to(other)`."""
    tensor = as_tensor(input)
    family = dtype_of(dtype, tensor.dtype)
    for value in target:
        if isinstance(value, Tensor):
            family = value.dtype
        elif isinstance(value, Extern):
            family = dtype_of(value)
        elif not is_none(value) and flag(value) is None and not isinstance(value, Tensor):
            family = None if tensor.dtype != "bool" or family != "bool" else family
    return tensor.with_(dtype=family, made=None)


def _register_casts() -> None:
    families = {
        "float": "float", "half": "float", "double": "float", "bfloat16": "float", "long": "int", "int": "int",
        "short": "int", "char": "int", "byte": "byte", "bool": "bool",
    }  # fmt: skip
    for name, family in families.items():

        def cast(kit: Kit, input: Value, *, _family: str = family, **more: Any) -> Value:
            tensor = as_tensor(input)
            return tensor.with_(dtype=_family, made=None, content=None if _family == "bool" else tensor.content)

        op(f"Tensor.{name}", name=name, parameters="input, memory_format=None")(_any_settings(cast))

    def as_type(kit: Kit, input: Value, other: Value) -> Value:
        return as_tensor(input).with_(dtype=as_tensor(other).dtype, made=None)

    op("Tensor.type_as", name="type_as")(as_type)


_register_casts()


@op("torch.clamp", "Tensor.clamp", "Tensor.clamp_", "torch.clip", "Tensor.clip", "Tensor.clip_")
def clamp(kit: Kit, input: Value, min: Value = NONE, max: Value = NONE) -> Value:
    operands = [as_tensor(v) for v in (input, min, max) if not is_none(v)]
    shape = kit.broadcast("clamp", *operands) if len(operands) > 1 else operands[0].shape
    return Tensor(shape, promote(*(o.dtype for o in operands)))


@op(
    "torch.clamp_min", "torch.clamp_max", "Tensor.clamp_min", "Tensor.clamp_max", "Tensor.clamp_min_",
    "Tensor.clamp_max_", name="clamp",
)  # fmt: skip
def clamp_one_side(kit: Kit, input: Value, bound: Value) -> Value:
    return clamp(kit, input, bound)


# ----------------------------------------------------------- several operands


def binary(kit: Kit, name: str, left: Value, right: Value, dtype: str = "promote") -> Tensor:
    """Two operands that broadcast."""
    a, b = as_tensor(left), as_tensor(right)
    if is_number(right):
        shape = a.shape
    elif is_number(left):
        shape = b.shape
    else:
        shape = kit.broadcast(name, a, b)
    family = promote(a.dtype, b.dtype) if dtype == "promote" else dtype
    numbers = (is_number(left), is_number(right))
    if family == "int" and any(n and t.dtype == "byte" for n, t in zip(numbers, (b, a))):
        family = "byte"  # a Python int takes the type of the tensor: `1 - mask`
    if name == "div" and family in ("int", "byte", "bool"):
        family = "float"
    return Tensor(shape, family)


def arithmetic(kit: Kit, name: str, left: Value, right: Value) -> Tensor:
    """add, sub, mul and floor division, which keep affine content affine."""
    result = binary(kit, name, left, right)
    return result.with_(content=_affine(kit, name, left, right)) if result.dtype == "int" else result


def _affine(kit: Kit, name: str, left: Value, right: Value) -> Content:
    a, b = _content(kit, left), _content(kit, right)
    if a is None or b is None:
        return None
    x, y = as_tensor(left), as_tensor(right)
    if x.rank == 1 and y.rank == 1 and x.sizes != y.sizes:
        return None
    match name:
        case "add":
            return Affine(a.offset + b.offset, a.stride + b.stride)
        case "sub":
            return Affine(a.offset - b.offset, a.stride - b.stride)
        case "mul" if b.stride == 0:
            return Affine(a.offset * b.offset, a.stride * b.offset)
        case "mul" if a.stride == 0:
            return Affine(a.offset * b.offset, a.offset * b.stride)
    return None


def _content(kit: Kit, value: Value) -> Affine | None:
    if isinstance(value, Tensor):
        return value.content
    size = kit.size(value)
    return None if size is None else Affine(size, 0)


def _register_binary() -> None:
    plain = ("add", "sub", "mul")
    operators = {
        "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**", "and_": "&",
        "or_": "|", "xor": "^", "lshift": "<<", "rshift": ">>", "eq": "==", "ne": "!=", "lt": "<", "le": "<=",
        "gt": ">", "ge": ">=",
    }  # fmt: skip
    canonical = {
        "truediv": "div", "floordiv": "floor_divide", "mod": "remainder", "and_": "bitwise_and", "or_": "bitwise_or",
        "xor": "bitwise_xor", "lshift": "bitwise_left_shift", "rshift": "bitwise_right_shift",
    }  # fmt: skip
    families = {
        **dict.fromkeys(plain, ("", "alpha=1")),
        "div": ("", "rounding_mode=None"),
        **dict.fromkeys(
            [
                "remainder",
                "pow",
                "floor_divide",
                "bitwise_and",
                "bitwise_or",
                "bitwise_xor",
                "bitwise_left_shift",
                "bitwise_right_shift",
                "fmod",
            ],
            ("", ""),
        ),
        **dict.fromkeys(
            [
                "eq",
                "ne",
                "lt",
                "le",
                "gt",
                "ge",
                "logical_and",
                "logical_or",
                "logical_xor",
                "not_equal",
                "less",
                "less_equal",
                "greater",
                "greater_equal",
            ],
            ("bool", ""),
        ),
        **dict.fromkeys(
            ["atan2", "copysign", "hypot", "nextafter", "logaddexp", "logaddexp2", "float_power", "xlogy"],
            ("float", ""),
        ),
        **dict.fromkeys(
            ["maximum", "minimum", "fmax", "fmin", "gcd", "lcm", "true_divide", "multiply", "subtract"], ("", "")
        ),
    }
    no_method_in_place = {"maximum", "minimum", "fmax", "fmin", "logaddexp", "logaddexp2"}
    for name, (dtype, extra) in families.items():
        torch_names = [f"torch.{name}", f"Tensor.{name}"]
        if name not in no_method_in_place:
            torch_names.append(f"Tensor.{name}_")
        torch_names += [f"operator.{o}" for o in operators if canonical.get(o, o) == name]
        more = f", *, {extra}" if extra else ""
        same = _SAME_AS.get(name, name)
        op(*torch_names, name=same, parameters="input, other" + more)(_binary(same, dtype))
    op("Tensor.__radd__", "Tensor.__rsub__", "Tensor.__rmul__", "Tensor.__rtruediv__", name="reflected")(
        _binary("reflected", "")
    )
    op("torch.rsub", name="rsub")(_binary("rsub", ""))


def _binary(name: str, dtype: str) -> OpFunction:
    def run(kit: Kit, input: Value, other: Value, **more: Any) -> Value:
        if name in ("add", "sub", "mul") and more.get("alpha", 1) == 1:
            return arithmetic(kit, name, input, other)
        return binary(kit, name, input, other, dtype or "promote")

    return run


_register_binary()


@op("torch.addcmul", "torch.addcdiv", "Tensor.addcmul", "Tensor.addcmul_", "Tensor.addcdiv", "Tensor.addcdiv_")
def addcmul(kit: Kit, input: Value, tensor1: Value, tensor2: Value, *, value: Value = NONE) -> Value:
    operands = [as_tensor(v) for v in (input, tensor1, tensor2)]
    return Tensor(kit.broadcast("addcmul", *operands), promote(*(o.dtype for o in operands)))


@op("torch.lerp", "Tensor.lerp", "Tensor.lerp_")
def lerp(kit: Kit, input: Value, end: Value, weight: Value) -> Value:
    operands = [as_tensor(v) for v in (input, end, weight) if not is_number(v)]
    return Tensor(kit.broadcast("lerp", *operands), "float")


@op("torch.where")
def where(kit: Kit, condition: Value, input: Value = NONE, other: Value = NONE) -> Value:
    """`torch.where(condition, a, b)`; with the condition alone, one index tensor for each axis."""
    test = as_tensor(condition)
    if is_none(input):
        from shapecheck.ops.select import nonzero  # where(c) is nonzero(c, as_tuple=True)

        return nonzero(kit, condition, True)
    a, b = as_tensor(input), as_tensor(other)
    shape = kit.broadcast("where", *(t for t, v in ((test, condition), (a, input), (b, other)) if not is_number(v)))
    return Tensor(shape, promote(a.dtype, b.dtype))


@op("Tensor.where", name="where")
def where_method(kit: Kit, input: Value, condition: Value, other: Value) -> Value:
    """`x.where(condition, y)`."""
    return where(kit, condition, input, other)


@op("torch.masked_fill", "Tensor.masked_fill")
def masked_fill(kit: Kit, input: Value, mask: Value, value: Value) -> Value:
    tensor = as_tensor(input)
    return Tensor(kit.broadcast("masked_fill", tensor, as_tensor(mask)), tensor.dtype)


@op("Tensor.masked_fill_", name="masked_fill")
def masked_fill_(kit: Kit, input: Value, mask: Value, value: Value) -> Value:
    tensor = as_tensor(input)
    fits_into(kit, "masked_fill", tensor, as_tensor(mask))
    return like(tensor)


@op("Tensor.copy_", name="copy")
def copy_(kit: Kit, input: Value, src: Value, non_blocking: Value = NONE) -> Value:
    tensor = as_tensor(input)
    fits_into(kit, "copy", tensor, as_tensor(src))
    return like(tensor)


def fits_into(kit: Kit, name: str, tensor: Tensor, other: Tensor) -> None:
    """torch needs `other` to broadcast to the shape of `tensor`, which does not stretch."""
    shape = kit.broadcast(name, tensor, other)
    if not isinstance(shape, tuple) or tensor.axes is None or other.axes is None:
        return
    if len(shape) > len(tensor.axes):
        kit.crash("rank", name, (tensor, other), tensor.rank, other.rank, NEVER, "rank of the written value")
        return
    for own, theirs in zip(reversed(tensor.axes), reversed(other.axes)):
        if own.size == 1 and theirs.size != 1 and not kit.is_free(theirs.size):
            kit.crash("stretch", name, (tensor, other), own.size, theirs.size, kit.compare(own.size, theirs.size))


@op(
    "Tensor.fill_",
    "Tensor.zero_",
    "torch.nn.init.zeros_",
    "torch.nn.init.ones_",
    "torch.nn.init.constant_",
    name="fill",
)
def fill(kit: Kit, input: Value, value: Value = NONE) -> Value:
    return like(as_tensor(input))


@op(
    "Tensor.normal_", "Tensor.uniform_", "Tensor.random_", "Tensor.bernoulli_", "Tensor.exponential_",
    "torch.nn.init.normal_", "torch.nn.init.uniform_", "torch.nn.init.xavier_uniform_",
    "torch.nn.init.xavier_normal_", "torch.nn.init.kaiming_uniform_", "torch.nn.init.kaiming_normal_",
    "torch.nn.init.trunc_normal_", "torch.nn.init.orthogonal_", "torch.bernoulli", "Tensor.bernoulli",
    name="sample_like",
)  # fmt: skip
def sample_like(kit: Kit, input: Value, *settings: Any, **more: Any) -> Value:
    return like(as_tensor(input))


@op("torch.equal", "torch.allclose", "Tensor.equal", "Tensor.allclose", "torch.is_tensor", "torch.is_floating_point",
    "Tensor.is_floating_point", "Tensor.is_contiguous", "torch.is_complex", "Tensor.is_complex",
    name="test")  # fmt: skip
def test(kit: Kit, input: Value, *rest: Any, **more: Any) -> Value:
    return Unknown("bool")


@op("torch.isclose", "Tensor.isclose")
def isclose(
    kit: Kit, input: Value, other: Value, rtol: Value = NONE, atol: Value = NONE, equal_nan: Value = NONE
) -> Value:
    return binary(kit, "isclose", input, other, "bool")


@op("torch.broadcast_tensors")
def broadcast_tensors(kit: Kit, *tensors: Value) -> Value:
    operands = [as_tensor(t) for t in tensors]
    shape = kit.broadcast("broadcast_tensors", *operands)
    return Items("tuple", tuple(Tensor(shape, t.dtype) for t in operands))


@op("torch.cartesian_prod")
def cartesian_prod(kit: Kit, *tensors: Value) -> Value:
    operands = [as_tensor(t) for t in tensors]
    sizes: list[Size] = []
    for operand in operands:
        if operand.sizes is None:
            return Tensor()
        if len(operand.sizes) != 1:
            rank_crash(kit, "cartesian_prod", operands, len(operand.sizes), 1, "cartesian_prod takes vectors")
            return Tensor()
        sizes.append(operand.sizes[0])
    rows = kit.axis(product(sizes), "every combination")
    return Tensor(
        (rows, Axis(len(operands))) if len(operands) > 1 else (rows,), operands[0].dtype if operands else None
    )
