"""Differential fuzz of `@shaped` against jaxtyping with beartype, over the whole grammar.

    python benchmarks/runtime_fuzz.py --cases 100000 --seed 0

Random signatures (names, integers, `_`, `...`, `*name`, `#`, expressions in any order, `{n}` and `{box.size}`,
dtypes, unions, Optional, scalars, containers, a result), each called with shapes that fit or nearly fit. Both judge
each call; half of the signatures are guarded in the body, half around the call. jaxtyping cannot judge an
expression before its names are bound (it raises AnnotationError): it is then asked with the arguments in an order that
binds them first, and where even that is impossible (`"a+1 a"` in one tensor) the case is counted apart.
"""

from __future__ import annotations

import argparse
import linecache
import random
import time
import types
import warnings
from collections import Counter
from dataclasses import dataclass, field

import jaxtyping
import torch
from beartype import beartype
from jaxtyping import AnnotationError, jaxtyped

from shapecheck import ContractError, ShapeError, shaped

NAMES = "abcd"
SIZES = (1, 2, 3, 4, 5)
DTYPES = {
    "Float": (torch.float32, torch.bfloat16, torch.float64),
    "Float32": (torch.float32,),
    "Int": (torch.int64, torch.int8),
    "Bool": (torch.bool,),
    "Shaped": (torch.float32, torch.int64, torch.bool),
    "Num": (torch.float16, torch.uint8),
}
EVERY_DTYPE = (torch.float32, torch.float64, torch.int64, torch.bool, torch.uint8)
EXPRESSIONS = (
    "a*b", "a+1", "b-1", "2*a", "a*b*c", "a//2", "b%3", "min(a,b)", "max(c,2)", "a+b-c", "(a+b)*2", "a**2", "-a+6",
    "{n}", "{n}+1", "{n}*a", "{box.size}", "a*{box.size}", "{len(box.items)}", "a{n}", "abs(a-b)", "a/1", "a//{n}",
    "sum((a,b))", "a==b", "#a*b", "#{n}", "#a+1",
)  # fmt: skip


class Box:
    def __init__(self, size: int) -> None:
        self.size = size
        self.items = [0] * size


@dataclass
class Tally:
    """How the cases came out. `disagreements` hold everything needed to repeat them."""

    counts: Counter[str] = field(default_factory=Counter)
    disagreements: list[str] = field(default_factory=list)

    @property
    def compared(self) -> int:
        return self.counts["accepted"] + self.counts["rejected"]


def word(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.5:
        return rng.choice(NAMES)
    if kind < 0.6:
        return "#" + rng.choice(NAMES)
    if kind < 0.68:
        return rng.choice(("1", "2", "3", "#3", "rows=2"))
    if kind < 0.75:
        return rng.choice(("_", "_x"))
    if kind < 0.93:
        return rng.choice(EXPRESSIONS)
    return rng.choice(NAMES)


def axes(rng: random.Random) -> str:
    words = [word(rng) for _ in range(rng.choice((0, 1, 1, 2, 2, 2, 3, 3)))]
    if rng.random() < 0.2:
        words.insert(rng.randint(0, len(words)), rng.choice(("...", "*v", "*v", "*w", "#*v", "*#w")))
    return " ".join(words)


def annotation(rng: random.Random) -> str:
    kind = rng.random()
    one = f"{rng.choice(list(DTYPES))}[Tensor, {axes(rng)!r}]"
    if kind < 0.72:
        return one
    if kind < 0.79:
        return f"{one} | None"
    if kind < 0.84:
        other = f"{rng.choice(('Float', 'Int'))}[Tensor, {axes(rng)!r}]"
        return f"{one} | {other}"
    if kind < 0.88:
        return f"{rng.choice(('Float', 'Shaped'))}[Tensor, ''] | float"
    if kind < 0.92:
        return f"tuple[{one}, {rng.choice(list(DTYPES))}[Tensor, {axes(rng)!r}]]"
    if kind < 0.95:
        return f"list[{one}]"
    if kind < 0.98:
        return f"dict[str, {one}]"
    return rng.choice(("int", "str | None", "float"))


def concrete(rng: random.Random, hint: object, sizes: dict[str, int], n: int, box: Box, near: float) -> object:
    """A value for a type: fitting `sizes`, or with probability `near` spoilt a little."""
    origin, args = getattr(hint, "__origin__", None), getattr(hint, "__args__", ())
    if isinstance(hint, types.UnionType) or (origin is not None and "Union" in str(origin)):
        return concrete(rng, rng.choice(hint.__args__), sizes, n, box, near)
    if origin is tuple:
        return tuple(concrete(rng, arg, sizes, n, box, near) for arg in args)
    if origin is list:  # beartype looks at one item at random: one item is what both see
        return [concrete(rng, args[0], sizes, n, box, near)]
    if origin is dict:
        return {"k": concrete(rng, args[1], sizes, n, box, near)}
    if not hasattr(hint, "dim_str"):
        values = {int: 3, str: "s", float: 0.5, type(None): None, object: None}
        return values[hint] if rng.random() > near / 3 else rng.choice(list(values.values()))
    shape = []
    for text in hint.dim_str.split():
        loose = "#" in text
        text = text.replace("#", "").replace("rows=", "")
        if text == "..." or text.startswith("*"):
            group = [rng.choice(SIZES) for _ in range(rng.choice((0, 1, 2)))]
            if text.startswith("*"):
                group = list(sizes.setdefault(text, group))
            shape += [1 if loose and rng.random() < 0.3 else s for s in group]
        elif loose and rng.random() < 0.3:
            shape.append(1)
        elif text.startswith("_"):
            shape.append(rng.choice(SIZES))
        elif text in NAMES:
            shape.append(sizes[text])
        else:
            filled = text.replace("{n}", str(n)).replace("{box.size}", str(box.size))
            filled = filled.replace("{len(box.items)}", str(box.size))
            try:
                shape.append(max(0, int(eval(filled, {}, dict(sizes)))))
            except (NameError, ZeroDivisionError):
                shape.append(rng.choice(SIZES))
    if rng.random() < near:
        spoil = rng.random()
        if spoil < 0.65 and shape:
            place = rng.randrange(len(shape))
            shape[place] = rng.choice((1, shape[place] + 1, max(0, shape[place] - 1), rng.choice(SIZES)))
        elif spoil < 0.8:
            shape.insert(rng.randint(0, len(shape)), rng.choice(SIZES))
        elif spoil < 0.9 and shape:
            shape.pop(rng.randrange(len(shape)))
        elif spoil < 0.97:
            return torch.empty(shape, dtype=rng.choice(EVERY_DTYPE), device="meta")
        else:
            return rng.choice((None, 3, "s", [1]))
    return torch.empty(shape, dtype=rng.choice(DTYPES[hint.dtype.__name__]), device="meta")


SCOPE = {**{name: getattr(jaxtyping, name) for name in DTYPES}, "Tensor": torch.Tensor, "Box": Box}


def make(name: str, hints: dict[str, str], result: str, source: bool) -> types.FunctionType:
    """`def f(x0, x1, n, box, out) -> result: return out`, with or without its source at hand."""
    parameters = ", ".join(f"{n}: {h}" for n, h in hints.items())
    text = f"def {name}({parameters}, n: int, box: Box, out) -> {result}:\n    return out\n"
    file = f"<fuzz {name}>"
    scope = dict(SCOPE)
    exec(compile(text, file, "exec", dont_inherit=True), scope)
    if source:
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    return scope[name]


def verdict(function: types.FunctionType, values: dict[str, object]) -> str:
    """accepts, rejects, or cannot (jaxtyping's AnnotationError)."""
    try:
        function(**values)
    except ShapeError:
        return "rejects"
    except AnnotationError:
        return "cannot"
    except (TypeError, jaxtyping.TypeCheckError):
        return "rejects"
    except (ZeroDivisionError, NameError, SyntaxError, AttributeError):
        return "rejects"  # the peer lets the expression's own error through
    return "accepts"


def reordered(hints: dict[str, str]) -> dict[str, str]:
    """Arguments without expressions first: then jaxtyping has the names when it needs them."""
    return dict(sorted(hints.items(), key=lambda item: any(e.lstrip("#") in item[1] for e in EXPRESSIONS)))


def fuzz(cases: int, seed: int, per_signature: int = 25) -> Tally:
    rng, tally = random.Random(seed), Tally()
    number = 0
    while tally.compared < cases:
        number += 1
        hints = {f"x{i}": annotation(rng) for i in range(rng.choice((1, 2, 2, 3)))}
        result = annotation(rng) if rng.random() < 0.7 else "object"
        ordered = reordered(hints)
        if any(mark in hint for hint in hints.values() for mark in ("|", "#*", "*#")):
            hints = ordered  # which option binds, and what a broadcast group is, depends on the order: keep to one
        plain = make(f"f{number}", hints, result, source=number % 2 == 0)
        try:
            ours = shaped(plain)
        except ContractError:
            # an expression over a name that no argument binds: the peer finds out at every call
            tally.counts["signatures refused at decoration (an unbound name)"] += 1
            continue
        peer = jaxtyped(typechecker=beartype)(make(f"g{number}", ordered, result, source=False))
        resolved = {name: hint for name, hint in plain.__annotations__.items() if name in hints or name == "return"}
        for _ in range(per_signature):
            sizes = {name: rng.choice(SIZES) for name in NAMES}
            n, box = rng.choice((1, 2, 3)), Box(rng.choice((1, 2, 3)))
            near = 0.0 if rng.random() < 0.25 else 1.7 / len(resolved)
            values = {
                ("out" if name == "return" else name): concrete(rng, hint, sizes, n, box, near)
                for name, hint in resolved.items()
            }
            values = {"out": None, **values, "n": n, "box": box}
            theirs, mine = verdict(peer, values), verdict(ours, values)
            if theirs == "cannot":
                tally.counts[f"jaxtyping cannot judge, we say {mine}"] += 1
                continue
            tally.counts["accepted" if theirs == "accepts" else "rejected"] += 1
            if mine != theirs:
                shown = {k: tuple(v.shape) if isinstance(v, torch.Tensor) else v for k, v in values.items()}
                tally.disagreements.append(
                    f"{ordered} -> {result}\n  {shown} box={box.size}\n  we {mine}, peer {theirs}"
                )
    tally.counts["signatures"] = number
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    start = time.perf_counter()
    tally = fuzz(arguments.cases, arguments.seed)
    for name, count in sorted(tally.counts.items()):
        print(f"{name:>50}: {count}")
    print(f"{'compared':>50}: {tally.compared} ({tally.counts['accepted'] / tally.compared:.0%} accepted)")
    print(f"{'disagreements':>50}: {len(tally.disagreements)}   [{time.perf_counter() - start:.0f} s]")
    for text in tally.disagreements[:20]:
        print(text)


if __name__ == "__main__":
    main()
