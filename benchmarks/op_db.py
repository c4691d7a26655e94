"""torch's own op database as the judge: each sample is written out as a function with concrete sizes, and what the
linter says of it is compared with what torch does.

    python benchmarks/op_db.py [--ops NAME ...] [--samples 30] [--show wrong unknown missed false]

An op is right when every sample of it that can be written out is: all shapes known and equal. Where torch itself says
that the size depends on the values, an axis of unknown size is right. Of the error inputs those count that torch
refuses for sizes or dims. Needs torch's test module `expecttest`.
"""

from __future__ import annotations

import argparse
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch._subclasses.fake_tensor import DynamicOutputShapeException, FakeTensorMode
from torch.testing._internal.common_methods_invocations import op_db

from shapecheck.engine.entry import analyze
from shapecheck.engine.facts import Assigned
from shapecheck.engine.values import Items, Many, Mapping, Partial, Tensor, Unknown, Value
from shapecheck.service.check import Options
from shapecheck.service.run import make_check
from shapecheck.source.imports import Project
from shapecheck.source.lower import Unreadable, parse
from shapecheck.source.positions import spans

HEAD = "import torch\nfrom jaxtyping import Bool, Complex, Float, Int\nfrom torch import Tensor\n"
ABOUT_SIZES = re.compile(
    r"size|shape|dim|rank|broadcast|length|elements|expand|[0-9]-?D\b|must match|out of (range|bounds)|square|vector"
    r"|matri",
    re.IGNORECASE,
)
NOT_SIZES = re.compile(r"dtype|device|type|out tensor|overlap|requires_grad|backend|implemented", re.IGNORECASE)
RIGHT, UNKNOWN, WRONG = "right", "unknown", "wrong"


class Unwritable(Exception):
    """An argument that has no literal: a function, a generator, a sparse tensor."""


@dataclass(slots=True)
class Written:
    """A sample as a function's text, and what the real call gives: a result, or the error."""

    text: str
    result: Any = None
    error: str = ""


@dataclass(slots=True)
class Tally:
    """Of one op: how its samples came out, and those that show something."""

    verdicts: Counter[str] = field(default_factory=Counter)
    false_crashes: list[str] = field(default_factory=list)
    shown: dict[str, list[str]] = field(default_factory=dict)
    refused: int = 0
    flagged: int = 0

    @property
    def verdict(self) -> str:
        if self.verdicts[WRONG]:
            return WRONG
        if not self.verdicts[UNKNOWN]:
            return RIGHT if self.verdicts[RIGHT] else "unwritable"
        return "partly" if self.verdicts[RIGHT] else UNKNOWN


# ----------------------------------------------------------------- writing out


def public(name: str) -> str:
    """What users call it: `torch.name`, or the method of a tensor."""
    target: Any = torch
    for part in name.removeprefix("torch.").split("."):
        target = getattr(target, part, None)
    if callable(target):
        return "torch." + name.removeprefix("torch.")
    return f"Tensor.{name}" if hasattr(torch.Tensor, name) else ""


def literal(value: Any, tensors: list[torch.Tensor]) -> str:
    match value:
        case torch.Tensor():
            if value.layout is not torch.strided or value.is_quantized:
                raise Unwritable
            tensors.append(value)
            return f"x{len(tensors) - 1}"
        case torch.Size():
            return f"({''.join(f'{v}, ' for v in value)})"
        case list():
            return f"[{', '.join(literal(v, tensors) for v in value)}]"
        case tuple():
            return f"({''.join(literal(v, tensors) + ', ' for v in value)})"
        case torch.dtype() | torch.memory_format() | torch.layout():
            return str(value)
        case torch.device():
            return repr(str(value))
        case slice():
            return f"slice({', '.join(literal(v, tensors) for v in (value.start, value.stop, value.step))})"
        case float() if value != value or value in (float("inf"), float("-inf")):
            return f"float('{value}')"
        case None | bool() | int() | float() | str() | complex():
            return repr(value)
        case type() if value in (int, float, bool):
            return value.__name__
        case type(__class__=_) if value is Ellipsis:
            return "..."
    if value is Ellipsis:
        return "..."
    raise Unwritable


def annotation(tensor: torch.Tensor) -> str:
    kind = (
        "Bool" if tensor.dtype == torch.bool
        else "Complex" if tensor.is_complex()
        else "Float" if tensor.is_floating_point()
        else "Int"
    )  # fmt: skip
    return f'{kind}[Tensor, "{" ".join(map(str, tensor.shape))}"]'


def written(op: Any, number: int, sample: Any) -> Written:
    """Raises Unwritable."""
    called = public(op.name)
    if not called:
        raise Unwritable
    tensors: list[torch.Tensor] = []
    args = [sample.input, *sample.args]
    kwargs = {k: v for k, v in sample.kwargs.items() if k not in ("device", "out", "generator")}
    if "out" in sample.kwargs:
        raise Unwritable
    texts = [literal(a, tensors) for a in args]
    named = [f"{k}={literal(v, tensors)}" for k, v in kwargs.items()]
    method = called.removeprefix("Tensor.")
    if method == "__getitem__":
        call = f"{texts[0]}[{texts[1]}]"
    elif called.startswith("Tensor."):
        call = f"{texts[0]}.{method}({', '.join([*texts[1:], *named])})"
    else:
        call = f"{called}({', '.join([*texts, *named])})"
    parameters = ", ".join(f"x{i}: {annotation(t)}" for i, t in enumerate(tensors))
    text = f"def f{number}({parameters}):\n    y = {call}\n    return y\n"
    names = {f"x{i}": t.detach().clone() for i, t in enumerate(tensors)}
    scope = {"torch": torch, **names}
    try:
        with torch.no_grad():
            result = eval(call, scope)
    except Exception as error:
        return Written(text, error=str(error) or type(error).__name__)
    try:
        wrapped = op.op(*args, **sample.kwargs)
    except Exception:
        raise Unwritable from None
    if _shapes(result) != _shapes(wrapped):  # the database wraps the op in something else
        raise Unwritable
    return Written(text, result)


def depends_on_values(text: str, shapes: dict[str, torch.Tensor]) -> bool:
    """Does torch, given the shapes alone, say that the result's depends on the values?"""
    with FakeTensorMode() as mode:
        scope = {"torch": torch, **{k: mode.from_tensor(v) for k, v in shapes.items()}}
        try:
            eval(text, scope)
        except DynamicOutputShapeException:
            return True
        except Exception:
            return False
    return False


# ------------------------------------------------------------------- comparing


def compared(ours: Value, theirs: Any, dynamic: bool) -> str:
    match ours, theirs:
        case _, None | bool() | int() | float() | complex() | str() | torch.dtype() | torch.Size():
            return WRONG if isinstance(ours, Tensor) and ours.axes else RIGHT
        case Unknown(), _:
            return UNKNOWN
        case Tensor(), torch.Tensor():
            return _shape(ours, list(theirs.shape), dynamic)
        case (Items(items=items), list() | tuple()) | (Mapping(items=items), list() | tuple()):
            values = [v[1] for v in items] if isinstance(ours, Mapping) else list(items)
            if len(values) != len(theirs):
                return WRONG
            return _worst(compared(v, t, dynamic) for v, t in zip(values, theirs))
        case Many(item=item, length=length), list() | tuple():
            if isinstance(length, int) and length != len(theirs):
                return WRONG
            inner = _worst(compared(item, t, dynamic) for t in theirs)
            return UNKNOWN if length is None and inner == RIGHT else inner
        case Tensor(), list() | tuple():
            return UNKNOWN if ours.rank is None else WRONG
        case _:
            return UNKNOWN


def _shape(ours: Tensor, theirs: list[int], dynamic: bool) -> str:
    shape = ours.shape
    if isinstance(shape, Partial):
        return WRONG if shape.min_rank > len(theirs) else UNKNOWN
    if len(shape) != len(theirs):
        return WRONG
    sizes = [a.size for a in shape]
    if any(isinstance(s, int) and s != t for s, t in zip(sizes, theirs)):
        return WRONG
    return RIGHT if dynamic or all(isinstance(s, int) for s in sizes) else UNKNOWN


def _worst(verdicts: Iterator[str]) -> str:
    found = set(verdicts)
    return WRONG if WRONG in found else UNKNOWN if UNKNOWN in found else RIGHT


# -------------------------------------------------------------------- judging


def judge(op: Any, most: int) -> Tally:
    """What the linter says of one op's samples and error inputs."""
    tally = Tally()
    dtypes = op.supported_dtypes("cpu")
    dtype = torch.float32 if torch.float32 in dtypes else sorted(dtypes, key=str)[0] if dtypes else torch.float32
    good, bad = [], []
    for number, sample in enumerate(_some(lambda: op.sample_inputs("cpu", dtype, requires_grad=False), most)):
        try:
            made = written(op, number, sample)
        except Unwritable:
            continue
        if not made.error:
            good.append(made)
    for number, wrong in enumerate(_some(lambda: op.error_inputs("cpu"), most) if op.error_inputs_func else []):
        try:
            made = written(op, number, wrong.sample_input)
        except Unwritable:
            continue
        if made.error and ABOUT_SIZES.search(made.error) and not NOT_SIZES.search(made.error):
            bad.append(made)
    _judge_good(op, good, tally)
    _judge_bad(bad, tally)
    return tally


def _some(samples: Any, most: int) -> list[Any]:
    """The first of them; where the database itself fails, those until then."""
    found: list[Any] = []
    try:
        for sample in samples():
            found.append(sample)
            if len(found) >= most:
                break
    except Exception as error:
        print(f"  the database fails: {type(error).__name__}: {str(error)[:80]}")
    return found


def _judge_good(op: Any, good: list[Written], tally: Tally) -> None:
    text = HEAD + "".join(g.text for g in good)
    program = parse(text.encode(), "/op_db.py")
    places = spans(program)
    rows = _rows(text)
    values: dict[int, list[Value]] = {}
    for fact in analyze(program, Project(parse, (Unreadable,))).of(Assigned):
        if fact.name == "y":
            values.setdefault(rows[places.span(fact.site.node).row], []).append(fact.value)
    crashes = _crashes(text, rows)
    for number, sample in enumerate(good):
        got = values.get(number) or [Unknown()]
        verdict = _worst(compared(v, sample.result, False) for v in got)
        if verdict == UNKNOWN and _is_dynamic(sample):
            verdict = _worst(compared(v, sample.result, True) for v in got)
        tally.verdicts[verdict] += 1
        if verdict != RIGHT:
            tally.shown.setdefault(verdict, []).append(
                f"{sample.text.strip()}\n    torch: {_shapes(sample.result)}; here: {got[0]}"
            )
        if number in crashes:
            tally.false_crashes.append(f"{sample.text.strip()}\n    {crashes[number]}")


def _is_dynamic(sample: Written) -> bool:
    head, body = sample.text.split("\n")[:2]
    kinds = {"Bool": torch.bool, "Complex": torch.complex64, "Float": torch.float32, "Int": torch.int64}
    shapes = {
        n: torch.zeros([int(s) for s in sizes.split()], dtype=kinds[kind])
        for n, kind, sizes in re.findall(r'(x\d+): (\w+)\[Tensor, "([\d ]*)"\]', head)
    }
    return depends_on_values(body.strip().removeprefix("y = "), shapes)


def _judge_bad(bad: list[Written], tally: Tally) -> None:
    text = HEAD + "".join(b.text for b in bad)
    crashes = _crashes(text, _rows(text)) if bad else {}
    tally.refused, tally.flagged = len(bad), len(crashes)
    for number, sample in enumerate(bad):
        if number not in crashes:
            tally.shown.setdefault("missed", []).append(f"{sample.text.strip()}\n    torch: {sample.error[:200]}")


def _rows(text: str) -> dict[int, int]:
    """Row -> which function it belongs to."""
    found: dict[int, int] = {}
    number = -1
    for row, line in enumerate(text.split("\n"), 1):
        number += line.startswith("def ")
        found[row] = number
    return found


_CHECK = make_check(Options(Path.cwd(), select=("SC9",), limit=120))


def _crashes(text: str, rows: dict[int, int]) -> dict[int, str]:
    result = _CHECK("/op_db.py", text.encode())
    for problem in result.problems:
        print(f"  {problem.message}")
    return {rows[d.location.row]: f"{d.code} {d.message}" for d in result.diagnostics}


def _shapes(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return str(list(value.shape))
    return f"({', '.join(map(_shapes, value))})" if isinstance(value, list | tuple) else repr(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ops", nargs="*", default=())
    parser.add_argument("--samples", type=int, default=30)
    parser.add_argument("--show", nargs="*", default=(), choices=[WRONG, UNKNOWN, "missed", "false"])
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    verdicts: Counter[str] = Counter()
    names: dict[str, list[str]] = {}
    samples: Counter[str] = Counter()
    refused = flagged = false = 0
    for op in op_db:
        if given.ops and op.name not in given.ops:
            continue
        full = f"{op.name}{'.' + op.variant_test_name if op.variant_test_name else ''}"
        tally = judge(op, given.samples)
        verdicts[tally.verdict] += 1
        names.setdefault(tally.verdict, []).append(full)
        samples.update(tally.verdicts)
        refused, flagged, false = refused + tally.refused, flagged + tally.flagged, false + len(tally.false_crashes)
        shown = {**tally.shown, "false": tally.false_crashes}
        for kind in given.show:
            for text in shown.get(kind, ())[:3]:
                print(f"[{kind}] {full}: {text}", flush=True)
    for verdict, found in names.items():
        if verdict != RIGHT:
            print(f"{verdict} ({len(found)}): {' '.join(found)}")
    print(f"ops: {dict(verdicts)} of {sum(verdicts.values())}; samples: {dict(samples)}")
    print(f"false crashes: {false}; error inputs about sizes and dims flagged: {flagged} of {refused}")


if __name__ == "__main__":
    main()
