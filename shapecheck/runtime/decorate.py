"""`@shaped`: what it is given, and what it makes of it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import itertools
import types
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, cast, overload

import torch

from shapecheck.runtime.body import Body, read_body
from shapecheck.runtime.build import Builder
from shapecheck.runtime.errors import ContractError
from shapecheck.runtime.modes import Options, mode
from shapecheck.runtime.overloads import overloaded
from shapecheck.runtime.plan import Plan, plan_of
from shapecheck.runtime.report import Entry, record
from shapecheck.runtime.resolve import frame_names, names_of
from shapecheck.runtime.source import NoSource
from shapecheck.runtime.twin import twin

__all__ = ["hooked", "shaped"]

F = TypeVar("F", bound=Callable[..., Any])
_enforced: weakref.WeakSet[types.FunctionType] = weakref.WeakSet()  # what `shaped` has made: once is enough


@overload
def shaped(thing: F, /) -> F: ...
@overload
def shaped(
    thing: F,
    /,
    *,
    axes: Mapping[str, Any] | None = ...,
    independent: str | None = ...,
    decouple: bool = ...,
    device: Literal["same"] | None = ...,
    types: Literal["all", "tensors"] = ...,
    autocast_ok: bool = ...,
    first_k: int | None = ...,
    every_n: int | None = ...,
    strict: bool = ...,
) -> F: ...
@overload
def shaped(
    *,
    axes: Mapping[str, Any] | None = ...,
    independent: str | None = ...,
    decouple: bool = ...,
    device: Literal["same"] | None = ...,
    types: Literal["all", "tensors"] = ...,
    autocast_ok: bool = ...,
    first_k: int | None = ...,
    every_n: int | None = ...,
    strict: bool = ...,
) -> Callable[[F], F]: ...


def shaped(thing: Any = None, /, *, axes: Mapping[str, Any] | None = None, **choices: Any) -> Any:
    """Enforce the jaxtyping annotations of a function, method, property, class or lambda.

    axes: declarations by name where there are no annotations: `{"q": "B D", "return": "B N"}`.
    independent: the name of an axis whose rows must not see each other; the first calls are run again on
        poisoned copies, and a leak is a ShapeError.
    decouple: make the first call on meta tensors too, with sizes that all differ, so that equal sizes hide nothing.
    device: "same" asks all tensors of a call to live on one device.
    types: "tensors" leaves types without tensors alone.
    autocast_ok: where float32 is declared, halves pass while autocast is on.
    first_k: how many calls `independent` proves, and how many are checked when SHAPECHECK=first (3).
    every_n: check every n-th call only; with SHAPECHECK=sample, 128 unless given.
    strict: what cannot be checked is a ContractError here; otherwise `report()` lists it.

    Raises ContractError where something declared cannot be checked. The checked function raises ShapeError.
    """
    options = Options(**choices)
    around = frame_names(1)
    if thing is None:
        return lambda it: _shape(it, options, axes, around)
    return _shape(thing, options, axes, around)


def hooked(choices: Mapping[str, Any]) -> Callable[[Any], Any]:
    """The decorator that the import hook writes above everything: silent where nothing is declared."""
    options = Options(**{**choices, "must_speak": False})

    def decorate(thing: Any) -> Any:
        if not isinstance(thing, types.FunctionType | type):
            return thing  # another decorator made something else of it
        try:
            return _shape(thing, options, None, frame_names(1))
        except Exception as error:  # nothing of ours leaves an import
            if options.strict and isinstance(error, ContractError):
                raise
            said = str(error) if isinstance(error, ContractError) else f"{type(error).__name__}: {error}"
            record(Entry(f"{thing.__module__}.{thing.__qualname__}", notes=[said], how="not at all"))
            return thing

    return decorate


def _shape(thing: Any, options: Options, axes: Mapping[str, Any] | None, around: Mapping[str, Any]) -> Any:
    if mode() == "off":
        return thing
    match thing:
        case classmethod():
            return classmethod(_shape(thing.__func__, options, axes, around))
        case staticmethod():
            return staticmethod(_shape(thing.__func__, options, axes, around))
        case property():
            get, put, drop = (
                part and _shape(part, options, None, around) for part in (thing.fget, thing.fset, thing.fdel)
            )
            return property(get, put, drop, thing.__doc__)
        case functools.cached_property():
            shaped_property = functools.cached_property(_shape(thing.func, options, axes, around))
            if thing.attrname is not None:
                shaped_property.__set_name__(object, thing.attrname)
            return shaped_property
        case functools.partialmethod() | functools.partial():
            inner = _shape(thing.func, options, axes, around)
            return thing if inner is thing.func else type(thing)(inner, *thing.args, **thing.keywords)
        case functools.singledispatchmethod():
            return _dispatching(thing, thing.dispatcher, options, around)
        case _CACHED():  # what is annotated is the function below
            inner = _shape(thing.__wrapped__, options, axes, around)
            return thing if inner is thing.__wrapped__ else functools.lru_cache(**thing.cache_parameters())(inner)
        case type():
            from shapecheck.runtime.classes import shape_class

            return shape_class(thing, options, around, _shape)
        case types.FunctionType():
            if thing.__code__ is _DISPATCH and hasattr(thing, "registry"):
                return _dispatching(thing, thing, options, around)
            return _function(thing, options, axes, around)
        case types.MethodType():
            return types.MethodType(_shape(thing.__func__, options, axes, around), thing.__self__)
    raise ContractError(f"{type(thing).__name__} is nothing that @shaped can check; give it the function itself")


def _dispatching(thing: Any, dispatcher: Any, options: Options, around: Mapping[str, Any]) -> Any:
    """Each implementation of a `singledispatch`: what the first one declares holds for none of the others."""
    each, spoke = dataclasses.replace(options, must_speak=False), False
    for kind, implementation in list(dispatcher.registry.items()):
        if not isinstance(implementation, types.FunctionType):
            continue
        if (checked := _shape(implementation, each, None, around)) is not implementation:
            dispatcher.register(kind, checked)
            spoke = True
    if options.must_speak and options.strict and not spoke:
        raise ContractError(f"no implementation of {thing} declares a tensor or a type: there is nothing to check")
    return thing


_CACHED: Any = type(functools.lru_cache(lambda: None))
_DISPATCH = cast(Any, functools.singledispatch(lambda _: None)).__code__
_MANAGERS: dict[types.CodeType, Any] = {
    cast(Any, make)(lambda: None).__code__: make for make in (contextlib.contextmanager, contextlib.asynccontextmanager)
}


def _function(
    fn: types.FunctionType, options: Options, axes: Mapping[str, Any] | None, around: Mapping[str, Any]
) -> types.FunctionType:
    if fn in _enforced or getattr(fn, "__no_type_check__", False):
        return fn
    made, inner = _MANAGERS.get(fn.__code__), getattr(fn, "__wrapped__", None)
    if made is not None and isinstance(inner, types.FunctionType):
        checked = _function(inner, options, axes, around)  # what is annotated is the generator below
        return fn if checked is inner else _remember(made(checked))
    try:
        body: Body | NoSource = read_body(fn)  # as the file is now: what runs was compiled from it
    except NoSource as error:
        body = error
    make = functools.partial(_checked, fn, options, axes, around, body)
    try:
        return make(late=False)
    except ContractError as error:
        if options.strict:
            raise
        record(Entry(f"{fn.__module__}.{fn.__qualname__}", notes=[str(error)], how="not at all"))
        return fn
    except NameError as error:  # a name that does not exist yet: ask again at the first call
        waiting = f"it waits for its first call: {error}"
        record(Entry(f"{fn.__module__}.{fn.__qualname__}", notes=[waiting], how="not yet"))
        return _deferred(fn, functools.partial(make, late=True), options)


def _remember(fn: Any) -> types.FunctionType:
    _enforced.add(fn)
    return fn  # type: ignore[no-any-return]


def _checked(
    fn: types.FunctionType,
    options: Options,
    axes: Mapping[str, Any] | None,
    around: Mapping[str, Any],
    body: Body | NoSource,
    late: bool,
) -> types.FunctionType:
    builder = Builder(options.strict, options.types == "all", options.device == "same", options.autocast_ok, late=late)
    entry = Entry(f"{fn.__module__}.{fn.__qualname__}", notes=builder.notes)
    plan = plan_of(fn, builder, names_of(inspect.unwrap(fn), around), axes, late, body=body)
    guarded = overloaded(plan, entry)
    if guarded is None:
        silent = not plan.speaks and isinstance(body, Body) and not body.facts.declares
        guarded = fn if silent else twin(plan, entry)
    if not entry.checked and not options.independent:
        said = [note for note in builder.notes if not note.startswith("annotated local variables")]
        if options.must_speak and not (late or said):
            said.append("it declares no tensor and no type: there is nothing to check")
            if options.strict:
                raise ContractError(f"{entry.where}: {said[0]}")
            builder.notes.extend(said)
        if said:
            entry.how = "not at all"
            record(entry)
        return fn
    record(entry)
    guarded = _extras(plan, guarded, options, entry)
    return _remember(_sometimes(plan, guarded, options))


def _extras(plan: Plan, guarded: types.FunctionType, options: Options, entry: Entry) -> types.FunctionType:
    """The checks that no shape can make, in front of the call."""
    if options.decouple:
        from shapecheck.runtime.decouple import decoupled

        guarded = decoupled(plan, guarded, entry)
    if options.independent is not None:
        from shapecheck.runtime.independence import independent

        guarded = independent(plan, guarded, options.independent, options.first_k or 3, entry)
    return guarded


def _sometimes(plan: Plan, guarded: types.FunctionType, options: Options) -> types.FunctionType:
    """Not every call, where the environment or the options say so. Tracing always checks: it costs nothing later."""
    now = mode()
    if (now == "on" and options.every_n is None) or plan.kind != "plain":
        return guarded  # a coroutine or generator stays one, and is always checked
    compiling, fn = torch.compiler.is_compiling, plan.fn
    if now == "first":
        first_k, started = options.first_k or 3, itertools.count()

        @functools.wraps(fn)
        def first(*args: Any, **kwargs: Any) -> Any:
            if compiling() or next(started) < first_k:
                return guarded(*args, **kwargs)
            return fn(*args, **kwargs)

        return first  # type: ignore[return-value]
    every, calls = options.every_n or 128, itertools.count()

    @functools.wraps(fn)
    def sampled(*args: Any, **kwargs: Any) -> Any:
        if compiling() or next(calls) % every == 0:
            return guarded(*args, **kwargs)
        return fn(*args, **kwargs)

    return sampled  # type: ignore[return-value]


def _deferred(fn: types.FunctionType, make: Callable[[], types.FunctionType], options: Options) -> types.FunctionType:
    """A function whose guards are built at its first call, when every name exists."""
    built: list[types.FunctionType] = []

    def ready() -> bool:
        """Build the guards if that is still to do; torch.compile calls it while it traces."""
        if built:
            return True
        try:
            built.append(make())
        except Exception as error:
            if options.strict and isinstance(error, ContractError):
                raise
            if options.strict and isinstance(error, NameError):
                said = f"an annotation of {fn.__qualname__} names what does not exist: {error}"
                raise ContractError(said) from error
            record(Entry(f"{fn.__module__}.{fn.__qualname__}", notes=[str(error)], how="not at all"))
            built.append(fn)
        return True

    ready._dynamo_marked_constant = True  # type: ignore[attr-defined]

    if inspect.iscoroutinefunction(fn):

        @functools.wraps(fn)
        async def deferred_coroutine(*args: Any, **kwargs: Any) -> Any:
            ready()
            return await built[0](*args, **kwargs)

        return _remember(deferred_coroutine)
    if inspect.isgeneratorfunction(fn):

        @functools.wraps(fn)
        def deferred_generator(*args: Any, **kwargs: Any) -> Any:
            ready()
            return (yield from built[0](*args, **kwargs))

        return _remember(deferred_generator)

    @functools.wraps(fn)
    def deferred(*args: Any, **kwargs: Any) -> Any:
        ready()
        return built[0](*args, **kwargs)

    return _remember(deferred)
