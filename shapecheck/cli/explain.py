"""`shapecheck explain` and `shapecheck rules`: what the installed packs look for."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from shapecheck.cli.console import colored, faults, say


def explain(rule: Annotated[str, typer.Argument(metavar="RULE")]) -> None:
    """Print what a rule finds, and what to write instead."""
    with faults():
        from shapecheck.findings import packs

        text = packs.lookup(packs.load(packs.find()), rule).readme
        if colored(sys.stdout):
            from rich.console import Console
            from rich.markdown import Markdown

            Console().print(Markdown(text))
        else:
            say(text)


def rules(as_json: Annotated[bool, typer.Option("--json", help="As a list of objects.")] = False) -> None:
    """List the rules of all installed packs."""
    with faults():
        from shapecheck.findings import packs

        found = [item.rule for item in packs.load(packs.find())]
        if as_json:
            rows = [{"code": r.code, "name": r.name, "severity": r.severity.value, "summary": r.summary} for r in found]
            say(json.dumps(rows, indent=2) + "\n")
        else:
            width = max(len(r.name) for r in found)
            say("".join(f"{r.code}  {r.name:<{width}}  {r.severity.value:<7}  {r.summary}\n" for r in found))
