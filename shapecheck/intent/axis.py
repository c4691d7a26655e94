"""One axis as people write it: `2N-1`, `batch size`, `HxW`, `self.dim`, `C_{in}`, `*`."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from shapecheck.dims import spec
from shapecheck.intent.vocabulary import NUMERIC, PLAIN, SPATIAL, SURE, UNKNOWN, WRONG, axis_score

__all__ = ["GLUED", "Item", "read_axis", "short"]

GLUED = re.compile(r"(?:\d*[A-Z][a-z0-9]?|\d+)(?:x(?:\d*[A-Z][a-z0-9]?|\d+))+\Z")  # `HxW`


@dataclass(frozen=True, slots=True)
class Item:
    """One axis: its text in the spec language, how axis-like its words are, and those words."""

    axis: str
    score: int
    names: tuple[str, ...] = ()


def short(item: Item) -> bool:
    return all(len(n) <= 2 for n in item.names)


_WORD = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*'?"
_TOKEN = re.compile(rf"\s*(?:\d+(?![\w.])|\d+(?=[A-Za-z(])|{_WORD}|//|\*\*|[-+*/^·×()])")
_ELLIPSIS = frozenset({"...", "…", "*", "**", "\\*", ".."})
_ANY = frozenset({"-1", "?", "_", "None", "N/A", "-"})
_HYPHENED = re.compile(r"(?<![\w])([a-z]{2,})-([a-z]{2,})(?![\w])")
_LATEX = ((re.compile(r"\\(?:text|mathrm|mathit)\{([^{}]*)\}"), r"\1"), (re.compile(r"_\{([^{}]*)\}"), r"_\1"))


def read_axis(text: str) -> Item | None:
    """Read one axis (`2N-1`, `batch size`, `*`, `self.dim`); None when it is not of that form."""
    text = text.strip().strip("`$").strip()
    if "\\" in text or "_{" in text:
        for pattern, new in _LATEX:
            text = pattern.sub(new, text)
        text = text.replace("\\_", "_").replace("\\times", "*").replace("\\cdot", "*")
    if not text or len(text) > 60:
        return None
    if text in _ELLIPSIS:
        return Item("...", NUMERIC)
    if text in _ANY:
        return Item("_", NUMERIC)
    if text.isdecimal():
        return Item(str(int(text)), NUMERIC) if text == "0" or text[0] != "0" else None
    if text[0] == "*" and text[1:].isidentifier():
        return Item(text, max(axis_score(text[1:]), PLAIN), (text[1:],))
    if GLUED.match(text):
        return _expression(text.replace("x", "*"))
    if text.isidentifier():
        return Item(_name(text), axis_score(text), (text,))
    named = re.fullmatch(r"(\d+|[A-Za-z_]\w*)\s*=\s*(?:\w+|[\w.]+\([^()]*\))", text)
    if named:  # `T=10`: a name for the reader and an example size
        return read_axis(named[1])
    more = re.fullmatch(r"([A-Za-z_]\w*)\([+-]\d[^()]*\)", text)
    if more:  # `num_steps(+1)`: one axis, not always of one size
        return Item("_", axis_score(more[1]), (more[1],))
    return _words(text) or _expression(text)


def _name(word: str) -> str:
    """A name that the spec language takes for a plain one: `_pad` would be an axis without a name."""
    return word.lstrip("_") or "_"


def _words(text: str) -> Item | None:
    """`batch size`, `seq-len`: several words for one axis."""
    words = re.split(r"[\s-]+", text)
    if not 1 < len(words) <= 3 or not all(re.fullmatch(r"[A-Za-z][a-z]+\d?", w) for w in words):
        return None
    scores = [axis_score(w.lower()) for w in words]
    name = "_".join(w.lower() for w in words)
    if WRONG in scores or axis_score(name) < PLAIN:
        return None
    return Item(name if words[-1].lower() in ("size", "dim", "len", "length", "dims", "num") else "_", PLAIN, (name,))


def _expression(text: str) -> Item | None:
    tokens = _tokens(_HYPHENED.sub(r"\1_\2", text.replace("²", "**2").replace("³", "**3")))
    if tokens is None:
        return None
    names = tuple(t for t in tokens if t[0].isalpha() or t[0] == "_")
    if any(len(n) > 1 and n.endswith("_") for n in names):  # `num_*_heads` is a pattern, no product
        return Item("_", UNKNOWN)
    if (not names and "*" not in tokens) or ("/" in tokens and not _divides(tokens)):
        return None
    code = " ".join("//" if t == "/" else _operand(t) for t in tokens)
    try:
        tree = ast.parse(code, mode="eval").body
    except (SyntaxError, ValueError):
        return None
    if any(isinstance(node, ast.Call | ast.Tuple | ast.Attribute) for node in ast.walk(tree)):
        return None
    scores = [axis_score(n.rstrip("'")) if "." not in n else _dotted_score(n) for n in names]
    if not names:  # `64*32`
        return Item(_canonical(code, {}), NUMERIC)
    if min(scores) == WRONG:
        return Item("_", WRONG, names)
    score = SURE if max(scores) >= PLAIN and len(tokens) > 1 else max(scores)
    return Item(_canonical(code, {_operand(n): n for n in names}), score, names)


def _dotted_score(name: str) -> int:
    """`self.dim`, `config.hidden_size`; `torch.Tensor` is a type."""
    head, _, tail = name.rpartition(".")
    if tail[0].isupper() or head in ("torch", "np", "numpy", "nn", "tf", "jnp"):
        return WRONG
    return SURE if head in ("self", "config", "self.config", "cfg", "args", "self.args") else axis_score(tail)


def _tokens(text: str) -> list[str] | None:
    """Operators and operands in turn, with the products that people leave out; None when there is something else."""
    tokens: list[str] = []
    at = 0
    text = text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            return None
        token = match[0].strip()
        after_operand = bool(tokens) and (tokens[-1] == ")" or _is_operand(tokens[-1]))
        if after_operand and token in ("x", "X") and match.end() < len(text):
            token = "*"
        elif after_operand and (token == "(" or _is_operand(token)):
            glued = match[0] == token and (tokens[-1].isdigit() or (tokens[-1] == ")" and token == "("))
            if not glued and not _grouped(tokens):
                return None
            tokens.append("*")
        tokens.append({"^": "**", "·": "*", "×": "*"}.get(token, token))
        at = match.end()
    return tokens


def _is_operand(token: str) -> bool:
    return token[0].isalnum() or token[0] == "_"


def _grouped(tokens: list[str]) -> bool:
    """Within brackets of one's own, einops style: `(b h)` is a product."""
    return tokens.count("(") > tokens.count(")")


def _divides(tokens: list[str]) -> bool:
    """`H/2` divides; `height/width` and `5/15/30` are alternatives."""
    pairs = [(tokens[i - 1], tokens[i + 1]) for i in range(1, len(tokens) - 1) if tokens[i] == "/"]
    return all(b.isdigit() or b == "(" or len(a) == len(b) == 1 or "_" in b or _counted(a, b) for a, b in pairs)


def _counted(a: str, b: str) -> bool:
    """`dim/numheads`."""
    return min(axis_score(a), axis_score(b)) >= PLAIN and not {a, b} <= SPATIAL


def _operand(token: str) -> str:
    if not (token[0].isalpha() or token[0] == "_"):
        return token
    return token.replace(".", "_DOT_").replace("'", "_prime").lstrip("_") or "_"


def _canonical(code: str, words: dict[str, str]) -> str:
    """The expression as the spec language prints it, "_" where it can't; a dotted name is Python, `{self.dim}`."""
    if code.isidentifier() and "_DOT_" not in code:
        return code
    for word, original in words.items():
        if "." in original:
            code = re.sub(rf"\b{word}\b", "{" + original + "}", code)
    try:
        axis = spec.parse(code.replace(" ", "")).axes
    except spec.SpecError:
        return "_"
    return str(axis[0]) if len(axis) == 1 else "_"
