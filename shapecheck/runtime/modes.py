"""When guards run: the environment variable SHAPECHECK and the options of one `@shaped`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["Mode", "Options", "mode"]

Mode = Literal["off", "first", "sample", "on"]


def mode() -> Mode:
    """off: `shaped(f) is f`; first: the first calls of each function; sample: every so many; on: every call.

    Raises ValueError for any other word.
    """
    word = os.environ.get("SHAPECHECK", "on").strip().lower() or "on"
    for known in get_args(Mode):
        if word == known:
            return known  # type: ignore[no-any-return]
    raise ValueError(f"SHAPECHECK={word!r}: it is one of {', '.join(get_args(Mode))}")


@dataclass(frozen=True, slots=True)
class Options:
    """The choices of one `@shaped`, see there."""

    device: Literal["same"] | None = None
    types: Literal["all", "tensors"] = "all"
    autocast_ok: bool = False
    independent: str | None = None
    decouple: bool = False
    first_k: int | None = None
    every_n: int | None = None
    strict: bool = True
    must_speak: bool = True  # a function that declares nothing is an error

    def __post_init__(self) -> None:
        if self.device not in (None, "same"):
            raise ValueError(f"device={self.device!r}: only 'same' is known")
        if self.types not in ("all", "tensors"):
            raise ValueError(f"types={self.types!r}: it is 'all' or 'tensors'")
        for name, number in (("first_k", self.first_k), ("every_n", self.every_n)):
            if number is not None and number < 1:
                raise ValueError(f"{name}={number}: it is at least 1")
