"""The command `reference-trainer`, also as `python -m reference_trainer` for torchrun.

Without the extras it says what to install and ends with 2. Ctrl-C ends it with 130, wherever it strikes, imports too.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

NEEDED = ("torch", "numpy", "transformers", "tokenizers", "safetensors", "filelock", "yaml", "jaxtyping", "beartype")


def main() -> None:
    """The console script."""
    try:
        _run()
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _run() -> None:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        print(
            f"error: reference-trainer needs {', '.join(missing)}: install torch-shapecheck with its extra [trainer], "
            "for example pip install -e '.[trainer]'",
            file=sys.stderr,
        )
        raise SystemExit(2)
    from .cli import app

    app()


if __name__ == "__main__":
    main()
