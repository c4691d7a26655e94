"""A trained model back from its checkpoint: for evaluation, encoding and export."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from .checkpoint import BrokenCheckpoint, latest, load
from .encoder import Encoder
from .evaluate import embed_sequences
from .models import load_encoder, load_tokenizer, pad_of
from .refusal import printable
from .resume import checkpoints_of
from .settings import Settings, from_plain
from .tokens import encode_texts


@dataclass(frozen=True)
class Trained:
    """An encoder with its weights, its tokenizer and the settings it was trained under."""

    encoder: Encoder
    tokenizer: PreTrainedTokenizerFast
    settings: Settings
    checkpoint: Path
    replayed_bug: int


def load_trained(where: Path, device: torch.device | None = None) -> Trained:
    """Load a checkpoint, or the last whole one of a run's folder. BrokenCheckpoint if there is none."""
    home = where
    if not (where / "manifest.json").exists() and not (where / "run.json").exists():
        found, refused = latest(checkpoints_of(where))
        if found is None:
            raise BrokenCheckpoint("; ".join((f"{printable(where)}: no whole checkpoint", *refused)))
        home = found
    saved = load(home)
    settings = from_plain(saved.run["settings"])
    config, tokenizer = str(home / "config.json"), str(home / "tokenizer")
    model = dataclasses.replace(settings.model, name=config, tokenizer=tokenizer, compile=False, checkpointing=False)
    encoder = load_encoder(model, device or torch.device("cpu"))
    encoder.load_state_dict(saved.weights)
    encoder.eval()
    return Trained(encoder, load_tokenizer(model), settings, home, int(saved.run["replayed_bug"]))


def merged_backbone(trained: Trained) -> Any:
    """The transformer, adapters merged into its weights."""
    backbone: Any = trained.encoder.backbone
    return backbone.merge_and_unload() if trained.settings.model.lora_rank else backbone


def encode(trained: Trained, texts: list[str], as_query: bool) -> Tensor:
    """Embeddings `[len(texts), D]`, with the prompt and the length limit of queries or of passages."""
    data, settings = trained.settings.data, trained.settings
    prompt = data.query_prompt if as_query else data.passage_prompt
    length = data.query_length if as_query else data.passage_length
    found = encode_texts(trained.tokenizer.backend_tokenizer, texts, prompt, length)
    order = np.argsort([-len(ids) for ids in found], kind="stable")
    sequences = [np.array(found[k], dtype=np.int32) for k in order]
    return embed_sequences(
        trained.encoder,
        sequences,
        order,
        settings.train.chunk_tokens,
        pad_of(trained.tokenizer),
        settings.model.unpadded,
    )
