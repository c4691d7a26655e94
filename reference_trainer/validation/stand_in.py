"""Stand-ins for what a loss expects around it: an encoder that gives the embeddings we choose, and tokens for it.

The text of row k is the token k. The encoder looks k up in the matrix of the batch at hand, so a model that embeds,
pools and scores by itself can be asked about embeddings of our choice, and gradients come back to them.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

TOKENS = 3


class Tape:
    """The matrix that every stand-in of one validation looks up; copies of a model share it."""

    def __init__(self) -> None:
        self.rows = torch.zeros(1, 24)
        self.looks: dict[tuple[int, ...], set[int]] = {}  # text to the encoders that embedded it with a gradient

    def __deepcopy__(self, memo: dict[int, Any]) -> Tape:
        return self

    def lay(self, rows: Tensor) -> None:
        """Rows for the next call."""
        self.rows, self.looks = rows, {}

    def look(self, ids: Tensor, encoder: nn.Module) -> Tensor:
        """Rows of these tokens."""
        if torch.is_grad_enabled():
            self.looks.setdefault(tuple(ids.flatten().tolist()), set()).add(id(encoder))
        return self.rows[ids]

    @property
    def doubled(self) -> bool:
        """Did two encoders embed the same text? Here both would give the same rows, whatever they give in truth."""
        return any(len(encoders) > 1 for encoders in self.looks.values())


class Output(dict):  # type: ignore[type-arg]
    """What an encoder returns: by attribute, by key, and by position."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __getitem__(self, key: Any) -> Any:
        return list(self.values())[key] if isinstance(key, int) else super().__getitem__(key)

    def to_tuple(self) -> tuple[Any, ...]:
        return tuple(self.values())


class Encoder(nn.Module):
    """Token k becomes row k of the tape, at every position: each way of pooling gives that row."""

    def __init__(self, tape: Tape, pooled: bool = False) -> None:
        super().__init__()
        self.tape = tape
        self.pooled = pooled
        self.config = SimpleNamespace(
            hidden_size=24,
            vocab_size=10_000,
            pad_token_id=0,
            num_hidden_layers=1,
            model_type="bert",
            output_hidden_states=False,
            use_cache=False,
            name_or_path="stand-in",
            num_attention_heads=1,
        )
        self.dtype_holder = nn.Parameter(torch.zeros(()), requires_grad=False)

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        return self.tape.rows.dtype

    def get_input_embeddings(self) -> nn.Module:
        return nn.Identity()

    def gradient_checkpointing_enable(self, *args: Any, **kwargs: Any) -> None:
        return None

    def resize_token_embeddings(self, *args: Any, **kwargs: Any) -> None:
        return None

    def encode(self, *args: Any, **kwargs: Any) -> Any:
        return self(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        inputs = kwargs or (args[0] if args else {})
        ids: Any = inputs
        if not isinstance(inputs, Tensor):
            ids = inputs.get("input_ids", inputs.get("inputs_embeds", args[0] if args else None))
        if not isinstance(ids, Tensor):
            raise TypeError("the stand-in encoder was called without input_ids")
        if ids.is_floating_point():
            return ids
        vectors = self.tape.look(ids, self)
        if self.pooled:
            return vectors[..., 0, :] if ids.ndim > 1 else vectors
        return Output(last_hidden_state=vectors, pooler_output=vectors[..., 0, :], hidden_states=(vectors, vectors))


def tokens(rows: Tensor) -> dict[str, Tensor]:
    """Token inputs of rows: `[N]` of places in the tape to input_ids and attention_mask `[N, S]`."""
    ids = rows.reshape(-1, 1).expand(-1, TOKENS).contiguous()
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


class Tokens(dict):  # type: ignore[type-arg]
    """A batch encoding: a dict whose entries are attributes too, and that moves between devices."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def to(self, *args: Any, **kwargs: Any) -> Tokens:
        return self


class _Pass(nn.Module):
    """The module of a stand-in sentence-transformers model."""

    def __init__(self, tape: Tape) -> None:
        super().__init__()
        self.tape = tape
        self.anchor = nn.Parameter(torch.zeros(()), requires_grad=False)

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        vectors = self.tape.look(features["input_ids"], self)
        features.update(token_embeddings=vectors, sentence_embedding=vectors[:, 0])
        return features

    max_seq_length = 512

    @functools.cached_property
    def tokenizer(self) -> Any:
        """A real tokenizer, of a vocabulary that all stand-ins share."""
        from tokenizers import Tokenizer
        from tokenizers.models import WordLevel
        from transformers import PreTrainedTokenizerFast

        words = {"[PAD]": 0, "[UNK]": 1}
        made = Tokenizer(WordLevel(words, unk_token="[UNK]"))
        return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]")  # type: ignore[no-untyped-call]

    def get_sentence_embedding_dimension(self) -> int:
        return 24

    get_embedding_dimension = get_word_embedding_dimension = get_sentence_embedding_dimension

    def tokenize(self, texts: list[str], **kwargs: Any) -> dict[str, Tensor]:
        return tokens(torch.arange(len(texts)))


def sentence_model(tape: Tape) -> nn.Module:
    """A real SentenceTransformer whose only module looks the tape up."""
    from sentence_transformers import SentenceTransformer

    model: nn.Module = SentenceTransformer(modules=[_Pass(tape)], device="cpu")
    return model


def replace_encoders(module: nn.Module, tape: Tape) -> list[str]:
    """Put a stand-in where a model holds an encoder of its own; the names of what was replaced."""
    replaced = []
    for name, child in list(module.named_children()):
        if isinstance(child, Encoder):
            replaced.append(name)
        elif looks_like_encoder(child):
            setattr(module, name, Encoder(tape))
            replaced.append(name)
    return replaced


def looks_like_encoder(module: nn.Module) -> bool:
    """Does it take token ids: a pretrained transformer, or anything that holds an embedding of tokens?"""
    if any(base.__name__ == "PreTrainedModel" for base in type(module).__mro__):
        return True
    return any(isinstance(inner, (nn.Embedding, nn.EmbeddingBag)) for inner in module.modules())


def _below(kind: Any) -> Iterator[Any]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)


@contextlib.contextmanager
def nothing_downloaded(tape: Tape) -> Iterator[None]:
    """While a model is built: whatever loads pretrained weights gets a stand-in instead."""
    saved: list[tuple[Any, str, Any]] = []

    def swap(owner: Any, name: str, made: Any) -> None:
        saved.append((owner, name, owner.__dict__.get(name)))
        setattr(owner, name, made)

    if "transformers" in sys.modules:
        import transformers

        def encoder(cls: Any, *args: Any, **kwargs: Any) -> Encoder:
            return Encoder(tape)

        def other(cls: Any, *args: Any, **kwargs: Any) -> Any:
            return SimpleNamespace(pad_token_id=0, eos_token_id=0, hidden_size=24, pad_token="[PAD]", eos_token="[SEP]")

        from transformers.models.auto.auto_factory import _BaseAutoModelClass

        for kind in (_BaseAutoModelClass, *_below(_BaseAutoModelClass)):
            for name in ("from_pretrained", "from_config"):
                swap(kind, name, classmethod(encoder))
        swap(transformers.PreTrainedModel, "from_pretrained", classmethod(encoder))
        for owner in (transformers.AutoTokenizer, transformers.AutoConfig):
            swap(owner, "from_pretrained", classmethod(other))
    try:
        yield
    finally:
        for owner, name, before in reversed(saved):
            if before is None:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
