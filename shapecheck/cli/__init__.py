"""The command line. `main` is the installed command `shapecheck`."""

from shapecheck.cli.app import main

__all__ = ["main"]
