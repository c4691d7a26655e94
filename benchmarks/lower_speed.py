"""What reading a file costs: seconds per MB of source of each step, and each as a ratio to `ast.parse`, in one run.

python benchmarks/lower_speed.py [files]        default: 100 files of the standard library
"""

from __future__ import annotations

import ast
import random
import sys
import sysconfig
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import libcst
from libcst.metadata import MetadataWrapper, PositionProvider

from shapecheck.source.deep import on_deep_stack
from shapecheck.source.gate import Unreadable, admit
from shapecheck.source.lower import lower, parse
from shapecheck.source.positions import spans
from shapecheck.source.program import Program, walk


def sample(count: int) -> list[bytes]:
    """`count` readable files of the standard library, chosen at random but the same in every run."""
    root = Path(sysconfig.get_paths()["stdlib"])
    files = [file for file in sorted(root.rglob("*.py")) if 1_000 < file.stat().st_size < 200_000]
    random.Random(0).shuffle(files)
    sources: list[bytes] = []
    for file in files:
        if len(sources) == count:
            break
        source = file.read_bytes()
        try:
            parse(source, str(file))
        except Unreadable:
            continue
        sources.append(source)
    return sources


def steps(source: bytes) -> dict[str, Callable[[], object]]:
    """The steps by name; those that need an earlier result have it already."""
    text = admit(source)
    module = libcst.parse_module(text.text)
    program = parse(source, "sample.py")
    return {
        "ast.parse": lambda: ast.parse(source),
        "gate": lambda: admit(source),
        "a thread with a deep stack": lambda: on_deep_stack(int),
        "libcst.parse_module": lambda: libcst.parse_module(text.text),
        "lower": lambda: lower(module),
        "parse (gate, thread, libcst, lower)": lambda: parse(source, "sample.py"),
        "walk": lambda: sum(1 for _ in walk(program)),
        "spans": lambda: first_position(program),
        "libcst.PositionProvider": lambda: MetadataWrapper(module, unsafe_skip_copy=True).resolve(PositionProvider),
    }


def first_position(program: Program) -> object:
    return spans(program).span(program.body[0]) if program.body else None


def main() -> None:
    """Best of three for each step and file, summed over the files."""
    warnings.simplefilter("ignore")
    sources = sample(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
    seconds: dict[str, float] = {}
    for source in sources:
        for name, step in steps(source).items():
            best = float("inf")
            for _ in range(3):
                started = time.perf_counter()
                step()
                best = min(best, time.perf_counter() - started)
            seconds[name] = seconds.get(name, 0.0) + best
    megabytes = sum(map(len, sources)) / 1e6
    base = seconds["ast.parse"]
    print(f"{len(sources)} files, {megabytes:.2f} MB, Python {sys.version.split()[0]}, libcst {version('libcst')}")
    print(f"{'step':40}{'s/MB':>8}{'x ast.parse':>14}")
    for name, total in seconds.items():
        print(f"{name:40}{total / megabytes:8.3f}{total / base:14.2f}")


if __name__ == "__main__":
    main()
