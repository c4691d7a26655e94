"""What the author wrote down against what the code computes: annotations, asserts, comments, docstrings.

A declared shape does two things. Where the code's shape is known the two are compared, and `Contract` states the
outcome. Where it is not known the declaration is taken for what it says: names become sizes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from shapecheck.dims import NEVER, Size
from shapecheck.engine.attributes import as_tensor
from shapecheck.engine.declaring import axis_text, compare_axes, declare, note_given, size_of
from shapecheck.engine.facts import Beside, Contract, Declared, Signature, Signed
from shapecheck.engine.modules import find_member
from shapecheck.engine.values import (
    NONE,
    Items,
    Many,
    Partial,
    Ref,
    Site,
    Tensor,
    Unknown,
    Value,
)
from shapecheck.engine.witness import entered, entering
from shapecheck.intent import (
    RETURN,
    Ann,
    Written,
    from_annotation,
    from_assert,
    from_comment,
    from_docstring,
    from_phrases,
)
from shapecheck.source.program import Assert, Attr, Bind, Const, Expr, Function, Name, Return, Seq, Stmt, text_of, walk

if TYPE_CHECKING:
    from shapecheck.engine.machine import Machine

RESULTS = frozenset({RETURN, "result", "output", "out", "returns", "res"})


_ARROW = re.compile(r"->|=>|→|⇒")


@lru_cache(maxsize=4096)
def _comment(text: str, targets: tuple[str, ...], above: bool) -> tuple[Written, ...]:
    return tuple(from_comment(text, list(targets), above))


@lru_cache(maxsize=2048)
def _docstring(text: str, names: frozenset[str]) -> dict[str, Written]:
    """What sections and field lists say goes before what stands within sentences."""
    return {**from_phrases(text, names), **from_docstring(text)}


@lru_cache(maxsize=2048)
def _opening(text: str, names: frozenset[str]) -> dict[str, Written]:
    """The comment above a function's first statement, where it says the shapes of parameters."""
    return from_phrases(text, names)


# ------------------------------------------------------------------ statements


def on_assign(m: Machine, stmt: Stmt, subject: str, value: Value, *, named_only: bool = False) -> Value:
    """A statement gave `value` to `subject`: heed its annotation and its comments; the value as known after that."""
    if isinstance(stmt, Bind) and stmt.annotation is not None:
        value = on_annotation(m, stmt.annotation, subject, value, Site(m.here.path, stmt))
    last = subject.rsplit(".", 1)[-1]
    names = (last, RETURN) if isinstance(stmt, Return) else _targets(stmt) or (last,)
    for text, above in ((stmt.comment, False), (stmt.above, True)):
        if not text:
            continue
        for written in _comment(text, names, above):
            if written.subject is None and (named_only or (len(names) > 1 and not isinstance(stmt, Return))):
                continue
            steps = above and _ARROW.search(text) is not None and (known := as_tensor(value)) and known.rank is not None
            if (written.beside or steps) and isinstance(stmt, Bind):
                _state_beside(m, written, value, subject, stmt)
            if steps:  # `# B L C -> B C H W` may tell of the next statement too
                continue
            if above and _reads_its_target(stmt, last) and not _ARROW.search(text):
                continue  # `# mask has shape (B, N)` over `mask = ~mask[:, None]`: of the mask that was
            if written.subject in (None, last) or (isinstance(stmt, Return) and written.subject in RESULTS):
                value = declare(m, written, value, subject, "comment", Site(m.here.path, stmt))
            elif above and written.subject is not None:
                _declare_variable(m, written, stmt)
    return value


def _reads_its_target(stmt: Stmt, target: str) -> bool:
    value = stmt.value if isinstance(stmt, Bind) else None
    return value is not None and any(isinstance(n, Name) and n.id == target for n in (value, *walk(value)))


def _state_beside(m: Machine, written: Written, value: Value, subject: str, stmt: Bind) -> None:
    """Compare with a comment that may as well speak of another statement: nothing is learned from it."""
    tensor = as_tensor(value)
    tensor = None if tensor is None else m.state.tensor(tensor)
    axes = [axis_text(a) for a in written.axes]
    if tensor is None or tensor.axes is None or written.variadic or not all(axes):
        return
    names = m.state.axes.get(m.here.id, {})
    sizes = tuple(None if a is None else size_of(m, a, names) for a in axes)
    axis = None
    if len(sizes) == len(tensor.axes):
        never = (i for i, s in enumerate(sizes) if s is not None and m.kit.compare(tensor.axes[i].size, s).never)
        axis = next(never, None)
        if axis is None:
            return
    site = Site(m.here.path, stmt)
    declared = Declared("comment", written.text, tuple(written.axes), sizes, site)
    contract = Contract(
        site=m.site,
        stack=tuple(m.stack),
        activation=m.here.id,
        subject=subject,
        declared=declared,
        value=tensor,
        verdict=NEVER,
        axis=axis,
    )
    m.state_fact(Beside(site=m.site, contract=contract))


def _targets(stmt: Stmt) -> tuple[str, ...]:
    if not isinstance(stmt, Bind):
        return ()
    names: list[str] = []
    for t in stmt.targets:
        for part in t.items if isinstance(t, Seq) else (t,):
            if isinstance(part, Name):
                names.append(part.id)
    return tuple(names)


def _declare_variable(m: Machine, written: Written, stmt: Stmt) -> None:
    """A comment above a statement tells the shape of some variable in scope, or of the result to come."""
    assert written.subject is not None
    if written.subject in RESULTS:
        m.here.result_comment = (written, Site(m.here.path, stmt))
        return
    frame = m.state.frames.get(m.here.frame, {})
    for name in (written.subject, written.subject + "s", written.subject.removesuffix("s")):
        if name in frame:
            site = Site(m.here.path, stmt)
            value = declare(m, written, m.resolve(frame[name]), name, "comment", site)
            m.state.scope(m.here.frame)[name] = value
            return


def before(m: Machine, stmt: Stmt) -> None:
    """Comments above a statement that speak of variables already bound are heeded before it runs."""
    if not stmt.above or isinstance(stmt, (Bind, Function)):
        return
    scope = m.state.frames.get(m.here.frame, {})
    for written in _comment(stmt.above, (*sorted(scope), *sorted(RESULTS)), True):
        if written.subject is not None:
            _declare_variable(m, written, stmt)


def on_assert(m: Machine, stmt: Assert) -> None:
    """`assert x.shape == (B, G)`: state how it compares with what is known."""
    for asserted in from_assert(stmt.test):
        value = m.resolve(m.eval(asserted.subject))
        tensor = as_tensor(value)
        if tensor is None or asserted.like is not None or asserted.first is not None:
            continue
        if isinstance(asserted.subject, Attr) and isinstance(m.resolve(m.eval(asserted.subject.value)), Ref):
            continue  # anyone who has the object may have set its attribute since
        tensor = m.state.tensor(tensor)
        sizes = [None if e is None else m.kit.size(m.resolve(m.eval(e))) for e in asserted.sizes]
        tensor = _held_true(m, tensor, sizes)
        site = Site(m.here.path, stmt)
        texts = tuple("_" if e is None else _text(e) for e in asserted.sizes)
        compare_axes(m, tensor, sizes, texts, f"({', '.join(texts)})", _text(asserted.subject), "assert", site, False)


def _held_true(m: Machine, tensor: Tensor, sizes: Sequence[Size | None]) -> Tensor:
    """After an assertion it holds: free sizes are what it says."""
    tensor = m.kit.rank(tensor, len(sizes))
    if tensor.axes is not None and len(tensor.axes) == len(sizes):
        for axis, size in zip(tensor.axes, sizes):
            if size is not None and (m.kit.is_free(axis.size) or m.kit.is_free(size)):
                m.kit.agree(axis.size, size)
    return m.state.tensor(tensor)


def _text(expr: Expr) -> str:
    if isinstance(expr, Const):
        return repr(expr.value)
    return text_of(expr) or "_"


# ------------------------------------------------------------------- functions


def on_enter(m: Machine, function: Function, frame: int, *, as_entry: bool) -> None:
    """Parameters: what their annotations, comments and the docstring say, and what was seen of them. Runs with the new
    frame in place."""
    if function.name == "__init__":
        note_given(m, function)
    if as_entry:
        _state_signature(m, function)
    entering(m, function, frame)
    _read_head(m, function, frame)
    if entered(m, frame):  # what is written is not what was seen: compare
        _read_head(m, function, frame)
        entered(m, frame)


def _read_head(m: Machine, function: Function, frame: int) -> None:
    scope = m.state.scope(frame)  # nothing below makes another state
    claim = bool(m.stack)
    may_be_none: dict[str, Value] = {}
    for p in function.params:
        value = m.resolve(scope[p.name]) if p.name in scope else None
        if value is None or p.kind in ("*", "**"):
            continue
        open_ = isinstance(value, Unknown) and value.hint == "" and value.key is not None
        if open_ and isinstance(p.default, Const) and p.default.value is None:
            may_be_none[p.name] = value
            value = scope[p.name] = m.unknown()
        if p.annotation is not None:
            said = _annotation(m, p.annotation)
            said = said.items[0] if p.name in may_be_none and said.kind == "optional" and said.items else said
            value = _annotated(m, said, p.name, value, Site(m.here.path, p))
        if p.comment:
            for written in _comment(p.comment, (p.name,), False):
                if written.subject in (None, p.name):
                    value = declare(m, written, value, p.name, "comment", Site(m.here.path, p), claim=claim)
        scope[p.name] = value
    for name, written in docstring_shapes(m, function).items():
        if name in scope and name != RETURN:
            site = Site(m.here.path, function)
            scope[name] = declare(m, written, m.resolve(scope[name]), name, "docstring", site, claim=claim)
    first = function.body[0] if function.body else None
    if first is not None and first.above and not isinstance(first, Function):
        for name, written in _opening(first.above, frozenset(scope)).items():
            if name != RETURN:
                site = Site(m.here.path, first)
                scope[name] = declare(m, written, m.resolve(scope[name]), name, "comment", site, claim=claim)
    for name, given in may_be_none.items():
        told = m.resolve(scope[name])
        if isinstance(told, Tensor) and isinstance(given, Unknown) and given.key is not None:
            m.promised[given.key] = told
        scope[name] = given


def _state_signature(m: Machine, function: Function) -> None:
    params = tuple(
        signature
        for p in function.params
        if p.annotation is not None
        for signature in _signatures(m, p.annotation, p.name, Site(m.here.path, p))
    )
    site = Site(m.here.path, function)
    result = function.returns
    returns = () if result is None else tuple(_signatures(m, result, RETURN, Site(m.here.path, result)))
    if params or returns:
        m.state_fact(Signed(site=site, function=function, params=params, returns=returns))


def _signatures(m: Machine, annotation: Expr, subject: str, site: Site) -> Iterator[Signature]:
    def read(ann: Ann, certain: bool) -> Iterator[Signature]:
        if ann.kind == "tensor" and ann.axes is not None:
            yield Signature(subject, ann.axes, site, certain)
        for item in ann.items:
            yield from read(item, certain and ann.kind == "tuple")

    yield from read(_annotation(m, annotation), True)


def docstring_shapes(m: Machine, function: Function) -> dict[str, Written]:
    """The docstring's shapes; a method without a docstring has that of the method it overrides."""
    names = frozenset(p.name for p in function.params)
    owner = m.here.owner
    of_class = {} if owner is None or function.name not in RUN else _of_class(owner.node.docstring, function, names)
    if function.docstring is not None:
        return {**of_class, **_docstring(function.docstring, names)}
    if of_class:
        return of_class
    if owner is not None:
        inherited = find_member(m, owner, function.name, after=owner)
        if inherited is not None and isinstance(inherited[1], Function) and inherited[1].docstring is not None:
            told = _docstring(inherited[1].docstring, names)
            return {k: v for k, v in told.items() if k in names}  # what it gives back is its own affair
    return {}


RUN = frozenset({"forward", "__call__"})  # what the docstring of a class tells the inputs of


def _of_class(text: str | None, function: Function, names: frozenset[str]) -> dict[str, Written]:
    """What a class says of the inputs of its `forward`; `Input` of torch's own lists is the only one that there is."""
    if text is None:
        return {}
    told = _docstring(text, names)
    inputs = [p.name for p in function.params[1:] if p.kind not in ("*", "**") and p.default is None]
    found = {name: written for name, written in told.items() if name in inputs}
    if not found and len(inputs) == 1 and "input" in told:
        found[inputs[0]] = told["input"]
    return found


def on_return(m: Machine, function: Function, value: Value) -> Value:
    """The result of a function against its return annotation, its docstring, and a comment that told of it."""
    site = Site(m.here.path, function)
    if function.returns is not None and not m.here.yields:
        value = on_annotation(m, function.returns, "return value", value, site)
    written = docstring_shapes(m, function).get(RETURN)
    if written is not None:
        value = declare(m, written, value, "return value", "docstring", site, claim=bool(m.stack))
    if m.here.result_comment is not None:
        written, where = m.here.result_comment
        value = declare(m, written, value, "return value", "comment", where, claim=bool(m.stack))
    return value


def on_annotation(m: Machine, annotation: Expr, subject: str, value: Value, site: Site) -> Value:
    return _annotated(m, _annotation(m, annotation), subject, value, site)


def _annotation(m: Machine, annotation: Expr) -> Ann:
    """What an annotation of the file that is run says; each is read once."""
    known = m.shared.texts.annotations
    found = known.get(annotation)
    if found is None:
        found = known[annotation] = from_annotation(annotation, aliases(m, m.here.path))
    return found


def _annotated(m: Machine, ann: Ann, subject: str, value: Value, site: Site) -> Value:
    match ann.kind:
        case "tensor":
            if ann.written is not None:
                return declare(m, ann.written, value, subject, "annotation", site)
            if isinstance(value, Unknown) and value.hint == "":
                return Tensor(Partial(key=value.key))
        case "optional" if ann.items and value != NONE:
            if isinstance(value, Unknown):
                return value
            return _annotated(m, ann.items[0], subject, value, site)
        case "tuple" if isinstance(value, Items) and len(value.items) == len(ann.items):
            return Items(
                value.kind,
                tuple(
                    _annotated(m, a, f"{subject}[{i}]", m.resolve(v), site)
                    for i, (a, v) in enumerate(zip(ann.items, value.items))
                ),
            )
        case "tuple" if isinstance(value, Unknown) and ann.items:
            return Items(
                "tuple", tuple(_annotated(m, a, f"{subject}[{i}]", m.unknown(), site) for i, a in enumerate(ann.items))
            )
        case "list" if isinstance(value, Unknown) and ann.items:
            inner = _annotated(m, ann.items[0], subject, m.unknown(), site)
            if isinstance(inner, Tensor):
                return Many(inner)
        case ("int" | "float" | "bool" | "str" | "array") as kind if isinstance(value, Unknown) and value.hint == "":
            return Unknown(kind, value.key)
    return value


def aliases(m: Machine, path: str) -> dict[str, Expr]:
    """Names that a module's top level binds to an expression once: type aliases among them."""
    known = (m.own if path == m.path else m.shared.library).aliases
    found = known.get(path)
    if found is None:
        found = known[path] = {}
        program = m.project.program(path)
        for stmt in program.body if program is not None else ():
            if (
                isinstance(stmt, Bind)
                and len(stmt.targets) == 1
                and isinstance(stmt.targets[0], Name)
                and stmt.value is not None
            ):
                found[stmt.targets[0].id] = stmt.value
    return found
