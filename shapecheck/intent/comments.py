"""Shapes in comments: `# B G`, `# q: [B, D], p: [B, G, D]`, `# (B, D) -> (B, 1, D)`, `# shape: (batch_size, dim)`.

Comments are prose that sometimes is a shape, so the whole of a comment must read as one: what leads to the piece and
what follows it are looked at as closely as the piece itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from shapecheck.dims import spec
from shapecheck.intent.likely import likely
from shapecheck.intent.pieces import Piece, brackets, piece_at
from shapecheck.intent.vocabulary import DTYPES, LAYOUT_LETTERS, words
from shapecheck.intent.written import RETURN, Written

__all__ = ["from_comment", "written"]

_DIRECTIVE = re.compile(
    r"\s*(?:!|%%|noqa|type:|pylint|pragma|fmt:|isort:|mypy:|pyright:|ruff:|nosec|todo\b|fixme\b|xxx\b|hack\b|region|"
    r"endregion|https?:|from https?:|>>>|see\b|cf\.|e\.g|i\.e|\w+\s*=\s*[\w.]+\(|(?:assert|return|print|if|for|while|"
    r"def|class|import|from|with|raise|del|elif|else)\b(?!\s*:))",
    re.IGNORECASE,
)
_ARROW = re.compile(r"\s*(?:-{1,2}>|={1,2}>|→|⇒|⟶|➔|(?<=[)\]])\s+to(?=\s+[(\[]))\s*")
_NAME = r"[A-Za-z_][\w.]*"
_LABEL = re.compile(rf"`?({_NAME})`?((?:\s*(?:,|&|/|and)\s*`?{_NAME}`?)*)\s*(?::|=(?!=))\s*")
_SHAPE_WORD = r"(?:shapes?|sizes?|torch\.Size|torch\.shape|(?:torch\.)?[A-Z]?[a-z]*Tensor|tensors?)"
_NEUTRAL = (
    r"(?:the|an?|of|with|in|is|are|has|have|having|now|new|final|outputs?|out|results?|resulting|returns?|gives|will|"
    r"be|becomes|to|as|reshaped?|viewed|flattened|expanded|float|long|bool|int|integer|boolean|[1-6]-?[dD]|"
    r"size|torch\.Size|torch\.shape|shapes?)"
)
_LEAD = re.compile(rf"(?:(?:{_NEUTRAL}|{_SHAPE_WORD})(?![\w.])\s*|(?::|==?|~)\s*)*", re.IGNORECASE)
_TRUST = re.compile(rf"(?<![\w.]){_SHAPE_WORD}(?![\w])", re.IGNORECASE)
_SHAPED = re.compile(  # `q, k with shape ...`, `mask shape ...`
    rf"`?({_NAME})`?((?:\s*(?:,|&|/|and)\s*`?{_NAME}`?)*)(?:'s)?\s+(?:is\s+|are\s+)?(?:(?:with|of|has|have|in|having)\s+)?(?=shapes?\b)"
)
_OWN = words(
    "shape size out output outputs result results returns return res ret reshape reshaped permute transpose "
    "view unsqueeze squeeze flatten now becomes after dim dims final"
)
_NO_SUBJECT = words(  # `range: [0, 1]`, `axes: (0, 1)`
    "range ranges value values axes axis order slice grid kernel stride strides padding dtype device default defaults "
    "choices crop args index indices idx perm e.g example examples note"
)
# After the piece: words that make it one of several, or make it the parts of something else.
_ALTERNATIVE = re.compile(
    r"\s*,?\s*(?:or\b(?! None\b)|if\b|when\b|unless\b|otherwise\b|else\b|vs\b|versus\b|in case|for (?:\w+ )?mode|"
    r"during\b|\||/|@|\*|\+|-\s|&|%|\^|<|>|=|x\b|×|\.shape|\.|\(if|\(or|\(when)"
)
_CONTAINER = re.compile(
    r"\b(?:tuples?|pairs?|triples?|triplets?|lists?|dicts?|dictionary|namedtuple|keys|coordinates?|coords|items)\b|"
    r"^\W*(?:(?:for )?each|mapping|map of)\b|\beach\W*\Z",
    re.IGNORECASE,
)
_ENDS = re.compile(r"\s*(?:shapes?|tensors?)?[\s.;]*\Z", re.IGNORECASE)
_VALUES = re.compile(
    r"\b(?:in|values?|range|between|from|interval|dims?|axes|axis|index|indices|order|idx)\s*[:=]?\s*\Z", re.IGNORECASE
)


def from_comment(text: str, targets: Sequence[str], above: bool = False) -> list[Written]:
    """The shapes in the comment of a statement that binds `targets`.

    `text` has no "#". `above`: the comment stands on lines of its own before the statement; a list alone may then
    speak of what went before, and is certain only with an arrow or with a name of `targets`.
    """
    lines = text.split("\n")
    found: list[Written] = []
    column = 0
    for line in lines:
        for offset, part in _parts(line):
            alone = len(lines) == 1  # one of several lines tells of a step on the way
            for item in _one(part, () if above else targets):
                if above:
                    item = _above(item, part, targets, alone)
                found.append(replace(item, column=item.column + offset + column))
        column += len(line) + 1
    return [item for item in found if all(item.axes == other.axes for other in found if _same(item, other))]


def _parts(line: str) -> list[tuple[int, str]]:
    """A comment within a comment (`# noqa  # (B, D)`) is read on its own; directives are left out."""
    parts, at = [], 0
    for piece in re.split(r"(#+)", line):
        if piece.strip("# \t") and not _DIRECTIVE.match(piece):
            indent = len(piece) - len(piece.lstrip(" \t:"))
            parts.append((at + indent, piece.strip().lstrip(":").strip()))
        at += len(piece)
    return [] if len(line) > 400 or any(_GOES_ON.search(part) for _, part in parts) else parts


def _same(one: Written, other: Written) -> bool:
    """Do both speak of one thing? Then they are alternatives, `a: [N, C]` in one case and `a: [N]` in another."""
    return one.subject == other.subject and (one.subject is not None or one.certain == other.certain)


_RESULT = re.compile(r"\b(?:results?|outputs?|returns?)\s*\Z", re.IGNORECASE)


def _above(item: Written, part: str, targets: Sequence[str], alone: bool) -> Written:
    """A record of a comment above: it is certain by a target's name, or as the end of an arrow that stands alone."""
    if item.subject is None and "result" in targets and _RESULT.search(part[: item.column]):
        item = replace(item, subject="result")
    if item.subject is not None and item.subject in targets:
        sure = item.certain and alone and not all(axis.isdigit() for axis in item.axes)
        return replace(item, subject=None if len(targets) == 1 else item.subject, certain=sure)
    mine = item.subject is None and alone and len(targets) == 1
    arrow = mine and len(_ARROW.findall(part)) == 1  # with more of them it tells of several steps
    beside = mine and (item.certain or item.beside) and not arrow
    return replace(item, certain=item.certain and arrow, beside=beside)


_UNPACKING = re.compile(r"=\s*[\w.\[\]]+\.(?:shape|size\(\))")  # code that was commented out
_GOES_ON = re.compile(r"\bor\s*\Z")  # `(B, T, D) or # (N, B, T, D)`


def _one(text: str, targets: Sequence[str]) -> list[Written]:
    if "http" in text or "::" in text or _UNPACKING.search(text):
        return []
    arrows = list(_ARROW.finditer(text))
    if arrows:
        return _arrow(text, arrows, targets)
    found = _segments(text, targets)
    if found is None:
        found = _inside(text, targets)
    return found


# --------------------------------------------------------------------- arrows


def _arrow(text: str, arrows: list[re.Match[str]], targets: Sequence[str]) -> list[Written]:
    """`(B, D) -> (B, 1, D)`: the last one is the result, and all before it must be shapes too."""
    label = _LABEL.match(text)
    start = label.end() if label and label.end() <= arrows[0].start() else 0
    subject = _subject(label[1], targets) if label and start else None
    sides = [text[a:b] for a, b in zip([start, *(m.end() for m in arrows)], [*(m.start() for m in arrows), len(text)])]
    if not all(_operands(side) for side in sides[:-1] if side.strip()):
        return _layouts(text, sides, start, targets)
    at = arrows[-1].end()
    lead = _LEAD.match(text, at)
    begin = lead.end() if lead else at
    piece = piece_at(text, begin)
    if piece is None or not _tail_allows(text, piece):
        return _layouts(text, sides, start, targets)
    alone = not any(side.strip() for side in sides[:-1])
    sure = likely(piece, trusted=False)
    if not sure and not alone and piece.form in ("(", "["):
        sure = likely(piece, trusted=True) and any(c.isupper() for c in text[piece.start : piece.end])
    if not sure and not (alone and sure is False):
        return []
    return _records([(subject, piece, bool(sure))], text, targets)


def _operands(side: str) -> bool:
    """Is the left side of an arrow made of shapes and operators only?"""
    at = _LEAD.match(side).end() if _LEAD.match(side) else 0  # type: ignore[union-attr]
    count = 0
    while at < len(side):
        skip = re.compile(r"[\s,@*+&x×]*(?:and\b)?\s*").match(side, at)
        at = skip.end() if skip else at
        if at >= len(side):
            break
        piece = piece_at(side, at)
        if piece is None or likely(piece, trusted=piece.form in ("(", "[")) is None:
            return False
        at = piece.end
        count += 1
    return count > 0


_LAYOUT = re.compile(r"(?:[A-Z]|\([A-Z]{2,3}\)){2,6}")


def _layouts(text: str, sides: list[str], start: int, targets: Sequence[str]) -> list[Written]:
    """`LND -> NLD`, `BCHW -> BNC`: words of axis letters on both sides; `N(HW)C` joins two axes."""
    told = [side.strip() for side in sides]
    letters = [re.findall(r"[A-Z]", side) for side in told]
    if len(told) < 2 or start or len(targets) > 1 or not all(map(_LAYOUT.fullmatch, told)):
        return []
    if not all(len(set(word)) == len(word) and LAYOUT_LETTERS.issuperset(word) for word in letters):
        return []
    if not set(letters[-1]) & set(letters[0]):
        return []
    axes = tuple("*".join(axis.strip("()")) for axis in re.findall(r"\([A-Z]+\)|[A-Z]", told[-1]))
    return [Written(None, axes, told[-1], True, None, text.rindex(told[-1]))]


# ------------------------------------------------------------------- segments

_Found = tuple["str | None", Piece, bool]


def _segments(text: str, targets: Sequence[str]) -> list[Written] | None:
    """A comment that is nothing but shapes, labelled or not, and perhaps a remark after them."""
    found: list[_Found] = []
    at = 0
    while at < len(text):
        gap = re.compile(r"[\s,;|]*(?:and\s+|&\s*)?").match(text, at)
        begin = gap.end() if gap else at
        if found and "|" in text[at:begin] and not _LABEL.match(text, begin):
            return []
        if found and (not text[at:begin].strip() or text[begin : begin + 1] in ("=", ":", "")):
            break
        subjects, lead_end, trusted = _label(text, begin, targets)
        piece = piece_at(text, lead_end)
        if piece is None:
            break
        bracketed, labelled = piece.form in ("(", "["), subjects != [None]
        sure = likely(piece, trusted or (labelled and bracketed))
        if sure is None:
            break
        if not found and begin == lead_end and bracketed and not trusted and _label_like(text, piece):
            return []
        if labelled and not trusted and likely(piece, False) is None:
            sure = False
        if labelled and "=" in text[begin:lead_end] and not trusted and not likely(piece, False):
            return []
        found += [(subject, piece, sure) for subject in subjects]
        at = piece.end
        if _dtype(text, at)[1]:
            at = _dtype(text, at)[1]
    if not found:
        return None
    last = found[-1][1]
    if not _tail_allows(text, last):
        return []
    return _records(found, text, targets)


def _label_like(text: str, piece: Piece) -> bool:
    """`(a) first case`, `(B) second case`: the letter of a list, not an axis."""
    rest = text[piece.end :]
    alone = len(piece.items) == 1 and not piece.trailing_comma and piece.form == "("
    return alone and bool(rest.strip()) and _dtype(rest, 0)[0] is None


def _label(text: str, at: int, targets: Sequence[str]) -> tuple[list[str | None], int, bool]:
    """The names before a piece, where the piece begins, and whether a shape word stands between."""
    match = _LABEL.match(text, at)
    subjects: list[str | None] = [None]
    end = at
    if match and match[1].lower() in _NO_SUBJECT:
        return subjects, len(text), False
    if match and not _TRUST.fullmatch(match[1].lower()):
        names = [match[1], *re.findall(_NAME, re.sub(r"\band\b", ",", match[2]))]
        subjects = [_subject(name, targets) for name in names]
        end = match.end()
    else:
        match = _SHAPED.match(text, at)
        names = [match[1], *re.findall(_NAME, re.sub(r"\band\b", ",", match[2]))] if match else []
        if match and all(name in targets or "_" in name for name in names):
            subjects, end = [_subject(name, targets) for name in names], match.end()
    lead = _LEAD.match(text, end)
    stop = lead.end() if lead else end
    of = re.compile(rf"`?({_NAME})`?\s*(?:is|=|:)\s*(?=[\[(])").match(text, stop)
    if of and re.search(r"shapes? of\s*\Z", text[end:stop]):
        return [_subject(of[1], targets)], of.end(), True
    return subjects, stop, bool(_TRUST.search(text[end:stop]))


def _subject(name: str, targets: Sequence[str]) -> str | None:
    """The name that a label speaks of; None is the target, also for `queries: NxC` after `q = ...`."""
    name = name.removesuffix(".shape")
    if name.lower() in _OWN:
        return None
    if len(targets) == 1 and targets[0] != RETURN:
        own = targets[0].rpartition(".")[2]
        if name == targets[0] or (len(own) == 1 and name.isalpha() and name.endswith("s") and name[0] == own):
            return None
    return name


def _tail_allows(text: str, piece: Piece) -> bool:
    """Does what follows the last piece leave it alone?"""
    tail = text[piece.end :]
    if _ENDS.match(tail):
        return True
    if tail[:1].isalnum() or tail[:1] in ("_", "[", "(", "'", '"'):
        return False
    _, end = _dtype(tail, 0)
    rest = tail[end:]
    if _ENDS.match(rest):
        return True
    rest = re.split(r"\.\s", rest)[0]
    if re.match(r"\s*=\s*[(\[]\s*\d[\d\s,]*[)\]]\s*\Z", rest) or re.match(r"\.\s", rest):
        rest = "" if "=" in rest[:3] else rest[1:]
    elif _ALTERNATIVE.match(rest):
        return False
    set_off = re.match(r"\s*(?:\(|;|\s-\s|--|—|,\s*\w+\s*[:=])", rest)
    if piece.form not in ("(", "[") and not set_off:
        return False
    if _CONTAINER.search(rest) or _ARROW.search(rest) or re.search(r"\bor\b(?! None\b)|\binstead of\b", rest):
        return False
    return not any(len(other.items) > 1 and likely(other, False) for other in brackets(rest))


def _dtype(text: str, at: int) -> tuple[str | None, int]:
    """A dtype right after the piece (`(B, T) float32`), and where it ends."""
    match = re.compile(r"[\s,]*(?:dtype\s*[:=]?\s*)?(?:torch\.|np\.)?([a-z]+\d*)\b(?:\s+tensor)?").match(text, at)
    return (match[1], match.end()) if match and match[1] in DTYPES else (None, 0)


# --------------------------------------------------------------------- inside

_SPOKEN = re.compile(r"(?:shapes?|torch\.Size)\s*(?:of|is|are|:|=|==|will be|should be|becomes)*\s*\Z")
_PURPOSE = re.compile(r"\bfor \w+ing\b")  # `prepare for broadcasting, shape: (B, 1, N)`
_OTHER = re.compile(
    r"\b(?:input|inputs|original|before|from|expected|expects?|target|each|every|lists?|tuples?|per|instead|not|same|"
    r"if|when|for|either|any|dict|old|consists?|contains?|clamps?|clip|broadcast|previous|should|must|assume[sd]?|requires?|need|items|where)\b",
    re.IGNORECASE,
)


def _inside(text: str, targets: Sequence[str]) -> list[Written]:
    """A shape within prose: never certain, and only when it is the one piece there and closes the comment."""
    pieces = [p for p in brackets(text) if likely(p, bool(_SPOKEN.search(text[: p.start]))) is not None]
    pieces = [p for p in pieces if len(p.items) > 1 or p.trailing_comma]
    if len(pieces) != 1 or not _ENDS.match(text[pieces[0].end :]):
        return []
    lead = _PURPOSE.sub("", text[: pieces[0].start])
    if _OTHER.search(lead) or _CONTAINER.search(lead) or _VALUES.search(lead) or "=" in lead or len(lead) > 80:
        return []
    if not _SPOKEN.search(lead) and not likely(pieces[0], False):
        return []
    spoken = bool(_SPOKEN.search(lead))
    return [replace(record, beside=spoken) for record in _records([(None, pieces[0], False)], text, targets)]


# -------------------------------------------------------------------- records


def written(subject: str | None, piece: Piece, text: str, certain: bool, dtype: str | None = None) -> Written | None:
    """The record of a piece, or None where its axes are not a spec."""
    try:
        spec.parse(" ".join(piece.axes))
    except spec.SpecError:
        return None
    return Written(subject, piece.axes, text[piece.start : piece.end].strip(), certain, dtype, piece.start)


_SIZES = re.compile(r"(?:\A|_)(?:shape|size|dims?|strides?|axes|perm)\Z")


def _records(found: list[_Found], text: str, targets: Sequence[str]) -> list[Written]:
    """Give unlabelled pieces to the targets: one to one, one to the only real target, or not at all."""
    bare = [i for i, (subject, _, _) in enumerate(found) if subject is None]
    real = [t for t in targets if t != "_" and not t.startswith("*")]
    names: list[str | None] = [subject for subject, _, _ in found]
    sure = [certain for _, _, certain in found]
    if len(bare) > 1 and len(bare) == len(targets) == len(found):
        for i, target in zip(bare, targets):
            names[i] = target
    elif len(bare) > 1:
        return []
    elif bare and len(targets) > 1:
        if len(real) == 1 and real[0] not in found[bare[0]][1].axes:
            names[bare[0]] = real[0]
        else:
            sure[bare[0]] = False
    elif bare and (set(targets).intersection(found[bare[0]][1].axes) or any(map(_SIZES.search, targets))):
        sure[bare[0]] = False  # `B, N = x.shape  # B, N`, `new_shape = (...)  # (B, N)`: sizes, no tensor
    result = []
    for name, (_, piece, _), certain in zip(names, found, sure):
        if name == "_":
            continue
        record = written(name, piece, text, certain, _dtype(text, piece.end)[0])
        if record is not None:
            result.append(record)
    return result
