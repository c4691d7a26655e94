"""The shapes that rows come in, told by their columns, and made one: query, pos, neg, their scores, a prompt.

FlagEmbedding   query, pos, neg [pos_scores, neg_scores, prompt]
tevatron        query, positive_passages, negative_passages (of docid, title, text)
tuple           anchor and positive, or query and positive, question and answer, ... [negative, negative_1, ...];
                or an unnamed list of texts in that order
scored pair     the same two with score or label: a positive from data.positive_score on
labeled list    query, a list of answers, and labels of 0 and 1
labeled text    text or sentence with label: texts of one label are each other's positives
columns         whatever data.columns says
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ROLES = ("query", "pos", "neg", "pos_scores", "neg_scores", "prompt", "score", "label")
_PAIRS = (
    ("anchor", "positive"), ("query", "positive"), ("question", "answer"), ("query", "answer"),
    ("sentence1", "sentence2"), ("query", "passage"), ("question", "positive"),
)  # fmt: skip
_NEGATIVE = re.compile(r"(hard_)?neg(ative)?s?(_?\d+)?")
_JUDGED = ("score", "label", "similarity_score")
_TEXTS = ("text", "sentence")


@dataclass(frozen=True)
class Canonical:
    """A row of some form. pos and neg are lists as far as the row has them; values are still unchecked."""

    form: str
    query: Any
    pos: Any
    neg: Any = None
    pos_scores: Any = None
    neg_scores: Any = None
    prompt: Any = None
    score: Any = None


@dataclass(frozen=True)
class Labeled:
    """One text of a class: it needs the other texts of the class to become a row."""

    text: Any
    label: Any
    form: str = "labeled text"


@dataclass(frozen=True)
class Unknown:
    """No form has these columns."""

    columns: tuple[str, ...] = field(default=())


def canonical(record: Any, columns: Sequence[tuple[str, str]] = ()) -> Canonical | Labeled | Unknown:
    """The form that a record's columns tell, or that (role, column) pairs give it."""
    if isinstance(record, (list, tuple)):
        if len(record) >= 2 and all(isinstance(item, str) for item in record):
            return Canonical("tuple", record[0], [record[1]], list(record[2:]))
        return Unknown()
    if not isinstance(record, Mapping):
        return Unknown()
    if columns:
        return _mapped(record, columns)
    if "positive_passages" in record:
        return Canonical(
            "tevatron",
            record.get("query"),
            _passages(record["positive_passages"]),
            _passages(record.get("negative_passages")),
        )
    if "pos" in record or not record:
        return _flag(record)
    for first, second in _PAIRS:
        if first in record and second in record:
            return _pair(record, first, second)
    text = next((name for name in _TEXTS if name in record), None)
    if text is not None and "label" in record:
        return Labeled(record[text], record["label"])
    if "query" in record:
        return _flag(record)
    return Unknown(tuple(map(str, record)))


def suggestion(columns: Sequence[str], record: Mapping[str, Any] | None = None) -> str:
    """A mapping that could be meant: the first two columns of texts that are no ids."""
    values = record or {}
    texts = [name for name in columns if isinstance(values.get(name), (str, list))]
    query, pos = (*(name for name in texts if not re.search(r"(?i)(^|_)id$", name)), "COLUMN", "COLUMN")[:2]
    return f"'data.columns=[query={query}, pos={pos}]'"


def _flag(record: Mapping[str, Any]) -> Canonical:
    get = record.get
    negatives, neg_scores = get("neg"), get("neg_scores")
    return Canonical(
        "FlagEmbedding", get("query"), _listed(get("pos")), negatives if negatives is None else _listed(negatives),
        get("pos_scores"), neg_scores, get("prompt"),
    )  # fmt: skip


def _pair(record: Mapping[str, Any], first: str, second: str) -> Canonical:
    answers, labels = record[second], record.get("labels")
    if isinstance(answers, list) and isinstance(labels, list) and len(labels) == len(answers):
        chosen = list(zip(answers, labels))
        pos, neg = [text for text, label in chosen if label == 1], [text for text, label in chosen if label != 1]
        return Canonical("labeled list", record[first], pos, neg)
    found = [record[name] for name in record if _NEGATIVE.fullmatch(str(name)) and record[name] is not None]
    negatives = [text for item in found for text in (item if isinstance(item, list) else [item])]
    judged = next((name for name in _JUDGED if name in record), None)
    if judged is not None:
        return Canonical("scored pair", record[first], [answers], negatives, score=record[judged])
    return Canonical("tuple", record[first], _listed(answers), negatives)


def _mapped(record: Mapping[str, Any], columns: Sequence[tuple[str, str]]) -> Canonical | Labeled | Unknown:
    given: dict[str, list[Any]] = {}
    for role, column in columns:
        value = _reach(record, column)
        if value is not None:
            given.setdefault(role, []).append(value)
    one = {role: values[0] for role, values in given.items()}
    flat = {
        role: [text for value in given[role] for text in (value if isinstance(value, list) else [value])]
        for role in ("pos", "neg")
        if role in given
    }
    if "label" in one and "pos" not in flat:
        return Labeled(one.get("query"), one["label"])
    return Canonical(
        "columns", one.get("query"), flat.get("pos"), flat.get("neg"), one.get("pos_scores"), one.get("neg_scores"),
        one.get("prompt"), one.get("score", one.get("label")),
    )  # fmt: skip


def _reach(record: Mapping[str, Any], column: str) -> Any:
    """A column by its name, or a field inside one, `answers.text`, also of a list of such."""
    if column in record:
        return record[column]
    outer, dot, inner = column.partition(".")
    value = record.get(outer) if dot else None
    if isinstance(value, Mapping):
        return _reach(value, inner)
    if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        return [_reach(item, inner) for item in value]
    return None


def _passages(value: Any) -> Any:
    """tevatron's passages as texts, title first, as its own reader joins them."""
    if value is None or not isinstance(value, (list, tuple)):
        return value
    return [_passage(item) for item in value]


def _passage(item: Any) -> Any:
    if not isinstance(item, Mapping):
        return item
    title, text = item.get("title"), item.get("text")
    return f"{title} {text}" if isinstance(title, str) and title and isinstance(text, str) else text


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value
