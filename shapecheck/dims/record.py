"""Records: dataclasses that nobody changes, made thousands of times in a run.

A type checker holds them for frozen. While the program runs they are not: a frozen class sets each field by a call, and
makes its objects three times as slowly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload

T = TypeVar("T")

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_):
        return lambda function: function


@overload
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]: ...


@overload
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(*, eq: bool = True, kw_only: bool = False) -> Callable[[type[T]], type[T]]: ...


def record(cls: Any = None, *, eq: bool = True, kw_only: bool = False) -> Any:
    """A class of immutable values; with `eq` they are equal where their fields are."""
    made = partial(dataclass, slots=True, eq=eq, unsafe_hash=eq, kw_only=kw_only)
    return made if cls is None else made(cls)


__all__ = ["record"]
