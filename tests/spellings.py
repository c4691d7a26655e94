"""Files written in other words: operators as functions, functions as methods, keywords by position, layers as functions.

What is rewritten is what the interpreter saw: each call of an op in a file is written anew under another public name of
the same op. Rows stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from shapecheck.engine import analyze
from shapecheck.engine.facts import Called
from shapecheck.engine.values import Items, Layer, Lit, Num, Tensor
from shapecheck.ops import LAYERS, REGISTRY
from shapecheck.source.imports import Project
from shapecheck.source.lower import parse
from shapecheck.source.positions import Positions, spans
from shapecheck.source.program import Attr, Call, Name, Node, Op, Program

Span = tuple[int, int]
Template = list["str | Span"]  # what stands in the place of a node: new text, and the nodes that are kept
Writer = Callable[[Called, "Source"], "Template | None"]


class Source:
    """The text of a file and where its nodes stand."""

    def __init__(self, program: Program) -> None:
        self.text: str = program.text
        self._positions: Positions = spans(program)

    def span(self, node: Node) -> Span:
        return self._positions.offsets(node)

    def of(self, node: Node) -> str:
        start, end = self.span(node)
        return self.text[start:end]


def rewritten(path: Path, text: bytes, writers: tuple[Writer, ...], project: Project) -> tuple[bytes, int]:
    """The file in other words, and how many places that changed. `project`: the one that the file is checked in."""
    program = parse(text, str(path))
    source = Source(program)
    seen: dict[int, list[Called]] = {}
    for fact in analyze(program, project).of(Called):
        if fact.site.path == str(path):
            seen.setdefault(id(fact.site.node), []).append(fact)
    sites: dict[Span, Template] = {}
    for facts in seen.values():
        span = source.span(facts[0].site.node)
        if len({f.name for f in facts}) > 1 or span in sites:
            continue
        for write in writers:
            found = [write(f, source) for f in facts]
            if found[0] is not None and all(t == found[0] for t in found) and _keeps_rows(source.text, span, found[0]):
                sites[span] = found[0]
                break
    return _render(source.text, (0, len(source.text)), sites, whole=True).encode(), len(sites)


def _keeps_rows(text: str, span: Span, template: Template) -> bool:
    """Do all line breaks and comments of the place stand inside the nodes that are kept, each once?"""
    kept = [text[p[0] : p[1]] for p in template if not isinstance(p, str)]
    whole = text[span[0] : span[1]]
    return all(whole.count(mark) == sum(k.count(mark) for k in kept) for mark in ("\n", "#"))


def _render(text: str, span: Span, sites: dict[Span, Template], *, whole: bool = False) -> str:
    if span in sites and not whole:
        return "".join(p if isinstance(p, str) else _render(text, p, sites) for p in sites[span])
    out, at = [], span[0]
    for site in sorted(sites, key=lambda s: (s[0], -s[1])):
        if site != span and at <= site[0] and site[1] <= span[1]:
            out += [text[at : site[0]], _render(text, site, sites)]
            at = site[1]
    return "".join([*out, text[at : span[1]]])


# --------------------------------------------------------------------- writers


def _kept(node: Node, source: Source) -> Template:
    """The node as it is, in the brackets that a tuple or an operator needs."""
    bare = isinstance(node, Name | Attr | Call)
    return [source.span(node)] if bare else ["(", source.span(node), ")"]


def _arguments(call: Call, source: Source, skip: int = 0) -> Template | None:
    """The arguments as written, from the given one on."""
    parts: Template = []
    for arg in call.args[skip:]:
        if arg.star:
            return None
        parts += [", " if parts else "", f"{arg.keyword}=" if arg.keyword else "", *_kept(arg.value, source)]
    return parts


def _method(fact: Called) -> tuple[Call, Node] | None:
    """The call and its receiver, of `x.sum(1)`."""
    node = fact.site.node
    if fact.name.startswith("Tensor.") and isinstance(node, Call) and isinstance(node.func, Attr):
        return node, node.func.value
    return None


def _function(fact: Called) -> Call | None:
    """The call, of `torch.sum(x, 1)`."""
    node = fact.site.node
    by_name = fact.name.startswith("torch.") and fact.args.get("self") is None and fact.name in REGISTRY
    return node if by_name and isinstance(node, Call) else None


def method_to_function(fact: Called, source: Source) -> Template | None:
    """`x.sum(1)` as `torch.sum(x, 1)`."""
    found = _method(fact)
    if found is None or not _same_op(fact, public := "torch." + fact.name.removeprefix("Tensor.")):
        return None
    arguments = _arguments(found[0], source)
    if arguments is None:
        return None
    return [f"{public}(", *_kept(found[1], source), ", " if arguments else "", *arguments, ")"]


def function_to_method(fact: Called, source: Source) -> Template | None:
    """`torch.sum(x, 1)` as `x.sum(1)`."""
    call, last = _function(fact), fact.name.rpartition(".")[2]
    if call is None or not _same_op(fact, f"Tensor.{last}") or not call.args or call.args[0].keyword:
        return None
    if not isinstance(fact.arg("input"), Tensor) or call.args[0].star:
        return None
    arguments = _arguments(call, source, 1)
    return None if arguments is None else ["(", source.span(call.args[0].value), f").{last}(", *arguments, ")"]


def operator_to_function(fact: Called, source: Source) -> Template | None:
    """`a - b` as `torch.sub(a, b)`."""
    node = fact.site.node
    if not isinstance(node, Op) or not fact.name.startswith("operator.") or len(node.operands) > 2:
        return None
    if not _same_op(fact, public := f"torch.{fact.key}") or not isinstance(fact.arg("input"), Tensor):
        return None
    first, *rest = (source.span(operand) for operand in node.operands)
    return [f"{public}(", first, *(part for operand in rest for part in (", ", operand)), ")"]


def operator_to_method(fact: Called, source: Source) -> Template | None:
    """`a - b` as `a.sub(b)`."""
    node = fact.site.node
    if not isinstance(node, Op) or not fact.name.startswith("operator.") or len(node.operands) > 2:
        return None
    if not _same_op(fact, f"Tensor.{fact.key}") or not isinstance(fact.arg("input"), Tensor):
        return None
    first, *rest = (source.span(operand) for operand in node.operands)
    return ["(", first, f").{fact.key}(", *rest, ")"]


def other_module(fact: Called, source: Source) -> Template | None:
    """`torch.softmax(x, 1)` as `torch.nn.functional.softmax(x, 1)`, and the other way round."""
    call, last = _function(fact), fact.name.rpartition(".")[2]
    there = "torch" if "functional" in fact.name else "torch.nn.functional"
    if call is None or not _same_op(fact, f"{there}.{last}") or (not fact.arg("dim") and "softmax" in last):
        return None
    arguments = _arguments(call, source)
    return None if arguments is None else [f"{there}.{last}(", *arguments, ")"]


SYNONYMS = {
    "sub": "subtract", "mul": "multiply", "div": "true_divide", "neg": "negative", "abs": "absolute",
    "gt": "greater", "ge": "greater_equal", "lt": "less", "le": "less_equal", "ne": "not_equal", "cat": "concat",
    "transpose": "swapaxes", "clamp": "clip", "view": "reshape", "reshape": "view",
}  # fmt: skip


def synonym(fact: Called, source: Source) -> Template | None:
    """`torch.sub` as `torch.subtract`, `x.view` as `x.reshape`, `x.transpose` as `x.swapaxes`."""
    found, call = _method(fact), _function(fact)
    other = SYNONYMS.get(fact.name.rpartition(".")[2])
    if other is None:
        return None
    if found is not None and _same_op(fact, f"Tensor.{other}"):
        arguments = _arguments(found[0], source)
        return None if arguments is None else ["(", source.span(found[1]), f").{other}(", *arguments, ")"]
    if call is not None and _same_op(fact, f"torch.{other}") and not isinstance(call.func, Name):
        arguments = _arguments(call, source)
        return None if arguments is None else [f"torch.{other}(", *arguments, ")"]
    return None


def turned(fact: Called, source: Source) -> Template | None:
    """`x.T` as `x.t()`, `x.t()` as `x.T`, `x.mT` as `x.transpose(-2, -1)`."""
    node = fact.site.node
    rank = fact.args["input"].rank if isinstance(fact.args.get("input"), Tensor) else None
    match fact.name, node:
        case "Tensor.T", Attr(value=value) if rank == 2:
            return ["(", source.span(value), ").t()"]
        case "Tensor.mT", Attr(value=value):
            return ["(", source.span(value), ").transpose(-2, -1)"]
        case "Tensor.t", Call(func=Attr(value=value), args=()):
            return ["(", source.span(value), ").T"]
    return None


def with_keywords(fact: Called, source: Source) -> Template | None:
    """`x.sum(1)` as `x.sum(dim=1)`."""
    found, call = _method(fact), _function(fact)
    node = found[0] if found is not None else call
    spec = REGISTRY.get(fact.name)
    if node is None or spec is None or any(a.star for a in node.args):
        return None
    names = [p for p in spec.parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)][found is not None :]
    out: Template = [source.span(node.func), "("]
    changed = False
    for i, arg in enumerate(node.args):
        out.append(", " if i else "")
        if arg.keyword is None and i >= (found is None):
            if i >= len(names) or names[i].kind is names[i].VAR_POSITIONAL:
                return None
            out.append(f"{names[i].name}=")
            changed = True
        elif arg.keyword:
            out.append(f"{arg.keyword}=")
        out += _kept(arg.value, source)
    return [*out, ")"] if changed else None


def by_position(fact: Called, source: Source) -> Template | None:
    """`x.sum(dim=1, keepdim=True)` as `x.sum(1, True)`."""
    found, call = _method(fact), _function(fact)
    node = found[0] if found is not None else call
    spec = REGISTRY.get(fact.name)
    if node is None or spec is None or any(a.star for a in node.args) or not any(a.keyword for a in node.args):
        return None
    names = [p.name for p in spec.parameters if p.kind is p.POSITIONAL_OR_KEYWORD][found is not None :]
    given = {a.keyword: a for a in node.args if a.keyword}
    plain = [a for a in node.args if not a.keyword]
    for name in names[len(plain) :]:
        if name not in given:
            break
        plain.append(given.pop(name))
    if len(plain) + len(given) != len(node.args) or len(given) == sum(bool(a.keyword) for a in node.args):
        return None
    out: Template = [source.span(node.func), "("]
    for i, arg in enumerate([*plain, *given.values()]):
        named = f"{arg.keyword}=" if arg in given.values() else ""
        out += [", " if i else "", named, *_kept(arg.value, source)]
    return [*out, ")"]


def layer_to_function(fact: Called, source: Source) -> Template | None:
    """`nn.MSELoss()(a, b)` as `torch.nn.functional.mse_loss(a, b)`, of layers without weights or settings but `dim`."""
    layer, node = fact.args.get("self"), fact.site.node
    if not isinstance(layer, Layer) or layer.name not in LAYERS or not isinstance(node, Call):
        return None
    public = f"torch.nn.functional.{fact.key}"
    given = layer.arg("given")
    names = [v.value for v in given.items if isinstance(v, Lit)] if isinstance(given, Items) else ["?"]
    if public not in REGISTRY or fact.spec.key != REGISTRY[public].key or set(names) - {"dim"} or layer.arg("weight"):
        return None
    if layer.arg("in_features") or layer.arg("num_features") or layer.arg("normalized_shape") or layer.arg("p"):
        return None
    dim, arguments = layer.arg("dim"), _arguments(node, source)
    if arguments is None or (dim is not None and not isinstance(dim, Num)):
        return None
    more = "" if not isinstance(dim, Num) else f", dim={dim.size}"
    return [f"{public}(", *arguments, more, ")"]


def _same_op(fact: Called, public: str) -> bool:
    """Is this another name of the op, under which torch takes what was given, in the same order?"""
    spec = REGISTRY.get(public)
    if spec is None or spec.key != fact.key or public == fact.name:
        return False
    theirs, ours = list(spec.parameters), list(fact.spec.parameters)
    needed = {p.name for p in theirs if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    count = len([p for p in ours if p.name in fact.given])
    return needed <= fact.given and [p.name for p in theirs[:count]] == [p.name for p in ours[:count]]


WRITERS: dict[str, tuple[Writer, ...]] = {
    "operators as functions": (operator_to_function,),
    "operators as methods": (operator_to_method,),
    "methods as functions": (method_to_function,),
    "functions as methods": (function_to_method,),
    "torch as F, F as torch": (other_module,),
    "synonyms": (synonym,),
    "x.T as x.t()": (turned,),
    "keywords": (with_keywords,),
    "by position": (by_position,),
    "layers as functions": (layer_to_function,),
}


def files(root: Path) -> Iterator[Path]:
    """Every sample of a rule and every fixture."""
    yield from sorted((root / "rules").glob("*/*d.py"))
    yield from sorted((root / "fixtures").glob("*/*.py"))
