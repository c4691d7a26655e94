"""The bundled sample, and the database parser on a small database of the real format."""

from __future__ import annotations

import json
import lzma

import pytest

from reference_trainer.bundle import DATA, SIZES, build
from reference_trainer.wordnet import (
    DEFAULT_FOLDER,
    WordNetMissing,
    read_irregular,
    read_synsets,
    sense_queries,
    split_of,
)

NOUNS = """  1 licence lines begin with two blanks
00000001 03 n 01 thing 0 002 ~ 00000002 n 0000 ~ 00000003 n 0000 | whatever there is
00000002 03 n 02 bank 0 shore 0 001 @ 00000001 n 0000 | sloping land beside water; "a canoe on the bank"
00000003 03 n 01 bank 1 001 @ 00000001 n 0000 | a place that keeps money; "a check at the bank"; "no such word"
"""
VERBS = """00000009 29 v 01 go_down 0 000 | move downward; "the sun went down"; "it goes down slowly"
"""
ADJECTIVES = """00000020 00 a 01 wet 0 001 & 00000021 a 0000 | covered with liquid; "a wet bathing suit"
00000021 00 s 01 damp(a) 0 001 & 00000020 a 0000 | slightly wet; "damp towels"
"""


@pytest.fixture
def database(tmp_path):
    files = {"data.noun": NOUNS, "data.verb": VERBS, "data.adj": ADJECTIVES, "data.adv": ""}
    irregular = {"verb.exc": "went_down go_down\n", "noun.exc": "", "adj.exc": "", "adv.exc": ""}
    for name, text in {**files, **irregular}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_senses_then_sisters_then_the_same_file(database):
    queries = list(sense_queries(read_synsets(database), read_irregular(database), negatives=2))
    found = {(q.lemma, q.example): (q.gloss, q.negatives) for q in queries}
    assert found["bank", "a check at the bank"] == (
        "a place that keeps money", ("sloping land beside water", "whatever there is"),
    )  # fmt: skip
    assert found["go down", "the sun went down"][0] == "move downward"
    assert found["damp", "damp towels"] == ("slightly wet", ("covered with liquid",))
    assert not any(example == "no such word" for _, example in found)
    assert len(found) == 5  # "goes down" is no listed form


def test_missing_database_is_named(tmp_path):
    with pytest.raises(WordNetMissing, match=r"data\.noun: no such file; install"):
        read_synsets(tmp_path)


def test_bundled_sample_keeps_its_promises():
    rows = {}
    for split, size in SIZES.items():
        lines = lzma.decompress((DATA / f"wordnet-{split}.jsonl.xz").read_bytes()).decode().splitlines()
        rows[split] = [json.loads(line) for line in lines]
        assert len(lines) == size
        for row in rows[split]:
            assert split_of(row["pos"][0]) == split
            assert len({*row["pos"], *row["neg"]}) == 8
    glosses = {split: {row["pos"][0] for row in found} for split, found in rows.items()}
    assert not glosses["train"] & glosses["dev"]
    assert sum(path.stat().st_size for path in DATA.iterdir()) < 1_000_000


@pytest.mark.skipif(not DEFAULT_FOLDER.is_dir(), reason="needs WordNet's database files (wordnet-base)")
def test_bundled_sample_is_what_the_database_gives(tmp_path):
    build(DEFAULT_FOLDER, tmp_path)
    for split in SIZES:
        name = f"wordnet-{split}.jsonl.xz"
        assert lzma.decompress((tmp_path / name).read_bytes()) == lzma.decompress((DATA / name).read_bytes())
