"""Which argument gets what: the ways in which a loss of this signature may have been meant to be called.

Names only order the attempts. Whether an attempt is right is found by calling, and by what the function then computes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .case import Case, Kind
from .stand_in import Tokens, tokens

TEMPERATURE = 0.05
LOG_SCALE = 3.0  # as a scale it is 3, as the logarithm of one it is 20


@dataclass(frozen=True)
class Binding:
    """Roles of the arguments, by position or by name; `group` where the roles fix it; `layout` says it in words."""

    kind: Kind
    roles: tuple[tuple[str, str], ...]
    layout: str
    group: int | None = None
    binary: bool = False

    def arguments(self, case: Case, made: Callable[[str, Case], Any]) -> tuple[list[Any], dict[str, Any]]:
        positional, named = [], {}
        for name, role in self.roles:
            value = made(role, case)
            if name.startswith("*"):
                positional += list(value)
            elif name.isdigit():
                positional.append(value)
            else:
                named[name] = value
        return positional, named

    def role_of(self, role: str) -> bool:
        return any(r == role for _, r in self.roles)


def _columns(case: Case) -> list[Tensor]:
    return [case.queries, *(case.passages[:, k] for k in range(case.group))]


def _token_columns(case: Case) -> list[Tensor]:
    b, g = case.batch, case.group
    places = b + torch.arange(b)[:, None] * g + torch.arange(g)
    return [torch.arange(b), *(places[:, k] for k in range(g))]


ROLES: dict[str, Callable[[Case], Any]] = {
    "queries": lambda c: c.queries,
    "passages": lambda c: c.rows[c.batch :],
    "passages [B, G, D]": lambda c: c.passages,
    "positives": lambda c: c.passages[:, 0],
    "positives [B, 1, D]": lambda c: c.passages[:, :1],
    "queries [B, 1, D]": lambda c: c.queries.unsqueeze(1),
    "negative": lambda c: c.passages[:, 1],
    "negatives [B, G-1, D]": lambda c: c.passages[:, 1:],
    "negatives": lambda c: c.passages[:, 1:].flatten(0, 1),
    "columns": _columns,
    "stacked": lambda c: torch.cat([c.queries, c.passages[:, 0]]),
    "interleaved": lambda c: torch.stack([c.queries, c.passages[:, 0]], 1).flatten(0, 1),
    "two views": lambda c: torch.stack([c.queries, c.passages[:, 0]], 1),
    "list of two": lambda c: [c.queries, c.passages[:, 0]],
    "views": lambda c: c.views,
    "views [N, D]": lambda c: c.rows,
    "labels of views": lambda c: c.labels.repeat_interleave(c.group),
    "rows": lambda c: c.rows,
    "labels": lambda c: c.labels,
    "labels of stacked": lambda c: c.labels.repeat(2),
    "target": lambda c: torch.arange(c.batch) * c.group,
    "zeros": lambda c: torch.zeros(c.batch, dtype=torch.long),
    "grades": lambda c: c.grades.to(c.rows.dtype),
    "signs": lambda c: (c.grades * 2 - 1).to(c.rows.dtype),
    "binary labels": lambda c: c.grades.long(),
    "teacher": lambda c: c.teacher.to(c.rows.dtype),
    "teacher [B*G]": lambda c: c.teacher.flatten().to(c.rows.dtype),
    "teacher positive": lambda c: c.teacher[:, 0].to(c.rows.dtype),
    "teacher negative": lambda c: c.teacher[:, 1].to(c.rows.dtype),
    "teacher margin": lambda c: (c.teacher[:, 0] - c.teacher[:, 1]).to(c.rows.dtype),
    "own scores": lambda c: torch.einsum("bd,bgd->bg", c.queries, c.passages),
    "all scores": lambda c: c.queries @ c.rows[c.batch :].T,
    "query tokens": lambda c: Tokens(tokens(torch.arange(c.batch))),
    "passage tokens": lambda c: Tokens(tokens(c.batch + torch.arange(c.batch * c.group))),
    "positive tokens": lambda c: Tokens(tokens(_token_columns(c)[1])),
    "negative tokens": lambda c: Tokens(tokens(_token_columns(c)[2])),
    "negatives tokens": lambda c: Tokens(tokens(torch.stack(_token_columns(c)[2:], 1).flatten())),
    "query ids": lambda c: tokens(torch.arange(c.batch))["input_ids"],
    "passage ids": lambda c: tokens(c.batch + torch.arange(c.batch * c.group))["input_ids"],
    "query mask": lambda c: tokens(torch.arange(c.batch))["attention_mask"],
    "passage mask": lambda c: tokens(c.batch + torch.arange(c.batch * c.group))["attention_mask"],
    "features": lambda c: [tokens(place) for place in _token_columns(c)],
    "features of rows": lambda c: [tokens(torch.arange(len(c.rows)))],
    "token batch": lambda c: Tokens(
        query=Tokens(tokens(torch.arange(c.batch))), passage=Tokens(tokens(c.batch + torch.arange(c.batch * c.group)))
    ),
    "none": lambda c: None,
    "group": lambda c: c.group,
    "negatives count": lambda c: c.group - 1,
    "batch": lambda c: c.batch,
    "temperature": lambda c: TEMPERATURE,
    "scale": lambda c: 1 / TEMPERATURE,
    "log scale": lambda c: torch.tensor(LOG_SCALE, dtype=c.rows.dtype),
    "bias": lambda c: torch.tensor(-2.0, dtype=c.rows.dtype),
    "margin": lambda c: 0.5,
    "one": lambda c: 1,
    "nought": lambda c: 0,
}

_INTEGERS = (
    "num_",
    "n_",
    "group",
    "batch_size",
    "bsz",
    "bs",
    "world",
    "rank",
    "size",
    "k_neg",
    "negatives_per",
    "neg_num",
)


def guess(name: str) -> str:
    """What a name suggests, to order the attempts."""
    low = name.lower().lstrip("_")
    words = low.replace("-", "_").split("_")
    if low in ("bs", "bsz") or "batch_size" in low:
        return "batch"
    if low in ("n_neg", "num_neg") or ("group" in low and "label" not in low):
        return "group"
    if low.startswith(("num_neg", "n_neg", "num_hard", "neg_num", "negatives_per")):
        return "negatives count"
    if low.startswith(("num_pass", "n_pass", "passages_per", "num_doc")):
        return "group"
    if "world" in low:
        return "one"
    if low in ("rank", "local_rank", "epoch", "step", "global_step"):
        return "nought"
    if "bias" in words:
        return "bias"
    if "logit_scale" in low or low in ("log_scale", "log_temperature"):
        return "log scale"
    if low in ("scale", "s", "inv_temperature", "inv_t"):
        return "scale"
    if low in ("t", "tau", "temp") or "temperature" in low:
        return "temperature"
    if "margin" in words and "label" not in low:
        return "margin"
    if "teacher" in low or "soft" in words:
        return "teacher"
    if any(
        w in words for w in ("label", "labels", "target", "targets", "y", "gt", "lbl", "classes", "class", "ids", "idx")
    ):
        return "label"
    if low in ("score", "gold", "gold_scores", "similarity_scores"):
        return "label"
    if any(w in words for w in ("scores", "logits", "sim", "sims", "similarity", "similarities")):
        return "scores"
    if "mask" in low:
        return "mask"
    if low in ("sentence_features", "reps", "embeddings_list", "columns"):
        return "features"
    if any(w.startswith("neg") for w in words) or low == "n":
        return "neg"
    if any(w.startswith("pos") for w in words):
        return "pos"
    if words[0] in (
        "q",
        "qs",
        "query",
        "queries",
        "anchor",
        "anchors",
        "question",
        "questions",
        "user",
        "image",
        "img",
        "images",
    ):
        return "query"
    if words[0] in (
        "p",
        "ps",
        "k",
        "passage",
        "passages",
        "doc",
        "docs",
        "document",
        "documents",
        "d",
        "key",
        "keys",
        "candidate",
        "candidates",
        "cands",
        "context",
        "contexts",
        "ctx",
        "item",
        "items",
        "text",
        "texts",
        "txt",
        "answers",
    ):
        return "passage"
    if words[0] in ("batch", "inputs", "data", "x_batch"):
        return "batch of tokens" if words[0] == "batch" else "tensor"
    return "tensor"


def unclear(names: list[str]) -> list[str]:
    """Arguments whose names say nothing of their role, where there are too many to go by their order."""
    kinds = [(name, guess(name)) for name in names]
    tensors = [name for name, meant in kinds if meant not in SCALARS]
    return [name for name, meant in kinds if meant == "tensor"] if len(tensors) > 2 else []


SCALARS = ("batch", "group", "negatives count", "one", "nought", "bias", "log scale", "scale", "temperature", "margin")


def explicit(mapping: Mapping[str, str], names: list[str]) -> Binding:
    """The call that --map spells out: argument to role. ValueError names what is unknown."""
    short = {"passages_grouped": "passages [B, G, D]", "negatives_grouped": "negatives [B, G-1, D]"}
    roles = []
    for name, role in mapping.items():
        if names and name not in names:
            raise ValueError(f"--map: there is no argument {name}; there are {', '.join(names)}")
        role = short.get(role, role)
        if role not in ROLES:
            raise ValueError(f"--map: no such role: {role}; there are {', '.join(ROLES)}")
        roles.append((name, role))
    used = {role for _, role in roles}
    kind = (
        Kind.VIEWS
        if used & {"views", "views [N, D]"}
        else Kind.CLASSES
        if "rows" in used or "features of rows" in used
        else Kind.GROUPS
    )
    kind = Kind.GRADED if used & {"grades", "signs", "binary labels"} else kind
    paired = used & {"stacked", "interleaved", "two views", "list of two"} or not used & {
        "passages",
        "passages [B, G, D]",
        "negatives",
        "negatives [B, G-1, D]",
        "negative",
        "columns",
        "features",
        "passage tokens",
        "own scores",
        "all scores",
        "negatives tokens",
        "negative tokens",
        "passage ids",
        "token batch",
    }
    group = (
        1 if paired and kind in (Kind.GROUPS, Kind.GRADED) else 2 if used & {"negative", "negative tokens"} else None
    )
    return Binding(kind, tuple(roles), "as --map says", 1 if kind is Kind.GRADED else group, "binary labels" in used)


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
    constant = tuple((name, meant) for name, meant in fixed)
    seen = set()
    for made in _ways(tensors, labels, embeds, sentence, starred):
        whole = Binding(made.kind, made.roles + constant, made.layout, made.group, made.binary)
        if (whole.kind, whole.roles, whole.group) not in seen:
            seen.add((whole.kind, whole.roles, whole.group))
            yield whole


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
        second = (names[1],) if len(names) > 1 else ()
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
    elif count == 2:
        yield from _two(meant, bind)
    elif count == 3:
        yield from _three(meant, bind)
    elif count == 4 and meant[2] == "neg" and meant[3] in ("label", "teacher"):
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
    if count >= 4:
        roles = [f"column {k}" for k in range(count)]
        yield bind(groups, "queries, positives and negatives each [B, D]", *roles, group=count - 1)


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
        return
    if meant[1] == "teacher":
        yield bind(groups, "student and teacher scores [B, G]", "own scores", "teacher")
    if meant[1] != "pos":
        yield bind(groups, "flat passages [B*G, D], group after group", "queries", "passages")
        yield bind(groups, "grouped passages [B, G, D]", "queries", "passages [B, G, D]")
    yield bind(groups, "pairs [B, D]", "queries", "positives", group=1)
    yield bind(groups, "pairs, passages [B, 1, D]", "queries", "positives [B, 1, D]", group=1)
    yield bind(groups, "a query and its list of passages", "queries", "columns of passages")


def _three(meant: list[str], bind: Callable[..., Binding]) -> Iterator[Binding]:
    groups = Kind.GROUPS
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


_NEGATIVES = (
    ("queries, positives, negatives [B, G-1, D]", "negatives [B, G-1, D]", None),
    ("queries, positives, negatives [B*(G-1), D]", "negatives", None),
    ("queries, positives, negatives, each [B, D]", "negative", 2),
)


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


def make(role: str, case: Case) -> Any:
    """The value of a role for a batch. KeyError for an unknown role."""
    if role.startswith("column "):
        return _columns(case)[int(role.removeprefix("column "))]
    if role == "columns of passages":
        return _columns(case)[1:]
    return ROLES[role](case)
