"""How many of 20,000 programs with hostile literals make an op, an evaluator or a rule raise (none should).

    python benchmarks/ops_hostile.py [--programs 20000] [--seed 0]

Prints each fault once, with the first program that met it; exit status 1 when there is one.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "ops"))

from hostile import file_of, programs

from shapecheck.findings.diagnostic import Problem
from shapecheck.service.check import Options
from shapecheck.service.run import make_check

FILE = 40  # programs in one file


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    check = make_check(Options(Path.cwd(), limit=120))
    met: dict[str, str] = {}
    began = time.process_time()
    count = findings = 0
    for seed in range(given.seed, given.seed + max(1, given.programs // FILE)):
        functions = programs(seed, FILE)
        text = file_of(functions)
        result = check(f"/hostile/{seed}.py", text.encode())
        count, findings = count + FILE, findings + len(result.diagnostics)
        for problem in result.problems:
            if problem.message not in met:
                met[problem.message] = _around(text, problem)
                print(f"{problem.message}\n{met[problem.message]}\n", flush=True)
    print(f"{count} programs, {findings} findings, {len(met)} faults, {time.process_time() - began:.0f} s of processor")
    return 1 if met else 0


def _around(text: str, problem: Problem) -> str:
    """The program that met the fault."""
    if problem.location is None:
        return "(no place)"
    lines = text.split("\n")[: problem.location.row + 4]
    start = max(n for n, line in enumerate(lines[: problem.location.row]) if line.startswith("def "))
    return "\n".join(lines[start : problem.location.row])


if __name__ == "__main__":
    sys.exit(main())
