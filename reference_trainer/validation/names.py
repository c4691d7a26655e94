"""What the name of an argument suggests. It orders the attempts, and nothing is concluded from it."""

from __future__ import annotations

SCALARS = (
    "batch",
    "group",
    "negatives count",
    "one",
    "nought",
    "bias",
    "log scale",
    "scale",
    "temperature",
    "margin",
    "weights",
)


_GIVEN = ("gold", "teacher", "target", "true", "label", "labels", "reference")


_VECTORS = (
    "proj",
    "emb",
    "embs",
    "embedding",
    "embeddings",
    "embeds",
    "feat",
    "feats",
    "features",
    "vec",
    "vecs",
    "reps",
)


_LEARNED = ("prototype", "prototypes", "centroid", "centroids", "proxies", "codebook", "cluster", "clusters")


def learned(name: str) -> bool:
    """Is it vectors that are no rows of the batch?"""
    return bool(set(name.lower().split("_")) & set(_LEARNED))


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
    if words[-1] == "ids" and words[0] in (
        "passage",
        "passages",
        "doc",
        "docs",
        "document",
        "documents",
        "pid",
        "pids",
    ):
        return "ids"
    if words[-1] == "weights" or words[-2:] in (["sample", "weight"], ["row", "weight"], ["query", "weight"]):
        return "weights"
    if "bias" in words:
        return "bias"
    if "logit_scale" in low or low in ("log_scale", "log_temperature"):
        return "log scale"
    if low in ("scale", "s", "inv_temperature", "inv_t"):
        return "scale"
    if low in ("t", "tau", "temp") or "temperature" in low:
        return "temperature"
    if words[-1] in ("margin", "margins"):
        return "teacher" if any(w in words for w in _GIVEN) else "margin"
    if "teacher" in low or "soft" in words:
        return "teacher"
    if words[-1] in ("pred", "preds", "predicted") or ("target" in words and set(words) & set(_VECTORS)):
        return "tensor"
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
    unknown = [name for name in names if guess(name) == "tensor"]
    return unknown if len(unknown) > 2 else []
