"""A watched run finds what the samples show, in the code that ran, and leaves the program as it was."""

from __future__ import annotations

import gc
import importlib.util
import sys
import textwrap
import weakref
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from samples import bundled, expected
from twins import REFUSALS, Case, cases, load, run

import shapecheck
from shapecheck.service.watched import watch

# what one run at these sizes cannot show
UNSEEN = {
    ("bare_squeeze", "late_interaction"): "its batch of one is no size like others",
    ("unmasked_sum_over_count", "reconstruction"): "that it is a mask is told by the argument's name alone",
    **{
        ("unbound_axis", name): "the checker refuses the annotation before the function runs"
        for name in ("flat_first", "in_batch", "Pairs", "picked", "offset")
    },
}


def samples(*names: str) -> list[Any]:
    return [
        pytest.param(folder / name, case, kind, sizes, id=f"{folder.name}-{name}-{case.name}-{kind}")
        for folder in (item.folder for item in bundled())
        for name in names
        if (folder / name).exists()
        for case in cases((folder / name).read_text(encoding="utf-8"))
        for kind, sizes in case.runs
    ]


def watched(path: Path, case: Case, kind: str, sizes: dict[str, int]) -> watch:
    module = load(path, path.read_text(encoding="utf-8"))
    seen = watch(path)
    with seen:
        try:
            run(module, case.call, sizes)
        except REFUSALS:
            assert kind == "raises"
    return seen


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("path", "case", "kind", "sizes"), samples("bad.py"))
def test_bad_samples_are_found(path: Path, case: Case, kind: str, sizes: dict[str, int]) -> None:
    wanted = {code for row, codes in expected(path).items() if row in case.rows for code in codes}
    if kind == "equal" or not wanted:
        pytest.skip("nothing is wrong with it at these sizes")
    seen = watched(path, case, kind, sizes)
    assert seen.judged.problems == () == seen.judged.disagreements
    found = {d.code for d in seen.judged.diagnostics}
    if (path.parent.name, case.name) in UNSEEN:
        assert not found & wanted
    else:
        assert found & wanted


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("path", "case", "kind", "sizes"), samples("good.py", "fixed.py"))
def test_right_samples_are_silent(path: Path, case: Case, kind: str, sizes: dict[str, int]) -> None:
    seen = watched(path, case, kind, sizes)
    assert [(d.location.row, d.code) for d in seen.judged.diagnostics] == []
    assert seen.judged.problems == () == seen.judged.disagreements


# ------------------------------------------------------------------ own programs


def program(folder: Path, text: str, name: str = "program") -> ModuleType:
    file = folder / f"{name}.py"
    file.write_text(textwrap.dedent(text))
    spec = importlib.util.spec_from_file_location(f"{name}_{folder.name}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def codes(seen: watch) -> list[tuple[str, int]]:
    return [(d.code, d.location.row) for d in seen.findings]


SEED = """
    import torch
    from torch import nn


    class Trainer(nn.Module):
        def __init__(self, encoder):
            super().__init__()
            self.encoder = encoder

        def compute_similarity(self, q, p):
            return torch.matmul(q, p.transpose(-2, -1))

        def forward(self, query, passage):
            q_reps, p_reps = self.encoder(query), self.encoder(passage)
            group_size = p_reps.size(0) // q_reps.size(0)
            scores = self.compute_similarity(q_reps, p_reps{})
            scores = scores.view(q_reps.size(0), -1)
            target = torch.arange(scores.size(0)) * group_size
            return nn.functional.cross_entropy(scores, target)
    """


@pytest.mark.parametrize(("passages", "found"), [(".view(q_reps.size(0), group_size, -1)", ["SC101"]), ("", [])])
def test_the_bug_it_was_made_for_is_found_in_one_step(tmp_path: Path, passages: str, found: list[str]) -> None:
    trainer = program(tmp_path, SEED.format(passages)).Trainer(torch.nn.Linear(7, 5))
    with watch(tmp_path) as seen:
        trainer(torch.randn(4, 7), torch.randn(12, 7)).backward()
    assert [d.code for d in seen.findings] == found
    assert seen.judged.disagreements == ()


def test_a_rank_that_no_line_states(tmp_path: Path) -> None:
    module = program(
        tmp_path,
        """
        import torch

        def error(critic, batch):
            wanted = batch["reward"] + 0.9 * critic(batch["next"])
            return (critic(batch["state"]) - wanted).pow(2).mean()
        """,
    )
    batch = {"state": torch.randn(6, 3), "next": torch.randn(6, 3), "reward": torch.randn(6)}
    with watch(tmp_path) as seen:
        module.error(torch.nn.Linear(3, 1), batch)
    assert codes(seen) == [("SC102", 5)]
    with watch(tmp_path) as seen:
        module.error(torch.nn.Linear(3, 1), {**batch, "reward": torch.randn(6, 1)})
    assert codes(seen) == []


def test_only_the_rows_that_ran_are_spoken_of(tmp_path: Path) -> None:
    module = program(
        tmp_path,
        """
        import torch

        def loss(a, b, wide):
            if wide:
                return torch.nn.functional.mse_loss(a.sum(1, keepdim=True), b.sum(1))
            return (a.sum(1) - b.sum(1)).mean()
        """,
    )
    a = torch.randn(4, 3)
    with watch(tmp_path) as seen:
        module.loss(a, a, False)
    assert codes(seen) == []
    with watch(tmp_path) as seen:
        module.loss(a, a, True)
    assert [row for _, row in codes(seen)] == [6]


def test_sizes_that_agree_by_chance_are_told_apart(tmp_path: Path) -> None:
    module = program(
        tmp_path,
        """
        import torch

        def scores(q, p):
            batch, dim = q.shape
            groups = p.view(batch, -1, dim)
            return torch.matmul(q, groups.transpose(1, 2)).flatten(1)
        """,
    )
    with watch(tmp_path) as seen:
        module.scores(torch.randn(4, 4), torch.randn(16, 4))  # as many rows as groups, and as many as axes
    assert codes(seen) == [("SC101", 7)]


def test_marks_in_the_source_hold(tmp_path: Path) -> None:
    trainer = program(tmp_path, SEED.format(".view(q_reps.size(0), group_size, -1)")).Trainer(torch.nn.Linear(7, 5))
    file = tmp_path / "program.py"
    marked = file.read_text().replace("group_size, -1))", "group_size, -1))  # shapecheck: ignore[SC101]")
    trainer = program(tmp_path, marked).Trainer(torch.nn.Linear(7, 5))
    with watch(tmp_path) as seen:
        trainer(torch.randn(4, 7), torch.randn(12, 7))
    assert codes(seen) == []


# -------------------------------------------------------------------- as it was


def test_the_frame_that_watches_is_watched_from_there_on() -> None:
    a, b = torch.randn(4, 3), torch.randn(4, 3)
    with shapecheck.watch(__file__) as seen:
        narrow = a.sum(1)
        wide = b.sum(1, keepdim=True)
        (narrow - wide).mean()  # shapecheck: ignore
    (ways,) = seen.files.values()
    held = {name: seen for ran in ways for (_, name), seen in ran.names.items()}
    assert [len(x.sizes) for name in ("a", "narrow", "wide") for x in held[name]] == [2, 1, 2]  # type: ignore[union-attr]


def test_a_tracer_that_was_there_is_there_again() -> None:
    def mine(frame: Any, event: str, arg: Any) -> None:
        return None

    before = sys.gettrace()
    sys.settrace(mine)
    try:
        with watch(__file__):
            torch.ones(2).sum()
        assert sys.gettrace() is mine
    finally:
        sys.settrace(before)


def test_nothing_is_kept_alive(tmp_path: Path) -> None:
    module = program(tmp_path, "def double(x):\n    y = x * 2\n    return y.sum()\n")
    x = torch.randn(3, 2)
    gone = weakref.ref(x)
    with watch(tmp_path) as seen:
        module.double(x)
    del x
    gc.collect()
    assert gone() is None
    assert seen.files


def test_what_the_program_raises_comes_through(tmp_path: Path) -> None:
    module = program(tmp_path, "def product(a, b):\n    return a @ b\n")
    with pytest.raises(RuntimeError) as caught, watch(tmp_path):
        module.product(torch.ones(2, 3), torch.ones(2, 3))
    frames = [entry.path for entry in caught.traceback]
    assert not [frame for frame in map(str, frames) if "shapecheck/recording" in frame]
    assert sys.gettrace() is None or "shapecheck" not in str(sys.gettrace())


def test_a_number_that_was_one_is_a_number_like_others(tmp_path: Path) -> None:
    module = program(
        tmp_path,
        """
        import torch

        class Centers(torch.nn.Module):
            def __init__(self, classes, per_class):
                super().__init__()
                self.classes, self.per_class = classes, per_class

            def forward(self, scores):
                grouped = scores.view(-1, self.classes, self.per_class)
                return (torch.softmax(grouped, dim=2) * grouped).sum(dim=2)
        """,
    )
    with watch(tmp_path) as seen:
        module.Centers(5, 1)(torch.randn(4, 5))
    assert codes(seen) == []
