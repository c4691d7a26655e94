"""Never a crash, never slow: reads every .py file of the given folders and times each against `ast.parse`.

    python benchmarks/sweep.py DIR... [--limit SECONDS] [--largest N] [--every N] [--top N]

Prints, for each folder: files, those that the prefilter leaves out, those refused (nested too deeply, not Python),
exceptions that left the engine, files over the limit of CPU seconds, the slowest with the function that took most of
the steps, and the time taken as a multiple of what `ast.parse` needs for the same text in the same run.
Exit status 1 where anything crashed or went over the limit.
"""

from __future__ import annotations

import argparse
import ast
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from shapecheck.engine import entry
from shapecheck.engine.control import STEPS_PER_FILE
from shapecheck.engine.machine import Machine
from shapecheck.service.check import may_concern
from shapecheck.source.imports import Project
from shapecheck.source.lower import Unreadable, parse


@dataclass(frozen=True)
class Timed:
    path: Path
    seconds: float
    reading: float
    steps: int
    costly: str


@dataclass
class Tally:
    files: int = 0
    left_out: int = 0
    unreadable: list[str] = field(default_factory=list)
    crashes: dict[tuple[str, str, int], list[str]] = field(default_factory=dict)
    timed: list[Timed] = field(default_factory=list)
    size: int = 0
    plain: float = 0.0


def sweep(paths: list[Path], project: Project) -> Tally:
    tally = Tally(files=len(paths))
    for path in paths:
        source = path.read_bytes()
        if not may_concern(source):
            tally.left_out += 1
            continue
        began = time.process_time()
        try:
            program = parse(source, str(path))
        except Unreadable as error:
            tally.unreadable.append(f"{path}: {error.reason}")
            continue
        read = time.process_time()
        try:
            with spending() as spent:
                machine = entry.run(program, project)
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            key = (type(error).__name__, Path(frame.filename).name, frame.lineno or 0)
            tally.crashes.setdefault(key, []).append(f"{path}: {str(error)[:120]}")
            continue
        ended = time.process_time()
        tally.timed.append(Timed(path, ended - began, read - began, machine.steps, _costliest(spent)))
        tally.size += len(source)
        tally.plain += _plainly(source)
    return tally


class spending:
    """Counts the steps of each entry while it is open."""

    def __enter__(self) -> Counter[str]:
        self.inner, counts = entry.run_entry, Counter[str]()

        def counting(m: Machine, function, cls) -> None:  # type: ignore[no-untyped-def]
            before = m.steps
            self.inner(m, function, cls)
            owner = f"{cls.node.name}." if cls is not None else ""
            counts[owner + function.name] += m.steps - before

        entry.run_entry = counting
        return counts

    def __exit__(self, *_: object) -> None:
        entry.run_entry = self.inner


def _costliest(counts: Counter[str]) -> str:
    return "{} ({} steps)".format(*counts.most_common(1)[0]) if counts else "the top level alone"


def _plainly(source: bytes) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        began = time.process_time()
        ast.parse(source)
        return time.process_time() - began


def main() -> int:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("folder", nargs="+", type=Path)
    ap.add_argument("--limit", type=float, default=5.0, help="CPU seconds that no file may take")
    ap.add_argument("--largest", type=int, default=0, help="only so many files of each folder, the largest")
    ap.add_argument("--every", type=int, default=1, help="of the others, each n-th (with --largest)")
    ap.add_argument("--top", type=int, default=3, help="how many of the slowest to name")
    options = ap.parse_args()
    bad = 0
    for folder in options.folder:
        paths = sorted(folder.rglob("*.py"))
        if options.largest:
            by_size = sorted(paths, key=lambda p: -p.stat().st_size)
            paths = by_size[: options.largest] + by_size[options.largest :: options.every]
        tally = sweep(paths, Project(parse, (Unreadable,)))
        over = [t for t in tally.timed if t.seconds > options.limit]
        crashed = sum(map(len, tally.crashes.values()))
        bad += len(over) + crashed
        took = sum(t.seconds for t in tally.timed)
        print(
            f"{folder}: {tally.files} files, {tally.left_out} left out by the prefilter, "
            f"{len(tally.unreadable)} refused, {crashed} crashes, {len(over)} over {options.limit:g} s; "
            f"{tally.size / 1e6:.2f} MB, {took / max(tally.plain, 1e-9):.0f} times ast.parse",
            flush=True,
        )
        for key, places in tally.crashes.items():
            print(f"  CRASH {' '.join(map(str, key))} x{len(places)}: {places[0]}")
        for text in tally.unreadable:
            print(f"  refused {text}")
        for t in sorted(tally.timed, key=lambda t: -t.seconds)[: options.top]:
            spent = ", the file's budget" if t.steps > STEPS_PER_FILE else ""
            print(
                f"  {t.seconds:.1f} s (reading {t.reading:.1f}) {t.path}: {t.steps} steps{spent}; most in {t.costly}",
                flush=True,
            )
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
