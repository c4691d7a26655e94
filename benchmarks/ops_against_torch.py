"""The ops against torch, in bulk: every sample call, right and spoilt, then random calls and random chains.

    python benchmarks/ops_against_torch.py [--cases 20000] [--chains 5000] [--seed 0]

Prints how often torch and the ops agree, and every disagreement. Exit status 1 if there is one. Nothing is timed.

- same: torch runs, every axis is known and right
- unknown: torch runs, what is known is right, the rest is left open
- refused: torch raises, and the op states the crash
- missed: torch raises, the op is silent
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import Counter
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import torch
from ops import chains
from ops.cases import CALLS
from ops.draws import draw
from ops.judge import MOODS, Call, Disagreement, judge, spoiled


class Tally:
    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {}
        self.wrong: list[str] = []
        self.missed: Counter[str] = Counter()

    def judge(self, part: str, call: Call, mood: str) -> None:
        try:
            verdict = judge(call, mood)
        except Disagreement as error:
            verdict = "WRONG"
            self.wrong.append(f"{mood}: {call}: {error}")
        self.counts.setdefault(f"{part}, {mood}", Counter())[verdict] += 1
        if verdict == "missed" and mood == "ints":
            self.missed[call.name] += 1

    def report(self) -> None:
        for part, counts in self.counts.items():
            print(f"{part:24}", "  ".join(f"{k} {v}" for k, v in sorted(counts.items())))
        print("missed with plain ints:", ", ".join(f"{k} {v}" for k, v in self.missed.most_common()) or "none")
        for line in self.wrong[:50]:
            print("DISAGREEMENT", line)
        print(f"{len(self.wrong)} disagreements")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=20000)
    parser.add_argument("--chains", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    tally = Tally()
    for call in CALLS:
        for mood in MOODS:
            tally.judge("samples", call, mood)
        for spoilt in spoiled(call):
            for mood in ("ints", "named", "free"):
                tally.judge("spoilt", spoilt, mood)
    rng = Random(options.seed)
    for _ in range(options.cases):
        call = draw(rng)
        for mood in ("ints", "named", rng.choice(MOODS[2:])):
            tally.judge("random", call, mood)
    confirmed = 0
    for n in range(options.chains):
        try:
            confirmed += chains.run(Random(options.seed * options.chains + n))
        except Disagreement as error:
            tally.wrong.append(str(error))
    print(f"{len(CALLS)} samples of {len({c.name for c in CALLS})} names, {options.cases} random calls")
    print(f"{options.chains} chains, {confirmed} factors in the place in memory that their layout says")
    tally.report()
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
