"""Whole runs: what they write, that they continue bit for bit, and what they refuse."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

from reference_trainer import journal
from reference_trainer.alarm import LevelAlarm
from reference_trainer.bundle import DATA
from reference_trainer.checkpoint import BrokenCheckpoint, latest, load, weights_digest
from reference_trainer.gradcache import cached_backward
from reference_trainer.oracles import WrongLoss
from reference_trainer.refusal import Refusal
from reference_trainer.settings import SettingsError
from reference_trainer.setup import set_up
from reference_trainer.stop import Stopped
from reference_trainer.train import learning_rate, train
from reference_trainer.watch import NotFinite
from reference_trainer.whole import locked
from reference_trainer.world import Alone

from .runs import small_rows, small_settings


class Listener:
    def __init__(self):
        self.said = []

    def begin(self, done, total):
        self.done = done

    def advance(self, step, numbers):
        pass

    def say(self, text):
        self.said.append(text)


MODES = {
    "in-batch": (),
    "symmetric fused": ("loss.symmetric=true", "loss.fused=auto"),
    "preset": ("loss.mode=preset",),
    "cached": ("train.cache=true", "train.chunk_tokens=64"),
    "learned temperature": ("loss.learn_temperature=true", "loss.dims=[8, 16]"),
    "bfloat16 packed": ("train.precision=bfloat16", "model.unpadded=true"),
    "checkpointing": ("model.checkpointing=true", "model.pooling=cls", "model.normalize=false", "loss.temperature=1.0"),
    "bug": ("loss.mode=preset", "train.replay_bug=450"),
}


@pytest.mark.parametrize("mode", MODES)
def test_resumed_run_ends_with_the_same_weights(tmp_path, mode):
    settings = small_settings(tmp_path, "train.save_every=2", "train.keep=9", *MODES[mode])
    whole = train(settings, tmp_path / "whole")
    (tmp_path / "cut").mkdir()
    (tmp_path / "whole" / "checkpoints" / "step-00000004").rename(tmp_path / "cut-at-4")
    again = train(settings, tmp_path / "cut", resume=str(tmp_path / "cut-at-4"))
    assert whole.name == again.name == "step-00000006"
    assert weights_digest(whole) == weights_digest(again)
    assert load(whole).run["mode"] == settings.loss.mode.value
    steps = [r["step"] for r in journal.read(tmp_path / "cut") if r["kind"] == "step"]
    assert steps == [5, 6]


def test_auto_resume_skips_broken_checkpoints_and_says_why(tmp_path):
    settings = small_settings(tmp_path, "train.save_every=2", "train.keep=9")
    digest = weights_digest(train(settings, tmp_path / "run"))
    folder = tmp_path / "run" / "checkpoints"
    (folder / "step-00000006" / "state.pt").unlink()
    weights = (folder / "step-00000004" / "model.safetensors").read_bytes()
    (folder / "step-00000004" / "model.safetensors").write_bytes(weights[:-1])
    listener = Listener()
    again = train(settings, tmp_path / "run", display=listener)
    assert any("state.pt is missing" in said for said in listener.said)
    assert any("model.safetensors has" in said for said in listener.said)
    assert listener.done == 2
    assert weights_digest(again) == digest
    assert [r["step"] for r in journal.read(tmp_path / "run") if r["kind"] == "step"] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "state.pt", "run.json", "manifest.json", "tokenizer/tokenizer.json"]
)
@pytest.mark.parametrize("harm", ["missing", "cut", "altered"])
def test_harmed_checkpoint_is_refused(tmp_path_factory, finished, name, harm):
    home = tmp_path_factory.mktemp("harmed") / "checkpoint"
    shutil.copytree(finished, home)
    data = (home / name).read_bytes()
    if harm == "missing":
        (home / name).unlink()
    else:
        (home / name).write_bytes(data[: len(data) // 2] if harm == "cut" else b"\x00" + data[1:])
    with pytest.raises(BrokenCheckpoint, match=name.replace(".", r"\.")):
        load(home)


MANIFESTS = {
    "a number for an entry": lambda listed: {**listed, "model.safetensors": 5},
    "an empty entry": lambda listed: {**listed, "config.json": {}},
    "sizes as text": lambda listed: {**listed, "state.pt": {**listed["state.pt"], "bytes": "many"}},
    "a list": lambda listed: [*listed],
    "nothing": lambda listed: None,
    "one file not listed": lambda listed: {k: v for k, v in listed.items() if k != "run.json"},
    "a file that isn't there": lambda listed: {**listed, "extra": {"bytes": 0, "sha256": ""}},
    "a folder for a file": lambda listed: {**listed, "tokenizer": listed["run.json"]},
    "nested beyond reading": lambda listed: "[" * 100_000,
}


@pytest.mark.parametrize("kind", MANIFESTS)
def test_malformed_manifest_falls_back_to_the_older_checkpoint(tmp_path_factory, finished, kind):
    folder = tmp_path_factory.mktemp("manifest")
    older, newer = folder / "step-00000006", folder / "step-00000008"
    for home in (older, newer):
        shutil.copytree(finished, home)
    changed = MANIFESTS[kind](json.loads((newer / "manifest.json").read_text(encoding="utf-8")))
    (newer / "manifest.json").write_text(changed if isinstance(changed, str) else json.dumps(changed), encoding="utf-8")
    found, (reason,) = latest(folder)
    assert found == older
    assert reason.startswith(str(newer))
    assert "\n" not in reason


def test_a_run_json_of_another_version_is_broken_not_a_traceback(tmp_path_factory, finished):
    home = tmp_path_factory.mktemp("version") / "step-00000006"
    shutil.copytree(finished, home)
    for content in ("{}", "[]", '{"step": "6"}'):
        (home / "run.json").write_text(content, encoding="utf-8")
        listed = json.loads((home / "manifest.json").read_text(encoding="utf-8"))
        digest = hashlib.sha256(content.encode()).hexdigest()
        listed["run.json"] = {"bytes": len(content), "sha256": digest}
        (home / "manifest.json").write_text(json.dumps(listed), encoding="utf-8")
        with pytest.raises(BrokenCheckpoint, match=r"run\.json"):
            load(home)


def test_a_broken_newer_checkpoint_never_pushes_out_whole_ones(tmp_path):
    settings = small_settings(tmp_path, "train.save_every=2", "train.keep=1")
    last = train(settings, tmp_path / "run")
    folder = last.parent
    train(small_settings(tmp_path, "train.save_every=2", "train.keep=9"), tmp_path / "other")
    shutil.copytree(tmp_path / "other" / "checkpoints" / "step-00000002", folder / "step-00000002")
    shutil.copytree(folder / "step-00000006", folder / "mine")
    shutil.copytree(folder / "step-00000006", folder / "step-00000006-good")
    (last / "state.pt").unlink()
    stop_at(4, settings, tmp_path / "run")
    assert latest(folder)[0] == folder / "step-00000004"
    assert sorted(path.name for path in folder.iterdir()) == [
        "mine", "step-00000004", "step-00000006", "step-00000006-good",
    ]  # fmt: skip


def stop_at(step, settings, out):
    """SIGTERM from inside, as step ends."""

    class Sender(Listener):
        def advance(self, at, numbers):
            if at == step:
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped, match=f"SIGTERM: step {step} is saved as .*step-0000000{step}; ") as caught:
        train(settings, out, display=Sender())
    assert caught.value.code == 143


@pytest.mark.parametrize("mode", ["in-batch", "cached"])
def test_a_signal_saves_at_the_next_step_and_the_run_goes_on_bit_for_bit(tmp_path, mode):
    settings = small_settings(tmp_path, *MODES[mode])
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    stop_at(2, settings, tmp_path / "run")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    again = train(settings, tmp_path / "run")
    assert weights_digest(again) == weights_digest(train(settings, tmp_path / "whole"))
    assert [r["step"] for r in journal.read(tmp_path / "run") if r["kind"] == "step"] == [1, 2, 3, 4, 5, 6]


def test_a_signal_that_python_lets_go_ends_the_run_before_its_first_step(tmp_path, monkeypatch):
    """An exception raised while garbage is collected is printed and dropped."""

    def collecting(phase, info):
        if phase == "start":
            gc.callbacks.remove(collecting)
            os.kill(os.getpid(), signal.SIGTERM)

    def collected(*given):
        gc.callbacks.append(collecting)
        gc.collect()
        return set_up(*given)

    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: None)
    monkeypatch.setattr("reference_trainer.train.set_up", collected)
    with pytest.raises(Stopped, match="SIGTERM: no step was made"):
        train(small_settings(tmp_path), tmp_path / "run")
    assert not list((tmp_path / "run").rglob("step-*"))


def test_a_signal_at_the_last_step_changes_nothing(tmp_path):
    class Sender(Listener):
        def advance(self, at, numbers):
            if at == 6:
                os.kill(os.getpid(), signal.SIGINT)

    assert train(small_settings(tmp_path), tmp_path / "run", display=Sender()).name == "step-00000006"


def every_byte(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


REFUSED_CONTINUATIONS = {
    "other settings": (("model.name=tiny",), r"belongs to another run: model\.name was "),
    "another tokenizer of the same settings": ((), r"model\.tokenizer is not the one that .* was trained with"),
    "other rows under the same path": ((), r"data\.source: .* it had 40 usable rows then and has 39 now"),
    "one text changed, as long as before": (
        (),
        r"data\.source: .* it had 40 usable rows then and has 40 now, or other",
    ),
    "the lock held": ((), "in use by another run"),
}


@pytest.mark.parametrize("kind", REFUSED_CONTINUATIONS)
def test_a_refused_continuation_leaves_the_finished_run_as_it_was(tmp_path, kind):
    changes, said = REFUSED_CONTINUATIONS[kind]
    shutil.copy(DATA / "tokenizer.json", tmp_path / "tokenizer.json")
    own = f"model.tokenizer={tmp_path / 'tokenizer.json'}"
    train(small_settings(tmp_path, own), tmp_path / "run")
    before = every_byte(tmp_path / "run")
    settings, rows = small_settings(tmp_path, own, *changes), tmp_path / "rows.jsonl"
    stat = rows.stat()
    if kind == "another tokenizer of the same settings":
        plain = (tmp_path / "tokenizer.json").read_text(encoding="utf-8")
        (tmp_path / "tokenizer.json").write_text(
            plain.replace('"lowercase":true', '"lowercase":false'), encoding="utf-8"
        )
    if kind == "other rows under the same path":
        small_rows(tmp_path, rows=39)
    if kind == "one text changed, as long as before":
        rows.write_text(rows.read_text(encoding="utf-8").replace("find it", "find me", 1), encoding="utf-8")
        os.utime(rows, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert (rows.stat().st_size, rows.stat().st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    held = locked(tmp_path / "run") if kind == "the lock held" else contextlib.nullcontext()
    with held, pytest.raises(Refusal, match=said):
        train(settings, tmp_path / "run")
    after = every_byte(tmp_path / "run")
    assert {name: after.get(name) for name in before} == before
    assert {name.parts[0] for name in set(after) - set(before)} <= {"prepared"}


def test_a_named_checkpoint_never_replaces_what_the_folder_holds(tmp_path):
    settings = small_settings(tmp_path, "train.save_every=2", "train.keep=9")
    train(settings, tmp_path / "run")
    train(settings, tmp_path / "other")
    held = every_byte(tmp_path / "run")
    for named in ("run/checkpoints/step-00000002", "other/checkpoints/step-00000004"):
        with pytest.raises(SettingsError, match=r"holds step-00000006, which the run would replace"):
            train(settings, tmp_path / "run", resume=str(tmp_path / named))
    assert every_byte(tmp_path / "run") == held


def test_a_damaged_store_is_made_anew(tmp_path):
    settings = small_settings(tmp_path, "train.steps=1")
    digest = weights_digest(train(settings, tmp_path / "run"))
    (home,) = (tmp_path / "run" / "prepared").iterdir()
    for name, content in (("where.json", b"{"), ("tokens.npy", b""), ("query.npy", b"\x93NUMPY\x01\x00")):
        (home / name).write_bytes(content)
        shutil.rmtree(tmp_path / "run" / "checkpoints")
        assert weights_digest(train(settings, tmp_path / "run")) == digest


def test_a_log_that_is_none_is_named_and_kept(tmp_path):
    settings = small_settings(tmp_path, "train.save_every=2")
    train(settings, tmp_path / "run")
    log = tmp_path / "run" / "log.jsonl"
    log.write_text(log.read_text(encoding="utf-8") + "[]\n", encoding="utf-8")
    before = log.read_bytes()
    with pytest.raises(Refusal, match=r"log\.jsonl:7 is no record of a run's log"):
        train(settings, tmp_path / "run")
    assert log.read_bytes() == before


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    return train(small_settings(folder), folder / "run")


def test_only_broken_checkpoints_left_is_an_error(tmp_path):
    settings = small_settings(tmp_path, "train.steps=1")
    (train(settings, tmp_path / "run") / "config.json").unlink()
    with pytest.raises(BrokenCheckpoint, match="no whole checkpoint is left"):
        train(settings, tmp_path / "run")


def test_never_refuses_a_used_folder_and_other_settings_are_refused(tmp_path):
    settings = small_settings(tmp_path, "train.save_every=3", "train.keep=2")
    train(settings, tmp_path / "run")
    with pytest.raises(SettingsError, match="holds checkpoints already"):
        train(settings, tmp_path / "run", resume="never")
    other = small_settings(tmp_path, "train.save_every=3", "loss.temperature=0.1")
    with pytest.raises(SettingsError, match=r"loss\.temperature was 0\.05, is 0\.1"):
        train(other, tmp_path / "run")
    assert sorted(p.name for p in (tmp_path / "run" / "checkpoints").iterdir()) == ["step-00000003", "step-00000006"]


def test_not_finite_stops_with_rows_and_dump(tmp_path):
    settings = small_settings(tmp_path, "train.learning_rate=1e30", "train.clip=0", "train.save_every=1")
    with pytest.raises(NotFinite, match=r"step \d+: loss .*rows rows\.jsonl:\d+, ") as caught:
        train(settings, tmp_path / "run")
    dumps = list((tmp_path / "run").glob("not-finite-step-*.pt"))
    assert len(dumps) == 1
    assert str(dumps[0]) in str(caught.value)
    dump = torch.load(dumps[0], weights_only=True)
    assert len(dump["rows"]) == 8
    assert not math.isfinite(dump["loss"]) or not math.isfinite(dump["gradient_norm"])
    for home in (tmp_path / "run" / "checkpoints").iterdir():
        assert int(home.name.removeprefix("step-")) < dump["step"]


def test_loss_falls_below_the_level_and_the_alarm_stays_silent(tmp_path):
    listener = Listener()
    settings = small_settings(tmp_path, "train.steps=60", "train.learning_rate=0.01", hidden_dropout_prob=0.0)
    train(settings, tmp_path / "run", display=listener)
    last = [r for r in journal.read(tmp_path / "run") if r["kind"] == "step"][-1]
    assert last["level"] == pytest.approx(math.log(24))
    assert last["loss"] < last["level"] - 0.5
    assert not any(said.startswith("[alarm]") for said in listener.said)


def test_replayed_bug_is_announced_and_raises_the_alarm(tmp_path):
    listener = Listener()
    changes = ("loss.mode=preset", "train.replay_bug=450", "train.steps=30", "train.learning_rate=0.01")
    train(small_settings(tmp_path, *changes), tmp_path / "run", display=listener)
    assert "start-up oracles refuse this loss" in listener.said[0]
    assert sum(said.startswith("[alarm]") and "still above log C = 1.099" in said for said in listener.said) == 1


def test_alarm_waits_and_speaks_once():
    alarm = LevelAlarm(level=2.0, patience=5)
    assert [bool(alarm.update(3.0)) for _ in range(8)] == [False] * 4 + [True] + [False] * 3
    quiet = LevelAlarm(level=2.0, patience=5)
    assert not any(quiet.update(1.0) for _ in range(20))


def test_wrong_loss_is_refused_before_any_row_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "reference_trainer.setup.configured", lambda loss, scale, normalize: lambda b, w: b.queries.sum()
    )
    monkeypatch.setattr("reference_trainer.setup.build_store", None)
    with pytest.raises(WrongLoss, match="the configured loss is not the declared loss"):
        train(small_settings(tmp_path), tmp_path / "run")


@pytest.mark.parametrize("kind", ["kl", "margin-mse"])
def test_distillation_trains_and_needs_scores(tmp_path, kind):
    train(small_settings(tmp_path, f"loss.distill={kind}", scores=True), tmp_path / "run")
    with pytest.raises(SettingsError, match="needs pos_scores and neg_scores"):
        train(small_settings(tmp_path, f"loss.distill={kind}"), tmp_path / "other")


def test_widths_and_batches_that_can_not_be_had_are_refused(tmp_path):
    with pytest.raises(SettingsError, match=r"loss\.dims: 32 is wider"):
        train(small_settings(tmp_path, "loss.dims=[32]"), tmp_path / "run")
    with pytest.raises(SettingsError, match=r"train\.batch: a batch of 41"):
        train(small_settings(tmp_path, "train.batch=41"), tmp_path / "run")


def test_cached_step_gives_the_gradient_of_the_whole(tmp_path):
    from reference_trainer.batch import assemble
    from reference_trainer.train import loss_of, train_step

    weights = {}
    for cache in ("false", "true"):
        changes = (f"train.cache={cache}", "train.chunk_tokens=64")
        settings = small_settings(tmp_path, *changes, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        (tmp_path / cache).mkdir()
        run = set_up(settings, tmp_path / cache, Alone(), torch.device("cpu"), Listener())
        batch = assemble(run.sampler.store, run.sampler.draw(0), 64, run.pad)
        assert len(batch.chunks) > 3
        loss, norm = train_step(run, batch)
        weights[cache] = (loss, norm)
        assert loss_of(run, batch, run.model(batch.chunks)) < loss
    assert weights["true"][0].item() == pytest.approx(weights["false"][0].item(), rel=1e-6)
    assert weights["true"][1].item() == pytest.approx(weights["false"][1].item(), rel=1e-5)


@pytest.mark.parametrize("chunks", [1, 4])
def test_caching_embeds_every_chunk_twice_but_the_last(chunks):
    table = torch.randn(8, 3, requires_grad=True)
    seen = []

    def encode(rows):
        seen.append(tuple(rows.tolist()))
        return torch.nn.functional.dropout(table[rows], 0.5)

    parts = torch.arange(8).split(8 // chunks)
    torch.manual_seed(1)
    cached_backward(encode, parts, lambda embeddings: (embeddings**2).sum())
    cached, state = table.grad.clone(), torch.get_rng_state()
    assert sorted(seen) == sorted([tuple(p.tolist()) for p in parts] * 2)[: 2 * chunks - 1]
    table.grad = None
    torch.manual_seed(1)
    (torch.cat([encode(rows) for rows in parts]) ** 2).sum().backward()
    assert torch.equal(cached, table.grad)  # the same dropout in both passes
    assert torch.equal(state, torch.get_rng_state())


def test_learning_rate_warms_up_and_falls(tmp_path):
    settings = small_settings(tmp_path, "train.steps=10", "train.warmup=2", "train.schedule=cosine")
    rates = [learning_rate(settings, k) for k in range(10)]
    assert rates[0] == pytest.approx(0.0005)
    assert max(rates) == rates[2] == pytest.approx(0.001)
    assert rates[2:] == sorted(rates[2:], reverse=True)
    constant = small_settings(tmp_path, "train.steps=10", "train.warmup=2", "train.schedule=constant")
    assert learning_rate(constant, 9) == pytest.approx(0.001)
    linear = small_settings(tmp_path, "train.steps=10", "train.warmup=2")
    assert learning_rate(linear, 6) == pytest.approx(0.0005)


def test_killed_run_continues_to_the_same_weights(tmp_path):
    """SIGKILL, some of them while a checkpoint is being written; the last run must end like an undisturbed one."""
    settings = small_settings(tmp_path, "train.steps=12", "train.save_every=1")
    digest = weights_digest(train(settings, tmp_path / "whole"))
    from reference_trainer.settings import to_plain

    (tmp_path / "run.json").write_text(json.dumps(to_plain(settings)), encoding="utf-8")
    (tmp_path / "run.yaml").write_text((tmp_path / "run.json").read_text(encoding="utf-8"), encoding="utf-8")
    command = [sys.executable, "-m", "reference_trainer", "train", str(tmp_path / "run.yaml"), "--quiet"]
    command += ["--out", str(tmp_path / "killed")]
    checkpoints = tmp_path / "killed" / "checkpoints"
    for wanted in (1, 4):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and not (checkpoints / f"step-{wanted:08d}").exists():
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command, check=True, capture_output=True)
    assert weights_digest(checkpoints / "step-00000012") == digest


def test_explain_prints_the_shapes_of_step_0(tmp_path):
    listener = Listener()
    train(small_settings(tmp_path, "train.steps=1"), tmp_path / "run", display=listener, explain=True)
    table = next(said for said in listener.said if said.startswith("batch\n"))
    assert "query_at [8]" in table
    assert "-> [8, 24]" in table
    assert "cross_entropy" in table


def test_explaining_changes_nothing(tmp_path):
    settings = small_settings(tmp_path)
    plain = train(settings, tmp_path / "plain")
    explained = train(settings, tmp_path / "explained", explain=True)
    assert weights_digest(plain) == weights_digest(explained)


def test_tensorboard_events_are_written(tmp_path):
    train(small_settings(tmp_path, "train.tensorboard=true", "train.steps=2"), tmp_path / "run")
    assert list((tmp_path / "run" / "tensorboard").glob("events.out.tfevents.*"))


def test_log_drops_a_line_that_a_kill_cut_off(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"kind": "step", "step": 1}\n{"kind": "st', encoding="utf-8")
    assert [r["step"] for r in journal.read(tmp_path)] == [1]
