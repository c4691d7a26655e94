"""The command line: arguments in, exit status out, one module a command.

Exit status: 0 nothing found, 1 findings, 2 something could not be checked or was asked for wrongly, 130 interrupted.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from shapecheck.cli.console import faults, say
from shapecheck.cli.explain import explain, rules
from shapecheck.cli.lint import lint
from shapecheck.cli.reveal import reveal
from shapecheck.cli.run import run

app = typer.Typer(
    name="shapecheck",
    help="Finds silent tensor-shape bugs in contrastive, retrieval and metric-learning training code.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        with faults():
            say(f"shapecheck {version('torch-shapecheck')}\n")
        sys.exit(0)


@app.callback()
def shapecheck(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Finds silent tensor-shape bugs in contrastive, retrieval and metric-learning training code."""


for command in (lint, reveal, explain, rules):
    app.command()(command)
app.command(context_settings={"allow_interspersed_args": False, "ignore_unknown_options": False})(run)
