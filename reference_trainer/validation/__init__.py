"""Is a loss right? It is asked as a mathematical object: what does it compute, of which pairs, at which sizes.

    reference-trainer validate old.py:Loss new.py:Loss

`assert_valid_loss` is the same for a test.
"""

from __future__ import annotations

from typing import Any


def assert_valid_loss(
    loss: Any,
    *,
    init: dict[str, Any] | None = None,
    arguments: dict[str, str] | None = None,
    mode: str | None = None,
    temperature: float | None = None,
) -> None:
    """Raise AssertionError, with the verdict and the checks that failed, unless the loss is right.

    `loss` is a function, an nn.Module (class or instance), a factory, or "file.py:name". `init` goes to a constructor;
    `arguments` says what an argument is, as --map does. CannotCall if it can't be called.
    """
    from .choice import Claims
    from .judge import judge
    from .modes import of_mode
    from .report_text import lines
    from .subject import subject_of
    from .target import find_target, of_object

    target = find_target(loss) if isinstance(loss, str) else of_object(loss)
    judgement = judge(
        subject_of(target, init or {}), arguments or {}, Claims(mode=of_mode(mode), temperature=temperature)
    )
    if not judgement.right:
        raise AssertionError("\n".join(lines(judgement)))
