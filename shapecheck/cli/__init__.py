"""The command line. `main` is the installed command `shapecheck`."""

from __future__ import annotations


def main() -> None:
    """The console script."""
    try:
        from shapecheck.service import interrupt

        interrupt.install()  # before anything that takes time is imported
    except KeyboardInterrupt:  # until then Python's own handler is there
        from shapecheck.service import interrupt

        interrupt.leave()
    import gc
    import sys

    gc.disable()  # imports make many objects and no garbage: 10 % of a short run
    from shapecheck.cli.app import app

    try:
        app(prog_name="shapecheck")
    except SystemExit as end:
        if end.code == interrupt.STATUS:
            sys.stdout.flush()
            interrupt.leave()
        interrupt.over()
        raise


__all__ = ["main"]
