"""The command line: reads settings, calls one function, prints. Data goes to stdout, everything else to stderr."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
import yaml

from .refusal import Refusal, printable, reason_of, visible
from .settings import SettingsError, describe, load, to_plain
from .validation.command import validate

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train, judge and export text-embedding models with in-batch or in-group negatives.",
)
data_app = typer.Typer(no_args_is_help=True, help="Make and check training data.")
app.add_typer(data_app, name="data")

ConfigFile = Annotated[Path | None, typer.Argument(help="YAML or TOML file with sections loss, data, model, train.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="Override: section.name=value; repeat.")]
Out = Annotated[Path, typer.Option("--out", help="Folder of the run: log, checkpoints, prepared data.")]


NO_LIMIT = 1 << 20  # tokens; what is counted before it is cut


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Turn expected refusals into one sentence and their exit code."""
    from .oracles import WrongLoss
    from .stop import Stopped

    try:
        yield
    except Refusal as error:
        if not error.told:
            typer.echo(f"error: {visible(error)}", err=True)
        raise typer.Exit(error.code) from None
    except WrongLoss as error:
        typer.echo(f"error: {visible(error)}", err=True)
        raise typer.Exit(2) from None
    except Stopped as stopped:
        if os.environ.get("RANK", "0") == "0":
            typer.echo(f"stopped by {visible(stopped)}", err=True)
        raise typer.Exit(stopped.code) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


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
    with _refusals():
        settings = load(config, overrides or ())
    if os.environ.get("RANK", "0") == "0":
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
    source: Annotated[str, typer.Argument(help="What data.source would be.")],
    group: Annotated[int, typer.Option("--group", min=1, help="Passages a query, the positive included.")] = 8,
    columns: Annotated[str, typer.Option("--columns", help="data.columns: query=title,pos=abstract,neg=others.")] = "",
    positive_score: Annotated[float | None, typer.Option("--positive-score", help="data.positive_score.")] = None,
    batch: Annotated[int, typer.Option("--batch", min=2, help="train.batch, of all processes together.")] = 64,
    tokenizer: Annotated[str, typer.Option("--tokenizer", help="Counts tokens; default: the bundled one.")] = "tiny",
    query_length: Annotated[int, typer.Option("--query-length", min=4, help="data.query_length.")] = 64,
    passage_length: Annotated[int, typer.Option("--passage-length", min=4, help="data.passage_length.")] = 128,
    plot: Annotated[Path | None, typer.Option("--plot", help="An SVG file that gets the picture.")] = None,
) -> None:
    """Count usable and bad rows, lengths, repeated texts and false negatives to be expected in a batch.

    Bad rows are named by their lines; exit code 1 if there are any.
    """
    import tempfile

    from rich.console import Console
    from rich.table import Table

    from .census import draw, sentences, table, take
    from .models import load_tokenizer
    from .settings import DataSettings, ModelSettings
    from .tokens import prepare
    from .whole import write_text

    with _refusals(), tempfile.TemporaryDirectory() as folder:
        data = DataSettings(
            source=source, group=group, columns=tuple(part.strip() for part in columns.split(",") if part.strip()),
            positive_score=positive_score, query_length=NO_LIMIT, passage_length=NO_LIMIT,
        )  # fmt: skip
        backend = load_tokenizer(ModelSettings(tokenizer=tokenizer)).backend_tokenizer
        store = prepare(data, source, backend, Path(folder))
        typer.echo(visible("\n".join(store.report)))
        census = take(store, batch, group, query_length, passage_length)
        header, *rows = table(census)
        shown = Table(*header)
        for row in rows:
            shown.add_row(*row)
        Console(width=120).print(shown)
        typer.echo(visible("\n".join(sentences(census, batch))))
        if plot is not None:
            write_text(plot, draw(census))
    if store.refused:
        raise typer.Exit(1)


@app.command()
def demo(
    out: Annotated[
        Path, typer.Option("--out", help="Folder for the three runs, report.html and demo.svg, the picture.")
    ] = Path("runs/demo"),
    seed: Annotated[int, typer.Option("--seed", help="Seed of all three runs.")] = 0,
) -> None:
    """Train in-batch, in-group and the replayed bug of FlagEmbedding issue 450 on the bundled task; compare them."""
    import time

    from rich.console import Console
    from rich.table import Table

    from .demo import run_demo, table

    began = time.perf_counter()
    if out.exists() and any(out.iterdir()):
        typer.echo(f"error: {printable(out)} is not empty: choose another folder", err=True)
        raise typer.Exit(2)
    header, *rows = table(run_demo(out, lambda text: typer.echo(text, err=True), seed))
    shown = Table(*header)
    for row in rows:
        shown.add_row(*row)
    Console(width=120).print(shown)
    typer.echo(f"{time.perf_counter() - began:.0f} seconds; see {out / 'report.html'} and demo.svg", err=True)


@app.command("eval")
def evaluate_command(
    run: Annotated[Path, typer.Argument(help="A run's folder or one of its checkpoints.")],
    source: Annotated[str, typer.Option("--data", help="Rows to evaluate on; default: the run's own dev rows.")] = "",
) -> None:
    """Print MRR@10, nDCG@10, recall and group accuracy over all distinct passages of the rows, as json."""
    import json
    import tempfile

    from .evaluate import evaluate, for_evaluation
    from .models import pad_of
    from .tokens import prepare
    from .trained import load_trained

    with _refusals():
        trained = load_trained(run)
        data = trained.settings.data
        wanted = source or data.dev or ("wordnet:dev" if data.source == "wordnet" else "")
        if not wanted:
            raise SettingsError("the run has no dev rows: name some with --data")
        with tempfile.TemporaryDirectory() as folder:
            tokenizer = trained.tokenizer.backend_tokenizer
            store = prepare(for_evaluation(data), wanted, tokenizer, Path(folder), whole_corpus=True)
            found = evaluate(
                trained.encoder, store, data.group, trained.settings.train.chunk_tokens, pad_of(trained.tokenizer),
                trained.settings.model.unpadded,
            )  # fmt: skip
    typer.echo(json.dumps(found, indent=1))


@app.command()
def encode(
    run: Annotated[Path, typer.Argument(help="A run's folder or one of its checkpoints.")],
    texts: Annotated[Path, typer.Argument(help="Text file, one text a line.")],
    out: Annotated[Path, typer.Option("--out", help="The .npy file that gets the embeddings, float32 [lines, D].")],
    as_query: Annotated[bool, typer.Option("--query/--passage", help="Whose prompt and length limit to use.")] = False,
) -> None:
    """Embed the lines of a text file."""
    import numpy as np

    from .trained import encode as embed
    from .trained import load_trained
    from .whole import whole_file

    with _refusals():
        trained = load_trained(run)
        try:
            text = texts.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{printable(texts)} can't be read: {reason_of(error)}") from error
        if not text:
            raise SettingsError(f"{printable(texts)} holds no line")
        lines = text.removesuffix("\n").split("\n")  # not splitlines, which also cuts at form feeds and the like
        embedded = embed(trained, lines, as_query).numpy()
        with whole_file(out) as file:
            np.save(file, embedded)
    typer.echo(f"{out} {len(lines)} embeddings")


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="A run's folder or one of its checkpoints.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for sentence-transformers, file for onnx.")],
    layout: Annotated[str, typer.Option("--layout", help="sentence-transformers or onnx.")] = "sentence-transformers",
) -> None:
    """Write the model for others to load, and compare its embeddings. Refused for a run that replayed a bug."""
    from .export import to_onnx, to_sentence_transformers
    from .trained import load_trained

    writers = {"sentence-transformers": to_sentence_transformers, "onnx": to_onnx}
    if layout not in writers:
        typer.echo(f"error: --layout must be one of {', '.join(writers)}, not {visible(layout)}", err=True)
        raise typer.Exit(2)
    with _refusals():
        for sentence in writers[layout](load_trained(run), out):
            typer.echo(f"note: {visible(sentence)}", err=True)
    typer.echo(str(out))


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs; several are overlaid.")],
    out: Annotated[Path, typer.Option("--out", help="The html file.")] = Path("report.html"),
) -> None:
    """Write one self-contained html page: loss with its log C line, quality, speed and memory."""
    from .report import read_history, write_report

    with _refusals():
        for run in runs:
            logged = (run / "log.jsonl").is_file() and (run / "settings.json").is_file()
            if not logged or not read_history(run).steps:
                raise SettingsError(f"{printable(run)}: {'no step is logged yet' if logged else 'no log.jsonl there'}")
        write_report(runs, out)
    typer.echo(str(out))


app.command()(validate)
