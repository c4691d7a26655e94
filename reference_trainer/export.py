"""Out of the trainer: a folder that SentenceTransformer(path) loads, or an ONNX graph. A replayed bug stays inside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .encoder import pool_padded
from .settings import Pooling, SettingsError
from .trained import Trained, merged_backbone


def require_exportable(trained: Trained) -> None:
    """SettingsError for a run that replayed a bug."""
    if trained.replayed_bug:
        raise SettingsError(
            f"{trained.checkpoint} was trained with replayed bug {trained.replayed_bug}: it is a warning, not a model"
        )


def to_sentence_transformers(trained: Trained, out: Path) -> None:
    """Write the layout of sentence-transformers: transformer, pooling, normalisation, prompts, limits."""
    require_exportable(trained)
    out.mkdir(parents=True, exist_ok=True)
    settings, pooling = trained.settings, trained.settings.model.pooling
    merged_backbone(trained).save_pretrained(str(out))
    trained.tokenizer.backend_tokenizer.no_truncation()
    trained.tokenizer.save_pretrained(str(out))
    modules = [_module(0, "", "Transformer"), _module(1, "1_Pooling", "Pooling")]
    if settings.model.normalize:
        modules.append(_module(2, "2_Normalize", "Normalize"))
        (out / "2_Normalize").mkdir(exist_ok=True)
    _write(out / "modules.json", modules)
    longest = max(settings.data.query_length, settings.data.passage_length)
    _write(out / "sentence_bert_config.json", {"max_seq_length": longest, "do_lower_case": False})
    (out / "1_Pooling").mkdir(exist_ok=True)
    _write(
        out / "1_Pooling" / "config.json",
        {
            "word_embedding_dimension": trained.encoder.width,
            "pooling_mode_cls_token": pooling is Pooling.CLS,
            "pooling_mode_mean_tokens": pooling is Pooling.MEAN,
            "pooling_mode_lasttoken": pooling is Pooling.LAST,
            "pooling_mode_max_tokens": False,
            "include_prompt": True,
        },
    )
    prompts = {"query": settings.data.query_prompt, "document": settings.data.passage_prompt}
    similarity = "cosine" if settings.model.normalize else "dot"
    _write(out / "config_sentence_transformers.json", {"prompts": prompts, "similarity_fn_name": similarity})


def to_onnx(trained: Trained, path: Path) -> None:
    """Write a graph from input_ids and attention_mask, int64 `[N, S]`, to embeddings `[N, D]`. Needs onnxscript."""
    require_exportable(trained)
    try:
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise SettingsError("onnx export needs onnx and onnxscript: pip install 'torch-shapecheck[onnx]'") from error
    path.parent.mkdir(parents=True, exist_ok=True)
    graph = _Graph(merged_backbone(trained), trained.settings.model.pooling, trained.settings.model.normalize).eval()
    ids = torch.arange(5, 21, dtype=torch.long).view(2, 8)  # N S
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    axes = {0: torch.export.Dim("rows", min=1), 1: torch.export.Dim("length", min=1)}
    torch.onnx.export(
        graph,
        (ids, mask),
        str(path),
        input_names=["input_ids", "attention_mask"],
        output_names=["embeddings"],
        dynamic_shapes=(axes, axes),
        dynamo=True,
        verbose=False,
    )


class _Graph(nn.Module):
    def __init__(self, backbone: nn.Module, pooling: Pooling, normalize: bool) -> None:
        super().__init__()
        self.backbone, self.pooling, self.normalize = backbone, pooling, normalize

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        states = self.backbone(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state  # N S D
        pooled = pool_padded(states, attention_mask.bool(), self.pooling)  # N D
        return F.normalize(pooled, dim=1) if self.normalize else pooled


def _module(number: int, path: str, kind: str) -> dict[str, Any]:
    return {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2), encoding="utf-8")
