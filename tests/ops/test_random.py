"""Random calls and random chains against torch; `benchmarks/ops_against_torch.py` runs the same in bulk."""

from __future__ import annotations

from random import Random

import pytest
import torch

from ops import chains
from ops.draws import FAMILIES, Draw
from ops.judge import MOODS, judge

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("family", dict.fromkeys(FAMILIES), ids=lambda f: f.__name__)
def test_random_calls(family: Draw) -> None:
    rng = Random(family.__name__)
    for _ in range(60):
        call = family(rng)
        for mood in MOODS:
            judge(call, mood)  # raises where torch disagrees


def test_random_chains_keep_their_layout() -> None:
    confirmed = sum(chains.run(Random(seed)) for seed in range(400))
    assert confirmed > 400  # factors whose place in memory was known, and right


def test_the_chains_would_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `repeat` and `repeat_interleave` taken for each other the coordinates disagree."""
    from shapecheck.ops import repeat

    right = repeat._copies

    def wrong(kit, count, axis, outer):  # type: ignore[no-untyped-def]
        return right(kit, count, axis, not outer)

    monkeypatch.setattr(repeat, "_copies", wrong)
    with pytest.raises(chains.Disagreement):
        sum(chains.run(Random(seed)) for seed in range(400))
