"""Reading rows: nothing is lost without being counted, named and explained."""

from __future__ import annotations

import json
import lzma

import pytest

from reference_trainer.rows import Accounting, BadRow, read_rows
from reference_trainer.settings import BadRows, DataSettings, SettingsError
from reference_trainer.sources import source_files

GOOD = {"query": "q", "pos": ["p"], "neg": ["a", "b"]}

BAD = {
    "no query": {"pos": ["p"], "neg": ["a", "b"]},
    "no pos": {"query": "q", "pos": [], "neg": ["a", "b"]},
    "no neg": {"query": "q", "pos": ["p"], "neg": None},
    "empty text": {"query": "q", "pos": [" "], "neg": ["a", "b"]},
    "fewer than 2 negatives": {"query": "q", "pos": ["p"], "neg": ["a"]},
    "wrong type: query must be text, pos and neg lists of texts": {"query": 3, "pos": ["p"], "neg": ["a", "b"]},
    "not an object": 5,
    "pos_scores and neg_scores must come together": {**GOOD, "pos_scores": [1.0]},
    "as many scores as texts are needed": {**GOOD, "pos_scores": [1.0], "neg_scores": [0.5]},
    "wrong type: scores must be lists of numbers": {**GOOD, "pos_scores": ["1"], "neg_scores": [0.5, 0.1]},
    "a score is not finite": {**GOOD, "pos_scores": [float("nan")], "neg_scores": [0.5, 0.1]},
}
RAW = {"not JSON": b"{", "broken UTF-8": b'{"query": "\xff"}', "blank line": b"  "}


def read(path, **settings):
    accounting = Accounting()
    data = DataSettings(source=str(path), group=3, **settings)
    return list(read_rows(data, str(path), accounting)), accounting


@pytest.mark.parametrize("reason", [*BAD, *RAW])
def test_bad_row_is_counted_and_named(tmp_path, reason):
    path = tmp_path / "rows.jsonl"
    bad = RAW[reason] if reason in RAW else json.dumps(BAD[reason]).encode()
    path.write_bytes(json.dumps(GOOD).encode() + b"\n" + bad + b"\n" + json.dumps(GOOD).encode() + b"\n")
    rows, accounting = read(path)
    assert [row.where for row in rows] == ["rows.jsonl:1", "rows.jsonl:3"]
    assert dict(accounting.reasons) == {reason: 1}
    assert accounting.examples[reason] == ["rows.jsonl:2"]
    assert accounting.lines()[0] == "3 rows read, 2 kept, 1 refused"
    with pytest.raises(BadRow, match=r"rows\.jsonl:2: "):
        read(path, bad_rows=BadRows.REFUSE)


def test_copies_of_the_positive_are_dropped_from_the_negatives_and_counted(tmp_path):
    path = tmp_path / "rows.jsonl"
    row = {**GOOD, "neg": ["p", "a", "a", "b"], "pos_scores": [9], "neg_scores": [9, 2, 2, 1]}
    path.write_text(json.dumps(row), encoding="utf-8")
    rows, accounting = read(path)
    assert rows[0].negatives == ("a", "b")
    assert rows[0].negative_scores == (2.0, 1.0)
    assert accounting.dropped_negatives == 2
    assert "2 negatives dropped" in accounting.lines()[-1]


def test_limit_and_compressed_files_and_globs(tmp_path):
    text = (json.dumps(GOOD) + "\n") * 5
    (tmp_path / "a.jsonl").write_text(text, encoding="utf-8")
    (tmp_path / "b.jsonl.xz").write_bytes(lzma.compress(text.encode()))
    assert len(read(tmp_path / "b.jsonl.xz")[0]) == 5
    assert [row.where for row in read(tmp_path / "*.jsonl*", limit=6)[0]][-1] == "b.jsonl.xz:1"


def test_missing_source_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="no file matches"):
        source_files(str(tmp_path / "nothing.jsonl"))


@pytest.mark.parametrize("streaming", [False, True])
def test_datasets_rows_are_the_same_rows(tmp_path, streaming, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "rows"
    folder.mkdir()
    lines = [json.dumps({**GOOD, "query": f"q{k}"}) for k in range(4)] + [json.dumps({**GOOD, "pos": []})]
    (folder / "train.jsonl").write_text("\n".join(lines), encoding="utf-8")
    source = f"hf:{folder}@train"
    accounting = Accounting()
    rows = list(read_rows(DataSettings(source=source, group=3, streaming=streaming), source, accounting))
    assert [row.query for row in rows] == ["q0", "q1", "q2", "q3"]
    assert accounting.reasons == {"no pos": 1}
    assert accounting.examples["no pos"][0].endswith(":5")


def test_datasets_that_can_not_be_had_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    source = f"hf:{tmp_path}/nothing"
    with pytest.raises(SettingsError, match="can't be read after row 0"):
        list(read_rows(DataSettings(source=source), source, Accounting()))
