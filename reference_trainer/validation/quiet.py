"""A call of the user's code with its surroundings kept still: same seed, dropout off, no output, no warnings."""

from __future__ import annotations

import contextlib
import io
import random
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_DROPOUTS = frozenset(
    {
        "dropout",
        "dropout1d",
        "dropout2d",
        "dropout3d",
        "alpha_dropout",
        "feature_dropout",
        "feature_alpha_dropout",
        "dropout_",
        "alpha_dropout_",
        "feature_dropout_",
        "native_dropout",
    }
)


class WithoutDropout(TorchFunctionMode):
    """Every dropout gives its input back; `met` tells whether there was one that would have dropped something."""

    def __init__(self) -> None:
        super().__init__()
        self.met = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in _DROPOUTS:
            rate = args[1] if len(args) > 1 else kwargs.get("p", 0.5)
            training = args[2] if len(args) > 2 else kwargs.get("training", kwargs.get("train", True))
            self.met = self.met or bool(rate and training)
            return args[0] if args else kwargs.get("input")
        return func(*args, **kwargs)


@contextlib.contextmanager
def still(seed: int | None = 0) -> Iterator[WithoutDropout]:
    """Seed everything, silence everything, switch dropout off."""
    if seed is not None:
        torch.manual_seed(seed)
        random.seed(seed)
    mode = WithoutDropout()
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        with mode:
            yield mode
