"""torch judges the samples: bad code differs from its fixed twin where the finding says so and agrees where it says so,
and the fix makes of the bad code what the fixed twin is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from samples import bundled, check, diagnostics
from twins import REFUSALS, Case, cases, load, run, same

from shapecheck.findings.diagnostic import Diagnostic
from shapecheck.findings.fixes import Fixed, fix_text
from shapecheck.findings.packs import Loaded

torch.set_num_threads(1)

PAIRED = [item for item in bundled() if all((item.folder / name).exists() for name in ("bad.py", "fixed.py"))]
RUNS = [
    pytest.param(item.folder, case, kind, sizes, id=f"{item.folder.name}-{case.name}-{kind}-{number}")
    for item in PAIRED
    for case in cases((item.folder / "bad.py").read_text(encoding="utf-8"))
    for number, (kind, sizes) in enumerate(case.runs)
]
paired = pytest.mark.parametrize("item", PAIRED, ids=lambda item: item.folder.name)


def fixed_by_rule(item: Loaded) -> Fixed:
    """bad.py after every fix that the rule offers, safe or not."""
    path = item.folder / "bad.py"

    def own(text: bytes) -> list[Diagnostic]:
        return [d if d.code == item.rule.code else replace(d, fix=None) for d in check(path, text)]

    return fix_text(path.read_bytes(), own(path.read_bytes()), True, own)


@pytest.mark.parametrize(("folder", "case", "kind", "sizes"), RUNS)
def test_bad_against_fixed(folder: Path, case: Case, kind: str, sizes: dict[str, int]) -> None:
    bad, fixed = (load(folder / name, (folder / name).read_text(encoding="utf-8")) for name in ("bad.py", "fixed.py"))
    right = run(fixed, case.call, sizes)
    if kind == "raises":
        with pytest.raises(REFUSALS):
            run(bad, case.call, sizes)
    else:
        assert same(run(bad, case.call, sizes), right) == (kind == "equal")


@paired
def test_samples_with_a_fix_are_run(item: Loaded) -> None:
    """A fix that nothing runs is a promise that nothing keeps: half of the fixable findings, at least, are run."""
    path = item.folder / "bad.py"
    rows = {d.location.row for d in diagnostics(path) if d.code == item.rule.code and d.fix is not None}
    run_rows = {row for case in cases(path.read_text(encoding="utf-8")) for row in case.rows}
    assert 2 * len(rows & run_rows) >= len(rows)


@paired
def test_the_fix_computes_what_the_fixed_twin_computes(item: Loaded) -> None:
    path = item.folder / "bad.py"
    ours = [d for d in diagnostics(path) if d.code == item.rule.code]
    unfixable = [d for d in ours if d.fix is None]
    result = fixed_by_rule(item)
    assert not result.restless
    assert len(result.applied) == len(ours) - len(unfixable)
    text = result.source.decode("utf-8")
    left = check(path, result.source)
    assert sorted(d.code for d in left) == sorted(d.code for d in diagnostics(path) if d not in result.applied)

    mended = load(path, text)
    twin = load(item.folder / "fixed.py", (item.folder / "fixed.py").read_text(encoding="utf-8"))
    for case in cases(path.read_text(encoding="utf-8")):
        inside = [d for d in ours if d.location.row in case.rows]
        if inside and all(d.fix is not None for d in inside):
            for _, sizes in case.runs:
                what = f"{case.name} at {dict(sizes)}"
                assert same(run(mended, case.call, sizes), run(twin, case.call, sizes)), what


@paired
def test_a_run_comment_names_its_twin(item: Loaded) -> None:
    twin = load(item.folder / "fixed.py", (item.folder / "fixed.py").read_text(encoding="utf-8"))
    for case in cases((item.folder / "bad.py").read_text(encoding="utf-8")):
        assert hasattr(twin, case.name), f"fixed.py has no {case.name}"
        assert case.name in case.call
        assert case.runs, f"{case.name} is never run"
