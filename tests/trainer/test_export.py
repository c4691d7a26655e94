"""Exports that are compared before they are kept, and sentence-transformers folders as a start."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers import models as st_modules
from typer.testing import CliRunner

import reference_trainer.export
from reference_trainer.cli import app
from reference_trainer.settings import Pooling, SettingsError
from reference_trainer.train import train
from reference_trainer.trained import encode, load_trained

from .runs import small_settings

TEXTS = ["the bank of a river", "money", "a horse near the table, and a chair", "metal and glass in the storm"]
runner = CliRunner()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    train(small_settings(folder, "data.query_prompt=ask: "), folder / "run")
    return folder / "run"


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_onnx_computes_the_same_at_every_batch_size_and_length(tmp_path, pooling):
    path = tmp_path / "out" / "model.onnx"
    train(small_settings(tmp_path, f"model.pooling={pooling}", "data.query_prompt=ask: "), tmp_path / "run")
    result = runner.invoke(app, ["export", str(tmp_path / "run"), "--out", str(path), "--layout", "onnx"])
    assert result.exit_code == 0, result.output
    assert {file.name for file in path.parent.iterdir()} <= {"model.onnx", "model.onnx.data"}
    trained = load_trained(tmp_path / "run")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for texts in (TEXTS, TEXTS[:1], TEXTS[1:2], TEXTS * 3, [" ".join(TEXTS)] * 5):
        batch = trained.tokenizer(["ask: " + text for text in texts], padding=True, return_tensors="np")
        feeds = {name: batch[name].astype(np.int64) for name in ("input_ids", "attention_mask")}
        (seen,) = session.run(["embeddings"], feeds)
        wanted = encode(trained, texts, True)
        assert (1 - torch.cosine_similarity(torch.from_numpy(seen), wanted, dim=1)).abs().max() <= 1e-6


@pytest.mark.parametrize("layout", ["sentence-transformers", "onnx"])
def test_an_export_that_computes_something_else_is_not_kept(run, tmp_path, monkeypatch, layout):
    """The pooling written is not the pooling trained."""
    written = {"onnx": "pool_padded", "sentence-transformers": "Pooling"}[layout]
    right = getattr(reference_trainer.export, written)
    wrong = {
        "onnx": lambda states, mask, pooling: right(states, mask, Pooling.CLS),
        "sentence-transformers": SimpleNamespace(MEAN=Pooling.CLS, CLS=Pooling.MEAN, LAST=Pooling.LAST),
    }[layout]
    monkeypatch.setattr(reference_trainer.export, written, wrong)
    result = runner.invoke(app, ["export", str(run), "--out", str(tmp_path / "new" / "out"), "--layout", layout])
    assert result.exit_code == 2
    assert "was not written: 1 queries of at most 8 tokens give other embeddings there" in result.output
    assert list((tmp_path / "new").iterdir()) == []


def test_an_export_never_mixes_into_a_folder_that_holds_something(run, tmp_path):
    (tmp_path / "note.txt").write_text("mine", encoding="utf-8")
    result = runner.invoke(app, ["export", str(run), "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "is not empty: choose another folder" in result.output
    assert [file.name for file in tmp_path.iterdir()] == ["note.txt"]


@pytest.fixture(scope="module")
def theirs(run, tmp_path_factory):
    """The run as sentence-transformers models, saved by that library: other poolings, Dense, prompts, a length."""
    folder = tmp_path_factory.mktemp("theirs")
    result = runner.invoke(app, ["export", str(run), "--out", str(folder / "ours")])
    assert result.exit_code == 0, result.output
    assert "queries are cut at 64 tokens here and passages at 128" in result.output
    transformer = st_modules.Transformer(str(folder / "ours"))
    transformer.max_seq_length = 100
    width = load_trained(run).encoder.width
    pooling = {name: st_modules.Pooling(width, pooling_mode=name) for name in ("mean", "cls", "lasttoken", "max")}
    kinds = {
        "mean": [pooling["mean"], st_modules.Normalize()],
        "cls": [pooling["cls"], st_modules.Normalize()],
        "last": [pooling["lasttoken"], st_modules.Normalize()],
        "not normalized": [pooling["mean"]],
        "max": [pooling["max"], st_modules.Normalize()],
        "two": [st_modules.Pooling(width, pooling_mode=("mean", "cls")), st_modules.Normalize()],
        "dense": [pooling["mean"], st_modules.Dense(width, 8), st_modules.Normalize()],
    }
    for name, modules in kinds.items():
        prompts = {"query": "ask: ", "document": ""}
        SentenceTransformer(modules=[transformer, *modules], prompts=prompts, device="cpu").save(str(folder / name))
    extra = json.loads((folder / "mean" / "config_sentence_transformers.json").read_text(encoding="utf-8"))
    for name, change in (("sts", {"prompts": {"STS": "s: "}}), ("default", {"default_prompt_name": "query"})):
        shutil.copytree(folder / "mean", folder / name)
        changed = json.dumps({**extra, **change})
        (folder / name / "config_sentence_transformers.json").write_text(changed, encoding="utf-8")
    for name, text in (("broken", "{"), ("numbers", "[1]")):
        shutil.copytree(folder / "mean", folder / name)
        (folder / name / "modules.json").write_text(text, encoding="utf-8")
    return folder


RIGHT = {"data.query_prompt": "ask: ", "data.passage_length": "100"}
DROPPED = {
    "the wrong pooling": ("cls", {}, "its pooling is cls: set model.pooling=cls"),
    "a pooling of no such kind": ("max", {}, "its pooling, max, is not supported"),
    "two poolings": ("two", {}, "its pooling, mean with cls, is not supported"),
    "Dense": ("dense", {}, "its Dense module is not supported"),
    "no normalization": ("not normalized", {}, "it doesn't normalize: set model.normalize=false"),
    "normalization": ("mean", {"model.normalize": "false", "loss.temperature": "1"}, "it normalizes"),
    "a prompt": ("mean", {"data.query_prompt": ""}, "its prompt 'query' is 'ask: ': set data.query_prompt"),
    "a prompt of neither": ("sts", {"data.query_prompt": ""}, "its prompt 'STS' is neither of queries nor of passages"),
    "a prompt for all": ("default", {}, "it puts its prompt 'query' before every text"),
    "a length": ("mean", {"data.passage_length": "101"}, "it cuts texts at 100 tokens"),
    "a broken list": ("broken", {}, "modules.json can't be read"),
    "a list of nothing": ("numbers", {}, "modules.json doesn't list modules"),
    "our own export's prompt": ("ours", {"data.query_prompt": ""}, "its prompt 'query' is 'ask: '"),
}


@pytest.mark.parametrize("kind", DROPPED)
def test_a_start_that_would_lose_something_is_refused_by_name(theirs, tmp_path, kind):
    name, changes, said = DROPPED[kind]
    chosen = [f"{key}={value}" for key, value in {**RIGHT, "model.name": theirs / name, **changes}.items()]
    with pytest.raises(SettingsError) as caught:
        train(small_settings(tmp_path, *chosen), tmp_path / "run")
    assert said in str(caught.value)


@pytest.mark.parametrize(("name", "pooling"), [("mean", "mean"), ("cls", "cls"), ("last", "last"), ("ours", "mean")])
def test_a_start_of_which_nothing_is_lost_gives_its_embeddings(theirs, tmp_path, name, pooling):
    chosen = [f"{key}={value}" for key, value in {**RIGHT, "model.name": theirs / name}.items()]
    settings = small_settings(
        tmp_path, *chosen, f"model.pooling={pooling}", "train.steps=1", "train.learning_rate=1e-30"
    )
    train(settings, tmp_path / "run")
    wanted = SentenceTransformer(str(theirs / name), device="cpu").encode(TEXTS, prompt_name="query")
    seen = encode(load_trained(tmp_path / "run"), TEXTS, True).numpy()
    assert np.allclose(seen, wanted, atol=1e-6)
