"""Models and tokenizers by name: a hub name, a folder, a config for a random start, or the bundled tiny one."""

from __future__ import annotations

import functools
import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedTokenizerFast

from .batch import chunked
from .bundle import DATA
from .encoder import Encoder
from .packing import PACKED_ATTENTION
from .settings import ModelSettings, SettingsError

BUNDLED = ("tiny", "static")


def load_encoder(model: ModelSettings, device: torch.device) -> Encoder:
    """Build the encoder. SettingsError names what can't be had: a path, LoRA without peft, packing refused."""
    backbone = _backbone(model)
    if model.lora_rank:
        backbone = _with_lora(backbone, model)
    if model.checkpointing:
        backbone.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    encoder = Encoder(backbone, model.pooling, model.normalize).to(device)
    if model.unpadded:
        if device.type == "cuda" and _dropout(backbone):
            raise SettingsError(
                "model.unpadded on CUDA has no attention dropout: set attention_probs_dropout_prob to 0"
            )
        require_packing(encoder, device)
    if model.compile:
        for block in blocks_of(backbone):
            block.compile(dynamic=True)
    return encoder


def load_tokenizer(model: ModelSettings) -> PreTrainedTokenizerFast:
    """The tokenizer of a model, fast ones only; its `backend_tokenizer` does the work."""
    name = model.tokenizer or ("tiny" if model.name.endswith(".json") else model.name)
    if name in BUNDLED:
        name = str(DATA / "tokenizer.json")
    if name.endswith(".json"):
        if not Path(name).is_file():
            raise SettingsError(f"model.tokenizer: {name}: no such file")
        special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
        tokenizer_class: Any = PreTrainedTokenizerFast
        made = tokenizer_class(tokenizer_file=name, mask_token="[MASK]", model_max_length=512, **special)
        return cast(PreTrainedTokenizerFast, made)
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise SettingsError(f"model.tokenizer: {name}: {error}") from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise SettingsError(f"model.tokenizer: {name} has no fast tokenizer")
    return tokenizer


@dataclass(frozen=True)
class Saved:
    """A tokenizer as the files that transformers reads back, and the sha256 of what it does to a text."""

    files: dict[str, bytes]
    sha256: str


def saved(tokenizer: PreTrainedTokenizerFast) -> Saved:
    """Without the truncation and padding that encoding texts sets."""
    backend: Any = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    with tempfile.TemporaryDirectory() as name:
        tokenizer.save_pretrained(name)
        files = {path.name: path.read_bytes() for path in sorted(Path(name).iterdir())}
    return Saved(files, hashlib.sha256(backend.to_str().encode()).hexdigest())


def pad_of(tokenizer: PreTrainedTokenizerFast) -> int:
    return int(tokenizer.pad_token_id or 0)


def blocks_of(backbone: nn.Module) -> list[nn.Module]:
    """The transformer's repeated blocks: the longest list of modules in it."""
    lists = [module for module in backbone.modules() if isinstance(module, nn.ModuleList)]
    return max(([*items] for items in lists), key=len, default=[])


def require_packing(encoder: Encoder, device: torch.device) -> None:
    """SettingsError unless the model honours boundaries: packed and padded embeddings of a probe must agree."""
    lengths, training = (9, 7, 4), encoder.training
    generator = torch.Generator().manual_seed(0)
    limit = int(cast(Any, encoder.backbone).config.vocab_size)
    probe = [torch.randint(5, limit, (n,), generator=generator, dtype=torch.int32).numpy() for n in lengths]
    encoder.eval()
    with torch.no_grad(), torch.autocast("cuda", dtype=torch.bfloat16, enabled=device.type == "cuda"):
        padded, packed = (
            encoder([chunk.to(device) for chunk in chunked(probe, 10_000, 0, packed=how)]) for how in (False, True)
        )
    encoder.train(training)
    error = float((padded - packed).norm() / padded.norm())
    if not error < (2e-2 if device.type == "cuda" else 1e-4):
        raise SettingsError(
            f"model.unpadded: this model doesn't keep packed texts apart (embeddings differ by {error:.2g})"
        )


def _backbone(model: ModelSettings) -> Any:
    """Without the pooling head that some models carry: it would be weights that no gradient reaches."""
    attention = PACKED_ATTENTION if model.unpadded else "sdpa"
    name = str(DATA / f"{model.name}.json") if model.name in BUNDLED else model.name
    auto: Any = AutoModel
    try:
        if name.endswith(".json"):
            config = AutoConfig.for_model(**_read_json(Path(name)))
            build = functools.partial(auto.from_config, config, attn_implementation=attention)
        else:
            build = functools.partial(auto.from_pretrained, name, attn_implementation=attention, dtype=torch.float32)
        try:
            return build(add_pooling_layer=False)
        except TypeError:
            return build()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"model.name: {name}: {error}") from error


def _read_json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _with_lora(backbone: Any, model: ModelSettings) -> Any:
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise SettingsError("model.lora_rank needs peft: install torch-shapecheck with its extra [lora]") from error
    config = LoraConfig(r=model.lora_rank, lora_alpha=2 * model.lora_rank, target_modules=list(model.lora_targets))
    try:
        return get_peft_model(backbone, config)
    except ValueError as error:
        raise SettingsError(f"model.lora_targets: {error}") from error


def _dropout(backbone: Any) -> bool:
    return float(getattr(backbone.config, "attention_probs_dropout_prob", 0.0) or 0.0) > 0.0
