"""A run small enough to train in a second."""

from __future__ import annotations

import json

from reference_trainer.settings import Settings, load

TINY = {
    "model_type": "bert", "vocab_size": 6000, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 32, "max_position_embeddings": 128, "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1, "pad_token_id": 0,
}  # fmt: skip

WORDS = "bank river money water paper stone glass light cloud metal horse table chair bread plant storm"


def tiny_config(folder, **changes) -> str:
    path = folder / "tiny.json"
    path.write_text(json.dumps({**TINY, **changes}), encoding="utf-8")
    return str(path)


def small_rows(folder, rows=40, scores=False) -> str:
    """jsonl of word groups: a query shares its words with its positive."""
    words = WORDS.split()
    path = folder / "rows.jsonl"
    lines = []
    for k in range(rows):
        own, other = words[k % 16], words[(k * 7 + 3) % 16]
        row = {"query": f"{own} {other}: find it", "pos": [f"a {own} near the {other} number {k}"]}
        row["neg"] = [f"the {words[(k + j) % 16]} and {words[(k + 2 * j + 5) % 16]} of {k} {j}" for j in range(1, 5)]
        if scores:
            row |= {"pos_scores": [5.0], "neg_scores": [1.0 * j for j in range(4)]}
        lines.append(json.dumps(row))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def small_settings(folder, *changes, scores=False, **config) -> Settings:
    return load(
        None,
        [
            "loss.mode=in-batch", f"data.source={small_rows(folder, scores=scores)}", "data.group=3",
            f"model.name={tiny_config(folder, **config)}", "train.steps=6", "train.batch=8", "train.warmup=1",
            "train.learning_rate=0.001", "train.log_every=1", "train.chunk_tokens=256", "train.threads=1", *changes,
        ],
    )  # fmt: skip
