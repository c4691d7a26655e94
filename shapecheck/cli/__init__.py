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
    from shapecheck.cli.console import complain, keep_numbers
    from shapecheck.service.files import why

    keep_numbers()
    try:
        app(prog_name="shapecheck")
    except SystemExit as end:
        if end.code == interrupt.STATUS:
            sys.stdout.flush()
            interrupt.leave()
        interrupt.over()
        raise
    except OSError as error:
        if error.filename is not None:
            raise
        complain([f"shapecheck: {why(error)}"])  # help that could not be printed
        sys.exit(2)


__all__ = ["main"]
