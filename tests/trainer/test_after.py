"""After training: metrics, encoding, export, reports, and the commands around them."""

from __future__ import annotations

import gzip
import json
import math
import shutil
from pathlib import Path
from xml.etree import ElementTree

import ir_measures
import numpy as np
import pytest
import torch
from ir_measures import RR, R, nDCG
from sentence_transformers import SentenceTransformer
from typer.testing import CliRunner

from reference_trainer.cli import app
from reference_trainer.demo import Outcome, table
from reference_trainer.evaluate import evaluate
from reference_trainer.metrics import ndcg, ranked_hits, recall, reciprocal_rank
from reference_trainer.models import pad_of
from reference_trainer.report import read_history
from reference_trainer.tokens import prepare
from reference_trainer.train import train
from reference_trainer.trained import encode, load_trained

from .runs import TINY, small_rows, small_settings, tiny_config

TEXTS = ["the bank of a river", "money", "a horse near the table, and a chair", "metal and glass in the storm"]
runner = CliRunner()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("after")
    changes = ("train.save_every=3", "train.eval_every=3", f"data.dev={small_rows(folder)}", "data.query_prompt=ask: ")
    train(small_settings(folder, *changes), folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def bug(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bug")
    train(small_settings(folder, "loss.mode=preset", "train.replay_bug=450"), folder / "run")
    return folder / "run"


def test_metrics_equal_ir_measures():
    generator = torch.Generator().manual_seed(3)
    scores = torch.randn(40, 200, generator=generator)
    relevant = [torch.randperm(200, generator=generator)[: 1 + k % 12].tolist() for k in range(40)]
    order = scores.topk(100, dim=1).indices
    hits, counts = ranked_hits(order, relevant), torch.tensor([len(r) for r in relevant])
    seen = {
        RR @ 10: reciprocal_rank(hits),
        nDCG @ 10: ndcg(hits, counts),
        R @ 10: recall(hits, counts, 10),
        R @ 100: recall(hits, counts, 100),
    }
    qrels = {str(q): {str(d): 1 for d in wanted} for q, wanted in enumerate(relevant)}
    run = {str(q): {str(d): float(scores[q, d]) for d in range(200)} for q in range(40)}
    for result in ir_measures.iter_calc(list(seen), qrels, run):
        assert abs(seen[result.measure][int(result.query_id)].item() - result.value) <= 1e-9
    assert 0 < reciprocal_rank(hits).mean() < 1


def test_evaluation_is_over_the_whole_corpus(run):
    trained = load_trained(run)
    source = trained.settings.data.dev
    store = prepare(trained.settings.data, source, trained.tokenizer.backend_tokenizer, run / "again")
    found = evaluate(trained.encoder, store, 3, 256, pad_of(trained.tokenizer))
    rows = [json.loads(line) for line in open(source, encoding="utf-8")]  # noqa: SIM115
    corpus = list(dict.fromkeys(text for row in rows for text in (*row["pos"], *row["neg"])))
    assert found["corpus"] == len(corpus)
    queries, passages = encode(trained, [row["query"] for row in rows], True), encode(trained, corpus, False)
    scores = queries @ passages.T
    ranks = [1 + int((scores[k] > scores[k, corpus.index(row["pos"][0])]).sum()) for k, row in enumerate(rows)]
    assert found["mrr@10"] == pytest.approx(np.mean([1 / r if r <= 10 else 0 for r in ranks]), abs=1e-9)
    own = [[scores[k, corpus.index(t)] for t in (row["pos"][0], *row["neg"][:2])] for k, row in enumerate(rows)]
    assert found["group_accuracy"] == pytest.approx(np.mean([s[0] > max(s[1:]) for s in own]), abs=1e-9)


@pytest.mark.parametrize("changes", [
    (), ("model.pooling=cls",), ("model.pooling=last", "model.normalize=false", "loss.temperature=1.0"),
    ("model.lora_rank=2",), ("model.unpadded=true",),
], ids=str)  # fmt: skip
def test_sentence_transformers_loads_the_export(tmp_path, changes):
    train(small_settings(tmp_path, "data.query_prompt=ask: ", "train.steps=2", *changes), tmp_path / "run")
    result = runner.invoke(app, ["export", str(tmp_path / "run"), "--out", str(tmp_path / "st")])
    assert result.exit_code == 0, result.output
    theirs = SentenceTransformer(str(tmp_path / "st"), device="cpu")
    trained = load_trained(tmp_path / "run")
    for prompt, as_query in (("query", True), ("document", False)):
        got = torch.from_numpy(theirs.encode(TEXTS, prompt_name=prompt, convert_to_numpy=True))
        cosine = torch.cosine_similarity(got, encode(trained, TEXTS, as_query), dim=1)
        assert (1 - cosine).abs().max() <= 1e-6


@pytest.mark.parametrize("layout", ["sentence-transformers", "onnx"])
def test_replayed_bug_is_not_exported(bug, tmp_path, layout):
    result = runner.invoke(app, ["export", str(bug), "--out", str(tmp_path / "out"), "--layout", layout])
    assert result.exit_code == 2
    assert "it is a warning, not a model" in result.output
    assert not (tmp_path / "out").exists()


def test_encode_command(run, tmp_path):
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    command = ["encode", str(run), str(tmp_path / "texts.txt"), "--out", str(tmp_path / "e.npy"), "--query"]
    result = runner.invoke(app, command)
    assert result.exit_code == 0, result.output
    assert np.allclose(np.load(tmp_path / "e.npy"), encode(load_trained(run), TEXTS, True).numpy())


def test_eval_command_prints_what_the_run_logged(run):
    result = runner.invoke(app, ["eval", str(run)])
    assert result.exit_code == 0, result.output
    logged = [r for r in read_history(run).evaluations if r["step"] == 6][-1]
    for name, value in json.loads(result.stdout).items():
        assert value == pytest.approx(logged[name])


def test_report_overlays_runs_and_needs_nothing_else(run, bug, tmp_path):
    result = runner.invoke(app, ["report", str(run), str(bug), "--out", str(tmp_path / "report.html")])
    assert result.exit_code == 0, result.output
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("<polyline") >= 6
    assert page.count("stroke-dasharray='6 12'") == 2  # one log C line a run
    assert "replayed bug 450" in page
    assert "http" not in page
    assert "group_accuracy" in page
    for text in ("MRR@10, whole corpus", "accuracy within the own group", "ms a step", "peak memory, MB"):
        assert text in page
    assert runner.invoke(app, ["report", str(tmp_path)]).exit_code == 2


def test_report_of_a_run_that_has_logged_no_step_says_so(run, tmp_path):
    (tmp_path / "log.jsonl").write_text("", encoding="utf-8")
    (tmp_path / "settings.json").write_text((run / "settings.json").read_text(encoding="utf-8"), encoding="utf-8")
    result = runner.invoke(app, ["report", str(run), str(tmp_path), "--out", str(tmp_path / "report.html")])
    assert result.exit_code == 2
    assert "no step is logged yet" in result.output


def test_demo_table_says_who_is_under_log_c(run, bug):
    header, bug_row = table({"bug": Outcome(_with_evaluation(read_history(bug)), 1.0)})
    assert bug_row[header.index("log C")] == f"{math.log(3):.2f}"
    assert bug_row[header.index("under log C")] == "NO"


def _with_evaluation(history):
    history.evaluations.append({"step": 0, "mrr@10": 0.1, "group_accuracy": 0.2})
    return history


REFUSED = {
    "a folder as data": (("data.source={folder}",), "is a folder: name a file or a glob"),
    "no such data": (("data.source={folder}/none.jsonl",), "no file matches"),
    "data cut off": (("data.source={folder}/cut.jsonl.gz",), "cut.jsonl.gz can't be read after line"),
    "data not compressed": (("data.source={folder}/not.jsonl.gz",), "not.jsonl.gz can't be read after line 0"),
    "nothing in the data": (("data.source={folder}/empty.jsonl",), "no usable row"),
    "a configuration of nothing": (("model.name={folder}/typeless.json",), "model.name"),
    "a configuration that is no json": (("model.name={folder}/broken.json",), "model.name"),
    "adapters for no layer": (("model.lora_rank=2", "model.lora_targets=[nosuch]"), "model.lora_targets"),
    "texts beyond the positions": (("model.name={folder}/short.json",), "tokens, the model takes 8"),
    "tokens beyond the vocabulary": (("model.name={folder}/small.json",), "the model's vocabulary ends at 49"),
    "a seed that is none": (("train.seed=-1",), "train.seed must lie between"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_train_refuses_in_one_sentence(tmp_path, name):
    changes, said = REFUSED[name]
    rows = small_rows(tmp_path)
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(Path(rows).read_bytes())[:-40])
    (tmp_path / "not.jsonl.gz").write_bytes(b"plain text")
    (tmp_path / "empty.jsonl").write_bytes(b"")
    (tmp_path / "typeless.json").write_text('{"hidden_size": 3}', encoding="utf-8")
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    for file, change in (("short", {"max_position_embeddings": 8}), ("small", {"vocab_size": 50})):
        (tmp_path / f"{file}.json").write_text(json.dumps({**TINY, **change}), encoding="utf-8")
    base = ("loss.mode=in-batch", f"data.source={rows}", "data.group=3", f"model.name={tiny_config(tmp_path)}")
    every = [*base, "train.batch=8", *(change.format(folder=tmp_path) for change in changes)]
    options = [part for change in every for part in ("--set", change)]
    result = runner.invoke(app, ["train", "--quiet", "--out", str(tmp_path / "run"), *options])
    assert result.exit_code == 2, result.output
    assert "error: " in result.output
    assert said in result.output.replace("\n", " ")
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_train_refuses_files_that_are_not_what_they_should_be(tmp_path):
    (tmp_path / "latin.yaml").write_bytes(b"loss:\n  mode: in-batch  # \xe9\n")
    assert "latin.yaml: " in runner.invoke(app, ["train", str(tmp_path / "latin.yaml")]).output
    options = ["--set", "loss.mode=preset", "--out", str(tmp_path / "latin.yaml")]
    result = runner.invoke(app, ["train", *options])
    assert result.exit_code == 2
    assert "latin.yaml can't be written: File exists" in result.output
    result = runner.invoke(app, ["train", *options[:2], "--out", str(tmp_path), "--resume", "always"])
    assert result.exit_code == 2
    assert "--resume always: neither auto nor never, and no such checkpoint" in result.output


def test_encode_refuses_texts_that_are_not_there(run, tmp_path):
    for name, text, said in (
        ("none", None, "No such file"),
        ("empty", b"", "holds no line"),
        ("bad", b"\xff", "utf-8"),
    ):
        if text is not None:
            (tmp_path / name).write_bytes(text)
        result = runner.invoke(app, ["encode", str(run), str(tmp_path / name), "--out", str(tmp_path / "e.npy")])
        assert result.exit_code == 2
        assert said in result.output
    (tmp_path / "feed").write_text("one\x0cstill one\ntwo\n", encoding="utf-8")
    result = runner.invoke(app, ["encode", str(run), str(tmp_path / "feed"), "--out", str(tmp_path / "new" / "e")])
    assert result.exit_code == 0, result.output
    assert len(np.load(tmp_path / "new" / "e")) == 2


def test_a_checkpoint_needs_nothing_beside_it(run, tmp_path):
    (home, *_) = sorted((run / "checkpoints").iterdir(), reverse=True)
    shutil.copytree(home, tmp_path / "alone")
    assert torch.equal(encode(load_trained(tmp_path / "alone"), TEXTS, True), encode(load_trained(run), TEXTS, True))
    (tmp_path / "alone" / "tokenizer" / "tokenizer.json").unlink()
    result = runner.invoke(app, ["eval", str(tmp_path / "alone"), "--data", "wordnet:dev"])
    assert result.exit_code == 2
    assert "tokenizer/tokenizer.json is missing" in result.output


def test_train_command_prints_settings_and_refuses_before_loading(tmp_path):
    result = runner.invoke(app, ["train", "--set", "loss.mode=preset", "--set", "loss.symmetric=true"])
    assert result.exit_code == 2
    assert "loss.symmetric has no meaning" in result.output
    result = runner.invoke(
        app, ["train", "--set", "loss.mode=preset", "--set", "model.name=/none", "--out", str(tmp_path)]
    )
    assert result.exit_code == 2
    assert "mode: in-group" in result.output
    assert "settings sha256 " in result.output


def test_data_commands(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"query": "q", "pos": ["p"], "neg": ["n"]}\n{}\n', encoding="utf-8")
    result = runner.invoke(app, ["data", "check", str(tmp_path / "rows.jsonl"), "--group", "2"])
    assert result.exit_code == 1
    assert "no query: 1 (rows.jsonl:2)" in result.output
    result = runner.invoke(app, ["data", "wordnet", "--out", str(tmp_path), "--database", str(tmp_path)])
    assert result.exit_code == 2
    assert "no such file" in result.output


def test_demo_trains_three_runs_and_draws_them(tmp_path, monkeypatch):
    small = (
        "data.limit=100",
        "train.batch=8",
        "train.steps=2",
        "train.warmup=1",
        "train.eval_every=2",
        "train.threads=1",
    )
    monkeypatch.setattr("reference_trainer.demo.COMMON", ("model.name=static", *small))
    result = runner.invoke(app, ["demo", "--out", str(tmp_path / "demo")])
    assert result.exit_code == 0, result.output
    assert [line.split()[1] for line in result.stdout.splitlines() if "->" in line] == [
        "in-batch",
        "in-group",
        "bug-450",
    ]
    assert "<polyline" in (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
    drawn = ElementTree.parse(tmp_path / "demo" / "demo.svg").getroot()
    said = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"in-batch", "in-group", "bug-450 (in-group, replayed bug 450)", "ms a step"} <= set(said)
    assert len(list((tmp_path / "demo" / "prepared").iterdir())) == 2  # train and dev, tokenised once for three runs
    assert runner.invoke(app, ["demo", "--out", str(tmp_path / "demo")]).exit_code == 2
