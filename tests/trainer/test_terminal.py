"""Nothing of rows, names, settings and other people's sentences reaches a terminal as a command to it."""

from __future__ import annotations

import json
import re

import pytest
from typer.testing import CliRunner

from reference_trainer.cli import app

EVIL = "\x1b]0;owned\x07\x1b[31m\x9b2J\u202e\x7f"
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
LOSS = f"def broken{{}}(q, p):\n    raise ValueError('a {EVIL} b')\n"

CALLS = [
    ("data", "check", f"rows{EVIL}.jsonl"), ("data", "check", f"none{EVIL}.jsonl"), ("data", "check", f"in{EVIL}"),
    ("data", "check", f"hf:in{EVIL}@{EVIL}"), ("data", "check", f"broken{EVIL}.parquet"),
    ("train", "--out", f"out{EVIL}", "--set", "loss.mode=in-batch", "--set", f"data.source=none{EVIL}"),
    ("train", "--out", f"out{EVIL}", "--set", f"loss.mode={EVIL}"), ("train", "--set", f"{EVIL}=3"),
    ("train", "--out", f"out{EVIL}", "--set", "loss.mode=in-batch", "--set", f"model.name={EVIL}"), ("train", f"bad{EVIL}.yaml"),
    ("train", f"names{EVIL}.yaml"), ("train", f"bad{EVIL}.toml"), ("train", f"none{EVIL}.yaml"),
    ("encode", f"run{EVIL}", f"t{EVIL}", "--out", "e.npy"), ("report", f"run{EVIL}"), ("eval", f"run{EVIL}"),
    ("export", f"run{EVIL}", "--out", f"x{EVIL}"), ("export", "run", "--out", "x", "--layout", EVIL),
    ("validate", f"losses{EVIL}.py:broken"), ("validate", f"losses{EVIL}.py:{EVIL}"), ("validate", f"none{EVIL}.py:x"),
    ("validate", f"{EVIL}:x"), ("validate", f"losses{EVIL}.py:broken", "--mode", EVIL),
]  # fmt: skip


@pytest.mark.parametrize("call", CALLS, ids=[repr(" ".join(call)) for call in CALLS])
def test_no_command_reaches_a_terminal(tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    rows = [{"query": f"q {EVIL} {k}", "pos": [f"p {k}"], "neg": [f"n {k} {j}" for j in range(8)]} for k in range(8)]
    lines = [*map(json.dumps, rows), f'{{"query": "{EVIL}"', json.dumps({"query": "q", EVIL: ["p"]})]
    (tmp_path / f"rows{EVIL}.jsonl").write_text("\n".join(lines))
    (tmp_path / f"in{EVIL}").mkdir()
    (tmp_path / f"broken{EVIL}.parquet").write_text(EVIL)
    (tmp_path / f"bad{EVIL}.yaml").write_text(f"loss: {EVIL}: [")
    (tmp_path / f"names{EVIL}.yaml").write_text(json.dumps({"loss": {EVIL: 1}}))
    (tmp_path / f"bad{EVIL}.toml").write_text(f"{EVIL} = ")
    (tmp_path / f"losses{EVIL}.py").write_text(LOSS.format(""))
    ran = CliRunner().invoke(app, list(call))
    assert ran.exit_code in (1, 2), ran.output
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
    assert not UNSEEN.search(ran.output), UNSEEN.search(ran.output)
    assert "\\x1b" in ran.output, ran.output
