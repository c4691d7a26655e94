"""Batches without two rows of one query, positive or class; pairs without negatives; BEIR folders."""

from __future__ import annotations

import gzip
import itertools
import json
import random
import shutil

import ir_measures
import numpy as np
import pytest
import torch
from ir_measures import RR, R, nDCG

from reference_trainer import journal
from reference_trainer.apart import TooAlike, keys_of
from reference_trainer.batch import assemble
from reference_trainer.checkpoint import weights_digest
from reference_trainer.evaluate import embed_texts, evaluate, for_evaluation
from reference_trainer.models import pad_of
from reference_trainer.objective import Embedded, contrastive_loss
from reference_trainer.rows import Accounting, read_rows
from reference_trainer.sampler import Sampler
from reference_trainer.settings import DataSettings, SettingsError
from reference_trainer.tokens import prepare
from reference_trainer.train import train
from reference_trainer.trained import load_trained
from reference_trainer.world import Alone

from .runs import small_settings
from .test_formats import hostile
from .test_sampler import tokenizer


def store_of(folder, rows, **settings):
    path = folder / f"rows-{len(list(folder.iterdir()))}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return prepare(
        DataSettings(source=str(path), **{"group": 1, **settings}), str(path), tokenizer(), folder / "prepared"
    )


def alike(store, rows):
    """Pairs of rows that share a query, a positive or a class, found the slow way."""
    owned = []
    for row in rows:
        texts = set(store.positives[store.positive_starts[row] : store.positive_starts[row + 1]].tolist())
        label = {("label", int(store.label[row]))} if store.label[row] >= 0 else set()
        owned.append({int(store.query[row]), *texts} | label)
    return [(a, b) for a, b in itertools.combinations(range(len(rows)), 2) if owned[a] & owned[b]]


def random_rows(luck, count, queries, passages):
    rows = []
    for _ in range(count):
        positives = [f"passage {k}" for k in luck.choice(passages, size=luck.integers(1, 4), replace=False)]
        rows.append({"query": f"query {luck.integers(queries)}", "pos": positives})
    return rows


@pytest.mark.parametrize("bucket", [1, 3])
@pytest.mark.parametrize("seed", range(6))
def test_no_two_rows_of_a_batch_are_alike_and_an_epoch_has_no_repeats(tmp_path, seed, bucket):
    luck = np.random.default_rng(seed)
    store = store_of(tmp_path, random_rows(luck, 203, 90, 260))
    plain = Sampler(store, 8, 1, seed=seed, bucket=bucket, unique=False)
    assert sum(len(alike(store, plain.rows_of(k))) for k in range(25)) > 10
    sampler = Sampler(store, 8, 1, seed=seed, bucket=bucket)
    for epoch in range(2):
        steps = [sampler.rows_of(epoch * 25 + k) for k in range(25)]
        assert not any(alike(store, rows) for rows in steps)
        assert len({*np.concatenate(steps).tolist()}) == 200
    late = Sampler(store, 8, 1, seed=seed, bucket=bucket)
    assert late.rows_of(30).tolist() == sampler.rows_of(30).tolist()  # without the steps before


def test_rows_unlike_each_other_are_drawn_as_before(tmp_path):
    store = store_of(tmp_path, [{"query": f"q {k}", "pos": [f"p {k}", f"p {k}"]} for k in range(50)])
    assert keys_of(store) is None
    sampler = Sampler(store, 8, 1, seed=1)
    assert sampler.rows_of(9).tolist() == Sampler(store, 8, 1, seed=1, unique=False).rows_of(9).tolist()


def test_what_can_not_be_kept_apart_is_refused_before_training(tmp_path):
    store = store_of(tmp_path, [{"query": f"q {k}", "pos": [f"p {k // 20}"]} for k in range(60)])
    with pytest.raises(TooAlike, match="60 rows don't fill 15 batches of 4 without two alike in one"):
        Sampler(store, 4, 1, seed=0)
    assert not any(alike(store, Sampler(store, 3, 1, seed=0).rows_of(k)) for k in range(40))  # tight, but possible
    path = tmp_path / "rows-0.jsonl"
    with pytest.raises(SettingsError, match=r"train\.batch: too many rows share a query"):
        train(small_settings(tmp_path, f"data.source={path}", "data.group=1", "train.batch=4"), tmp_path / "run")


def test_classes_are_kept_apart(tmp_path):
    store = store_of(tmp_path, [{"text": f"t {k}", "label": k % 12} for k in range(120)])
    sampler = Sampler(store, 10, 1, seed=0)
    for step in range(12):
        assert len({*store.label[sampler.rows_of(step)].tolist()}) == 10


def test_perfect_embeddings_lose_nothing_where_alike_rows_cost_log_2(tmp_path):
    """Four queries twice each, with two positives: the other positive is right too, and counts as wrong."""
    store = store_of(tmp_path, [{"query": f"q {k % 4}", "pos": [f"p {k}"]} for k in range(8)])
    settings = small_settings(tmp_path, "data.group=1").loss

    def loss(sampler, step):
        draw = sampler.draw(step)
        place = torch.tensor([int(str(store.where[row]).rpartition(":")[2]) % 4 for row in draw.rows])
        embeddings = torch.nn.functional.one_hot(place, 4).float()
        own = Embedded(embeddings, embeddings, torch.from_numpy(draw.passages.ravel().copy()), None)
        return float(contrastive_loss(settings, own, 100.0, True, Alone()))

    assert max(loss(Sampler(store, 4, 1, seed=0), step) for step in range(20)) < 1e-6
    assert max(loss(Sampler(store, 4, 1, seed=0, unique=False), step) for step in range(20)) > 0.3


def test_pairs_train_resume_and_evaluate_without_negatives(tmp_path):
    rows = [{"anchor": f"word {k} of {k % 7}", "positive": f"the text of word {k}"} for k in range(40)]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    changes = (f"data.source={path}", f"data.dev={path}", "data.group=1", "train.eval_every=3", "train.save_every=3")
    settings = small_settings(tmp_path, *changes)
    whole = train(settings, tmp_path / "run")
    for other in (("loss.symmetric=true",), ("train.cache=true",), ("loss.fused=chunked", "loss.dims=[8]")):
        train(small_settings(tmp_path, *changes, *other), tmp_path / str(other))
    shutil.rmtree(whole)
    assert weights_digest(train(settings, tmp_path / "run")) == weights_digest(
        tmp_path / "run" / "checkpoints" / whole.name
    )
    found = [record for record in journal.read(tmp_path / "run") if record["kind"] == "eval"]
    assert all("group_accuracy" not in record and record["corpus"] == 40 for record in found)
    from reference_trainer.report import write_report

    write_report([tmp_path / "run"], tmp_path / "report.html")
    assert "MRR@10" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_hostile_rows_end_no_run(tmp_path):
    luck = random.Random(7)
    path = tmp_path / "mixed.jsonl"
    good = [json.dumps({"query": f"good {k}", "pos": [f"p {k}"], "neg": ["x", "y"]}).encode() for k in range(40)]
    path.write_bytes(b"\n".join([*good, *(hostile(luck) for _ in range(100))]))
    changes = (f"data.source={path}", "data.positive_score=1", "train.steps=12")
    assert train(small_settings(tmp_path, *changes), tmp_path / "run").name == "step-00000012"


def test_a_row_s_negatives_repeat_only_after_all_have_come(tmp_path):
    rows = [{"query": f"q {k}", "pos": [f"p {k}"], "neg": [f"n {k} {j}" for j in range(1 + k % 5)]} for k in range(20)]
    store = store_of(tmp_path, rows, group=5, repeat_negatives=True)
    for step in range(10):
        draw = Sampler(store, 8, 5, seed=0).draw(step)
        for row, texts in zip(draw.rows, draw.passages):
            own = store.negatives[store.negative_starts[row] : store.negative_starts[row + 1]].tolist()
            counts = [texts[1:].tolist().count(text) for text in own]
            assert sum(counts) == 4
            assert max(counts) - min(counts) <= 1
    batch = assemble(store, draw, 64, 0)
    assert batch.passage_at.shape == (40,)


@pytest.fixture
def beir(tmp_path):
    folder = tmp_path / "scifacts"
    (folder / "qrels").mkdir(parents=True)
    words = [
        "bank",
        "river",
        "money",
        "water",
        "paper",
        "stone",
        "glass",
        "light",
        "cloud",
        "metal",
        "horse",
        "table",
        "chair",
        "bread",
        "plant",
        "storm",
    ]
    corpus = [
        {"_id": f"d{k}", "title": words[k % 16] if k % 3 else "", "text": f"{words[k * 5 % 16]} of {k}"}
        for k in range(60)
    ]
    (folder / "corpus.jsonl.gz").write_bytes(gzip.compress("".join(json.dumps(d) + "\n" for d in corpus).encode()))
    queries = [{"_id": f"q{k}", "text": f"{words[k % 16]} {words[k * 5 % 16]}?"} for k in range(20)]
    (folder / "queries.jsonl").write_text("".join(json.dumps(q) + "\n" for q in queries), encoding="utf-8")
    lines = [("query-id", "corpus-id", "score")]
    lines += [(f"q{k}", f"d{j}", str(s)) for k in range(18) for j, s in ((k, 1), (k + 20, 1), (k + 40, 0))]
    for split in ("train", "test"):
        text = "".join("\t".join(line) + "\n" for line in lines)
        (folder / "qrels" / f"{split}.tsv").write_text(text, encoding="utf-8")
    return folder, corpus, queries


def test_beir_folders_give_rows_and_their_whole_corpus(tmp_path, beir):
    folder, corpus, _ = beir
    rows = list(read_rows(DataSettings(source=str(folder), group=2), str(folder), Accounting()))
    assert len(rows) == 18
    texts = [f"{d['title']} {d['text']}".strip() for d in corpus]
    assert (rows[4].positives, rows[4].negatives) == ((texts[4], texts[24]), (texts[44],))
    assert rows[4].where == "scifacts:query q4"
    settings = small_settings(tmp_path, f"data.source={folder}", f"data.dev={folder}@test", "data.group=2")
    train(settings, tmp_path / "run")
    (evaluation,) = [r for r in journal.read(tmp_path / "run") if r["kind"] == "eval"]
    assert evaluation["corpus"] == len(set(texts)) == 60


def test_beir_metrics_are_those_of_ir_measures_over_the_whole_corpus(tmp_path, beir):
    folder, _, _ = beir
    train(small_settings(tmp_path, f"data.source={folder}", "data.group=2"), tmp_path / "run")
    trained = load_trained(tmp_path / "run")
    data, backend = for_evaluation(trained.settings.data), trained.tokenizer.backend_tokenizer
    store = prepare(data, f"{folder}@test", backend, tmp_path / "again", whole_corpus=True)
    found = evaluate(trained.encoder, store, 2, 256, pad_of(trained.tokenizer))
    passages = embed_texts(trained.encoder, store, store.corpus, 256, 0)
    asked = embed_texts(trained.encoder, store, store.query, 256, 0)
    scores = asked @ passages.T
    run = {f"q{k}": {f"d{j}": float(scores[k, j]) for j in range(60)} for k in range(18)}
    qrels = {f"q{k}": {f"d{k}": 1, f"d{k + 20}": 1, f"d{k + 40}": 0} for k in range(18)}
    wanted = ir_measures.calc_aggregate([RR @ 10, nDCG @ 10, R @ 10], qrels, run)
    for name, measure in (("mrr@10", RR @ 10), ("ndcg@10", nDCG @ 10), ("recall@10", R @ 10)):
        assert found[name] == pytest.approx(wanted[measure], abs=1e-9)


@pytest.mark.parametrize(("harm", "said"), [
    (lambda f: (f / "qrels" / "train.tsv").unlink(), r"judges no train: name a split of its own, .*@test"),
    (lambda f: (f / "queries.jsonl").unlink(), "has no queries.jsonl"),
    (lambda f: (f / "queries.jsonl").write_bytes(b"{}\n"), r"queries\.jsonl:1 has no text"),
    (lambda f: (f / "queries.jsonl").write_bytes(b"\n{\n"), r"queries\.jsonl:2: not JSON"),
    (lambda f: (f / "corpus.jsonl.gz").write_bytes(b"not gzip"), "corpus.jsonl.gz can't be read after line 0"),
    (lambda f: (f / "qrels" / "train.tsv").write_bytes(b"query-id\tcorpus-id\tscore\nq1\td1\tmany\n"), r"train\.tsv:2 is no judgement"),
    (lambda f: (f / "qrels" / "train.tsv").write_bytes(b"a\tb\n1\t2\n"), r"train\.tsv:2 is no judgement"),
])  # fmt: skip
def test_broken_beir_folders_are_named(beir, harm, said):
    folder, _, _ = beir
    harm(folder)
    with pytest.raises(SettingsError, match=said):
        list(read_rows(DataSettings(source=str(folder), group=1), str(folder), Accounting()))


def test_judgements_of_what_is_not_there_are_counted(beir):
    folder, _, _ = beir
    with (folder / "qrels" / "train.tsv").open("a", encoding="utf-8") as file:
        file.write("q1\tnone\t1\nnone\td1\t1\n")
    accounting = Accounting()
    rows = list(read_rows(DataSettings(source=str(folder), group=1), str(folder), accounting))
    assert len(rows) == 18
    assert sorted(accounting.reasons) == [
        "a judged passage is not in corpus.jsonl",
        "a judged query is not in queries.jsonl",
    ]
