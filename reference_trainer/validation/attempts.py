"""The ways in which a loss of this signature may have been meant to be called, the likeliest first."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from .binding import Binding
from .case import Kind
from .names import SCALARS, guess

GIVEN = ("label", "mask", "teacher", "ids")  # what is known of the embeddings, and given beside them


def attempts(
    parameters: list[inspect.Parameter], embeds: bool, sentence: bool, by_name: bool = True
) -> Iterator[Binding]:
    """Ways to call a function of these parameters, the likeliest first; `by_name`: names order them."""
    required = [
        p
        for p in parameters
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    starred = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    absent = [p for p in parameters if p.default is None]
    tensors: list[tuple[str, str]] = []
    fixed: list[tuple[str, str]] = []
    for p in required:
        meant = guess(p.name) if by_name else "tensor"
        (fixed if meant in SCALARS and not (embeds and meant == "batch") else tensors).append((p.name, meant))
    if not tensors and not starred:
        tensors = [
            (p.name, guess(p.name))
            for p in absent
            if guess(p.name) in ("query", "passage", "pos", "neg", "tensor", "features")
        ]
        absent = [p for p in absent if p.name not in {name for name, _ in tensors}]
    extra = [(p.name, guess(p.name)) for p in absent]
    other = [
        p.name for p in absent if p.name.startswith("ref_emb") or p.name in ("other", "second", "z2", "embeddings2")
    ]
    if len(tensors) == 1 and other:
        yield Binding(Kind.GROUPS, ((tensors[0][0], "queries"), (other[0], "positives")), "pairs [B, D]", 1)
    labels = [name for name, meant in extra if meant == "label"]
    tensors.sort(key=lambda one: one[1] in GIVEN)  # TensorFlow's order has the labels first
    constant = tuple((name, meant) for name, meant in fixed)
    seen = set()
    for made in _ways(tensors, labels, embeds, sentence, starred):
        whole = replace(made, roles=made.roles + constant)
        if (whole.kind, whole.roles, whole.group) not in seen:
            seen.add((whole.kind, whole.roles, whole.group))
            yield whole
    for name, meant in fixed:
        if meant == "margin" and len(tensors) == 3:  # not a number but the teacher's margins
            rest = tuple(one for one in constant if one[0] != name)
            for made in _ways([*tensors, (name, "teacher")], labels, embeds, sentence, starred):
                yield replace(made, roles=made.roles + rest)


def _ways(
    tensors: list[tuple[str, str]], labels: list[str], embeds: bool, sentence: bool, starred: bool
) -> Iterator[Binding]:
    names = [name for name, _ in tensors]
    meant = [kind for _, kind in tensors]

    def bind(
        kind: Kind,
        layout: str,
        *roles: str,
        group: int | None = None,
        binary: bool = False,
        extra: tuple[tuple[str, str], ...] = (),
    ) -> Binding:
        return Binding(kind, tuple(zip(names, roles)) + extra, layout, group, binary)

    groups = Kind.GROUPS
    if starred and not tensors:
        yield Binding(groups, (("*", "columns"),), "queries, positives and negatives each [B, D]")
        yield Binding(groups, (("*", "columns"),), "queries and positives [B, D]", 1)
    if sentence or (len(tensors) in (1, 2) and meant[0] == "features"):
        second = (names[1],) if len(names) > 1 else tuple(labels[:1])
        feature = "features" if sentence or embeds else "columns"
        row = "features of rows" if sentence or embeds else "rows"

        def with_label(kind: Kind, layout: str, first: str, role: str, **more: Any) -> Binding:
            roles = ((names[0], first), *((name, role) for name in second))
            return Binding(kind, roles, layout, **more)

        yield with_label(groups, "columns: queries, positives, negatives", feature, "none")
        yield with_label(groups, "columns: queries, positives", feature, "none", group=1)
        if second:
            yield with_label(
                groups, "columns: queries, positives, negatives, teacher scores as labels", feature, "teacher"
            )
            yield with_label(
                groups, "columns: queries, positives, negatives, margins as labels", feature, "teacher margin", group=2
            )
            yield with_label(groups, "columns: queries, positives, negatives, class labels", feature, "labels")
            yield with_label(Kind.GRADED, "columns: two sentences, graded labels", feature, "grades", group=1)
            yield with_label(
                Kind.GRADED, "columns: two sentences, binary labels", feature, "binary labels", group=1, binary=True
            )
            yield with_label(Kind.CLASSES, "one column, class labels", row, "labels")
            alone = "features of queries" if sentence or embeds else "list of queries"
            yield with_label(groups, "one column, embeddings as labels", alone, "teacher embeddings", group=1)
        return
    if embeds:
        yield from _token_ways(names, meant, bind)
    count = len(tensors)
    if count >= 2 and meant[0] in ("passage", "pos") and meant[1] == "query":
        names[0], names[1] = names[1], names[0]
        meant[0], meant[1] = meant[1], meant[0]
    if count == 1:
        label = tuple((name, "labels") for name in labels[:1])
        if label:
            yield bind(Kind.CLASSES, "embeddings [N, D] with labels [N]", "rows", extra=label)
            yield bind(Kind.VIEWS, "views [B, V, D] with labels [B]", "views", extra=label)
        if meant[0] == "scores":
            yield bind(groups, "scores of the own group [B, G]", "own scores")
            yield bind(groups, "scores of all pairs [B, B*G]", "all scores")
            yield bind(groups, "scores of all pairs [B, B]", "all scores", group=1)
        yield bind(Kind.VIEWS, "views [B, V, D]", "views", group=3)
        yield bind(groups, "views [B, 2, D]", "two views", group=1)
        yield bind(groups, "views stacked [2*B, D], first views first", "stacked", group=1)
        yield bind(groups, "views interleaved [2*B, D]", "interleaved", group=1)
        yield bind(groups, "a list of two views [B, D]", "list of two", group=1)
        yield bind(groups, "a list: queries, positives and negatives, each [B, D]", "columns")
        yield bind(Kind.CLASSES, "embeddings [N, D]", "rows")
    elif count == 2:
        yield from _two(meant, bind)
    elif count == 3:
        yield from _three(meant, bind)
    elif count == 4 and meant[3] in ("label", "teacher"):
        yield bind(
            groups,
            "queries, positives, negatives [B, D], teacher scores",
            "queries",
            "positives",
            "negative",
            "teacher",
            group=2,
        )
        yield bind(
            groups,
            "queries, positives, negatives [B, D], teacher margins",
            "queries",
            "positives",
            "negative",
            "teacher margin",
            group=2,
        )
        yield bind(
            groups,
            "queries, positives, negatives [B, D], labels",
            "queries",
            "positives",
            "negative",
            "labels",
            group=2,
        )
    elif count == 5 and meant[3] in ("label", "teacher"):
        yield bind(
            groups,
            "queries, positives, negatives [B, D], teacher scores of both",
            "queries",
            "positives",
            "negative",
            "teacher positive",
            "teacher negative",
            group=2,
        )
    if count == 4 and not set(meant) & {"neg", *GIVEN}:
        four = [f"view {k}" for k in range(4)]
        yield bind(Kind.VIEWS, "two views of one network, then the same two of another, each [B, D]", *four, group=4)
    if count >= 4:
        roles = [f"column {k}" for k in range(count)]
        yield bind(groups, "queries, positives and negatives each [B, D]", *roles, group=count - 1)


_NEGATIVES = (
    ("queries, positives, negatives [B, G-1, D]", "negatives [B, G-1, D]", None),
    ("queries, positives, negatives [B*(G-1), D]", "negatives", None),
    ("queries, positives, negatives, each [B, D]", "negative", 2),
)


_GRADED = (
    ("pairs interleaved [2*B, D], graded row by row", "interleaved", "grades row by row"),
    ("pairs interleaved [2*B, D], graded", "interleaved", "grades"),
    ("pairs stacked [2*B, D], graded", "stacked", "grades"),
)


def _two(meant: list[str], bind: Callable[..., Binding]) -> Iterator[Binding]:
    groups = Kind.GROUPS
    if meant[0] == "scores" or meant[1] == "scores":
        if meant[1] == "teacher":
            yield bind(groups, "student and teacher scores [B, G]", "own scores", "teacher")
        yield bind(groups, "scores [B, G] and target", "own scores", "zeros")
        yield bind(groups, "scores [B, B*G] and target", "all scores", "target")
        yield bind(groups, "student and teacher scores [B, G]", "own scores", "teacher")
        return
    if meant[1] in ("label", "mask"):
        yield bind(Kind.CLASSES, "embeddings [N, D] with labels [N]", "rows", "labels")
        yield bind(Kind.VIEWS, "views [B, V, D] with labels [B]", "views", "labels")
        yield bind(Kind.VIEWS, "views [B*V, D] with labels [B*V]", "views [N, D]", "labels of views")
        for layout, role, grades in _GRADED:
            yield bind(Kind.GRADED, layout, role, grades, group=1)
        return
    if meant[1] == "teacher":
        yield bind(groups, "student and teacher scores [B, G]", "own scores", "teacher")
    if meant[1] != "pos":
        yield bind(groups, "flat passages [B*G, D], group after group", "queries", "passages")
        yield bind(groups, "grouped passages [B, G, D]", "queries", "passages [B, G, D]")
    if meant[1] in ("pos", "tensor"):
        yield bind(Kind.VIEWS, "anchors [B, D] and several positives of each [B, P, D]", "view 0", "other views")
    yield bind(groups, "pairs [B, D]", "queries", "positives", group=1)
    yield bind(groups, "pairs, passages [B, 1, D]", "queries", "positives [B, 1, D]", group=1)
    yield bind(groups, "a query and its list of passages", "queries", "columns of passages")


def _three(meant: list[str], bind: Callable[..., Binding]) -> Iterator[Binding]:
    groups = Kind.GROUPS
    if meant[2] == "mask":
        yield bind(groups, "flat passages [B*G, D], mask of positives", "queries", "passages", "mask of positives")
        yield bind(groups, "pairs [B, D], mask of positives", "queries", "positives", "mask of positives", group=1)
    if meant[2] == "ids":
        yield bind(groups, "flat passages [B*G, D] and their ids [B*G]", "queries", "passages", "ids of passages")
        yield bind(
            groups, "pairs [B, D] and ids of the passages [B]", "queries", "positives", "ids of passages", group=1
        )
        meant[2] = "label"
    if meant[2] == "label" or meant[2] == "mask":
        yield bind(groups, "flat passages [B*G, D], group after group, target given", "queries", "passages", "target")
        yield bind(groups, "grouped passages [B, G, D], target 0 given", "queries", "passages [B, G, D]", "zeros")
        yield bind(groups, "pairs [B, D], target given", "queries", "positives", "target", group=1)
        yield bind(groups, "pairs [B, D] with a label each", "queries", "positives", "labels", group=1)
        yield bind(Kind.GRADED, "pairs [B, D], graded", "queries", "positives", "grades", group=1)
        yield bind(
            Kind.GRADED, "pairs [B, D], labels 0 and 1", "queries", "positives", "binary labels", group=1, binary=True
        )
        yield bind(Kind.GRADED, "pairs [B, D], labels -1 and 1", "queries", "positives", "signs", group=1, binary=True)
        return
    if meant[2] == "teacher":
        yield bind(groups, "flat passages [B*G, D] and teacher scores [B, G]", "queries", "passages", "teacher")
        yield bind(
            groups, "grouped passages [B, G, D] and teacher scores [B, G]", "queries", "passages [B, G, D]", "teacher"
        )
        yield bind(groups, "flat passages [B*G, D] and teacher scores [B*G]", "queries", "passages", "teacher [B*G]")
        return
    if meant[1] == "neg" and meant[2] == "pos":
        for layout, role, group in _NEGATIVES:
            yield bind(groups, layout, "queries", role, "positives", group=group)
        return
    for layout, role, group in _NEGATIVES:
        yield bind(groups, layout, "queries", "positives", role, group=group)
    if meant[2] == "tensor":
        yield bind(groups, "flat passages [B*G, D], target given", "queries", "passages", "target")
        yield bind(groups, "flat passages [B*G, D] and teacher scores [B, G]", "queries", "passages", "teacher")
        yield bind(
            groups, "grouped passages [B, G, D] and teacher scores [B, G]", "queries", "passages [B, G, D]", "teacher"
        )
        yield bind(Kind.GRADED, "pairs [B, D], graded", "queries", "positives", "grades", group=1)


def _token_ways(names: list[str], meant: list[str], bind: Callable[..., Binding]) -> Iterator[Binding]:
    groups = Kind.GROUPS
    if len(names) == 2:
        yield bind(groups, "token inputs of queries and of flat passages", "query tokens", "passage tokens")
        yield bind(groups, "token inputs of pairs", "query tokens", "positive tokens", group=1)
    elif len(names) == 3:
        yield bind(
            groups,
            "token inputs of queries, positives and flat negatives",
            "query tokens",
            "positive tokens",
            "negatives tokens",
        )
        yield bind(
            groups,
            "token inputs of queries, positives and negatives",
            "query tokens",
            "positive tokens",
            "negative tokens",
            group=2,
        )
        yield bind(
            groups,
            "token inputs of queries and of flat passages, teacher scores",
            "query tokens",
            "passage tokens",
            "teacher",
        )
    elif len(names) == 4:
        yield bind(
            groups,
            "input_ids and attention_mask of queries and of flat passages",
            "query ids",
            "query mask",
            "passage ids",
            "passage mask",
        )
        yield bind(
            groups,
            "input_ids and attention_mask of queries and of flat passages",
            "query ids",
            "passage ids",
            "query mask",
            "passage mask",
        )
    elif len(names) == 1:
        yield bind(groups, "a dict of token inputs, query and passage", "token batch")
        yield bind(groups, "a list of token inputs", "features")
