"""Recall on mutants: public code is broken at one place, in one way, and linted before and after.

    python benchmarks/mutants.py FOLDER... [--per-way 4] [--seed 0] [--json OUT] [--list]

Each FOLDER is one checkout of a public repository, or a part of one. A mutant counts as seen when the linter says
something, at warning or above, that it did not say before. `--list` prints each mutant with the codes found, to be
read: some mutants change nothing, and a figure without a look at them says little. No code of any of them is kept here.

`chunk_order_changed` and `configured_for_own_size` change nothing in some places; they are counted like the others.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

from breakages import WAYS, Mutant, mutants

from shapecheck.findings import packs
from shapecheck.service.check import Check, Options, may_concern

ABOUT = re.compile(rb"loss|logits|similar|contrast|embedding|cross_entropy|triplet|normalize")
LARGEST = 60_000  # bytes of a file


def files(folder: Path) -> list[Path]:
    found: list[Path] = []
    for path in sorted(folder.rglob("*.py")):
        data = path.read_bytes()
        if len(data) <= LARGEST and may_concern(data) and ABOUT.search(data):
            found.append(path)
    return found


def drawn(folder: Path, per_way: int, random_: random.Random) -> list[tuple[Path, Mutant]]:
    """At most `per_way` mutants of each way, spread over the files."""
    by_way: dict[str, list[tuple[Path, Mutant]]] = defaultdict(list)
    for path in files(folder):
        try:
            for mutant in mutants(path.read_text(encoding="utf-8")):
                by_way[mutant.way].append((path, mutant))
        except (SyntaxError, UnicodeDecodeError, ValueError):
            continue
    return [m for name in WAYS for m in random_.sample(by_way[name], min(per_way, len(by_way[name])))]


def said(check: Check, path: Path, data: bytes) -> Counter[tuple[str, int]]:
    result = check(str(path), data)
    return Counter((d.code, d.span.start.row) for d in result.diagnostics if d.severity.value != "info")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--per-way", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--list", action="store_true")
    given = parser.parse_args()

    rules = packs.choose(packs.load(packs.find()), (), ())
    rows: list[dict[str, object]] = []
    for folder in given.folders:
        check = Check(rules, Options(folder.resolve()))
        before: dict[Path, Counter[tuple[str, int]]] = {}
        for path, mutant in drawn(folder, given.per_way, random.Random(given.seed)):
            if path not in before:
                before[path] = said(check, path.resolve(), path.read_bytes())
            new = said(check, path.resolve(), mutant.text.encode()) - before[path]
            rows.append(
                {
                    "repository": folder.name,
                    "way": mutant.way,
                    "place": f"{path.relative_to(folder)}:{mutant.row}",
                    "before": mutant.before,
                    "after": mutant.after,
                    "codes": sorted({code for code, _ in new}),
                }
            )
            if given.list:
                row = rows[-1]
                print(f"{'seen' if new else '-   '} {row['way']:30} {folder.name}/{row['place']}  {row['codes']}")
                print(f"       {mutant.before[:110]}\n    -> {mutant.after[:110]}")
        print(f"{folder.name}: {shares(r for r in rows if r['repository'] == folder.name)}", file=sys.stderr)
    for name in WAYS:
        of = [r for r in rows if r["way"] == name]
        if of:
            print(f"{name:32} {shares(of)}")
    print(f"{'all':32} {shares(rows)}")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")


def shares(rows: object) -> str:
    rows = list(rows)  # type: ignore[call-overload]
    seen = sum(bool(r["codes"]) for r in rows)
    return f"{seen:4} of {len(rows):4}" + (f" = {100 * seen / len(rows):3.0f} %" if rows else "")


if __name__ == "__main__":
    main()
