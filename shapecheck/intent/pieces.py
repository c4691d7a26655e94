"""Pieces of text that have the form of a shape: `(B, D)`, `[B x D]`, `(2N)x(2N-1)`, `B B*G`, `NxK`.

Form only: whether such a piece means a shape is for the reader of comments or docstrings to judge, with `likely`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from shapecheck import spec
from shapecheck.intent.vocabulary import BATCH, CONTENT, NUMERIC, PLAIN, SURE, UNKNOWN, WRONG, axis_score

__all__ = ["Item", "Piece", "bare_at", "bracket_at", "brackets", "chain_at", "likely", "piece_at", "read_axis"]


@dataclass(frozen=True, slots=True)
class Item:
    """One axis: its text in the spec language, how axis-like its words are, and those words."""

    axis: str
    score: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """`text[start:end]` read as a list of axes. `form`: "(" "[" (bracketed), "x", "," or " " (bare), by separator."""

    start: int
    end: int
    items: tuple[Item, ...]
    form: str
    trailing_comma: bool = False

    @property
    def axes(self) -> tuple[str, ...]:
        return tuple(item.axis for item in self.items)


# ------------------------------------------------------------------- one axis

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
    if _GLUED.match(text):
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
    return min(axis_score(a), axis_score(b)) >= PLAIN and not {a, b} <= _SPATIAL


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


# ---------------------------------------------------------------- a bracketed

_OPEN = {"(": ")", "[": "]"}
_BY = r"\s+[xX]\s+|\s*×\s*|\s*\\times\s*|(?<=\))[xX](?=[\w(])|(?<=[\dA-Z])x(?=\()"
_TIMES = re.compile(_BY)
_GLUED = re.compile(r"(?:\d*[A-Z][a-z0-9]?|\d+)(?:x(?:\d*[A-Z][a-z0-9]?|\d+))+\Z")


def _closing(text: str, at: int) -> int | None:
    stack = []
    for index in range(at, min(len(text), at + 400)):
        char = text[index]
        if char in _OPEN:
            stack.append(_OPEN[char])
        elif char in ")]":
            if not stack or stack.pop() != char:
                return None
            if not stack:
                return index
    return None


def _split(text: str, separator: str) -> list[str]:
    """Split at `separator` outside brackets and braces."""
    parts, depth, last = [], 0, 0
    for index, char in enumerate(text):
        if char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif char == separator and depth == 0:
            parts.append(text[last:index])
            last = index + 1
    return [*parts, text[last:]]


def _read_all(parts: list[str]) -> tuple[Item, ...] | None:
    items = []
    for part in parts:
        item = read_axis(part)
        if item is None:
            return None
        items.append(item)
    items = _run(items)
    stars = sum(item.axis.startswith(("...", "*")) for item in items)
    return tuple(items) if items and stars <= 1 else None


def _run(items: list[Item]) -> list[Item]:
    """`d_1, d_2, ..., d_K` stands for any number of axes, none included."""
    at = next((i for i, item in enumerate(items) if item.axis == "..."), 0)
    if not 0 < at < len(items) - 1:
        return items
    last = items[at + 1].axis
    first = at
    while first and re.fullmatch(rf"{re.escape(last[0])}_?\w{{1,2}}", items[first - 1].axis):
        first -= 1
    if first == at or not re.fullmatch(r"[A-Za-z]_?\w{1,2}", last):
        return items
    return [*items[:first], items[at], *items[at + 2 :]]


def _inner(text: str) -> tuple[tuple[Item, ...] | None, bool]:
    """The axes between two brackets, and whether a comma ends them."""
    parts = _split(text, ",")
    if len(parts) > 1:
        trailing = not parts[-1].strip()
        return _read_all(parts[:-1] if trailing else parts), trailing
    chain = _split_by(text.strip())
    if len(chain) > 1:
        return _read_all(chain), False
    if len(text.split()) > 1:
        items = _read_spaced(text)
        if items and all(i.score in (SURE, NUMERIC) and _short(i) for i in items):
            return items, False
    item = read_axis(text)
    return ((item,) if item else None), False


_OPERATOR = re.compile(r"(?:^|\s)(?:[-+*/·^]|//|\*\*)(?=\s|$)")


def _read_spaced(text: str) -> tuple[Item, ...] | None:
    """`B B*G`; with an operator between spaces (`B * G`) it is one axis."""
    words = " ".join(text.split())
    return _read_all([words] if _OPERATOR.search(words) else _split(words, " "))


def _split_by(text: str) -> list[str]:
    """The factors of `B x (C x D)`, `NxK`: outside brackets."""
    if _GLUED.match(text):
        return text.split("x")
    masked = re.sub(r"\([^()]*\)", lambda m: "(" + "_" * (len(m[0]) - 2) + ")", text)
    cuts = [0, *(at for m in _TIMES.finditer(masked) for at in m.span()), len(text)]
    return [text[a:b] for a, b in zip(cuts[::2], cuts[1::2])]


def _short(item: Item) -> bool:
    return all(len(n) <= 2 for n in item.names)


def bracket_at(text: str, at: int) -> Piece | None:
    """The piece between the bracket at `at` and the one that closes it."""
    end = _closing(text, at)
    if end is None:
        return None
    chain = re.compile(r"\s*(?:x|×)\s*(?=[\w(])(?![xX]\b)").match(text, end + 1)
    if text[at] == "(" and chain and (piece := chain_at(text, at)):
        return piece
    items, trailing = _inner(text[at + 1 : end])
    return Piece(at, end + 1, items, text[at], trailing) if items else None


def brackets(text: str) -> Iterator[Piece]:
    """Every bracketed piece of the text from left to right, outermost first; calls (`f(B, D)`) are not pieces."""
    at = 0
    while at < len(text):
        if text[at] in _OPEN and not (at and (text[at - 1].isalnum() or text[at - 1] in "_)]")):
            piece = bracket_at(text, at)
            if piece is not None:
                yield piece
                at = piece.end
                continue
        at += 1


# ---------------------------------------------------------------------- bare

_FACTOR = r"(?:\([^()]*\)|\d*[A-Za-z_][\w.]*'?(?:\s+[*+]\s*[\w.]+|[*+]\s+[\w.]+|[-*+/]+[\w.]+)*|\d+)"
_CHAIN = re.compile(rf"{_FACTOR}(?:(?:{_BY}){_FACTOR})+(?![\w(])")
_STOP = re.compile(r"\s*(?:$|[;|#]|\s\(|\s-\s|\s--|\s—|,\s*\w+\s*[:=]|,\s+(?:result|out|output)\b)")


def chain_at(text: str, at: int) -> Piece | None:
    """`n1 x D`, `(2N)x(2N-1)`."""
    match = _CHAIN.match(text, at)
    if match is None:
        return None
    items = _read_all(_split_by(match[0]))
    return Piece(at, match.end(), items, "x") if items else None


def bare_at(text: str, at: int) -> Piece | None:
    """A list of axes without brackets; commas and spaces must reach to the end of the clause."""
    piece = chain_at(text, at)
    if piece is not None:
        return piece
    word = re.compile(r"\S+").match(text, at)
    if word and _GLUED.match(word[0]) and (items := _read_all(word[0].split("x"))):
        return Piece(at, word.end(), items, "x")
    stop = _STOP.search(text, at)
    end = stop.start() if stop else len(text)
    clause = text[at:end]
    if "," in clause:
        items, form = _read_all(_split(re.sub(r"(?<![.\s])\.?[\s,]*\Z", "", clause), ",")), ","
    else:
        items, form = _read_spaced(clause), " "
    return Piece(at, end, items, form) if items else None


def piece_at(text: str, at: int) -> Piece | None:
    """The piece that starts exactly at `at`, bracketed or bare."""
    if at >= len(text):
        return None
    twice = re.compile(r"\(\s*(?=[(\[])").match(text, at)
    end = _closing(text, at) if twice else None
    inner = bracket_at(text, twice.end()) if twice else None
    if end is not None and inner is not None and not text[inner.end : end].strip(" ,"):  # torch.Size([B, D])
        return replace(inner, end=end + 1)
    return bracket_at(text, at) or bare_at(text, at) if text[at] in _OPEN else bare_at(text, at)


# --------------------------------------------------------------------- judged

_COLOURS = ({"R", "G", "B"}, {"q", "k", "v"}, {"Q", "K", "V"}, {"k", "v"}, {"K", "V"})
_SPATIAL = frozenset(["h", "w", "t", "c", "d", "height", "width", "depth", "time"])


def likely(piece: Piece, trusted: bool) -> bool | None:
    """Is the piece a shape? True: surely; False: perhaps; None: no. `trusted`: a word such as "shape" led to it."""
    scores = [item.score for item in piece.items if item.names]
    names = {name for item in piece.items for name in item.names}
    if WRONG in scores or names in _COLOURS or (not trusted and _ends(piece)):
        return None
    if not scores:
        return _numbers(piece, trusted)
    if any(item.axis == "0" for item in piece.items):  # an interval
        return None
    if trusted and piece.form != " ":
        return True if max(scores) > CONTENT else None
    best, known = max(scores), sum(s >= PLAIN for s in scores)
    if piece.form in ("(", "[") and len(piece.items) == 1 and piece.items[0].axis != "...":
        return _single(piece, best)
    match piece.form:
        case " ":
            return _spaced(piece)
        case ",":
            if known < len(scores) or (best < SURE and not (len(scores) > 2 and all(len(n) == 1 for n in names))):
                return None
    if len(piece.items) < 2 or known == 0:
        return None
    if names <= _SPATIAL or (names == {"H", "W"} and len(piece.items) == 2):
        return False
    if piece.form in ("(", "[") and min(scores) > CONTENT and BATCH.intersection(piece.items[0].names):
        return True
    unknown = len(scores) - known
    if best == SURE:
        return unknown <= known
    return True if unknown == 0 and all(n.islower() for n in names) else None if unknown else False


def _numbers(piece: Piece, trusted: bool) -> bool | None:
    sizes = [item.axis for item in piece.items]
    if "0" in sizes and not trusted:
        return None
    if ("_" in sizes and not trusted) or all(size == "..." for size in sizes):
        return None
    if len(sizes) == 1 and not piece.trailing_comma and piece.form == "(":  # "(1) first"
        return None
    if trusted:
        return True
    return False if piece.form in ("(", "[") and len(sizes) > 1 else None


_ENDS = frozenset({"min max", "start end", "left right", "low high", "first last", "top bottom", "lower upper"})


def _ends(piece: Piece) -> bool:
    """`[min_std, max_std]`: the two ends of something, not two axes."""
    if len(piece.items) != 2 or not all(item.names for item in piece.items):
        return False
    (first, *stem), (last, *other) = (item.names[0].split("_") for item in piece.items)
    return stem == other and f"{first} {last}" in _ENDS


_RANK = re.compile(r"\d[*-][dD]\Z")  # "2D", "3-D"


def _single(piece: Piece, best: int) -> bool | None:
    item = piece.items[0]
    if best < PLAIN or _RANK.match(item.axis):
        return None
    if piece.trailing_comma:
        return True
    if best < SURE:
        return None
    if item.axis not in item.names:  # an expression: `(2*N)`
        return piece.form == "[" or not item.axis[0].isidentifier()
    return piece.form == "["


def _spaced(piece: Piece) -> bool | None:
    """`B B*G` of capitals, `b n d` of letters that begin with a batch."""
    names = [name for item in piece.items for name in item.names]
    if not all(item.score in (SURE, PLAIN, NUMERIC) and _short(item) for item in piece.items):
        return None
    if all(name[0].isupper() for name in names):
        if len(piece.items) == 1:
            return False if piece.items[0].score == SURE and not _RANK.match(piece.items[0].axis) else None
        return max(item.score for item in piece.items) == SURE
    if len(piece.items) < 2 or not all(name.islower() for name in names) or names[0] not in BATCH:
        return None
    return True
