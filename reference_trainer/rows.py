"""Training rows of any source and form, made one; every row that can't be used is accounted for.

A row that can't be used is counted under its reason and named by its place; nothing is dropped in silence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .forms import Canonical, Labeled, Unknown, canonical, suggestion
from .refusal import Refusal
from .settings import BadRows, DataSettings, SettingsError
from .sources import Bad, records

PER_CLASS = 8  # texts of its class that a labeled text gets as positives


class BadRow(Refusal):
    """A row can't be used, and rows are to be refused rather than skipped; the message names the file and line."""


@dataclass(frozen=True)
class Row:
    """One usable row. where is `file:line`, lines counted from 1; label is the class of a labeled text."""

    query: str
    positives: tuple[str, ...]
    negatives: tuple[str, ...]
    positive_scores: tuple[float, ...]
    negative_scores: tuple[float, ...]
    where: str
    prompt: str | None = None
    label: str | None = None


@dataclass
class Accounting:
    """How many rows were read, kept and refused, why, and where the first few of each kind were."""

    read: int = 0
    kept: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    dropped_negatives: int = 0
    forms: Counter[str] = field(default_factory=Counter)
    mapping: str = ""  # a data.columns that could be meant, where no form has the columns

    def refuse(self, reason: str, where: str) -> None:
        self.reasons[reason] += 1
        self.examples.setdefault(reason, [])
        if len(self.examples[reason]) < 5:
            self.examples[reason].append(where)

    def lines(self) -> list[str]:
        """A few sentences for the log."""
        report = [f"{self.read} rows read, {self.kept} kept, {sum(self.reasons.values())} refused"]
        if self.forms:
            report.append("  rows of the form " + ", ".join(f"{form} ({n})" for form, n in self.forms.most_common()))
        for reason, count in self.reasons.most_common():
            more = ", ..." if count > len(self.examples[reason]) else ""
            report.append(f"  {reason}: {count} ({', '.join(self.examples[reason])}{more})")
        if self.mapping and not self.kept:
            report.append(f"  no form has these columns; say what they are, for example --set {self.mapping}")
        if self.dropped_negatives:
            report.append(
                f"  {self.dropped_negatives} negatives dropped: they repeat a positive or another negative of their row"
            )
        return report


def read_rows(data: DataSettings, source: str, accounting: Accounting) -> Iterator[Row]:
    """Yield usable rows of a source in order. BadRow at the first unusable one when data.bad_rows is refuse."""
    classes: dict[str, list[tuple[str, str]]] = {}
    columns = [(role, column) for role, _, column in (entry.partition("=") for entry in data.columns)]
    for where, found in records(source, data.streaming):
        if data.limit and accounting.kept == data.limit:
            return
        accounting.read += 1
        row = _usable(found, where, data, columns, accounting)
        if isinstance(row, Labeled):
            classes.setdefault(str(row.label), []).append((row.text, where))
            continue
        if isinstance(row, str):
            refuse(row, where, data, accounting)
            continue
        accounting.kept += 1
        yield row
    for label, texts in classes.items():
        yield from _of_class(label, texts, data, accounting)


def refuse(reason: str, where: str, data: DataSettings, accounting: Accounting) -> None:
    """Count a row that can't be used, or stop at it: BadRow when data.bad_rows is refuse."""
    if data.bad_rows is BadRows.REFUSE:
        raise BadRow(f"{where}: {reason}")
    accounting.refuse(reason, where)


def _of_class(label: str, texts: list[tuple[str, str]], data: DataSettings, accounting: Accounting) -> Iterator[Row]:
    """Each text of a class as a query, the ones that follow it, in a circle, as its positives."""
    distinct = list(dict.fromkeys(text for text, _ in texts))
    place = {text: k for k, text in enumerate(distinct)}
    for text, where in texts:
        if data.limit and accounting.kept == data.limit:
            return
        after = [distinct[(place[text] + k) % len(distinct)] for k in range(1, min(PER_CLASS + 1, len(distinct)))]
        if not after or data.group > 1:
            reason = "no other text of its class" if not after else "a labeled text has no negatives: set data.group=1"
            refuse(reason, where, data, accounting)
            continue
        accounting.kept += 1
        yield Row(text, tuple(after), (), (), (), where, label=label)


def _usable(
    found: Any, where: str, data: DataSettings, columns: list[tuple[str, str]], accounting: Accounting
) -> Row | Labeled | str:
    """The row, or why it can't be used."""
    if isinstance(found, Bad):
        return found.reason
    row = canonical(found, columns)
    if isinstance(row, Unknown):
        if not row.columns:
            return "not an object"
        accounting.mapping = accounting.mapping or suggestion(row.columns, found)
        return "no form has the columns " + ", ".join(row.columns[:12]) + (", ..." if len(row.columns) > 12 else "")
    accounting.forms[row.form] += 1
    if isinstance(row, Labeled):
        if not isinstance(row.text, str) or not isinstance(row.label, (str, int)):
            return "wrong type: a labeled text needs a text and a label"
        return row if _fault(row.text) is None else str(_fault(row.text))
    return _checked(row, where, data, accounting)


def _checked(row: Canonical, where: str, data: DataSettings, accounting: Accounting) -> Row | str:
    wanted = data.group - 1
    for name, value in (("query", row.query), ("pos", row.pos), ("neg", row.neg)):
        if value is None and (name != "neg" or wanted):
            return f"no {name}"
    negative_texts = [] if row.neg is None else row.neg
    if not isinstance(row.query, str) or not _texts(row.pos) or not _texts(negative_texts):
        return "wrong type: query must be text, pos and neg lists of texts"
    if not isinstance(row.prompt, (str, type(None))):
        return "wrong type: prompt must be text"
    if not row.pos:
        return "no pos"
    for text in (row.query, *row.pos, *negative_texts, row.prompt or "-"):
        fault = _fault(text)
        if fault is not None:
            return fault
    if row.form == "scored pair" or row.score is not None:
        fault = _judged(row.score, data)
        if fault is not None:
            return fault
    try:
        positive_scores = _scores(row.pos_scores, len(row.pos))
        negative_scores = _scores(row.neg_scores, len(negative_texts))
    except ValueError as error:
        return str(error)
    if bool(positive_scores) != bool(negative_scores) and negative_texts:
        return "pos_scores and neg_scores must come together"
    kept = _distinct_negatives(row.pos, negative_texts)
    accounting.dropped_negatives += len(negative_texts) - len(kept)
    if len(kept) < (min(1, wanted) if data.repeat_negatives else wanted):
        return f"fewer than {wanted} negatives" if not data.repeat_negatives else "no negative to repeat"
    return Row(
        row.query,
        tuple(row.pos),
        tuple(negative_texts[k] for k in kept),
        positive_scores,
        tuple(negative_scores[k] for k in kept) if negative_scores else (),
        where,
        row.prompt,
    )


def _judged(score: Any, data: DataSettings) -> str | None:
    """Why a scored pair is no positive. SettingsError where nobody said from which score on it is one."""
    if data.positive_score is None:
        raise SettingsError(
            "data: rows are pairs with a score or label: set data.positive_score to the least score of a positive pair"
        )
    if isinstance(score, str):
        try:
            score = float(score)
        except ValueError:
            return "wrong type: a score must be a number"
    if isinstance(score, bool) or not isinstance(score, (int, float)):
        return "wrong type: a score must be a number"
    return None if score >= data.positive_score else f"a pair that scores below {data.positive_score:g}"


def _texts(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)


def _fault(text: str) -> str | None:
    if not text.strip():
        return "empty text"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "half a character: a lone surrogate such as \\ud800 in a text"
    return None


def _distinct_negatives(positives: Iterable[str], negatives: list[str]) -> list[int]:
    seen = set(positives)
    kept = []
    for number, text in enumerate(negatives):
        if text not in seen:
            seen.add(text)
            kept.append(number)
    return kept


def _scores(value: Any, count: int) -> tuple[float, ...]:
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)) or any(
        isinstance(v, bool) or not isinstance(v, (int, float)) for v in value
    ):
        raise ValueError("wrong type: scores must be lists of numbers")
    if len(value) != count:
        raise ValueError("as many scores as texts are needed")
    try:
        numbers = tuple(float(v) for v in value)
    except OverflowError:
        raise ValueError("a score is not finite") from None
    if any(v != v or v in (float("inf"), float("-inf")) for v in numbers):
        raise ValueError("a score is not finite")
    return numbers
