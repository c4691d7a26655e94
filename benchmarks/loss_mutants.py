"""Right losses with one thing changed: an axis, a stride, a target, a mask, a detach, a scale, an order. Are they seen?

    python benchmarks/loss_mutants.py [--count 100] [--seed 0] [--files tests/trainer/zoo/right.py ...]

A mutant is refused, raises where the original does not, can't be called, equals the original in value and gradient at
every size asked (up to a constant), equals another definition that the report states in other words, or is missed.
"""

from __future__ import annotations

import argparse
import ast
import collections
import copy
import importlib.util
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from reference_trainer.validation.choice import Claims, choose
from reference_trainer.validation.engine import Working, calls
from reference_trainer.validation.finding import Judgement
from reference_trainer.validation.judge import judge
from reference_trainer.validation.subject import Subject, subject_of
from reference_trainer.validation.target import CannotCall, find_target

ZOO = [
    f"tests/trainer/zoo/{name}.py" for name in ("right", "second_right", "third_right", "fourth_right", "fifth_right")
]
SIZES = ((3, 2), (5, 3), (8, 4), (33, 3))
AXES = {
    "sum",
    "mean",
    "softmax",
    "log_softmax",
    "logsumexp",
    "cat",
    "norm",
    "max",
    "min",
    "argmax",
    "normalize",
    "stack",
}
Change = Callable[[ast.AST], ast.AST | None]


def _name(call: ast.AST) -> str:
    function = call.func if isinstance(call, ast.Call) else None
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )


def _integer(node: ast.AST) -> int | None:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def axis(node: ast.AST) -> ast.AST | None:
    """The axis of a reduction, softmax or cat: the last becomes the first, the first the second."""
    if not isinstance(node, ast.Call) or _name(node) not in AXES:
        return None
    for keyword in node.keywords:
        number = _integer(keyword.value)
        if keyword.arg in ("dim", "axis") and number is not None:
            keyword.value = ast.Constant(1 if number == 0 else 0)
            return node
    for place, argument in enumerate(node.args):
        number = _integer(argument)
        if number is not None:
            node.args[place] = ast.Constant(1 if number == 0 else 0)
            return node
    return None


def stride(node: ast.AST) -> ast.AST | None:
    """`arange(n) * g` without its stride, `a // b` as a, a step dropped."""
    if isinstance(node, ast.Call) and _name(node) == "arange" and len(node.args) == 3:
        return ast.Call(node.func, node.args[:2], node.keywords)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and _holds(node.left, "arange"):
        return node.left
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.FloorDiv):
        return ast.BinOp(node, ast.Add(), ast.Constant(1))
    return None


def _holds(node: ast.AST, word: str) -> bool:
    return any(_name(inner) == word for inner in ast.walk(node))


def target(node: ast.AST) -> ast.AST | None:
    """The target of a cross-entropy: the next row's."""
    if isinstance(node, ast.Call) and _name(node) in ("cross_entropy", "nll_loss") and len(node.args) > 1:
        node.args[1] = ast.Call(ast.Attribute(node.args[1], "roll", ast.Load()), [ast.Constant(1)], [])
        return node
    return None


def mask(node: ast.AST) -> ast.AST | None:
    """A mask turned, its comparison turned, its -inf made 0."""
    match node:
        case ast.UnaryOp(ast.Invert(), inner):
            return inner
        case ast.Compare(left, [ast.Eq()], right):
            return ast.Compare(left, [ast.NotEq()], right)
        case ast.Compare(left, [ast.NotEq()], right):
            return ast.Compare(left, [ast.Eq()], right)
        case ast.BinOp(left, ast.BitAnd(), right):
            return ast.BinOp(left, ast.BitOr(), right)
        case ast.Call() if _name(node) in ("masked_fill", "masked_fill_") and len(node.args) == 2:
            node.args[1] = ast.Constant(0.0)
            return node
    return None


def detach(node: ast.AST) -> ast.AST | None:
    """An operand of a product or a normalisation without its gradient; a detach left out."""
    if isinstance(node, ast.Call) and _name(node) == "detach" and isinstance(node.func, ast.Attribute):
        return node.func.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        node.right = ast.Call(ast.Attribute(node.right, "detach", ast.Load()), [], [])
        return node
    if (
        isinstance(node, ast.Call)
        and _name(node) in ("normalize", "einsum", "matmul", "cosine_similarity")
        and node.args
    ):
        node.args[-1 if _name(node) != "normalize" else 0] = ast.Call(
            ast.Attribute(node.args[-1 if _name(node) != "normalize" else 0], "detach", ast.Load()), [], []
        )
        return node
    return None


def scale(node: ast.AST) -> ast.AST | None:
    """Divided where it was multiplied, and the other way round."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return ast.BinOp(node.left, ast.Mult(), node.right)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and not _holds(node, "arange"):
        return ast.BinOp(node.left, ast.Div(), node.right)
    return None


def order(node: ast.AST) -> ast.AST | None:
    """`repeat` for `repeat_interleave`, operands of a product exchanged, the first two sizes of a view exchanged."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        other = {"repeat_interleave": "repeat", "repeat": "repeat_interleave"}.get(node.func.attr)
        if other and len(node.args) == 1:
            node.func.attr = other
            return node
        if node.func.attr in ("view", "reshape") and len(node.args) == 3:
            node.args[0], node.args[1] = node.args[1], node.args[0]
            return node
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        return ast.BinOp(node.right, ast.MatMult(), node.left)
    return None


KINDS: tuple[Change, ...] = (axis, stride, target, mask, detach, scale, order)


class _At(ast.NodeTransformer):
    """Changes the node with this number, in the order of a walk."""

    def __init__(self, number: int, change: Change) -> None:
        self.number, self.change, self.seen, self.line = number, change, -1, 0

    def visit(self, node: ast.AST) -> Any:
        self.seen += 1
        if self.seen == self.number:
            self.line = getattr(node, "lineno", 0)
            changed = self.change(node)
            return node if changed is None else ast.copy_location(changed, node)
        return self.generic_visit(node)


def mutants(file: Path) -> Iterator[tuple[str, str, int, str]]:
    """Every mutant of the losses of a file: name, kind, line, and the file's text with it."""
    tree = ast.parse(file.read_text())
    names = _all(file)
    for place, top in enumerate(tree.body):
        if not isinstance(top, (ast.FunctionDef, ast.ClassDef)) or top.name not in names:
            continue
        for number, node in enumerate(_inside(top)):
            for change in KINDS:
                if change(copy.deepcopy(node)) is None:
                    continue
                transformer = _At(number, change)
                changed = transformer.visit(copy.deepcopy(top))
                if ast.dump(changed) == ast.dump(top):
                    continue
                body = [*tree.body[:place], changed, *tree.body[place + 1 :]]
                text = ast.unparse(ast.fix_missing_locations(ast.Module(body, [])))
                yield top.name, change.__name__, transformer.line, text


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    """The node and all below it, in the order in which a transformer comes to them."""
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _inside(child)


def _all(file: Path) -> list[str]:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return [str(name) for name in module.ALL]


def equivalent(original: Subject, working: Working, mutant: Subject) -> bool:
    """The same value and gradient at every size, up to one positive constant."""
    factors = []
    for batch, group in SIZES:
        case = working.how.draw(batch, working.how.group or group, seed=3, spread=0.35)
        try:
            wanted = original.run(case, working.how, working.dtype)
        except CannotCall:
            continue
        seen = mutant.run(case, working.how, working.dtype)
        if abs(wanted.value) < 1e-12:
            continue
        factor = seen.value / wanted.value
        size = wanted.gradient.norm().clamp_min(1e-30)
        if float((seen.gradient - factor * wanted.gradient).norm() / size) > 1e-6 * max(abs(factor), 1e-9):
            return False
        factors.append(factor)
    return bool(factors) and min(factors) > 0 and max(factors) / min(factors) < 1 + 1e-6


def verdict(original: tuple[Subject, Working, Judgement], path: Path, name: str) -> tuple[str, str]:
    """What becomes of one mutant, and the sentence that says it."""
    subject, working, before = original
    raised = ""
    try:
        mutant = subject_of(find_target(f"{path}:{name}"), {})
        try:
            same = equivalent(subject, working, mutant)
        except CannotCall as error:
            same, raised = False, str(error)
        if same:
            return "equivalent", ""
        judgement = judge(mutant)
    except CannotCall as error:
        return "raises, and its error is said" if raised else "could not be called", str(error)
    if not judgement.right:
        return "refused", judgement.verdict
    known = "no definition" not in judgement.found.reading
    if known and judgement.found.sentence != before.found.sentence:
        return "another right loss, and it is said", judgement.found.sentence
    return "missed", judgement.found.sentence


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--files", nargs="*", default=ZOO)
    options = parser.parse_args()
    torch.set_num_threads(1)
    every = [(Path(file), *found) for file in options.files for found in mutants(Path(file))]
    chosen = random.Random(options.seed).sample(every, min(options.count, len(every)))
    originals: dict[tuple[Path, str], tuple[Subject, Working, Judgement]] = {}
    counts: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        for number, (file, name, kind, line, text) in enumerate(chosen):
            if (file, name) not in originals:
                subject = subject_of(find_target(f"{file}:{name}"), {})
                working = choose(subject, calls(subject, {}), Claims()).reading.working
                originals[file, name] = (subject, working, judge(subject))
            path = Path(folder) / f"mutant{number}.py"
            path.write_text(text)
            became, sentence = verdict(originals[file, name], path, name)
            counts[became] += 1
            print(f"{became:36} {kind:8} {file.stem}.{name}:{line} {sentence[:160]}", flush=True)
    print(
        f"{len(chosen)} of {len(every)} mutants: "
        + ", ".join(f"{count} {what}" for what, count in counts.most_common())
    )


if __name__ == "__main__":
    main()
