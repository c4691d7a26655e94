"""What ships with the trainer: a sample of WordNet's sense queries, and a tokenizer trained on its texts.

`reference-trainer data bundle` rebuilds them from the database files: the sample byte for byte, the tokenizer up to the
order in which equally frequent pieces are merged.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import json
import lzma
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from .wordnet import SenseQuery, read_irregular, read_synsets, sense_queries

DATA = Path(str(importlib.resources.files("reference_trainer") / "data"))
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SIZES = {"train": 5000, "dev": 600}
VOCABULARY = 6000


def build(database: Path, out: Path) -> dict[str, int]:
    """Write the sample and the tokenizer to out; return the rows of each split. WordNetMissing without the database."""
    queries = list(sense_queries(read_synsets(database), read_irregular(database)))
    out.mkdir(parents=True, exist_ok=True)
    for split, size in SIZES.items():
        write_rows(out / f"wordnet-{split}.jsonl.xz", sample(queries, split, size))
    texts = dict.fromkeys(text for query in queries for text in (query.example, query.gloss))
    train_tokenizer(texts).save(str(out / "tokenizer.json"), pretty=False)
    return dict(SIZES)


def sample(queries: Iterable[SenseQuery], split: str, size: int = 0) -> list[SenseQuery]:
    """`size` queries of a split, chosen and ordered by a hash of their text; 0: all of them."""
    chosen = sorted((q for q in queries if q.split == split), key=lambda q: _hash(f"{q.lemma}: {q.example}\t{q.gloss}"))
    return chosen[:size] if size else chosen


def write_rows(path: Path, queries: Iterable[SenseQuery]) -> int:
    """jsonl, one query a line, compressed when the name ends in .xz; returns the number of lines."""
    lines = [json.dumps(query.as_row(), ensure_ascii=False) + "\n" for query in queries]
    data = "".join(lines).encode()
    path.write_bytes(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME) if path.suffix == ".xz" else data)
    return len(lines)


def train_tokenizer(texts: Iterable[str]) -> Tokenizer:
    """Lower-case WordPiece with BERT's special tokens."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=VOCABULARY, special_tokens=list(SPECIAL), min_frequency=2, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    ids = {token: tokenizer.token_to_id(token) for token in SPECIAL}
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    return tokenizer


def _hash(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
