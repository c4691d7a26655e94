"""What linting costs: processor time of whole runs, as ratios to libcst's bare parse and to TorchFix, all in one run.

    python benchmarks/lint_speed.py REPOSITORY --package NAME [--torchfix PROGRAM] [--large FOLDER] [--rounds N]

REPOSITORY is a checkout, NAME the folder in it that holds the package (`sentence_transformers`). Rows:

- the package, one process, nothing cached, against `libcst.parse_module` (collector off) of the files that concern
  tensors, in a process of its own: the time of both without what starting takes;
- the same against TorchFix, in files per second of the processor (PROGRAM: where it is installed);
- the whole repository with two workers, nothing cached, then everything cached: seconds on the clock, and as a ratio
  to the bare parse of the same files on the same clock;
- one file, the whole process, cold and warm, against `python -c "import libcst, typer"`;
- FOLDER with two workers: seconds on the clock, memory of the largest process, files that were not checked.

Aims: 3.5, 6 times TorchFix, 12 s and 1 s, 1.5 and 0.8, 300 s and 1.5 GB. A busy machine stretches seconds, not ratios.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from shapecheck.service.check import may_concern

EXAMPLE = Path(__file__).parent.parent / "shapecheck" / "examples" / "in_group_retriever.py"
BARE = """
import gc, sys, time, libcst
sources = [open(path, "rb").read() for path in sys.stdin.read().split(chr(10)) if path]
gc.disable()
began, clock = time.process_time(), time.perf_counter()
for source in sources:
    try:
        libcst.parse_module(source)
    except Exception:
        pass
print(time.process_time() - began, time.perf_counter() - clock)
"""


@dataclass(frozen=True)
class Cost:
    clock: float
    processor: float
    memory: float  # MB, of the largest process
    output: str
    errors: str


def cost(command: list[str], given: str = "", compiled: str = "") -> Cost:
    """What a process and its children take. Memory is that of the largest one since this benchmark began."""
    around = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": compiled}
    before, clock = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, env=around)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(time.perf_counter() - clock, used, after.ru_maxrss / 1024, done.stdout, done.stderr)


def least(rounds: int, command: list[str], given: str = "", compiled: str = "") -> Cost:
    return min((cost(command, given, compiled) for _ in range(rounds)), key=lambda c: c.processor)


def concerned(folder: Path) -> list[str]:
    return [str(path) for path in sorted(folder.rglob("*.py")) if may_concern(path.read_bytes())]


def bare_parse(files: list[str], compiled: str) -> tuple[float, float]:
    """Seconds of the processor and on the clock."""
    processor, clock = cost([sys.executable, "-c", BARE], "\n".join(files), compiled).output.split()
    return float(processor), float(clock)


def row(name: str, ratio: float, aim: str, detail: str) -> None:
    print(f"{name:58}{ratio:8.2f}{aim:>10}  {detail}", flush=True)


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("repository", type=Path)
    ap.add_argument("--package", required=True)
    ap.add_argument("--torchfix")
    ap.add_argument("--large", type=Path)
    ap.add_argument("--rounds", type=int, default=2)
    options = ap.parse_args()
    package = options.repository / options.package
    lint = [sys.executable, "-m", "shapecheck", "lint", "--isolated", "--quiet"]
    with tempfile.TemporaryDirectory() as folder:
        compiled = f"{folder}/compiled"
        one = Path(folder) / "train.py"
        one.write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
        cost([*lint, "--no-cache", str(one)], compiled=compiled)
        print(f"{'':58}{'ratio':>8}{'aim':>10}")

        files = concerned(package)
        start = least(3, [*lint, "--no-cache", str(one)], compiled=compiled).processor
        pairs = []
        for _ in range(options.rounds):  # in turns, so that a busy machine is busy for both
            parse = bare_parse(files, compiled)[0]
            pairs.append((cost([*lint, "--no-cache", "-j", "1", str(package)], compiled=compiled).processor, parse))
        whole, parse = min(pairs, key=lambda pair: pair[0] / pair[1])
        spent = f"{whole:.1f} s against {parse:.2f} s, {len(files)} files"
        row("package, one process, against libcst's bare parse", (whole - start) / parse, "3.5", spent)
        if options.torchfix:
            theirs = cost([options.torchfix, "--select", "ALL", str(package)], compiled=compiled).processor
            pace = f"{len(files) / whole:.1f} files a second against {len(files) / theirs:.1f}"
            row("files per processor second, against TorchFix", theirs / whole, "6", pace)

        everything = concerned(options.repository)
        clock = bare_parse(everything, compiled)[1]
        cached = [*lint, "--cache-dir", f"{folder}/cache", "-j", "2", str(options.repository)]
        for name, aim in (("whole repository, two workers", "12 s"), ("nothing changed", "1 s")):
            took = cost(cached, compiled=compiled)
            row(f"{name}, clock against bare parse", took.clock / clock, aim, f"{took.clock:.1f} s on the clock")

        floor = least(5, [sys.executable, "-c", "import libcst, typer"], compiled=compiled).processor
        row("one file, cold, against import libcst, typer", start / floor, "1.5", f"{start * 1000:.0f} ms")
        again = [*lint, "--cache-dir", f"{folder}/cache", str(one)]
        cost(again, compiled=compiled)
        warm = least(5, again, compiled=compiled).processor
        row("one file, warm", warm / floor, "0.8", f"{warm * 1000:.0f} ms")

        if options.large:
            clock = bare_parse(concerned(options.large), compiled)[1]
            took = cost([*lint, "--no-cache", "-j", "2", str(options.large)], compiled=compiled)
            lost = took.errors.count("not checked")
            row(
                f"{options.large.name}, two workers, clock against bare parse",
                took.clock / clock,
                "300 s",
                f"{took.clock:.0f} s, largest process {took.memory:.0f} MB (all together: 1500), {lost} files lost",
            )


if __name__ == "__main__":
    main()
