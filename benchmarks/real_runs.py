"""Real runs as judge: runs torch code with concrete sizes, records the shape of every tensor that a line gives a name,
and compares it with what the engine says of that line.

    python benchmarks/real_runs.py [--path DIR ...] [-v]

Drivers below use what is installed (transformers, sentence-transformers, our own fixtures and trainer) or can be
imported from a DIR (the source trees of pytorch-metric-learning, lightly, open_clip); the others are named as left
out. Reported: traced tensor lines, the share whose rank and whose whole shape the engine knows, and contradictions
(the engine names a shape that no assignment of sizes to its symbols turns into the real one).

The code under judgement is run here, on purpose, by this benchmark alone: the linter itself never runs it.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from shapecheck.dims import Dim, evaluate, symbols
from shapecheck.facts import Assigned
from shapecheck.imports import Project
from shapecheck.interpret.entry import run
from shapecheck.lower import Unreadable, parse
from shapecheck.naming import Names
from shapecheck.positions import spans
from shapecheck.values import Partial, Shape, Tensor

Seen = dict[tuple[str, int, str], set[tuple[int, ...]]]  # (file, line of the statement, name) -> shapes


@contextmanager
def tracing(wanted: Callable[[str], bool]) -> Iterator[Seen]:
    """Record shapes of the locals that each line binds, in files that `wanted` accepts."""
    seen: Seen = defaultdict(set)

    def local(frame: FrameType, event: str, arg: Any) -> Any:
        state = states.setdefault(id(frame), {"line": frame.f_lineno, "ids": {}})
        if event in ("line", "return"):
            for name, value in list(frame.f_locals.items()):
                if isinstance(value, torch.Tensor) and state["ids"].get(name) != (id(value), tuple(value.shape)):
                    state["ids"][name] = (id(value), tuple(value.shape))
                    if state["line"] is not None and not state.get("first"):
                        seen[frame.f_code.co_filename, state["line"], name].add(tuple(value.shape))
            state["line"] = frame.f_lineno
            state["first"] = False
        if event == "return":
            states.pop(id(frame), None)
        return local

    states: dict[int, dict[str, Any]] = {}

    def start(frame: FrameType, event: str, arg: Any) -> Any:
        if event != "call" or not wanted(frame.f_code.co_filename):
            return None
        states[id(frame)] = {"line": None, "ids": {}, "first": True}
        return local

    sys.settrace(start)
    threading.settrace(start)
    try:
        yield seen
    finally:
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]


# -------------------------------------------------------------------- engine


def told(path: str) -> dict[tuple[int, int, str], list[Shape]]:
    """What the engine says: (first row, last row, name) of the statement -> every shape it found there."""
    program = parse(Path(path).read_bytes(), path)
    facts = run(program, Project(parse, (Unreadable,))).facts
    places = spans(program)
    out: dict[tuple[int, int, str], list[Shape]] = defaultdict(list)
    for fact in facts.of(Assigned):
        if fact.site.path == path and isinstance(fact.value, Tensor):
            span = places.span(fact.site.node)
            out[span.row, span.end_row, fact.name].append(fact.value.shape)
    return out


def fits(shape: Shape, real: tuple[int, ...]) -> bool:
    """Can the symbols be given sizes such that the engine's shape is the real one?"""
    if isinstance(shape, Partial):
        if len(real) < max(len(shape.head), len(shape.tail)):
            return False
        pairs = [*zip(shape.head, real), *zip(reversed(shape.tail), reversed(real))]
    else:
        if len(shape) != len(real):
            return False
        pairs = list(zip(shape, real))
    values: dict[str, int] = {}
    late = []
    for axis, size in pairs:
        if isinstance(axis.size, int):
            if axis.size != size:
                return False
            continue
        names = symbols(axis.size)
        bare = str(axis.size) in names or (len(names) == 1 and axis.size == _symbol(next(iter(names))))
        if bare:
            (name,) = names
            if values.setdefault(name, size) != size:
                return False
        else:
            late.append((axis.size, size))
    return all(evaluate(s, values) == size for s, size in late if symbols(s) <= values.keys())


def _symbol(name: str) -> Dim:
    from shapecheck.dims import symbol

    return symbol(name)


# -------------------------------------------------------------------- drivers


def bert() -> None:
    from transformers import BertConfig, BertModel

    model = BertModel(BertConfig(
        vocab_size=50, hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=20,
        max_position_embeddings=16, attn_implementation="eager",
    ))  # fmt: skip
    model(input_ids=torch.randint(0, 50, (5, 7)), attention_mask=torch.ones(5, 7, dtype=torch.long))


def sentence_transformers_losses() -> None:
    from sentence_transformers import SentenceTransformer, losses, util

    a, b = torch.randn(5, 8), torch.randn(6, 8)
    for name in ("cos_sim", "dot_score", "euclidean_sim", "manhattan_sim"):
        getattr(util, name)(a, b)
    for name in ("pairwise_cos_sim", "pairwise_dot_score", "pairwise_angle_sim", "pairwise_euclidean_sim"):
        getattr(util, name)(a, torch.randn(5, 8))

    class Fake(SentenceTransformer):
        def __init__(self) -> None:
            torch.nn.Module.__init__(self)

        def forward(self, features: dict[str, Any], **more: Any) -> dict[str, Any]:
            return features

        def __getitem__(self, index: int) -> Any:
            return self

        def get_embedding_dimension(self) -> int:
            return 8

        device = torch.device("cpu")

    model = Fake()

    def features(*rows: int) -> list[dict[str, torch.Tensor]]:
        return [{"sentence_embedding": torch.randn(n, 8, requires_grad=True)} for n in rows]

    labels = torch.tensor([0, 1, 0, 1, 2, 2])
    for name, columns, target in [
        ("MultipleNegativesRankingLoss", (5, 5, 5), None),
        ("MultipleNegativesSymmetricRankingLoss", (5, 5), None),
        ("CosineSimilarityLoss", (5, 5), torch.rand(5)),
        ("CoSENTLoss", (5, 5), torch.rand(5)),
        ("AnglELoss", (5, 5), torch.rand(5)),
        ("ContrastiveLoss", (5, 5), torch.tensor([0, 1, 0, 1, 1])),
        ("OnlineContrastiveLoss", (5, 5), torch.tensor([0, 1, 0, 1, 1])),
        ("TripletLoss", (5, 5, 5), None),
        ("MarginMSELoss", (5, 5, 5), torch.rand(5)),
        ("DistillKLDivLoss", (5, 5, 5), torch.rand(5, 2)),
        ("MSELoss", (5,), torch.rand(5, 8)),
        ("BatchAllTripletLoss", (6,), labels),
        ("BatchHardTripletLoss", (6,), labels),
        ("BatchHardSoftMarginTripletLoss", (6,), labels),
        ("BatchSemiHardTripletLoss", (6,), labels),
        ("MegaBatchMarginLoss", (60, 60), None),
    ]:
        with attempted(f"sentence_transformers {name}"):
            getattr(losses, name)(model)(features(*columns), target)


def metric_learning() -> None:
    from pytorch_metric_learning import losses

    x, y = torch.randn(12, 8), torch.arange(12) // 3
    for name in (
        "AngularLoss", "CircleLoss", "ContrastiveLoss", "FastAPLoss", "GeneralizedLiftedStructureLoss",
        "IntraPairVarianceLoss", "LiftedStructureLoss", "MarginLoss", "MultiSimilarityLoss", "NCALoss", "NTXentLoss",
        "NPairsLoss", "SignalToNoiseRatioContrastiveLoss", "SupConLoss", "TripletMarginLoss", "TupletMarginLoss",
        "PNPLoss", "RankedListLoss", "DynamicSoftMarginLoss",
    ):  # fmt: skip
        with attempted(f"pytorch_metric_learning {name}"):
            more = {"Tn": 1.0, "Tp": 1.0, "margin": 0.4} if name == "RankedListLoss" else {}
            getattr(losses, name)(**more)(x, y)
    for name in (
        "ArcFaceLoss", "CosFaceLoss", "NormalizedSoftmaxLoss", "ProxyAnchorLoss", "ProxyNCALoss", "SoftTripleLoss",
        "SphereFaceLoss", "SubCenterArcFaceLoss", "LargeMarginSoftmaxLoss",
    ):  # fmt: skip
        with attempted(f"pytorch_metric_learning {name}"):
            getattr(losses, name)(num_classes=4, embedding_size=8)(x, y)


def lightly() -> None:
    x, y = torch.randn(6, 8), torch.randn(6, 8)
    for module, name, args in [
        ("barlow_twins_loss", "BarlowTwinsLoss", (x, y)),
        ("dcl_loss", "DCLLoss", (x, y)),
        ("dcl_loss", "DCLWLoss", (x, y)),
        ("ntx_ent_loss", "NTXentLoss", (x, y)),
        ("negative_cosine_similarity", "NegativeCosineSimilarity", (x, y)),
        ("tico_loss", "TiCoLoss", (x, y)),
        ("vicreg_loss", "VICRegLoss", (x, y)),
        ("directclr_loss", "DirectCLRLoss", (x, y)),
        ("koleo_loss", "KoLeoLoss", (x,)),
        ("macl_loss", "MACLLoss", (x, y)),
        ("mmcr_loss", "MMCRLoss", (torch.randn(4, 3, 8), torch.randn(4, 3, 8))),
        ("hypersphere_loss", "HypersphereLoss", (x, y)),
        ("frossl_loss", "FroSSLLoss", ([x, y],)),
        ("swav_loss", "SwaVLoss", ([x, y], [torch.randn(6, 8)])),
    ]:
        with attempted(f"lightly {name}"):
            loss = getattr(importlib.import_module(f"lightly.loss.{module}"), name)
            (loss(loss_dim=4) if name == "DirectCLRLoss" else loss())(*args)


def open_clip() -> None:
    found = next(Path(p) / "open_clip" / "loss.py" for p in sys.path if (Path(p) / "open_clip" / "loss.py").exists())
    spec = importlib.util.spec_from_file_location("open_clip_loss", found)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    x, y = torch.randn(6, 8), torch.randn(6, 8)
    with attempted("open_clip ClipLoss"):
        module.ClipLoss()(x, y, torch.tensor(3.0))
    with attempted("open_clip SigLipLoss"):
        module.SigLipLoss()(x, y, torch.tensor(3.0), torch.tensor(0.0))
    with attempted("open_clip CoCaLoss"):
        module.CoCaLoss(1.0, 1.0)(x, y, torch.randn(6, 5, 9), torch.randint(0, 9, (6, 5)), torch.tensor(3.0))


DRIVERS: dict[str, tuple[Callable[[], None], str]] = {
    "transformers BERT": (bert, "/transformers/models/bert/modeling_bert.py"),
    "sentence-transformers losses": (sentence_transformers_losses, "/sentence_transformers/"),
    "pytorch-metric-learning losses": (metric_learning, "/pytorch_metric_learning/"),
    "lightly losses": (lightly, "/lightly/"),
    "open_clip loss": (open_clip, "/open_clip/loss.py"),
}

FAILED: list[str] = []


@contextmanager
def attempted(what: str) -> Iterator[None]:
    """A driver's call that torch or the library refuses is named, and the others go on."""
    try:
        yield
    except Exception as error:
        FAILED.append(f"{what}: {type(error).__name__}: {str(error)[:100]}")


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--path", action="append", default=[], help="a folder to import public code from")
    ap.add_argument("-v", action="store_true", help="name every line without a known shape")
    options = ap.parse_args()
    sys.path[:0] = options.path
    torch.manual_seed(0)
    torch.set_num_threads(1)
    totals = [0, 0, 0, 0]
    for title, (drive, part) in DRIVERS.items():
        with tracing(lambda name, part=part: part in name) as seen, attempted(title):  # type: ignore[misc]
            drive()
        counts, contradictions = judge(seen, options.v)
        totals = [a + b for a, b in zip(totals, [*counts, len(contradictions)])]
        lines, ranks, shapes = counts
        if lines:
            print(
                f"{title}: {lines} tensor lines, rank known {ranks / lines:.0%}, shape known {shapes / lines:.0%}, "
                f"contradictions {len(contradictions)}"
            )
        else:
            print(f"{title}: nothing traced")
        for text in contradictions:
            print("  CONTRADICTION", text)
    lines, ranks, shapes, wrong = totals
    print(
        f"all: {lines} tensor lines, rank {ranks / max(lines, 1):.1%}, shape {shapes / max(lines, 1):.1%}, "
        f"contradictions {wrong}"
    )
    for text in FAILED:
        print("left out:", text)


def judge(seen: Seen, verbose: bool) -> tuple[list[int], list[str]]:
    """[lines, with known rank, with known shape], and what contradicts."""
    counts = [0, 0, 0]
    wrong: list[str] = []
    by_file: dict[str, list[tuple[int, str, set[tuple[int, ...]]]]] = defaultdict(list)
    for (path, row, name), shapes in seen.items():
        by_file[path].append((row, name, shapes))
    for path, rows in by_file.items():
        engine = told(path)
        for row, name, shapes in sorted(rows, key=lambda r: r[:2]):
            said = [
                s for (first, last, n), found in engine.items() if n == name and first <= row <= last for s in found
            ]
            if not said and not _bound_here(path, row, name):
                continue
            counts[0] += 1
            known = [s for s in said if isinstance(s, tuple)]
            counts[1] += bool(known)
            counts[2] += bool(known) and any(fits(s, real) for s in known for real in shapes)
            for real in shapes:
                if said and not any(fits(s, real) for s in said):
                    names = Names({}, {})
                    wrong.append(
                        f"{path}:{row} {name} is {list(real)}, the engine says "
                        + " | ".join(sorted({names.shape(s) for s in said}))
                    )
            if verbose and not known:
                print(f"  unknown {path}:{row} {name} {sorted(shapes)[:2]}")
    return counts, wrong


def _bound_here(path: str, row: int, name: str) -> bool:
    """Does the statement that begins at that line assign the name? (Loop targets and arguments are not counted.)"""
    import ast

    tree = _TREES.get(path)
    if tree is None:
        tree = _TREES[path] = ast.parse(Path(path).read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)) and node.lineno <= row <= (
            node.end_lineno or row
        ):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(n, ast.Name) and n.id == name for t in targets for n in ast.walk(t)):
                return True
    return False


_TREES: dict[str, Any] = {}

if __name__ == "__main__":
    main()
