"""What starting costs: lint of one file of 150 lines, the whole process, against `python -c "import libcst"`.

    python benchmarks/startup.py

Ratios of the fastest of several runs, taken in turns so that a busy machine is busy for all. Aim: at most 1.5 for a
fresh run; a cached run does not import libcst at all.
"""

from __future__ import annotations

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
        run(commands["lint, cached"])
        best = dict.fromkeys(commands, float("inf"))
        for _ in range(ROUNDS):
            for name, arguments in commands.items():
                best[name] = min(best[name], run(arguments))
        lines = text.count("\n")
    base = best['python -c "import libcst"']
    print(f"one file of {lines} lines, fastest of {ROUNDS}, as a ratio to import libcst")
    for name, seconds in best.items():
        print(f"{seconds / base:6.2f}  {seconds * 1000:7.1f} ms  {name}")


def run(arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
