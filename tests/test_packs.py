"""Rules enter through the entry-point group only, and a broken pack is told apart from no pack."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from kit import install_pack, write_rule

from shapecheck.findings import packs
from shapecheck.findings.packs import PackError


@pytest.fixture
def pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A pack with no rules yet, the only one that is installed."""
    package = f"made_{request.node.name.split('[')[0]}"
    folder = install_pack(tmp_path, package)
    monkeypatch.syspath_prepend(tmp_path)
    entry = EntryPoint("made", package, packs.GROUP)
    monkeypatch.setattr(packs, "entry_points", lambda group: [entry] if group == packs.GROUP else [])
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        del sys.modules[name]


def test_every_folder_with_a_rule_is_found_and_none_is_imported(pack: Path) -> None:
    write_rule(pack, "b_rule", "SC2", "b")
    write_rule(pack, "a_rule", "SC3", "a")
    (pack / "no_rule").mkdir()
    (found,) = packs.find()
    assert [folder.name for folder in found.folders] == ["a_rule", "b_rule"]
    assert not any(name.startswith(f"{pack.name}.") for name in sys.modules)
    assert [item.rule.code for item in packs.load([found])] == ["SC2", "SC3"], "sorted by code, not by folder"


def test_a_new_folder_is_a_new_rule_and_nothing_else_is_edited(pack: Path) -> None:
    write_rule(pack, "a_rule", "SC1", "a")
    before = packs.fingerprint(packs.find())
    assert len(packs.load(packs.find())) == 1
    write_rule(pack, "new_rule", "SC2", "b")
    importlib.invalidate_caches()
    assert [item.rule.name for item in packs.load(packs.find())] == ["a-rule", "new-rule"]
    assert packs.fingerprint(packs.find()) != before


def test_the_fingerprint_follows_the_text(pack: Path) -> None:
    folder = write_rule(pack, "a_rule", "SC1", "a")
    before = packs.fingerprint(packs.find())
    assert packs.fingerprint(packs.find()) == before
    (folder / "rule.py").write_text((folder / "rule.py").read_text() + "# changed\n")
    assert packs.fingerprint(packs.find()) != before


def test_no_pack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "entry_points", lambda group: [])
    with pytest.raises(PackError, match="no rule pack is installed"):
        packs.find()


def test_a_pack_whose_package_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "entry_points", lambda group: [EntryPoint("ghost", "no_such_package", group)])
    with pytest.raises(PackError, match='rule pack "ghost": no_such_package is not an installed package'):
        packs.find()
    monkeypatch.setattr(packs, "entry_points", lambda group: [EntryPoint("ghost", "no.such.package", group)])
    with pytest.raises(PackError, match=r'rule pack "ghost": package no\.such\.package cannot be found'):
        packs.find()


def test_a_pack_without_rules(pack: Path) -> None:
    with pytest.raises(PackError, match=r"has no folder with a rule\.py"):
        packs.find()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import no_such_module\n", "cannot be imported: ModuleNotFoundError: No module named 'no_such_module'"),
        ("x = (\n", "cannot be imported: SyntaxError"),
        ("raise SystemExit(0)\n", "cannot be imported: SystemExit"),
        ("META = 3\n", "has no META"),
        ("x = 1\n", "has no META"),
        (
            "from shapecheck.findings.rule import Rule, Severity\nMETA = Rule('SC1', 'a', Severity.INFO, 's')\n",
            "registers no checker",
        ),
    ],
)
def test_a_broken_rule_is_named(pack: Path, text: str, says: str) -> None:
    write_rule(pack, "a_rule", "SC1", "a", text=text)
    with pytest.raises(PackError) as caught:
        packs.load(packs.find())
    assert says in str(caught.value)
    assert str(pack / "a_rule" / "rule.py") in str(caught.value)


def test_two_rules_with_one_code(pack: Path) -> None:
    write_rule(pack, "a_rule", "SC1", "a")
    write_rule(pack, "b_rule", "SC1", "b")
    with pytest.raises(PackError, match=r"b_rule/rule\.py has code SC1, which .*a_rule/rule\.py has too"):
        packs.load(packs.find())


def test_choosing(pack: Path) -> None:
    for folder, code in [("first_one", "SC101"), ("second_one", "SC102"), ("third_one", "SC701")]:
        write_rule(pack, folder, code, folder)
    loaded = packs.load(packs.find())

    def codes(select: tuple[str, ...], ignore: tuple[str, ...] = ()) -> list[str]:
        return [rule.code for rule in packs.choose(loaded, select, ignore)]

    assert codes(()) == ["SC101", "SC102", "SC701"]
    assert codes(("SC1",)) == ["SC101", "SC102"]
    assert codes(("SC1",), ("SC102",)) == ["SC101"]
    assert codes(("third-one",), ()) == ["SC701"]
    assert codes((), ("ALL",)) == []
    with pytest.raises(PackError, match=r'no rule is called "SC702" \(did you mean "SC701"\?\)'):
        codes(("SC702",))
    with pytest.raises(PackError, match=r'did you mean "second-one"'):
        codes((), ("secnd-one",))


def test_lookup_and_readme(pack: Path) -> None:
    write_rule(pack, "with_text", "SC1", "a", readme="# text\n")
    write_rule(pack, "without_text", "SC2", "b")
    loaded = packs.load(packs.find())
    assert packs.lookup(loaded, "sc1").readme == "# text\n"
    assert packs.lookup(loaded, "with-text").rule.code == "SC1"
    assert "finds b" in packs.lookup(loaded, "SC2").readme
    for wrong in ("SC", "SC9", "nothing"):
        with pytest.raises(PackError, match=f'no rule is called "{wrong}"'):
            packs.lookup(loaded, wrong)
