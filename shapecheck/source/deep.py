"""Runs a function where native recursion may go deep."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

STACK = 64 * 1024 * 1024  # bytes of address space; twenty nested blocks overflow the 512 KiB of a macOS thread


def on_deep_stack(function: Callable[[], T]) -> T:
    """What `function` returns or raises, called in a thread of its own that has a large stack."""
    results: list[T] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            results.append(function())
        except BaseException as error:  # it belongs to the caller's thread
            errors.append(error)

    size = threading.stack_size(STACK)
    try:
        thread = threading.Thread(target=body)
        thread.start()
    finally:
        threading.stack_size(size)
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
