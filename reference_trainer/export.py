"""Out of the trainer: a folder that SentenceTransformer(path) loads, or an ONNX graph. A replayed bug stays inside.

What was written is read back before it gets its name, and its embeddings are compared with the trainer's own.
"""

from __future__ import annotations

import bisect
import importlib.util
import itertools
import json
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .encoder import pool_padded
from .models import pad_of
from .refusal import Refusal, printable, reason_of
from .settings import Pooling, SettingsError
from .tokens import encode_texts
from .trained import Trained, encode, merged_backbone
from .whole import whole_folder, writing

TOLERANCE = 1e-4  # relative, of embeddings in float32
_WORDS = "the bank of a river and some money or metal in one storm near horses by night"

Embed = Callable[[list[str], bool], Tensor]


class WrongExport(Refusal):
    """What was written doesn't give the trainer's embeddings; the message says how far off it is."""


def require_exportable(trained: Trained) -> None:
    """SettingsError for a run that replayed a bug."""
    if trained.replayed_bug:
        raise SettingsError(
            f"{trained.checkpoint} was trained with replayed bug {trained.replayed_bug}: it is a warning, not a model"
        )


def to_sentence_transformers(trained: Trained, out: Path) -> list[str]:
    """Write the layout of sentence-transformers: transformer, pooling, normalisation, prompts, limits.

    Returns what a user of the folder should know. The folder must be new or empty; it appears whole, and only if it
    gives the trainer's embeddings.
    """
    require_exportable(trained)
    _require("sentence_transformers", "export")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SettingsError(f"{printable(out)} is not empty: choose another folder")
    with whole_folder(out) as staging:
        _write_folder(trained, staging)
        _compare(trained, _sentence_transformer(staging), out)
    data = trained.settings.data
    if data.query_length == data.passage_length:
        return []
    longest = max(data.query_length, data.passage_length)
    return [
        f"queries are cut at {data.query_length} tokens here and passages at {data.passage_length}; "
        f"sentence-transformers has one limit, and cuts both at {longest}"
    ]


def to_onnx(trained: Trained, path: Path) -> list[str]:
    """Write a graph from input_ids and attention_mask, int64 `[N, S]`, to embeddings `[N, D]`, N and S free.

    Weights beyond what one file takes lie in a second one, NAME.data. Both appear only if they give the trainer's
    embeddings.
    """
    require_exportable(trained)
    for module in ("onnx", "onnxscript", "onnxruntime"):
        _require(module, "onnx")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=path.parent) as folder:
            made = Path(folder) / path.name
            _write_graph(trained, made)
            _compare(trained, _onnx_session(trained, made), path)
            for file in sorted(Path(folder).iterdir(), key=lambda file: file == made):  # the graph after its weights
                file.replace(path.parent / file.name)
    return []


def _write_folder(trained: Trained, out: Path) -> None:
    settings, pooling = trained.settings, trained.settings.model.pooling
    merged_backbone(trained).save_pretrained(str(out))
    trained.tokenizer.backend_tokenizer.no_truncation()
    trained.tokenizer.save_pretrained(str(out))
    modules = [_module(0, "", "Transformer"), _module(1, "1_Pooling", "Pooling")]
    if settings.model.normalize:
        modules.append(_module(2, "2_Normalize", "Normalize"))
        (out / "2_Normalize").mkdir()
    _write(out / "modules.json", modules)
    longest = max(settings.data.query_length, settings.data.passage_length)
    _write(out / "sentence_bert_config.json", {"max_seq_length": longest, "do_lower_case": False})
    (out / "1_Pooling").mkdir()
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


def _write_graph(trained: Trained, path: Path) -> None:
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


def _compare(trained: Trained, embed: Embed, out: Path) -> None:
    """WrongExport unless one text and three, short and as long as the limit, queries and passages, come out alike."""
    data, words = trained.settings.data, _WORDS.split()
    for as_query, room in itertools.product((True, False), (8, min(data.query_length, data.passage_length))):
        kind = "queries" if as_query else "passages"
        said = [[words[(k + row) % len(words)] for k in range(room)] for row in range(3)]
        texts = [_cut(trained, line, room, as_query) for line in said]
        for batch in (texts[:1], texts):
            wanted = encode(trained, batch, as_query)
            try:
                seen = embed(batch, as_query)
            except Exception as error:  # whatever a reader says of the file, the export is not usable
                raise WrongExport(f"{printable(out)} was not written: it can't be run: {reason_of(error)}") from error
            off = float((seen - wanted).norm() / wanted.norm()) if seen.shape == wanted.shape else math.inf
            if not off <= TOLERANCE:
                raise WrongExport(
                    f"{printable(out)} was not written: {len(batch)} {kind} of at most {room} tokens give other "
                    f"embeddings there than here (off by {off:.2g} of their length)"
                )


def _cut(trained: Trained, words: list[str], tokens: int, as_query: bool) -> str:
    """As many of the words as fit into so many tokens with the prompt, one at least: no limit is felt."""
    data, tokenizer = trained.settings.data, trained.tokenizer.backend_tokenizer
    prompt = data.query_prompt if as_query else data.passage_prompt

    def length(count: int) -> int:
        return len(encode_texts(tokenizer, [" ".join(words[:count])], prompt, 1 << 20)[0])

    return " ".join(words[: max(1, bisect.bisect_right(range(len(words) + 1), tokens, key=length) - 1)])


def _sentence_transformer(folder: Path) -> Embed:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu")

    def embed(texts: list[str], as_query: bool) -> Tensor:
        found = model.encode(texts, prompt_name="query" if as_query else "document", convert_to_tensor=True)
        return found.float().cpu()

    return embed


def _onnx_session(trained: Trained, path: Path) -> Embed:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    data, pad = trained.settings.data, pad_of(trained.tokenizer)

    def embed(texts: list[str], as_query: bool) -> Tensor:
        prompt = data.query_prompt if as_query else data.passage_prompt
        length = data.query_length if as_query else data.passage_length
        found = [torch.tensor(ids) for ids in encode_texts(trained.tokenizer.backend_tokenizer, texts, prompt, length)]
        ids = nn.utils.rnn.pad_sequence(found, batch_first=True, padding_value=pad)
        mask = nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in found], batch_first=True)
        (seen,) = session.run(["embeddings"], {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})
        return torch.from_numpy(seen)

    return embed


class _Graph(nn.Module):
    def __init__(self, backbone: nn.Module, pooling: Pooling, normalize: bool) -> None:
        super().__init__()
        self.backbone, self.pooling, self.normalize = backbone, pooling, normalize

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        states = self.backbone(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state  # N S D
        pooled = pool_padded(states, attention_mask.bool(), self.pooling)  # N D
        return F.normalize(pooled, dim=1) if self.normalize else pooled


def _require(module: str, extra: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise SettingsError(f"this export needs {module}: install torch-shapecheck with its extra [{extra}]")


def _module(number: int, path: str, kind: str) -> dict[str, Any]:
    return {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2), encoding="utf-8")
