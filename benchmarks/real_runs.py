"""Real runs as judge: runs torch code with concrete sizes, records the shape of every tensor that a line gives a name,
and compares it with what the engine says of that line.

    python benchmarks/real_runs.py [--path DIR ...] [-v]

Drivers below use what is installed (transformers, sentence-transformers, our own fixtures and trainer) or can be
imported from a DIR (the source trees of pytorch-metric-learning, lightly, open_clip); the others are named as left
out. Reported, of all traced tensor lines and of those with evidence: the share whose rank and whose whole shape the
engine knows, and contradictions (it names a shape that no assignment of sizes to its symbols turns into the real one).

A line has evidence when the function around it says anything of its parameters' shapes: a jaxtyping annotation, a
shape in the docstring or in a comment, an einsum, sizes unpacked or asked of a parameter, or an assertion on them
(`evidenced`). A plain `Tensor` annotation, a call whose arguments have known shapes, or an `nn.Linear` is none, though
the engine may well know such lines; they count among all. A shape is known when its rank is and some sizes of its
symbols give the real one; a symbol that stands for a size that nothing tells fits any.

The code under judgement is run here, on purpose, by this benchmark alone: the linter itself never runs it.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import re
import sys
import threading
import types
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from shapecheck.dims import Dim, evaluate, symbols
from shapecheck.engine.entry import run
from shapecheck.engine.facts import Assigned
from shapecheck.engine.naming import Names
from shapecheck.engine.reveal import as_learned
from shapecheck.engine.values import Partial, Shape, Tensor
from shapecheck.source.imports import Project
from shapecheck.source.lower import Unreadable, parse
from shapecheck.source.positions import spans

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


PROJECT = Project(parse, (Unreadable,))


def told(path: str) -> dict[tuple[int, int, str], list[Shape]]:
    """What the engine says: (first row, last row, name) of the statement -> every shape it found there."""
    program = parse(Path(path).read_bytes(), path)
    facts = run(program, PROJECT).facts
    places = spans(program)
    out: dict[tuple[int, int, str], list[Shape]] = defaultdict(list)
    for fact in facts.of(Assigned):
        value = as_learned(facts, fact.value)
        if fact.site.path == path and isinstance(value, Tensor):
            span = places.span(fact.site.node)
            out[span.row, span.end_row, fact.name].append(value.shape)
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
        with attempted(f"lightly {name}"), _stand_in_for_torchvision():
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


def reference_trainer() -> None:
    from reference_trainer import modes

    q, p, groups = torch.randn(4, 8), torch.randn(12, 8), torch.randn(4, 3, 8)
    target = modes.in_batch_target(4, 3)
    modes.in_batch_scores(q, p)
    scores = modes.in_group_scores(q, groups)
    modes.in_group_target(4)
    modes.duplicates_of_positive(torch.arange(12) // 2, target)
    for name, args in (("info_nce", (scores, modes.in_group_target(4))), ("margin_mse", (scores, scores * 2))):
        with attempted(f"reference_trainer {name}"):
            getattr(modes, name)(*args)


def rule_samples() -> None:
    """Every `# run:` of the rules' samples, at the first of its sizes."""
    sys.path.append(str(ROOT / "tests"))
    import twins

    for path in sorted((ROOT / "rules").glob("*/*.py")):
        if path.name not in ("bad.py", "good.py", "fixed.py"):
            continue
        text = path.read_text(encoding="utf-8")
        with attempted(f"{path.parent.name}/{path.name}"):
            module, found = twins.load(path, text), twins.cases(text)
            for case in found:
                kind, sizes = case.runs[0]
                with attempted(f"{path.parent.name}/{path.name} {case.name}"), refused(kind == "raises"):
                    twins.run(module, case.call, sizes)


@contextmanager
def refused(expected: bool) -> Iterator[None]:
    """A sample that torch is meant to refuse is no failure of its driver."""
    try:
        yield
    except Exception:
        if not expected:
            raise


ROOT = Path(__file__).resolve().parents[1]
DRIVERS: dict[str, tuple[Callable[[], None], str]] = {
    "transformers BERT": (bert, "/transformers/models/bert/modeling_bert.py"),
    "sentence-transformers losses": (sentence_transformers_losses, "/sentence_transformers/"),
    "pytorch-metric-learning losses": (metric_learning, "/pytorch_metric_learning/"),
    "lightly losses": (lightly, "/lightly/"),
    "open_clip loss": (open_clip, "/open_clip/loss.py"),
    "reference trainer": (reference_trainer, "/reference_trainer/modes.py"),
    "rule samples": (rule_samples, str(ROOT / "rules")),
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
    ap.add_argument("--only", default="", help="only drivers whose title has this in it")
    ap.add_argument("-v", action="store_true", help="name every line without a known shape")
    options = ap.parse_args()
    sys.path[:0] = options.path
    torch.manual_seed(0)
    torch.set_num_threads(1)
    totals = [0] * 7
    for title, (drive, part) in DRIVERS.items():
        if options.only and options.only not in title:
            continue
        with tracing(lambda name, part=part: part in name) as seen, attempted(title):  # type: ignore[misc]
            drive()
        counts, contradictions = judge(seen, options.v)
        totals = [a + b for a, b in zip(totals, [*counts, len(contradictions)])]
        if counts[0]:
            print(f"{title}: {shares(counts)}, contradictions {len(contradictions)}", flush=True)
        else:
            print(f"{title}: nothing traced")
        for text in contradictions:
            print("  CONTRADICTION", text)
    print(f"all: {shares(totals[:6])}, contradictions {totals[6]}")
    for text in FAILED:
        print("left out:", text)


def shares(counts: list[int]) -> str:
    lines, ranks, shapes, told_lines, told_ranks, told_shapes = counts
    text = f"{lines} tensor lines, rank known {ranks / max(lines, 1):.1%}, shape known {shapes / max(lines, 1):.1%}"
    if told_lines:
        text += f"; {told_lines} of them with evidence: {told_ranks / told_lines:.1%}, {told_shapes / told_lines:.1%}"
    return text


@contextmanager
def _stand_in_for_torchvision() -> Iterator[None]:
    """lightly's losses import a package whose other modules ask for torchvision; none of what runs here uses it."""
    if importlib.util.find_spec("torchvision") is not None:
        yield
        return

    class Anything(types.ModuleType):
        __version__ = "0.0"

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return type(name, (torch.nn.Module,), {})

    class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
        def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
            if name.split(".")[0] in ("torchvision", "PIL") and name not in sys.modules:
                return importlib.machinery.ModuleSpec(name, self, is_package=True)
            return None

        def create_module(self, spec: Any) -> types.ModuleType:
            return Anything(spec.name)

        def exec_module(self, module: types.ModuleType) -> None:
            pass

    finder = Finder()
    sys.meta_path.append(finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [n for n in sys.modules if n.split(".")[0] in ("torchvision", "PIL")]:
            if isinstance(sys.modules[name], Anything):
                del sys.modules[name]


def judge(seen: Seen, verbose: bool) -> tuple[list[int], list[str]]:
    """[lines, with known rank, with known shape, the same three where there is evidence], and what contradicts."""
    counts = [0] * 6
    wrong: list[str] = []
    by_file: dict[str, list[tuple[int, str, set[tuple[int, ...]]]]] = defaultdict(list)
    for (path, row, name), shapes in seen.items():
        by_file[path].append((row, name, shapes))
    for path, rows in by_file.items():
        engine = told(path)
        spoken_for = evidenced(path)
        for row, name, shapes in sorted(rows, key=lambda r: r[:2]):
            said = [
                s for (first, last, n), found in engine.items() if n == name and first <= row <= last for s in found
            ]
            if not said and not _bound_here(path, row, name):
                continue
            known = [s for s in said if isinstance(s, tuple)]
            right = bool(known) and any(fits(s, real) for s in known for real in shapes)
            has_evidence = any(first <= row <= last for first, last in spoken_for)
            row_counts = [1, bool(known), right]
            for i, got in enumerate([*row_counts, *(has_evidence and c for c in row_counts)]):
                counts[i] += got
            for real in shapes:
                if said and not any(fits(s, real) for s in said):
                    names = Names({}, {})
                    wrong.append(
                        f"{path}:{row} {name} is {list(real)}, the engine says "
                        + " | ".join(sorted({names.shape(s) for s in said}))
                    )
            if verbose and not known:
                print(f"  unknown{' with evidence' if has_evidence else ''} {path}:{row} {name} {sorted(shapes)[:2]}")
    return counts, wrong


def evidenced(path: str) -> list[tuple[int, int]]:
    """(first row, last row) of each function whose text tells anything of its parameters' shapes: an annotation with
    axes, a shape in its docstring or in a comment, an einsum, sizes unpacked or asked for, or an assertion on them."""
    text = Path(path).read_text(encoding="utf-8")
    lines = text.split("\n")
    found = []
    for node in ast.walk(_tree(path)):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        names = {a.arg for a in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]} - {"self", "cls"}
        body = lines[node.lineno - 1 : node.end_lineno]
        if _tells(node, names) or any(_SHAPE_COMMENT.search(line) for line in body):
            found.append((node.lineno, node.end_lineno or node.lineno))
    return found


def _tells(function: ast.FunctionDef | ast.AsyncFunctionDef, names: set[str]) -> bool:
    if _SHAPE_WORDS.search(ast.get_docstring(function) or ""):
        return True
    for node in ast.walk(function):
        match node:
            case ast.Subscript(value=ast.Name(id="Float" | "Int" | "Bool" | "Shaped")):
                return True
            case ast.Call(func=ast.Attribute(attr="einsum") | ast.Name(id="einsum" | "rearrange")):
                return True
            case ast.Assert() if any(_is_shape_of(n, names) for n in ast.walk(node)):
                return True
            case ast.Assign(targets=[ast.Tuple()], value=value) if _asks(value, names):
                return True
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="size")) if name in names:
                return True
            case ast.Subscript(value=ast.Attribute(value=ast.Name(id=name), attr="shape")) if name in names:
                return True
    return False


def _asks(value: ast.expr, names: set[str]) -> bool:
    """`x.shape` or `x.size()` of a parameter."""
    return _is_shape_of(value.func if isinstance(value, ast.Call) else value, names)


def _is_shape_of(node: ast.AST, names: set[str]) -> bool:
    match node:
        case ast.Attribute(value=ast.Name(id=name), attr="shape" | "size" | "dim" | "ndim"):
            return name in names
        case _:
            return False


_SHAPE_COMMENT = re.compile(r"#.*[\[(] *\w+ *(?:,|x) *[\w*+-]+[^#]*[\])]")
_SHAPE_WORDS = re.compile(r"(?i)shape[^\n]{0,20}[\[(`]|[\[(](?:[A-Z]|batch\w*|\w+_size|n|bsz) *, *[\w .*+,-]+[\])]")


def _tree(path: str) -> ast.Module:
    if path not in _TREES:
        _TREES[path] = ast.parse(Path(path).read_bytes())
    return _TREES[path]


def _bound_here(path: str, row: int, name: str) -> bool:
    """Does the statement that begins at that line assign the name? (Loop targets and arguments are not counted.)"""
    for node in ast.walk(_tree(path)):
        if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)) and node.lineno <= row <= (
            node.end_lineno or row
        ):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(n, ast.Name) and n.id == name for t in targets for n in ast.walk(t)):
                return True
    return False


_TREES: dict[str, ast.Module] = {}

if __name__ == "__main__":
    main()
