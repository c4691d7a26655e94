"""Every rule's folder is complete, and every sample says of itself what the rules say of it, line by line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from samples import ROOT, SAMPLES, bundled, expected, found, name_of

from shapecheck.findings.packs import Loaded
from shapecheck.findings.rule import when_one

HEADINGS = [
    "What it does",
    "Why it hurts training",
    "Example",
    "Use instead",
    "Fix safety",
    "When it stays silent",
]
FOLDERS = [item.folder for item in bundled()]
FILES = [folder / name for folder in FOLDERS for name in SAMPLES if (folder / name).exists()]
TRAINERS = sorted((ROOT / "fixtures" / "trainers").glob("*.py"))

rules = pytest.mark.parametrize("item", bundled(), ids=lambda item: item.folder.name)


def test_names_and_codes_are_unique() -> None:
    assert len({item.rule.code for item in bundled()}) == len(bundled())
    assert len({item.rule.name for item in bundled()}) == len(bundled())


@rules
def test_a_folder_is_named_for_its_rule(item: Loaded) -> None:
    assert item.folder.name == item.rule.name.replace("-", "_")
    assert re.fullmatch(r"SC[1-9]\d\d", item.rule.code)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", item.rule.name)
    assert item.rule.summary
    assert not item.rule.summary.endswith(".")


@rules
def test_the_page_has_its_headings(item: Loaded) -> None:
    page = (item.folder / "README.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {item.rule.code} {item.rule.name}\n")
    parts = re.split(r"^## (.+)$", page, flags=re.MULTILINE)
    assert parts[1::2] == HEADINGS
    assert all(text.strip() for text in parts[2::2]), "a heading with nothing below it"


@rules
def test_bad_code_comes_in_six_variants(item: Loaded) -> None:
    lines = [row for row, codes in expected(item.folder / "bad.py").items() if item.rule.code in codes]
    assert len(lines) >= 6


@rules
def test_good_and_fixed_code_has_no_marks(item: Loaded) -> None:
    assert expected(item.folder / "good.py") == {}
    if (item.folder / "fixed.py").exists():
        assert expected(item.folder / "fixed.py") == {}


@pytest.mark.parametrize("path", [*FILES, *TRAINERS], ids=name_of)
def test_findings_are_those_that_the_sample_marks(path: Path) -> None:
    assert found(path) == expected(path)


@pytest.mark.parametrize("path", [*FILES, *TRAINERS], ids=name_of)
def test_marks_name_rules_that_exist(path: Path) -> None:
    codes = {code for row in expected(path).values() for code in row}
    assert codes <= {item.rule.code for item in bundled()}


@pytest.mark.parametrize(
    ("sizes", "condition"),
    [(("B",), "B = 1"), (("7",), ""), (("B", "G"), "B = 1 or G = 1"), (("7", "G"), "G = 1"), (("7", "2"), "")],
)
def test_a_size_that_is_a_number_is_no_condition(sizes: tuple[str, ...], condition: str) -> None:
    assert when_one(*sizes) == condition


def test_no_rule_writes_the_condition_of_a_size_by_hand() -> None:
    by_hand = re.compile(r'condition=(f"\{[^{}]+\} = 1"|f"\{[^{}]+\} = 1 or \{[^{}]+\} = 1"|" or "\.join)')
    assert not [f.parent.name for f in sorted((ROOT / "rules").glob("*/rule.py")) if by_hand.search(f.read_text())]
