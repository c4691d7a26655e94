"""Settings: what is refused, before anything is loaded, and with which sentence."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from reference_trainer.fused import Fused
from reference_trainer.modes import Mode
from reference_trainer.settings import SECTIONS, SettingsError, describe, from_plain, load, to_plain

REFUSED = {
    ("loss.mode=preset", "loss.cross_device=true"): "loss.cross_device has no meaning in-group",
    ("loss.mode=preset", "loss.symmetric=true"): "loss.symmetric has no meaning in-group",
    ("loss.mode=preset", "loss.fused=auto"): "loss.fused has no meaning in-group",
    ("loss.mode=in-batch", "loss.fused=torch"): "fused = torch can't mask duplicates",
    ("loss.mode=in_batch",): "loss.mode must be one of in-batch, in-group, not 'in_batch'",
    (): "loss.mode must be set",
    ("loss.mode=in-batch", "loss.temperature=0"): "loss.temperature must be at least 0.01",
    ("loss.mode=in-batch", "loss.temperature=hot"): "loss.temperature must be number, not 'hot'",
    ("loss.mode=in-batch", "loss.dims=[8, 8]"): "loss.dims names a width twice",
    ("loss.mode=in-batch", "loss.dims=8"): "loss.dims must be a list, not 8",
    ("loss.mode=in-batch", "train.steps=1.5"): "train.steps must be integer, not 1.5",
    ("loss.mode=in-batch", "train.steps=true"): "train.steps must be integer, not True",
    ("loss.mode=in-batch", "train.warmup=2000"): "train.warmup must lie between 0 and train.steps",
    ("loss.mode=in-batch", "train.replay_bug=450"): "set loss.mode = in-group",
    ("loss.mode=preset", "train.replay_bug=7"): "train.replay_bug knows one bug: 450",
    ("loss.mode=in-batch", "data.group=0"): "data.group must be at least 1",
    ("loss.mode=preset", "data.group=1"): "data.group = 1 leaves nothing to choose from in-group",
    ("loss.mode=in-batch", "data.group=1", "loss.distill=kl"): "data.group = 1 has no negatives",
    ("loss.mode=in-batch", "data.columns=[question=query]"): "data.columns: 'question=query' is not ROLE=COLUMN",
    ("loss.mode=in-batch", "data.positive_score=high"): "data.positive_score must be number, not 'high'",
    ("loss.mode=in-batch", "data.query_prompt=\ud800"): "data.query_prompt holds half a character",
    ("loss.mode=in-batch", "data.streaming=true"): "data.streaming needs an hf: source",
    ("loss.mode=in-batch", "train.step=5"): "train: no such setting: step",
    ("loss.mode=in-batch", "run.steps=5"): "no such section: run",
    ("loss.mode",): "--set wants section.name=value",
}  # fmt: skip


@pytest.mark.parametrize("changes", REFUSED, ids=" ".join)
def test_refused(changes):
    with pytest.raises(SettingsError) as caught:
        load(None, changes)
    assert REFUSED[changes] in str(caught.value)


@pytest.mark.parametrize(("suffix", "text"), [
    ("yaml", "loss:\n  mode: preset\ntrain:\n  learning_rate: 2e-5\n  steps: 7\n  warmup: 1\n"),
    ("toml", '[loss]\nmode = "preset"\n[train]\nlearning_rate = 2e-5\nsteps = 7\nwarmup = 1\n'),
])  # fmt: skip
def test_files_and_overrides(tmp_path, suffix, text):
    path = tmp_path / f"run.{suffix}"
    path.write_text(text, encoding="utf-8")
    settings = load(path, ["train.steps=9", "loss.dims=[4, 8]"])
    assert (settings.loss.mode, settings.train.steps, settings.loss.dims) == (Mode.IN_GROUP, 9, (4, 8))
    assert settings.train.learning_rate == 2e-5
    assert from_plain(to_plain(settings)) == settings


def test_yaml_off_is_the_word_off(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("loss:\n  mode: in-batch\n  fused: off\n", encoding="utf-8")
    assert load(path).loss.fused is Fused.OFF


def test_broken_file_is_named(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("loss = [", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"run\.toml: "):
        load(path)
    with pytest.raises(SettingsError, match="no such file"):
        load(tmp_path / "none.yaml")


HOSTILE = [
    "", "[", "{", "&a *b", "*x", "!!int x", "2026-13-45", "2026-01-02", "1e400", "-1", "0", "nan", ".nan", ".inf",
    "-.inf", "null", "[]", "{}", "[1, 2]", "true", "'a'", "\x1b", "\ud800", "[" * 3000, "9" * 5000, "0x" + "f" * 900,
    "0x" + "f" * 9000, "!!python/object:os.x", "? [a]\n: b", "{[a]: 1}", "- 1\n -2", "@", "`", "%", "\t", "12:30:45",
    "off", "1_000", "!!binary x", "!!timestamp x", "!!set {a}", "<<: 3", "!!omap [a]",
]  # fmt: skip


@pytest.mark.parametrize("section", SECTIONS)
def test_any_text_is_a_value_or_refused_in_one_sentence(section, tmp_path):
    said = []
    for name in [f.name for f in dataclasses.fields(SECTIONS[section])]:
        for text in HOSTILE:
            try:
                load(None, ["loss.mode=in-batch", f"{section}.{name}={text}"])
            except SettingsError as error:
                said.append(str(error).replace(text, ""))
    assert said
    assert [sentence for sentence in said if "\n" in sentence] == []
    path = tmp_path / "run.yaml"
    for text in HOSTILE:
        path.write_text(f"{section}: {text}\n", encoding="utf-8", errors="replace")
        with pytest.raises(SettingsError):  # none of these is a section; an empty one lacks the mode
            load(path)


def test_digest_changes_with_every_setting():
    base = load(None, ["loss.mode=in-batch"])
    other = load(None, ["loss.mode=in-batch", "loss.temperature=0.06"])
    assert base.digest() == load(None, ["loss.mode=in-batch"]).digest() != other.digest()


def test_every_setting_is_described_and_documented():
    names = [f"{section}.{f.name}" for section, kind in SECTIONS.items() for f in dataclasses.fields(kind)]
    assert [row[0] for row in describe()] == names
    assert all(row[3] for row in describe())
    page = (Path(__file__).parents[2] / "docs" / "trainer.md").read_text(encoding="utf-8")
    for name, kind, default, meaning in describe():
        assert f"| `{name}` | {kind.replace('|', 'or')} | `{default}` | {meaning} |" in page, name


def test_without_its_extras_the_command_says_what_to_install(tmp_path: Path) -> None:
    """A base install has typer, and neither torch nor yaml."""
    hidden = "import sys, importlib.util as u\nfind = u.find_spec\n"
    hidden += "u.find_spec = lambda n, p=None: None if n in ('torch', 'yaml') else find(n, p)\n"
    hidden += "sys.argv = ['reference-trainer', '--help']\nfrom reference_trainer.__main__ import main\nmain()\n"
    ran = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: reference-trainer needs torch, yaml: install ")
    assert "[trainer]" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_preset_is_another_name_of_in_group():
    named = [load(None, [f"loss.mode={name}"]) for name in ("in-group", "preset")]
    assert named[0] == named[1]
    assert named[0].digest() == named[1].digest()
    assert to_plain(named[1])["loss"]["mode"] == "in-group"


def test_an_interrupt_while_the_command_starts_is_no_traceback(monkeypatch):
    from reference_trainer import __main__ as command

    def interrupted(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "find_spec", interrupted)
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 130
