"""What starting costs: lint of one file of 150 lines, the whole process, against `python -c "import libcst"`.

    python benchmarks/startup.py

Ratios of the fastest of several runs, taken in turns so that a busy machine is busy for all: of the time on the clock
and of the processor's. Aim: at most 1.5 for a fresh run; a cached run does not import libcst at all.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 15
EXAMPLE = Path(__file__).parent.parent / "shapecheck" / "examples" / "in_group_retriever.py"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "train.py"
        text = EXAMPLE.read_text(encoding="utf-8")
        while text.count("\n") < 150:
            number = text.count("\n")
            text += f"\n\ndef helper_{number}(x):\n    y = x.view(x.size(0), -1)\n    return y.sum(dim=-1)\n"
        file.write_text(text, encoding="utf-8")
        lint = ["-m", "shapecheck", "lint", "--isolated", "--quiet", str(file)]
        commands = {
            "python -c pass": ["-c", "pass"],
            'python -c "import libcst"': ["-c", "import libcst"],
            "lint, fresh": [*lint, "--no-cache"],
            "lint, cached": [*lint, "--cache-dir", f"{folder}/cache"],
        }
        for arguments in commands.values():
            run(arguments, f"{folder}/compiled")
        best = dict.fromkeys(commands, (float("inf"), float("inf")))
        for _ in range(ROUNDS):
            for name, arguments in commands.items():
                wall, processor = run(arguments, f"{folder}/compiled")
                best[name] = min(best[name][0], wall), min(best[name][1], processor)
        lines = text.count("\n")
    base = best['python -c "import libcst"']
    print(f"one file of {lines} lines, fastest of {ROUNDS}, as a ratio to import libcst")
    print(" clock            processor")
    for name, (wall, processor) in best.items():
        clock = f"{wall / base[0]:6.2f} {wall * 1000:7.0f} ms"
        print(f"{clock} {processor / base[1]:6.2f} {processor * 1000:7.0f} ms  {name}")


def run(arguments: list[str], compiled: str) -> tuple[float, float]:
    """Seconds on the clock, and of the processor, of one process; Python's compiled files are at hand, as they are
    where packages were installed."""
    around = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": compiled}
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], capture_output=True, check=False, env=around)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, used


if __name__ == "__main__":
    main()
