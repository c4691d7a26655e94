"""`data check`: what it counts, against the slow way, and what it says and draws."""

from __future__ import annotations

import itertools
import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from tokenizers import Tokenizer, models
from typer.testing import CliRunner

from reference_trainer.census import take
from reference_trainer.cli import app
from reference_trainer.rows import BadRow
from reference_trainer.settings import BadRows, DataSettings, SettingsError
from reference_trainer.tokens import NOTHING, prepare

from .test_apart import alike, random_rows, store_of

runner = CliRunner()


@pytest.mark.parametrize("seed", range(4))
def test_counts_are_those_of_the_slow_way(tmp_path, seed):
    luck = np.random.default_rng(seed)
    rows = random_rows(luck, 60, 25, 80)
    for row in rows:
        row["neg"] = [f"passage {k}" for k in luck.choice(80, 3, replace=False) if f"passage {k}" not in row["pos"]]
    store = store_of(tmp_path, rows)
    census = take(store, 4, 1, 64, 4)
    queries = [row["query"] for row in rows]
    accepted = {query: {text for row in rows if row["query"] == query for text in row["pos"]} for query in queries}
    assert census.repeated_queries == sum(queries.count(query) > 1 for query in queries)
    owners = [text for row in rows for text in set(row["pos"])]
    assert census.repeated_positives == sum(owners.count(text) > 1 for text in owners)
    assert census.accepted_negatives == sum(text in accepted[row["query"]] for row in rows for text in row["neg"])
    assert census.alike == len(alike(store, range(60)))
    draws = [len(alike(store, luck.choice(60, 8, replace=False))) for _ in range(400)]
    assert census.expected(8) == pytest.approx(np.mean(draws), abs=4 * np.std(draws) / 20)
    assert not census.apart
    assert census.lengths[1].cells()[-1] == "100.0% at 3" or "% at 4" in census.lengths[1].cells()[-1]


def test_the_command_shows_a_table_and_draws(tmp_path):
    rows = [{"title": f"t {k % 5}", "abstract": f"the text of {k}", "others": ["x", "y"]} for k in range(30)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {}]), encoding="utf-8")
    command = ["data", "check", str(path), "--columns", "query=title, pos=abstract,neg=others", "--group", "3"]
    result = runner.invoke(app, [*command, "--batch", "10", "--plot", str(tmp_path / "plot.svg")])
    assert result.exit_code == 1, result.output
    assert "no query: 1 (rows.jsonl:31)" in result.output
    assert re.search(r"query\s+│ 5\s", result.output)
    assert re.search(r"positive\s+│ 30\s", result.output)
    assert "30 rows have a query that another row has, 0 a positive" in result.output
    assert "data.unique can't prevent it: too many rows share a query" in result.output
    drawn = ElementTree.parse(tmp_path / "plot.svg").getroot()
    assert len(list(drawn.iter("{http://www.w3.org/2000/svg}polyline"))) == 4
    result = runner.invoke(app, [*command, "--batch", "5"])
    assert "data.unique, the default, keeps them apart" in result.output


def test_the_command_names_a_mapping_for_columns_it_does_not_know(tmp_path):
    (tmp_path / "rows.jsonl").write_text(json.dumps({"title": "t", "abstract": "a"}) + "\n", encoding="utf-8")
    result = runner.invoke(app, ["data", "check", str(tmp_path / "rows.jsonl"), "--group", "1"])
    assert result.exit_code == 2
    assert "--set 'data.columns=[query=title, pos=abstract]'" in result.output


def silent_tokenizer():
    """Letters it doesn't know give no token at all, and it puts nothing around a text."""
    return Tokenizer(models.BPE(vocab={letter: k for k, letter in enumerate("abcd")}, merges=[]))


def test_texts_that_give_no_token_cost_their_rows_and_no_others(tmp_path):
    rows = [
        {"query": "a", "pos": ["b"], "neg": ["c"], "pos_scores": [1], "neg_scores": [2]},
        {"query": "?", "pos": ["b"], "neg": ["c"], "pos_scores": [3], "neg_scores": [4]},
        {"query": "b", "pos": ["a", "!"], "neg": ["c"], "pos_scores": [5, 6], "neg_scores": [7]},
        {"query": "b", "pos": ["a", "d"], "neg": ["c"], "pos_scores": [8, 9], "neg_scores": [10]},
        {"query": "c", "pos": ["a"], "neg": ["...", "d"], "pos_scores": [11], "neg_scores": [12, 13]},
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    store = prepare(DataSettings(source=str(path), group=2), str(path), silent_tokenizer(), tmp_path / "store")
    assert store.where == ["rows.jsonl:1", "rows.jsonl:4"]
    assert store.refused == 3
    assert f"  {NOTHING}: 3 (rows.jsonl:2, rows.jsonl:3, rows.jsonl:5)" in store.report
    assert store.positive_scores.tolist() == [1, 8, 9]
    assert store.negative_scores.tolist() == [2, 10]
    said = [[store.tokens[store.starts[t]] for t in texts] for texts in (store.query, store.positives, store.negatives)]
    assert said == [[0, 1], [1, 0, 3], [2, 2]]
    assert store.positive_starts.tolist() == [0, 1, 3]
    strict = DataSettings(source=str(path), group=2, bad_rows=BadRows.REFUSE)
    with pytest.raises(BadRow, match=r"rows\.jsonl:2: the tokenizer makes nothing"):
        prepare(strict, str(path), silent_tokenizer(), tmp_path / "strict")
    path.write_text(json.dumps(rows[1]), encoding="utf-8")
    with pytest.raises(SettingsError, match="no usable row"):
        prepare(DataSettings(source=str(path), group=2), str(path), silent_tokenizer(), tmp_path / "none")


def test_pairs_alike_twice_are_one_pair(tmp_path):
    store = store_of(tmp_path, [{"query": "q", "pos": ["p", "r"]}] * 3)
    assert take(store, 2, 1, 9, 9).alike == len([*itertools.combinations(range(3), 2)])
