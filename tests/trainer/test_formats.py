"""The data people have: every file format as its own library reads it, every row form, and rows that are hostile."""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import json
import lzma
import random

import datasets
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from reference_trainer.forms import Unknown, canonical
from reference_trainer.rows import Accounting, BadRow, read_rows
from reference_trainer.settings import BadRows, DataSettings, SettingsError
from reference_trainer.sources import Bad, records

ROWS = [
    {"query": f"q {k}, \"said\" \u00fc\u2028\u4e2d", "pos": [f"p {k}\nsecond line", "p, two"], "neg": [f"n {k} {j}" for j in range(k % 3 + 2)]}
    for k in range(30)
]  # fmt: skip
FLAT = [{"anchor": f"a {k}\tx", "positive": f'p "{k}", \u00e9', "negative": f"n\n{k}"} for k in range(30)]


def write(folder, kind, rows):
    """A file of a format, written by that format's own library."""
    name, _, ending = kind.partition(" ")
    path = folder / f"rows.{name}{ending}"
    if name == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=7)
        return path
    if name == "arrow":
        table = pyarrow.Table.from_pylist(rows)
        opened = {"": pyarrow.ipc.new_file, "stream": pyarrow.ipc.new_stream}[ending]
        path = folder / "rows.arrow"
        with opened(str(path), table.schema) as writer:
            writer.write_table(table, max_chunksize=7)
        return path
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    if name == "json":
        text = json.dumps(rows, indent=1, ensure_ascii=False)
    if name in ("csv", "tsv"):
        plain = folder / "plain"
        with plain.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [*rows[0]], delimiter="\t" if name == "tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
        with plain.open(encoding="utf-8", newline="") as file:
            text = file.read()
    data = text.encode()
    if ending == ".bom":
        path, data = folder / f"rows.{name}", codecs.BOM_UTF8 + data
    elif ending == ".zst":
        data = pyarrow.compress(data, "zstd", asbytes=True)
    elif ending:
        data = {".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress}[ending](data)
    path.write_bytes(data)
    return path


LISTS = ["jsonl", "jsonl .gz", "jsonl .xz", "jsonl .bz2", "jsonl .zst", "jsonl .bom", "json", "json .gz", "json .bom"]
TABLES = ["parquet", "arrow", "arrow stream"]
FLATS = [*LISTS, *TABLES, "csv", "tsv", "csv .bom", "csv .gz", "csv .zst"]


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))


def theirs(path, kind):
    """The rows that the datasets library gives, or that were written where it doesn't read the format."""
    name = kind.partition(" ")[0]
    builder = {"jsonl": "json", "tsv": "csv", "arrow": "arrow"}.get(name, name)
    options = {"sep": "\t"} if name == "tsv" else {}
    return list(datasets.load_dataset(builder, data_files=str(path), split="train", **options))


@pytest.mark.parametrize("kind", FLATS)
def test_flat_rows_are_those_of_the_datasets_library(tmp_path, kind):
    path = write(tmp_path, kind, FLAT)
    seen = [found for _, found in records(str(path))]
    assert seen == FLAT
    if (
        kind != "arrow" and ".zst" not in kind
    ):  # the library reads the other arrow format, and zst with one more package
        assert seen == theirs(path, kind)


@pytest.mark.parametrize("kind", [*LISTS, *TABLES])
def test_rows_with_lists_are_those_of_the_datasets_library(tmp_path, kind):
    path = write(tmp_path, kind, ROWS)
    seen = [found for _, found in records(str(path))]
    assert seen == ROWS
    if kind != "arrow" and ".zst" not in kind:
        assert seen == theirs(path, kind)
    accounting = Accounting()
    used = list(read_rows(DataSettings(source=str(path), group=3), str(path), accounting))
    assert [(row.query, list(row.positives), list(row.negatives)) for row in used] == [
        tuple(row.values()) for row in ROWS
    ]
    assert accounting.lines()[1] == "  rows of the form FlagEmbedding (30)"


def test_save_to_disk_folders_and_their_splits(tmp_path):
    made = datasets.Dataset.from_list(ROWS)
    made.save_to_disk(str(tmp_path / "one"))
    datasets.DatasetDict({"train": made, "dev": made.select(range(3))}).save_to_disk(str(tmp_path / "many"))
    assert [found for _, found in records(str(tmp_path / "one"))] == list(made)
    assert [found for _, found in records(str(tmp_path / "many"))] == list(made)
    assert [where for where, _ in records(f"{tmp_path / 'many'}@dev")] == ["many:1", "many:2", "many:3"]
    with pytest.raises(SettingsError, match=r"has no split test: name one of its own, .*many@train or .*many@dev"):
        list(records(f"{tmp_path / 'many'}@test"))


def test_places_are_lines_or_rows(tmp_path):
    assert [where for where, _ in records(str(write(tmp_path, "csv", FLAT)))][:2] == ["rows.csv:3", "rows.csv:5"]
    assert [where for where, _ in records(str(write(tmp_path, "parquet", FLAT)))][8] == "rows.parquet:9"
    assert [where for where, _ in records(str(tmp_path / "rows.*"))][-1] == "rows.parquet:30"


UNREADABLE = {
    "utf16.jsonl": ("\ufeff" + json.dumps(FLAT[0])).encode("utf-16-le"),
    "cut.parquet": b"PAR1 and no more",
    "cut.arrow": b"ARROW1",
    "cut.json": b'[{"query": "q"',
    "deep.json": b"[" * 100_000,
    "latin.json": b'[{"query": "\xe9"}]',
    "not.json.gz": b"[]",
    "cut.csv.xz": lzma.compress(b"a,b\n1,2\n" * 1000)[:-30],
    "not.csv.zst": b"a,b\n1,2\n",
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_can_not_be_read_is_refused_by_its_path(tmp_path, name):
    (tmp_path / name).write_bytes(UNREADABLE[name])
    with pytest.raises(SettingsError) as caught:
        list(records(str(tmp_path / name)))
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


FORMS = {
    "FlagEmbedding": ({"query": "q", "pos": ["p"], "neg": ["a", "b"]}, ("q", ("p",), ("a", "b"))),
    "FlagEmbedding, one positive": ({"query": "q", "pos": "p", "neg": ["a", "b"]}, ("q", ("p",), ("a", "b"))),
    "tuple: triplet": ({"anchor": "q", "positive": "p", "negative": "a", "negative_2": "b"}, ("q", ("p",), ("a", "b"))),
    "tuple: mined": (
        {"question": "q", "answer": "p", **{f"negative_{k}": f"n{k}" for k in range(1, 4)}}, ("q", ("p",), ("n1", "n2", "n3")),
    ),
    "tuple: lists": ({"query": "q", "positive": ["p", "r"], "negative": ["a", "b"]}, ("q", ("p", "r"), ("a", "b"))),
    "tuple: unnamed": (["q", "p", "a", "b"], ("q", ("p",), ("a", "b"))),
    "labeled list": (
        {"query": "q", "answer": ["a", "p", "b"], "labels": [0, 1, 0]}, ("q", ("p",), ("a", "b")),
    ),
    "scored pair": ({"query": "q", "answer": "p", "negative": ["a", "b"], "label": 1}, ("q", ("p",), ("a", "b"))),
    "tevatron": (
        {
            "query_id": "1", "query": "q",
            "positive_passages": [{"docid": "1", "title": "T", "text": "p"}, {"docid": "2", "title": "", "text": "r"}],
            "negative_passages": [{"docid": "3", "text": "a"}, {"docid": "4", "title": "U", "text": "b"}],
        },
        ("q", ("T p", "r"), ("a", "U b")),
    ),
}  # fmt: skip


def read(tmp_path, made, name="rows.jsonl", **settings):
    path = tmp_path / name
    path.write_text("".join(json.dumps(record) + "\n" for record in made), encoding="utf-8")
    accounting = Accounting()
    settings = {"group": 3, **settings}
    return list(read_rows(DataSettings(source=str(path), **settings), str(path), accounting)), accounting


@pytest.mark.parametrize("name", FORMS)
def test_forms_are_told_by_their_columns_and_said(tmp_path, name):
    record, wanted = FORMS[name]
    (row,), accounting = read(tmp_path, [record], positive_score=1)
    assert (row.query, row.positives, row.negatives) == wanted
    assert accounting.lines()[1] == f"  rows of the form {name.partition(':')[0].partition(',')[0]} (1)"


def test_prompt_of_a_row_takes_the_place_of_the_run_s(tmp_path):
    from reference_trainer.tokens import prepare

    from .test_sampler import tokenizer

    rows = [
        {"query": "q", "pos": ["p"], "prompt": "own: "},
        {"query": "q", "pos": ["p"]},
        {"query": "q", "pos": ["p"], "prompt": ""},
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    store = prepare(
        DataSettings(source=str(path), group=1, query_prompt="ask: "), str(path), tokenizer(), tmp_path / "s"
    )
    spoken = [tokenizer().decode(store.tokens[store.starts[t] : store.starts[t + 1]].tolist()) for t in store.query]
    assert spoken == ["own : q", "ask : q", "q"]


def test_scored_pairs_ask_for_the_least_score_and_leave_the_rest_out(tmp_path):
    pairs = [{"sentence1": f"a{k}", "sentence2": f"b{k}", "score": k / 4} for k in range(5)]
    with pytest.raises(SettingsError, match=r"set data\.positive_score"):
        read(tmp_path, pairs, group=1)
    rows, accounting = read(tmp_path, pairs, group=1, positive_score=0.75)
    assert [(row.query, row.positives) for row in rows] == [("a3", ("b3",)), ("a4", ("b4",))]
    assert dict(accounting.reasons) == {"a pair that scores below 0.75": 3}


def test_labeled_texts_are_each_other_s_positives(tmp_path):
    made = [{"text": f"t{k}", "label": k % 3} for k in range(9)] + [{"text": "alone", "label": 7}]
    rows, accounting = read(tmp_path, made, group=1)
    assert {row.query: set(row.positives) for row in rows}["t4"] == {"t1", "t7"}
    assert len({row.label for row in rows}) == 3
    assert dict(accounting.reasons) == {"no other text of its class": 1}
    assert len(read(tmp_path, made, group=1, limit=4)[0]) == 4
    with pytest.raises(BadRow, match=r"rows\.jsonl:10: no other text of its class"):
        read(tmp_path, made, group=1, bad_rows=BadRows.REFUSE)


COLUMNS = {
    "plain": ({"id": 1, "ask": "q", "reply": "p", "w1": "a", "w2": "b"}, ("query=ask", "pos=reply", "neg=w1", "neg=w2")),
    "inside": (
        {"ask": "q", "reply": {"text": ["p"]}, "wrong": [{"t": "a"}, {"t": "b"}]}, ("query=ask", "pos=reply.text", "neg=wrong.t"),
    ),
    "a dot in the name": ({"a.b": "q", "p": "p", "n": ["a", "b"]}, ("query=a.b", "pos=p", "neg=n")),
    "over a known form": ({"query": "p", "answer": "q", "n": ["a", "b"]}, ("query=answer", "pos=query", "neg=n")),
}  # fmt: skip


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_say_what_names_do_not(tmp_path, name):
    record, columns = COLUMNS[name]
    (row,), _ = read(tmp_path, [record], columns=columns)
    assert (row.query, row.positives, row.negatives) == ("q", ("p",), ("a", "b"))


def test_unknown_columns_are_named_with_a_mapping_that_works(tmp_path):
    made = [{"doc_id": "1", "title": "q", "abstract": "p", "n": 3}]
    rows, accounting = read(tmp_path, made, group=1)
    assert not rows
    assert dict(accounting.reasons) == {"no form has the columns doc_id, title, abstract, n": 1}
    said = next(line for line in accounting.lines() if "data.columns" in line)
    assert "--set 'data.columns=[query=title, pos=abstract]'" in said
    (row,), _ = read(tmp_path, made, group=1, columns=("query=title", "pos=abstract"))
    assert (row.query, row.positives) == ("q", ("p",))


def test_negatives_are_repeated_when_asked(tmp_path):
    made = [{"query": "q", "pos": ["p"], "neg": ["a"]}, {"query": "r", "pos": ["p"], "neg": []}]
    assert read(tmp_path, made)[1].reasons == {"fewer than 2 negatives": 2}
    rows, accounting = read(tmp_path, made, repeat_negatives=True)
    assert [row.query for row in rows] == ["q"]
    assert accounting.reasons == {"no negative to repeat": 1}


def hostile(luck):
    """One hostile line of jsonl."""
    values = [
        None, True, 0, -1, 10**400, 1e308, float("nan"), "", " ", "\x00", "\ud800", "x" * 100_000, [], [[]], [None], ["", "p"],
        {}, {"a": {}}, [{"text": 1}], "\u202e", ["q", 5], [[["p"]]],
    ]  # fmt: skip
    names = ["query", "pos", "neg", "pos_scores", "neg_scores", "prompt", "anchor", "positive", "negative", "score", "label",
             "text", "sentence1", "sentence2", "answer", "labels", "positive_passages", "negative_passages", "", "\x00"]  # fmt: skip
    kind = luck.randrange(6)
    if kind == 0:
        return bytes(luck.randrange(256) for _ in range(luck.randrange(1, 200))).replace(b"\n", b"")
    if kind == 1:
        return luck.choice(
            [b"{", b"[" * 50_000, b'{"query":' * 5_000, b"nul", b"1" * 5_000, b"\xff\xfe{}", b'"\\ud800"', b"NaN", b"-"]
        )
    if kind == 2:
        return json.dumps(luck.choice(values)).encode()
    if kind == 3:
        good = {"query": "q", "pos": ["p"], "neg": ["a", "b"]}
        return json.dumps({**good, luck.choice(["query", "pos", "neg"]): luck.choice(values)}).encode()
    if kind == 4:
        good = {"query": "q", "pos": ["p"], "neg": ["a", "b"], "pos_scores": [1], "neg_scores": [1, 2]}
        return json.dumps({**good, luck.choice([*good, "prompt"]): luck.choice(values)}).encode()
    return json.dumps({luck.choice(names): luck.choice(values) for _ in range(luck.randrange(1, 6))}).encode()


@pytest.mark.parametrize("seed", range(20))
def test_a_hundred_hostile_rows_end_no_run_and_cost_no_good_one(tmp_path, seed):
    luck = random.Random(seed)
    path = tmp_path / "rows.jsonl"
    lines = [
        line
        for k in range(100)
        for line in (hostile(luck), json.dumps({**ROWS[k % 30], "query": f"good {k}"}).encode())
    ]
    path.write_bytes(b"\n".join(lines))
    accounting = Accounting()
    settings = DataSettings(source=str(path), group=3, positive_score=1, repeat_negatives=bool(seed % 2))
    rows = list(read_rows(settings, str(path), accounting))
    assert [row.query for row in rows if row.query.startswith("good ")] == [f"good {k}" for k in range(100)]
    assert accounting.read == 200
    assert accounting.kept + sum(accounting.reasons.values()) == 200
    for row in rows:
        for text in (row.query, *row.positives, *row.negatives, row.prompt or "-"):
            assert text.strip()
            text.encode("utf-8")
        assert np.isfinite([*row.positive_scores, *row.negative_scores]).all()
    "\n".join(accounting.lines()).encode("utf-8")


def test_hostile_csv_and_table_rows_are_counted(tmp_path):
    (tmp_path / "rows.csv").write_bytes(
        b'anchor,positive\na,b\na\na,b,c\n\n"a"b,c\nd\xff,e\n\x00,f\n'
        + b"x" * 200_000
        + b',y\n,z\nlast,row\n"never closed,\n'
    )
    accounting = Accounting()
    settings = DataSettings(source=str(tmp_path / "rows.csv"), group=1)
    rows = list(read_rows(settings, settings.source, accounting))
    assert [row.query[:4] for row in rows if row.query != "\x00"] == ["a", "xxxx", "last"]
    assert sum(accounting.reasons.values()) + accounting.kept == accounting.read == 11
    assert {"broken UTF-8", "blank line", "empty text", "another number of cells than the header has"} <= set(
        accounting.reasons
    )
    offsets = pyarrow.array([0, 1, 2, 3], pyarrow.int32()).buffers()[1]
    texts = pyarrow.StringArray.from_buffers(3, offsets, pyarrow.py_buffer(b"a\xffc"))
    table = pyarrow.table({"anchor": texts, "positive": ["x", "y", "z"]})
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    assert [found for _, found in records(str(tmp_path / "rows.parquet"))] == [
        {"anchor": "a", "positive": "x"}, Bad("broken UTF-8"), {"anchor": "c", "positive": "z"},
    ]  # fmt: skip


def test_what_is_no_record_has_no_form():
    for value in (5, None, "text", [], ["one"], [1, 2]):
        assert canonical(value) == Unknown()
