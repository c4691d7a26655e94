"""The user's loss as something that can be asked: built once, copied for each call, run on a batch of our choice."""

from __future__ import annotations

import copy
import inspect
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from . import roles
from .binding import Binding
from .case import WIDTH, Case
from .names import SCALARS, guess
from .outcome import read
from .quiet import still
from .stand_in import Encoder, Tape, looks_like_encoder, nothing_downloaded, replace_encoders, sentence_model
from .target import CannotCall, Target, own_line

_MODELS = (
    "model",
    "encoder",
    "backbone",
    "bert",
    "lm",
    "transformer",
    "query_encoder",
    "passage_encoder",
    "lm_q",
    "lm_p",
    "guide",
    "model_name",
    "model_name_or_path",
    "base_model",
)
_DEFAULTS = {
    "device": "cpu",
    "eps": 1e-8,
    "num_classes": 3,
    "n_classes": 3,
    "out_dim": 24,
    "rank": 0,
    "world_size": 1,
    "beta": 1.0,
    "alpha": 1.0,
}
_WIDTHS = (
    "embedding_size",
    "embedding_dim",
    "dim",
    "feature_dim",
    "feat_dim",
    "hidden_size",
    "d_model",
    "in_dim",
    "input_dim",
    "embed_dim",
)
_FILLS = {**_DEFAULTS, **dict.fromkeys(_WIDTHS, WIDTH)}


@dataclass(frozen=True)
class Outcome:
    """The loss and its gradient by every row of the batch, in double precision; gradients of parameters by name."""

    value: float
    gradient: Tensor
    parameters: Mapping[str, Tensor | None] = field(default_factory=dict)
    form: str = ""
    dropped: bool = False


@dataclass(frozen=True)
class Subject:
    """What is validated: `build` makes the callable (a batch size where the constructor asks for one)."""

    target: Target
    build: Callable[[int], Any]
    given: Mapping[str, Any]
    tape: Tape
    embeds: bool
    sentence: bool
    built: str
    sized: bool = False
    asked: dict[Any, Any] = field(default_factory=dict)  # laws already asked, by call

    def parameters(self) -> list[inspect.Parameter]:
        function = self.build(8)
        called = function.forward if isinstance(function, nn.Module) else function
        try:
            found = list(inspect.signature(called).parameters.values())
        except (TypeError, ValueError):
            return [
                inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("queries", "passages")
            ]
        return [p for p in found if p.name not in self.given]

    def banked(self, width: int) -> bool:
        """Does it hold a matrix of embeddings that is no parameter: a queue of earlier ones?"""
        built = self.build(8)
        held = built.buffers() if isinstance(built, nn.Module) else getattr(built, "__dict__", {}).values()
        return any(isinstance(one, Tensor) and one.ndim > 1 and width in one.shape for one in held)

    def widths(self) -> list[int]:
        """Sizes of the tensors that the loss holds, the commonest first: embeddings may have to be as wide."""
        built = self.build(8)
        held = (
            [*built.parameters(), *built.buffers()]
            if isinstance(built, nn.Module)
            else getattr(built, "__dict__", {}).values()
        )
        sizes = [size for one in held if isinstance(one, Tensor) for size in one.shape if 1 < size <= 4096]
        return [size for size, _ in Counter(sizes).most_common(6) if size != WIDTH]

    def run(
        self,
        case: Case,
        how: Binding,
        dtype: torch.dtype = torch.float64,
        seed: int | None = 0,
        autocast: bool = False,
        alter: Callable[[Any], None] | None = None,
    ) -> Outcome:
        """Call it on the batch and go back. CannotCall if that raises or gives no loss."""
        rows = case.rows.detach().to(dtype).clone().requires_grad_()
        function = self.build(case.batch)
        if isinstance(function, nn.Module):
            function = function.to(dtype) if dtype == torch.float64 else function
            function.zero_grad()
        if alter is not None:
            alter(function)
        here = case.with_rows(rows)
        self.tape.lay(rows)
        try:
            positional, named = how.arguments(here, roles.make)
        except (IndexError, RuntimeError) as error:
            raise CannotCall(f"these arguments can't be made for B={case.batch} G={case.group}: {error}") from error
        with still(seed) as quiet:
            try:
                with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
                    result = function(*positional, **{**self.given, **named})
                    answer = read(result, here)
                if self.tape.doubled:
                    raise CannotCall("two encoders embed the same text, and the stand-ins can't tell them apart")
                if answer.value.requires_grad:
                    torch.autograd.backward(answer.value)
            except CannotCall:
                raise
            except (Exception, SystemExit) as error:
                raise CannotCall(own_line(error)) from error
        gradient = torch.zeros_like(rows) if rows.grad is None else rows.grad
        named_grads = (
            {
                n: None if p.grad is None else p.grad.detach().double()
                for n, p in function.named_parameters()
                if p.requires_grad
            }
            if isinstance(function, nn.Module)
            else {}
        )
        return Outcome(float(answer.value.detach()), gradient.detach().double(), named_grads, answer.form, quiet.met)


def subject_of(target: Target, init: Mapping[str, Any]) -> Subject:
    """Build what the target names. CannotCall, with the argument that is missing, if it can't be built."""
    tape = Tape()
    found = target.found
    if isinstance(found, type):
        return _of_class(target, found, init, tape)
    if not callable(found):
        raise CannotCall(f"{target.spec} is a {type(found).__name__}, which can't be called")
    if isinstance(found, nn.Module) or not inspect.isroutine(found):
        return _of_instance(target, found, tape, f"the instance {target.name}")
    if target.owner is not None and "self" in _names(found):
        return _of_method(target, init, tape)
    made = _factory(target, found, init, tape)
    if made is not None:
        return made
    names = _names(found)
    unknown = [n for n in init if n not in names and not _takes_any(found)]
    if unknown:
        raise CannotCall(f"{target.name} has no argument {unknown[0]}, which --init gives; it has {', '.join(names)}")
    return Subject(target, lambda batch: found, dict(init), tape, False, False, "")


def _names(function: Any) -> list[str]:
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return []


def _takes_any(function: Any) -> bool:
    try:
        return any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return True


def _of_class(target: Target, kind: type, init: Mapping[str, Any], tape: Tape) -> Subject:
    wanted = _constructor(kind)
    arguments, sentence, sized = _filled(target.name, wanted, init, tape)
    shown = ", ".join(f"{k}={_short(v)}" for k, v in arguments.items())

    def fresh(batch: int) -> Any:
        chosen = {k: (batch if k in sized else copy.deepcopy(v)) for k, v in arguments.items()}
        with still(), nothing_downloaded(tape):
            return kind(**chosen)

    try:
        first = fresh(8)
    except (Exception, SystemExit) as error:
        missing = re.findall(r"'(\w+)'", str(error)) if "required positional" in str(error) else []
        if missing and all(name in _FILLS for name in missing) and not set(missing) & set(arguments):
            return _of_class(target, kind, {**init, **{name: _FILLS[name] for name in missing}}, tape)
        raise CannotCall(f"{target.name}({shown}) can't be made: {own_line(error)}") from error
    if not callable(first):
        raise CannotCall(f"{target.name}({shown}) is not callable: it has neither forward nor __call__")
    made = _of_instance(target, first, tape, f"{target.name}({shown})", sentence)
    if not sized:
        return made

    def again(batch: int) -> Any:
        built = fresh(batch)
        if isinstance(built, nn.Module):
            replace_encoders(built, tape)
            built.train()
        return built

    return Subject(target, again, {}, tape, made.embeds, sentence, made.built, True)


def _of_instance(target: Target, instance: Any, tape: Tape, built: str, sentence: bool = False) -> Subject:
    embeds = False
    if isinstance(instance, nn.Module):
        instance = copy.deepcopy(instance)
        replaced = [] if sentence else replace_encoders(instance, tape)
        embeds = bool(replaced) or (not sentence and any(isinstance(m, Encoder) for m in instance.modules()))
        instance.train()
        if embeds:
            built += " with its encoder replaced by one that gives the embeddings asked about"

    def fresh(batch: int) -> Any:
        try:
            return copy.deepcopy(instance)
        except Exception:
            return instance  # what can't be copied is called as it is

    return Subject(target, fresh, {}, tape, embeds, sentence, built)


def _of_method(target: Target, init: Mapping[str, Any], tape: Tape) -> Subject:
    made = _of_class(target, target.owner, init, tape)
    name = target.name.rpartition(".")[2]
    return Subject(
        target, lambda batch: getattr(made.build(batch), name), {}, tape, made.embeds, made.sentence, made.built
    )


def _factory(target: Target, function: Any, init: Mapping[str, Any], tape: Tape) -> Subject | None:
    """A function that gives a loss rather than a value: called without tensors, it returns something callable."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None
    missing = [
        p
        for p in parameters
        if p.default is p.empty and p.name not in init and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    scalar = [p for p in missing if guess(p.name) in SCALARS]
    if len(scalar) < len(missing):
        return None
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    arguments = dict(init)
    if missing:
        arguments |= _filled(target.name, missing, init, tape)[0]
    try:
        with still(), nothing_downloaded(tape):
            result = function(**arguments)
    except (Exception, SystemExit) as error:
        if init and not missing:
            raise CannotCall(f"{target.name}({', '.join(init)}) raised {own_line(error)}") from error
        return None
    if not callable(result) or isinstance(result, Tensor):
        return None
    shown = ", ".join(f"{k}={_short(v)}" for k, v in arguments.items())
    return _of_instance(target, result, tape, f"what {target.name}({shown}) returns")


def _constructor(kind: type) -> list[inspect.Parameter]:
    try:
        found = list(inspect.signature(kind).parameters.values())
    except (TypeError, ValueError):
        return []
    if found and all(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in found):  # a decorator hides the constructor
        try:
            return list(inspect.signature(inspect.unwrap(kind.__init__)).parameters.values())[1:]  # type: ignore[misc]
        except (TypeError, ValueError):
            return found
    return found


def _filled(
    name: str, parameters: list[inspect.Parameter], init: Mapping[str, Any], tape: Tape
) -> tuple[dict[str, Any], bool, set[str]]:
    """Arguments of a constructor: those of --init, and what can be filled in; is it given a sentence model; sizes."""
    names = [p.name for p in parameters]
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters)
    unknown = [n for n in init if n not in names and not anything]
    if unknown:
        raise CannotCall(f"{name} takes no argument {unknown[0]}; it takes {', '.join(names) or 'none'}")
    arguments: dict[str, Any] = {n: v for n, v in init.items() if n not in names}
    sentence, sized = False, set()
    for p in parameters:
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            continue
        if p.name in init:
            arguments[p.name] = init[p.name]
            continue
        if p.default is not p.empty:
            continue
        meant = guess(p.name)
        note = str(p.annotation)
        if "SentenceTransformer" in note:
            arguments[p.name] = sentence_model(tape)
            sentence = True
        elif p.name in ("loss", "loss_fn", "base_loss", "criterion"):
            raise CannotCall(f"{name} needs the loss that it wraps: make an instance in a file of yours and name that")
        elif p.name in _MODELS or "Module" in note or "PreTrainedModel" in note:
            arguments[p.name] = (
                "stand-in" if "name" in p.name or note == "<class 'str'>" or note == "str" else Encoder(tape)
            )
        elif meant == "batch":
            arguments[p.name] = 8
            sized.add(p.name)
        elif p.name in _FILLS:
            arguments[p.name] = _FILLS[p.name]
        elif meant in SCALARS:
            arguments[p.name] = _scalar(meant)
        elif p.name in ("args", "config", "cfg", "model_args", "training_args", "opt", "hparams"):
            arguments[p.name] = SimpleNamespace(temperature=0.05, device="cpu", batch_size=8, n_views=2, normalize=True)
        else:
            raise CannotCall(f"{name} needs {p.name}: give it with --init '{{\"{p.name}\": ...}}'")
    return arguments, sentence, sized


def _scalar(meant: str) -> Any:
    return {
        "temperature": roles.TEMPERATURE,
        "scale": 20.0,
        "log scale": roles.LOG_SCALE,
        "margin": 0.5,
        "bias": 0.0,
        "group": 4,
        "negatives count": 3,
        "one": 1,
        "nought": 0,
        "weights": 1.0,
    }[meant]


def _short(value: Any) -> str:
    if isinstance(value, (int, float, str, bool, type(None))):
        return repr(value)
    return (
        "an encoder"
        if isinstance(value, nn.Module) and (isinstance(value, Encoder) or looks_like_encoder(value))
        else f"a {type(value).__name__}"
    )
