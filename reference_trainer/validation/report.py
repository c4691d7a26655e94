"""One or two losses judged, and their report written: as text, json or one html page."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .choice import Claims
from .finding import Judgement
from .judge import judge
from .lint import findings_in
from .report_json import plain
from .report_text import lines
from .subject import Subject, subject_of
from .target import CannotCall, find_target


@dataclass(frozen=True)
class Entry:
    """A loss that was named: its judgement, or why there is none."""

    spec: str
    judgement: Judgement | None = None
    subject: Subject | None = None
    error: str = ""


@dataclass(frozen=True)
class Wanted:
    """What is to be written, and where."""

    form: str = "text"
    file: Path | None = None
    html: Path | None = None
    growth: bool = True
    train: bool = False
    verbose: bool = False


def judged(spec: str, init: Mapping[str, Any], mapping: Mapping[str, str], claims: Claims) -> Entry:
    """Judge what `spec` names; whatever keeps it from being called is told as a sentence."""
    try:
        subject = subject_of(find_target(spec), init)
        judgement = judge(subject, mapping, claims)
    except CannotCall as error:
        return Entry(spec, error=f"{spec} could not be judged: {error}")
    if not judgement.right:
        judgement = replace(judgement, lint=findings_in(judgement.file, subject.target.found))
    return Entry(spec, judgement, subject)


def write(entries: list[Entry], wanted: Wanted, say: Callable[[str], None], tell: Callable[[str], None]) -> None:
    """Write the report; `say` goes to stdout, `tell` to stderr."""
    pictured = wanted.form == "html" or wanted.html is not None
    trained = None
    if wanted.train:
        from .training import train_all

        trained = train_all([(e.spec, e.subject, e.judgement) for e in entries if e.subject and e.judgement], tell)
    page = ""
    if pictured:
        from .page import page_of

        page = page_of(entries, wanted.growth, trained)
    if wanted.html is not None:
        _put(wanted.html, page)
    if wanted.form == "html":
        text = page
    elif wanted.form == "json":
        told = [
            plain(e.judgement) if e.judgement is not None else {"function": e.spec, "error": e.error} for e in entries
        ]
        text = json.dumps({"losses": told, "training": trained.plain() if trained is not None else None}, indent=1)
    else:
        shown = ["\n".join(lines(e.judgement, wanted.verbose)) for e in entries if e.judgement is not None]
        text = "\n\n".join([*shown, *([trained.text()] if trained is not None else [])])
    if wanted.file is not None:
        _put(wanted.file, text + "\n")
    else:
        say(text)


def _put(path: Path, text: str) -> None:
    """Write beside and rename: no half-written file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)
