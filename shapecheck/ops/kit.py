"""What an op may ask of the interpreter, and how ops enter the registry.

An op is a plain function over values:

    @op("torch.softmax", "torch.nn.functional.softmax", "Tensor.softmax")
    def softmax(kit: Kit, input: Tensor, dim: int | None = None, dtype: Value = NONE) -> Value: ...

Its parameters after `kit` are torch's own names and defaults: the interpreter binds the call's arguments to them, the
receiver of a method call to the first. Every argument arrives as a `Value` (a parameter's default stays what it is).
The function's name is the op's canonical name in facts, unless `name=` says otherwise.

A layer is the same with the `Layer` that is called in front, registered by `@layer` together with its constructor.
`bind` turns the arguments of a call into those of a function; `construct` makes a `Layer`.
Results that torch gives as named tuples are `Mapping(kind="namedtuple")`: they unpack and index in order.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from shapecheck.dims import Size, Verdict
from shapecheck.engine.values import Assumption, Axis, Items, Layer, Lit, Num, Shape, Tensor, Value
from shapecheck.engine.values import Mapping as MappingValue
from shapecheck.ops.demands import Demand
from shapecheck.ops.kinds import key_of_layer, kind_of
from shapecheck.ops.roles import find


class Kit(Protocol):
    """The interpreter as an op sees it. Tensors handed to ops are already resolved (all that was learned applied)."""

    def resolve(self, size: Size) -> Size:
        """The size with everything learned so far put in."""

    def agree(self, a: Size, b: Size) -> Verdict:
        """torch needs a == b here. A free symbol (a parameter's unknown size) is thereby learned to be equal (verdict
        ALWAYS); named sizes are compared."""

    def divides(self, size: Size) -> Size:
        """torch needs this floor division to leave nothing over: `n // b` of a free n becomes a symbol G, and n is
        learned to be b*G. Other sizes come back as they are."""

    def compare(self, a: Size, b: Size) -> Verdict:
        """Are they equal? Learns nothing."""

    def fresh(self, hint: str) -> Size:
        """A new free size (>= 1) that nothing is known of; `hint` is a short letter or word for messages."""

    def is_free(self, size: Size) -> bool:
        """Is this a bare free symbol, of which nothing is known yet?"""

    def assume(self, custom: str) -> Assumption | None:
        """May this custom be assumed here? `custom` goes on after "assuming"; None: what follows needs proof."""

    def refine(self, tensor: Tensor, shape: Shape) -> Tensor:
        """torch needs this unknown-shaped tensor to have that shape (learned when it has a key)."""

    def rank(self, tensor: Tensor, rank: int, assumption: Assumption | None = None) -> Tensor:
        """torch needs this rank, or, with an `assumption`, custom has it: a tensor of unknown rank gets that many fresh
        axes (keeping its known head and tail); others come back as they are."""

    def size(self, value: Any) -> Size | None:
        """The size that a Num, an int, or an integer literal stands for; None for everything else."""

    def integer(self, value: Any) -> int | None:
        """A plain Python int, or None."""

    def sizes(self, values: Sequence[Value]) -> tuple[Size | None, ...] | None:
        """Sizes of `view(a, b)`, `view((a, b))`, `view(x.shape)`; None when their count is unknown."""

    def broadcast(self, op: str, *tensors: Tensor) -> Shape:
        """The broadcast shape; states `Broadcasted`, and `Demanded("broadcast")` where it can't be done."""

    def crash(
        self,
        demand: Demand,
        op: str,
        operands: Sequence[Tensor],
        left: Size | None,
        right: Size | None,
        verdict: Verdict,
        detail: str = "",
        argument: str = "",
    ) -> None:
        """State what torch demands here and does not get: never, or only where the verdict's condition holds.

        `detail` says in words what is compared; `argument` names torch's parameter that has to fit.
        """

    def axis(self, size: Size, why: str = "") -> Axis:
        """An axis of that size that came into being at the present call."""

    def call(self, func: Value, args: Sequence[Value]) -> Value:
        """Call a callable value (of `map`, `functools.partial`, `vmap`, a module's forward)."""


_KINDS: dict[str, int] = {}  # by canonical key, as far as somebody asked

OpFunction = Callable[..., Value]
Parameters = tuple[inspect.Parameter, ...]


@dataclass(frozen=True, slots=True)
class OpSpec:
    """A registered op: canonical name, the function, and its parameters after `kit` (None: the function's own; a text
    is read when first asked for, which most ops never are).

    `inplace`: the result is the new value of the first argument too (`x.add_(1)`, `all_gather(list, x)`).
    `stands_for`: the canonical key, where the name is another one (`MSELoss` stands for `mse_loss`).
    """

    name: str
    function: OpFunction
    given: Parameters | str | None
    inplace: bool = False
    stands_for: str = ""

    @property
    def key(self) -> str:
        """One for all spellings: of `torch.subtract`, `Tensor.sub_` and `-` it is "sub"."""
        return self.stands_for or self.name

    @property
    def kind(self) -> int:
        """What the op is: bits of `shapecheck.ops.kinds`."""
        kind = _KINDS.get(self.stands_for or self.name)
        return self._asked() if kind is None else kind

    def _asked(self) -> int:
        kind = _KINDS[self.key] = kind_of(self.key)
        return kind

    def argument(self, args: Mapping[str, Any], role: str) -> Any:
        """What plays this role in a call with these arguments, or was given to the layer that was called; or None."""
        name = find(args, role, self.kind)
        if name is not None:
            return args[name]
        layer = args.get("self")
        return layer.arg(role) if isinstance(layer, Layer) else None

    @property
    def parameters(self) -> Parameters:
        match self.given:
            case None:
                return _own_parameters(self.function, 1)
            case str(text):
                return signature(text)
            case tuple() as known:
                return known


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """A registered layer: its constructor's parameters, and what a call of an instance does.

    `function` takes `(kit, layer, *call arguments)`; `parameters` are those after `layer`.
    """

    name: str
    constructor_text: str
    function: OpFunction

    @property
    def key(self) -> str:
        """That of the op which does the same: `torch.nn.MSELoss` has "mse_loss"."""
        return key_of_layer(self.name)

    @property
    def kind(self) -> int:
        return kind_of(self.key)

    @property
    def constructor(self) -> Parameters:
        return signature(self.constructor_text)

    @property
    def parameters(self) -> Parameters:
        return _own_parameters(self.function, 2)


@cache
def _own_parameters(function: OpFunction, skipped: int) -> Parameters:
    return tuple(inspect.signature(function).parameters.values())[skipped:]


REGISTRY: dict[str, OpSpec] = {}
LAYERS: dict[str, LayerSpec] = {}


def op(
    *names: str, name: str | None = None, parameters: str | None = None, inplace: bool = False
) -> Callable[[OpFunction], OpFunction]:
    """Register a function under every public name it serves: "torch.x", "Tensor.x", "einops.rearrange".

    `parameters`, written as in a `def`, replace those of the function (for functions made by a loop). `inplace` holds
    for `Tensor.x_` and `torch.nn.init.x_` by themselves.
    """

    def register(function: OpFunction) -> OpFunction:
        canonical = name or function.__name__.rstrip("_")
        for public in names:
            if public in REGISTRY:
                raise ValueError(f"op {public!r} is registered twice")
            trailing = public.startswith(("Tensor.", "torch.nn.init.")) and public[-1] == "_" != public[-2]
            REGISTRY[public] = OpSpec(canonical, function, parameters or None, inplace or trailing)
        return function

    return register


def layer(*constructors: str) -> Callable[[OpFunction], OpFunction]:
    """Register what calling a layer does, under constructors written as torch has them:
    `@layer("torch.nn.Linear(in_features, out_features, bias=True, device=None, dtype=None)")`."""

    def register(function: OpFunction) -> OpFunction:
        for text in constructors:
            public, _, rest = text.partition("(")
            if public in LAYERS:
                raise ValueError(f"layer {public!r} is registered twice")
            LAYERS[public] = LayerSpec(public, rest.removesuffix(")"), function)
        return function

    return register


@cache
def signature(text: str) -> Parameters:
    """The parameters of `def f(<text>)`. Defaults must be literals."""
    arguments = ast.parse(f"def f({text}): pass").body[0].args  # type: ignore[attr-defined]
    found: list[inspect.Parameter] = []
    missing = [inspect.Parameter.empty] * (len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults))
    defaults = [*missing, *map(ast.literal_eval, arguments.defaults)]
    for index, arg in enumerate([*arguments.posonlyargs, *arguments.args]):
        kind = _POSITIONAL if index < len(arguments.posonlyargs) else inspect.Parameter.POSITIONAL_OR_KEYWORD
        found.append(inspect.Parameter(arg.arg, kind, default=defaults[index]))
    if arguments.vararg:
        found.append(inspect.Parameter(arguments.vararg.arg, inspect.Parameter.VAR_POSITIONAL))
    for arg, default in zip(arguments.kwonlyargs, arguments.kw_defaults):
        value = inspect.Parameter.empty if default is None else ast.literal_eval(default)
        found.append(inspect.Parameter(arg.arg, inspect.Parameter.KEYWORD_ONLY, default=value))
    if arguments.kwarg:
        found.append(inspect.Parameter(arguments.kwarg.arg, inspect.Parameter.VAR_KEYWORD))
    return tuple(found)


_POSITIONAL = inspect.Parameter.POSITIONAL_ONLY

# torch takes numpy's spelling too
_ALIASES = {"axis": "dim", "keepdims": "keepdim", "x": "input", "x1": "input", "x2": "other", "a": "input"}
# these never change a shape
_SHAPELESS = frozenset(
    {
        "out",
        "device",
        "requires_grad",
        "layout",
        "pin_memory",
        "memory_format",
        "generator",
        "non_blocking",
        "inplace",
        "dtype",
        "out_dtype",
        "group",
        "async_op",
        "_stacklevel",
        "size_average",
        "reduce",
        "sync_grads",
        "alpha",
        "eps",
        "names",
        "rounding_mode",
        "decimals",
        "approximate",
        "copy",
        "stable",
        "correction",
        "unbiased",
        "p",
    }
)


@dataclass(slots=True)
class Bound:
    """The arguments of one call by parameter name, defaults filled in."""

    arguments: dict[str, Any]
    form: Form

    @property
    def args(self) -> list[Any]:
        """As a call passes them: those by position."""
        found = [self.arguments[name] for name in self.form.positional]
        return found if self.form.rest is None else [*found, *self.arguments[self.form.rest]]

    @property
    def kwargs(self) -> dict[str, Any]:
        """As a call passes them: those by name."""
        found = {name: self.arguments[name] for name in self.form.named}
        return found if self.form.more is None else {**found, **self.arguments[self.form.more]}


@dataclass(frozen=True, slots=True)
class Form:
    """Parameters, sorted by how they can be given."""

    names: tuple[str, ...]
    positional: tuple[str, ...]
    only_positional: frozenset[str]
    named: tuple[str, ...]
    rest: str | None  # the name of `*args`
    more: str | None  # the name of `**kwargs`
    defaults: dict[str, Any]


def bind(parameters: Parameters, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Bound | None:
    """Bind a call's arguments to parameters, defaults filled in.

    numpy's spellings (`axis=`) are understood and keywords that no shape depends on (`device=`, `out=`) dropped. None
    where torch would say TypeError, or has an overload that we lack.
    """
    form = _form_of(parameters)
    found: dict[str, Any] = dict(zip(form.positional, args))
    left = args[len(form.positional) :]
    if left and form.rest is None:
        return None
    more: dict[str, Any] = {}
    for key, value in kwargs.items():
        name = key if key in form.names or form.more is not None else _ALIASES.get(key, "")
        if name in form.positional or name in form.named:
            if name not in found and name not in form.only_positional:
                found[name] = value
                continue
            if form.more is None or name not in form.only_positional:
                return None
            more[name] = value
        elif form.more is not None:
            more[key] = value
        elif key not in _SHAPELESS:
            return None
    arguments: dict[str, Any] = {}
    for name in form.names:
        if name in found:
            arguments[name] = found[name]
        elif name == form.rest:
            arguments[name] = tuple(left)
        elif name == form.more:
            arguments[name] = more
        elif name in form.defaults:
            arguments[name] = form.defaults[name]
        else:
            return None
    return Bound(arguments, form)


_FORMS: dict[int, tuple[Parameters, Form]] = {}  # by identity: a registered op keeps its own


def _form_of(parameters: Parameters) -> Form:
    known = _FORMS.get(id(parameters))
    if known is None:
        known = _FORMS[id(parameters)] = (parameters, _form(parameters))
    return known[1]


def _form(parameters: Parameters) -> Form:
    kinds = inspect.Parameter
    by_place = (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)
    return Form(
        tuple(p.name for p in parameters),
        tuple(p.name for p in parameters if p.kind in by_place),
        frozenset(p.name for p in parameters if p.kind is kinds.POSITIONAL_ONLY),
        tuple(p.name for p in parameters if p.kind is kinds.KEYWORD_ONLY),
        next((p.name for p in parameters if p.kind is kinds.VAR_POSITIONAL), None),
        next((p.name for p in parameters if p.kind is kinds.VAR_KEYWORD), None),
        {p.name: p.default for p in parameters if p.default is not kinds.empty},
    )


def construct(name: str, args: Sequence[Value], kwargs: Mapping[str, Value], key: str = "") -> Layer | None:
    """The layer that a constructor call makes: `construct("torch.nn.Linear", (Num(8), Num(1)), {})`."""
    spec = LAYERS.get(name)
    bound = bind(spec.constructor, args, kwargs) if spec else None
    if bound is None:
        return None
    found: list[tuple[str, Value]] = []
    for parameter, value in bound.arguments.items():
        found.append((parameter, _value(value)))
    return Layer(name, tuple(found), key)


def _value(raw: Any) -> Value:
    """A default as a value: 1 is Num(1), True is Lit(True); *args become a tuple."""
    match raw:
        case tuple():
            return Items("tuple", tuple(map(_value, raw)))
        case dict():
            return MappingValue(tuple((str(k), _value(v)) for k, v in raw.items()))
        case None | bool() | float() | str():
            return Lit(raw)
        case int():
            return Num(raw)
        case _:
            return raw  # type: ignore[no-any-return]
