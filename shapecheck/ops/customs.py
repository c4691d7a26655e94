"""The customs of those who write models, in the words that follow "assuming". torch takes other ranks there as well."""

from __future__ import annotations

import re
from collections.abc import Iterable

HEADED = "what the layer is given has a batch in front"
CUT = "the axis that is cut in parts is a multiple of their number"
MATRIX = "what .T turns has 2 axes"


def batched(rank: int) -> str:
    """Of convolutions, pooling and recurrent layers, which take one example without a batch too."""
    return f"the layer is given a batch, {rank} axes"


def of_output(name: str, rank: int) -> str:
    """What the outputs of encoders are called everywhere, whatever made them."""
    return f"{name} has {rank} axes, as encoders give it"


def of_name(name: str, letters: tuple[str, ...]) -> str:
    """The rank that a name tells."""
    return f"{name} is [{', '.join(map(_WORDS.__getitem__, letters))}]" if letters else f"{name} is a number"


def alike(first: str, other: str) -> str:
    """Two views, two towers of one width, an anchor and its positive."""
    return f"{first} and {other} have one shape"


_WORDS = {"B": "batch", "D": "features", "C": "classes", "L": "length", "H": "height", "W": "width", "N": "candidates"}

# What a function is for decides what its short names mean.
_OF_LOSSES = re.compile(
    r"(?i)loss|nce|contrast|criteri|simil|triplet|margin|align|uniform|barlow|vicreg|byol|simsiam|simclr|moco|infonce|"
    r"distill|whiten|decorr|clip"
)
_ATTENDS = re.compile(r"(?i)atten|attn|transformer|mha|rotary|rope|\bblock|layer|decod")

EMBEDDED = ("B", "D")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_EMBEDDINGS = _words(
    "embedding embeddings emb embs embeds feat feats feature features rep reps repr reprs representation "
    "representations projection projections proj projs "
)
_OF_TOKENS = re.compile(
    r"(?i)input|token|word|pos|patch|hidden|seq|frame|spatial|local|dense|map|layer|table|weight|node"
)
_PLAIN = _words("z p q k anchor query key positive negative student teacher zs")
_NUMBERED = _words("h x y out view")  # `x0` and `x1` are views of one batch, `x` may be anything
_LABELS = _words("label labels")
_SCORES = _words("logits scores sims similarities")
_NUMBERS = _words("temperature temp tau margin scale alpha beta gamma lambda eps epsilon")


def about(*names: str) -> str:
    """What the code around a name is for: "loss", "attention" or ""."""
    path = names[-1].replace("\\", "/").rpartition("/")[2]
    words = " ".join((*names[:-1], path))
    if _ATTENDS.search(" ".join(names[:-1])):
        return "attention"
    return "loss" if _OF_LOSSES.search(words) else ""


def rank(name: str, about: str) -> tuple[str, ...] | None:
    """A letter for each axis that something of this name has by custom; None: the name tells nothing."""
    words = [w for w in re.split(r"[_\d]+", name.lower()) if w]
    if not words or about == "attention":
        return None
    last = words[-1]
    if len(words) > 1 and len(last) == 1 and last in "ijabtsvlr":  # z_i, embedding_a
        last = words[-2]
    if last in _NUMBERS:
        return ()
    if last in _EMBEDDINGS:
        return None if _OF_TOKENS.search(name) else EMBEDDED
    if about == "loss":
        told = (
            len(words) == 1 or len(last) > 1 or words[0] in _PLAIN | _EMBEDDINGS or last != words[-1]
        )  # `feat_q`, not `idx_k`
        if len(words) <= 2 and told and (last in _PLAIN or (last in _NUMBERED and re.search(r"\d$|_[a-z]$", name))):
            return EMBEDDED
        if last in _LABELS:
            return ("B",)
        if last in _SCORES:
            return ("B", "C")
    return None


_TOWERS = (
    {"image", "text"}, {"img", "txt"}, {"anchor", "positive"}, {"student", "teacher"}, {"query", "key"},
    {"pred", "proj"}, {"left", "right"}, {"src", "tgt"}, {"visual", "textual"}, {"vision", "text"}, {"p", "z"},
    {"q", "k"}, {"img", "text"}, {"video", "text"}, {"audio", "text"}, {"user", "item"}, {"online", "target"},
)  # fmt: skip


def families(names: Iterable[str], about: str) -> list[list[str]]:
    """The names that have a custom, those that by custom have one shape together."""
    found: list[list[str]] = []
    for name in names:
        letters = rank(name, about)
        if letters is None:
            continue
        for family in found:
            if letters == EMBEDDED and rank(family[0], about) == EMBEDDED and are_alike(family[0], name):
                family.append(name)
                break
        else:
            found.append([name])
    return found


def are_alike(one: str, other: str) -> bool:
    """Do two names tell of things of one shape: `z_i` and `z_j`, `image_features` and `text_features`?"""
    if re.sub(r"\d+", "#", one) == re.sub(r"\d+", "#", other):
        return True
    a, b = re.split(r"_", one.lower()), re.split(r"_", other.lower())
    if len(a) != len(b):
        return False
    apart = [(v, w) for v, w in zip(a, b) if v != w]
    if len(apart) != 1:
        return False
    v, w = apart[0]
    return (len(v) == len(w) == 1 and len(a) > 1 and a[-1] == v and b[-1] == w) or {v, w} in _TOWERS
