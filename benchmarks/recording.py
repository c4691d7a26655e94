"""What watching a run finds and costs, measured on this machine.

    python benchmarks/recording.py samples            # the rules' samples, with and without what their authors wrote
    python benchmarks/recording.py cost               # processor time of a step, as ratios to the plain step

- samples: every `# run:` of every rule. A bad one is found where one of its codes is; right ones must be silent.
  `bare`: the same with comments, docstrings and annotations taken out.
- cost: a BERT-sized encoder and a tiny model, one step each, watched, plain, and plain after watching has left; aims:
  15, 40 and 1.00.
"""

from __future__ import annotations

import argparse
import ast
import statistics
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from samples import bundled, expected  # noqa: E402
from twins import REFUSALS, cases, load, run  # noqa: E402

from shapecheck.service.watched import watch  # noqa: E402


class _Bare(ast.NodeTransformer):
    """Without docstrings and annotations; comments go with the text."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        node.returns = None
        for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
            argument.annotation = None
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self.generic_visit(node)
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return node


def bare(text: str) -> str:
    return ast.unparse(ast.fix_missing_locations(_Bare().visit(ast.parse(text))))


def samples() -> None:
    for stripped in (False, True):
        missed: list[str] = []
        counts: Counter[str] = Counter()
        for folder in (item.folder for item in bundled()):
            for name in ("bad.py", "good.py", "fixed.py"):
                if not (folder / name).exists():
                    continue
                text = (folder / name).read_text(encoding="utf-8")
                marked = expected(folder / name)
                with tempfile.TemporaryDirectory() as place:
                    path = Path(place, name) if stripped else folder / name
                    if stripped:
                        path.write_text(bare(text), encoding="utf-8")
                    for case in cases(text):
                        wanted = {code for row, codes in marked.items() if row in case.rows for code in codes}
                        for kind, sizes in case.runs:
                            if name == "bad.py" and (kind == "equal" or not wanted):
                                continue
                            with watch(path) as seen:
                                try:
                                    run(load(path, path.read_text(encoding="utf-8")), case.call, sizes)
                                except REFUSALS:
                                    counts["refused"] += 1
                            found = {d.code for d in seen.judged.diagnostics}
                            counts["disagreements"] += len(seen.judged.disagreements)
                            if name == "bad.py":
                                counts["bad"] += 1
                                counts["bad found"] += bool(found & wanted)
                                if not found & wanted:
                                    missed.append(f"{folder.name}.{case.name} ({', '.join(sorted(wanted))})")
                            else:
                                counts["right"] += 1
                                counts["right with findings"] += bool(found)
                                if found:
                                    missed.append(f"FALSE {folder.name}/{name}.{case.name}: {sorted(found)}")
        print("bare:" if stripped else "as written:", dict(counts))
        for line in missed:
            print("   ", line)


# --------------------------------------------------------------------------- cost


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 8))

    def forward(self, q, p):
        q, p = self.encode(q), self.encode(p)
        scores = q @ p.t()
        target = torch.arange(q.size(0))
        return nn.functional.cross_entropy(scores, target)


def tiny() -> Callable[[], None]:
    model = Tiny()
    q, p = torch.randn(8, 16), torch.randn(8, 16)
    return lambda: model(q, p).backward()


def encoder() -> Callable[[], None]:
    from transformers import BertConfig, BertModel

    model = BertModel(BertConfig(vocab_size=1000))
    ids = torch.randint(1000, (4, 32))

    def step() -> None:
        hidden = model(input_ids=ids).last_hidden_state[:, 0]
        nn.functional.cross_entropy(hidden @ hidden.t(), torch.arange(4)).backward()

    return step


def cost(rounds: int) -> None:
    import transformers.models.bert.modeling_bert as bert

    for name, make, places in (
        ("tiny", tiny, [__file__]),
        ("BERT-sized, its own code not watched", encoder, [__file__]),
        ("BERT-sized, its own code watched", encoder, [__file__, bert.__file__]),
    ):
        step = make()
        step()
        plain: list[float] = []
        watched: list[float] = []
        left: list[float] = []
        for _ in range(rounds):
            plain.append(timed(step))
            with watch(*places):
                step()
                watched.append(timed(step))
            left.append(timed(step))
        base = statistics.median(plain)
        print(f"{name}: {1000 * base:.2f} ms plain, watched {statistics.median(watched) / base:.2f} times, "
              f"after it left {statistics.median(left) / base:.2f}")  # fmt: skip


def timed(step: Callable[[], None]) -> float:
    began = time.process_time()
    step()
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("samples", "cost"))
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if given.what == "samples":
        samples()
    else:
        cost(given.rounds)


if __name__ == "__main__":
    main()
