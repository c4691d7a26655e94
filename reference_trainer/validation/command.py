"""The command `reference-trainer validate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ..refusal import visible

FORMATS = ("text", "json", "html")


def validate(
    losses: Annotated[
        list[str],
        typer.Argument(
            metavar="LOSS [FIXED]",
            help="file.py:name or package.module:name; of two, the first is before and the second after the fix.",
        ),
    ],
    init: Annotated[str, typer.Option(help="Arguments of the constructor or factory, as JSON.")] = "{}",
    arguments: Annotated[
        str, typer.Option("--map", help="What arguments are, where it isn't found: q=queries,p=passages.")
    ] = "",
    mode: Annotated[str | None, typer.Option(help="Assert the mode: in-batch or in-group.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Assert what scores are divided by.")] = None,
    layout: Annotated[str | None, typer.Option(help="Assert the layout: flat, grouped, pairs, stacked...")] = None,
    normalizes: Annotated[
        bool | None, typer.Option("--normalizes/--no-normalizes", help="Assert that it normalizes embeddings itself.")
    ] = None,
    symmetric: Annotated[
        bool | None, typer.Option("--symmetric/--no-symmetric", help="Assert that it goes both ways.")
    ] = None,
    reduction: Annotated[str | None, typer.Option(help="Assert the reduction: mean or sum.")] = None,
    train: Annotated[
        bool, typer.Option("--train", help="Also train with it on the bundled task, three seeds, about a minute each.")
    ] = False,
    output_format: Annotated[str, typer.Option(help="text, json or html.")] = "text",
    output_file: Annotated[Path | None, typer.Option(help="Write the report there instead of stdout.")] = None,
    html: Annotated[Path | None, typer.Option(help="Also write one html page with the pictures there.")] = None,
    growth: Annotated[
        bool, typer.Option("--growth/--no-growth", help="Measure how time and memory grow, in html and json.")
    ] = True,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="A line for every check, also those passed.")
    ] = False,
) -> None:
    """Is a loss of yours right? It is called, what it computes is found, and compared with its definition.

    No option is needed. Exit status: 0 when it is right (of two: when the second is), 1 when it is wrong, 2 when it
    could not be found, built or called, which says nothing about whether it is right.
    """
    from .modes import of_mode
    from .target import CannotCall

    try:
        plain = _object(init)
        mapping = _mapping(arguments)
        if output_format not in FORMATS:
            raise CannotCall(f"--output-format must be one of {', '.join(FORMATS)}, not {output_format}")
        if len(losses) > 2:
            raise CannotCall("name one loss, or two: before and after the fix")
        mode = of_mode(mode)
    except CannotCall as error:
        typer.echo(f"error: {visible(error)}", err=True)
        raise typer.Exit(2) from None

    import torch

    torch.set_num_threads(1)
    from .choice import Claims
    from .report import Wanted, judged, write

    claims = Claims(mode, temperature, layout, normalizes, symmetric, reduction)
    entries = [judged(spec, plain, mapping, claims) for spec in losses]
    for entry in entries:
        if entry.error:
            typer.echo(f"error: {visible(entry.error)}", err=True)
    wanted = Wanted(output_format, output_file, html, growth, train, verbose)
    last = entries[-1]
    if any(entry.judgement is not None for entry in entries):
        try:
            write(
                entries,
                wanted,
                lambda text: typer.echo(visible(text)),
                lambda text: typer.echo(visible(text), err=True),
            )
        except OSError as error:
            typer.echo(f"error: the report can't be written: {visible(error)}", err=True)
            raise typer.Exit(2) from None
    if last.judgement is None:
        raise typer.Exit(2)
    if not last.judgement.right:
        raise typer.Exit(1)


def _object(text: str) -> dict[str, Any]:
    from .target import CannotCall

    try:
        plain = json.loads(text)
    except json.JSONDecodeError as error:
        raise CannotCall(f"--init is no JSON: {error}") from None
    if not isinstance(plain, dict):
        raise CannotCall(f"--init must be a JSON object of arguments, not {text}")
    return plain


def _mapping(text: str) -> dict[str, str]:
    from .target import CannotCall

    found = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, equals, role = part.partition("=")
        if not equals or not name.strip() or not role.strip():
            raise CannotCall(f"--map wants argument=role, not {part!r}")
        found[name.strip()] = role.strip()
    return found
