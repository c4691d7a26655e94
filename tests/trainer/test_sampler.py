"""Which rows a step sees, and what becomes of their texts."""

from __future__ import annotations

import itertools
import json
import math
from itertools import pairwise

import numpy as np
import pytest
from tokenizers import Tokenizer

from reference_trainer.batch import CHUNK_COST, assemble, padded_sizes
from reference_trainer.bundle import DATA
from reference_trainer.sampler import Sampler, permuted
from reference_trainer.settings import DataSettings
from reference_trainer.tokens import prepare, read_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("store"), rows=50)


def make_store(folder, rows, scores=False):
    path = folder / "rows.jsonl"
    lines = []
    for k in range(rows):
        row = {"query": f"word {k} " + "again " * (k % 7), "pos": [f"positive {k % 10}", f"other {k}"]}
        row["neg"] = [f"negative {k} {j}" for j in range(3 + k % 4)]
        if scores:
            row |= {"pos_scores": [10.0 + k, 20.0 + k], "neg_scores": [float(j) for j in range(len(row["neg"]))]}
        lines.append(json.dumps(row))
    path.write_text("\n".join(lines), encoding="utf-8")
    data = DataSettings(source=str(path), group=4, query_prompt="ask: ", passage_length=8)
    return prepare(data, str(path), tokenizer(), folder / "prepared")


def tokenizer():
    return Tokenizer.from_file(str(DATA / "tokenizer.json"))


@pytest.mark.parametrize("size", [1, 2, 3, 10, 64, 100, 1000])
def test_permutation_is_one(size):
    assert sorted(permuted(np.arange(size), size, 99)) == list(range(size))


@pytest.mark.parametrize("bucket", [1, 3])
def test_an_epoch_has_no_repeats_and_seeds_differ(store, bucket):
    sampler = Sampler(store, 8, 4, seed=1, bucket=bucket)
    epochs = [np.concatenate([sampler.rows_of(e * 6 + k) for k in range(6)]) for e in range(2)]
    for rows in epochs:
        assert len(set(rows.tolist())) == 48
    assert epochs[0].tolist() != epochs[1].tolist()
    assert Sampler(store, 8, 4, seed=2).rows_of(0).tolist() != Sampler(store, 8, 4, seed=1).rows_of(0).tolist()


def test_any_step_is_found_without_the_ones_before(store):
    steps = [Sampler(store, 8, 4, seed=1).draw(k) for k in range(9)]
    late = Sampler(store, 8, 4, seed=1).draw(8)
    assert late.rows.tolist() == steps[8].rows.tolist()
    assert late.passages.tolist() == steps[8].passages.tolist()


def test_buckets_put_equal_lengths_together(store):
    def spread(bucket):
        sampler = Sampler(store, 8, 4, seed=1, bucket=bucket, unique=False)
        return np.mean([np.ptp(store.lengths(store.query[sampler.rows_of(k)])) for k in range(6)])

    assert spread(6) < spread(1) / 2


def test_processes_share_one_draw(store):
    sampler = Sampler(store, 8, 4, seed=1)
    whole = sampler.draw(3)
    parts = [sampler.draw(3, rank, 4) for rank in range(4)]
    assert np.concatenate([p.passages for p in parts]).tolist() == whole.passages.tolist()
    assert np.concatenate([p.rows for p in parts]).tolist() == whole.rows.tolist()


def test_groups_are_a_positive_and_distinct_negatives_of_the_row(store):
    for step in range(12):
        draw = Sampler(store, 8, 4, seed=1).draw(step)
        for row, texts in zip(draw.rows, draw.passages):
            positives = store.positives[store.positive_starts[row] : store.positive_starts[row + 1]]
            negatives = store.negatives[store.negative_starts[row] : store.negative_starts[row + 1]]
            assert texts[0] in positives
            assert len(set(texts[1:]) & set(negatives)) == 3


def test_teacher_scores_follow_their_texts(tmp_path):
    scored = make_store(tmp_path, rows=20, scores=True)
    draw = Sampler(scored, 8, 4, seed=1).draw(1)
    for row, texts, scores in zip(draw.rows, draw.passages, draw.teacher):
        first = scored.positive_starts[row]
        assert scores[0] == 10 * (1 + (texts[0] == scored.positives[first + 1])) + row
        start = scored.negative_starts[row]
        assert [scored.negatives[start + int(s)] for s in scores[1:]] == texts[1:].tolist()


def test_batch_larger_than_the_data_is_refused(store):
    with pytest.raises(ValueError, match="a batch of 51 queries"):
        Sampler(store, 51, 4, seed=0)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("budget", [16, 40, 10_000])
def test_batch_holds_every_text_once_within_the_budget(store, packed, budget):
    draw = Sampler(store, 8, 4, seed=1).draw(0)
    batch = assemble(store, draw, budget, pad=0, packed=packed)
    sequences = []
    for chunk in batch.chunks:
        if packed:
            bounds = chunk.bounds.tolist()
            sequences += [chunk.ids[0, a:b].tolist() for a, b in pairwise(bounds)]
        else:
            sequences += [row[keep].tolist() for row, keep in zip(chunk.ids, chunk.mask)]
        assert (
            chunk.ids.numel() <= budget or len(sequences) == 1 or (chunk.ids.shape[0] == 1 and chunk.longest >= budget)
        )
    tokens = lambda text: store.tokens[store.starts[text] : store.starts[text + 1]].tolist()  # noqa: E731
    assert [sequences[k] for k in batch.query_at] == [tokens(t) for t in draw.queries]
    assert [sequences[k] for k in batch.passage_at] == [tokens(t) for t in draw.passages.ravel()]
    assert len(sequences) == len({*draw.queries.tolist(), *draw.passages.ravel().tolist()})
    assert batch.tokens == sum(map(len, sequences))


@pytest.mark.parametrize("seed", range(20))
def test_chunks_waste_as_little_as_any_cutting(seed):
    """Against every way to cut a short list."""
    generator = np.random.default_rng(seed)
    lengths = np.sort(generator.choice(np.arange(3, 120), size=9, replace=False))[::-1]
    budget = int(generator.integers(130, 600))
    cost = {}
    for cuts in itertools.product((False, True), repeat=8):
        starts = [0, *(k + 1 for k, cut in enumerate(cuts) if cut)]
        padded = [int(lengths[a]) * (b - a) for a, b in zip(starts, [*starts[1:], 9])]
        if max(padded) <= budget:
            cost[cuts] = sum(padded) + CHUNK_COST * len(padded)
    sizes = padded_sizes(lengths, budget)
    starts = np.cumsum([0, *sizes])
    padded = [int(lengths[a]) * size for a, size in zip(starts, sizes)]
    assert sum(sizes) == 9
    assert max(padded) <= budget
    assert sum(padded) + CHUNK_COST * len(padded) == min(cost.values())


def test_a_batch_of_uneven_texts_is_hardly_padded():
    lengths = np.sort(np.random.default_rng(0).lognormal(2.5, 0.45, 576).clip(4, 128).astype(np.int64))[::-1]
    sizes = padded_sizes(lengths, 16_384)
    starts = np.cumsum([0, *sizes])
    padded = sum(int(lengths[a]) * size for a, size in zip(starts, sizes))
    assert padded < 1.1 * lengths.sum() < 0.3 * lengths[0] * len(lengths)
    assert len(sizes) < 20


def test_store_is_read_back_and_rebuilt_when_the_source_changes(tmp_path):
    made = make_store(tmp_path, rows=12)
    homes = list((tmp_path / "prepared").iterdir())
    assert [home.name.startswith(".") for home in homes] == [False]
    again = read_store(homes[0])
    assert again.tokens.tolist() == made.tokens.tolist()
    assert again.where[3] == "rows.jsonl:4"
    make_store(tmp_path, rows=13)
    assert len(list((tmp_path / "prepared").iterdir())) == 2


def test_prompts_and_lengths_reach_the_tokens(store):
    text = store.tokens[store.starts[store.query[0]] : store.starts[store.query[0] + 1]]
    assert tokenizer().decode(text.tolist()).startswith("ask : word")
    assert store.lengths(np.unique(store.positives)).max() <= 8
    assert math.isclose(store.lengths(store.query[[6]])[0], store.lengths(store.query[[0]])[0] + 6)
