"""The command line: reads settings, calls one function, prints. Data goes to stdout, everything else to stderr."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
import yaml

from .settings import SettingsError, describe, load, to_plain

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train, judge and export text-embedding models with in-batch or preset negatives.",
)
data_app = typer.Typer(no_args_is_help=True, help="Make and check training data.")
app.add_typer(data_app, name="data")

ConfigFile = Annotated[Path | None, typer.Argument(help="YAML or TOML file with sections loss, data, model, train.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="Override: section.name=value; repeat.")]
Out = Annotated[Path, typer.Option("--out", help="Folder of the run: log, checkpoints, tokenizer, prepared data.")]


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Turn expected refusals into one sentence and exit code 2."""
    from .checkpoint import BrokenCheckpoint
    from .oracles import WrongLoss
    from .rows import BadRow
    from .watch import NotFinite
    from .wordnet import WordNetMissing

    try:
        yield
    except (SettingsError, BrokenCheckpoint, WrongLoss, BadRow, WordNetMissing, NotFinite) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(3 if isinstance(error, NotFinite) else 2) from None


@app.command()
def train(
    config: ConfigFile = None,
    out: Out = Path("runs/run"),
    overrides: Overrides = None,
    resume: Annotated[
        str,
        typer.Option(help="auto: continue from the last whole checkpoint; never: refuse to; or a checkpoint's path."),
    ] = "auto",
    explain: Annotated[bool, typer.Option("--explain", help="Print the shape of every tensor of step 0.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar; log.jsonl is written all the same.")] = False,
) -> None:
    """Train. The resolved settings are printed, saved and hashed into every checkpoint."""
    try:
        settings = load(config, overrides or ())
    except SettingsError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    typer.echo(yaml.safe_dump(to_plain(settings), sort_keys=False), err=True)
    typer.echo(f"settings sha256 {settings.digest()}", err=True)

    from .display import Terminal
    from .train import train as run

    display = None if quiet else Terminal(settings.loss.mode.value)
    with _refusals():
        try:
            last = run(settings, out, resume, display, explain)
        finally:
            if display is not None:
                display.close()
    typer.echo(str(last))


@app.command()
def settings() -> None:
    """Print every setting with its type, default and meaning."""
    for name, kind, default, meaning in describe():
        typer.echo(f"{name}\n    {meaning}\n    {kind}; default {default}")


@data_app.command("wordnet")
def data_wordnet(
    out: Annotated[Path, typer.Option("--out", help="Folder that gets train.jsonl, dev.jsonl and test.jsonl.")],
    database: Annotated[Path, typer.Option("--database", help="Folder of WordNet 3.0's data files.")] = Path(
        "/usr/share/wordnet"
    ),
    limit: Annotated[int, typer.Option("--limit", min=0, help="Rows a split at most; 0: all.")] = 0,
) -> None:
    """Build sense retrieval from WordNet's database files: query `lemma: example`, positive the right gloss."""
    from .bundle import sample, write_rows
    from .wordnet import SPLITS, read_irregular, read_synsets, sense_queries

    with _refusals():
        queries = list(sense_queries(read_synsets(database), read_irregular(database)))
    out.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        count = write_rows(out / f"{split}.jsonl", sample(queries, split, limit))
        typer.echo(f"{out / split}.jsonl {count} queries")


@data_app.command("bundle")
def data_bundle(
    out: Annotated[Path, typer.Option("--out", help="Folder that gets the files.")],
    database: Annotated[Path, typer.Option("--database", help="Folder of WordNet 3.0's data files.")] = Path(
        "/usr/share/wordnet"
    ),
) -> None:
    """Rebuild the sample and the tokenizer that ship with the trainer."""
    from .bundle import build

    with _refusals():
        for split, count in build(database, out).items():
            typer.echo(f"{split} {count} queries")


@data_app.command("check")
def data_check(
    source: Annotated[str, typer.Argument(help="What data.source would be: a .jsonl file, a glob, hf:NAME, wordnet.")],
    group: Annotated[int, typer.Option("--group", min=2, help="Passages a query, the positive included.")] = 8,
) -> None:
    """Count usable and bad rows, and name the bad ones' lines. Exit code 1 if there are any."""
    from .rows import Accounting, read_rows
    from .settings import DataSettings

    accounting = Accounting()
    with _refusals():
        for _ in read_rows(DataSettings(source=source, group=group), source, accounting):
            pass
    typer.echo("\n".join(accounting.lines()))
    if accounting.reasons:
        raise typer.Exit(1)
