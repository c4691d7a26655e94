"""Places where a failure is expected, or where functions are not what they say: tests that patch or provoke."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.enclosing import function_of
from shapecheck.engine.facts import Fact, Facts
from shapecheck.source.program import Attr, Call, Function, Name, Node, Try, With, walk


def expected(fact: Fact, facts: Facts) -> bool:
    """Is the place inside a `try` that handles something, or one that proves nothing?"""
    return _inside(fact, facts, facts.once(_handlers)) or proves_nothing(fact, facts)


def proves_nothing(fact: Fact, facts: Facts) -> bool:
    """Is the place inside a `with raises(...)`, inside a function handed to `raises`, or where something is patched?"""
    return _inside(fact, facts, facts.once(_provoking))


def _inside(fact: Fact, facts: Facts, bodies: list[tuple[Node, ...]]) -> bool:
    places = {id(site.node) for site in (fact.site, *(frame.site for frame in fact.stack)) if site.path == facts.path}
    return any(id(inner) in places for body in bodies for stmt in body for inner in (stmt, *walk(stmt)))


def _handlers(facts: Facts) -> list[tuple[Node, ...]]:
    return [n.body for n in _nodes(facts) if isinstance(n, Try) and n.handlers]


def _provoking(facts: Facts) -> list[tuple[Node, ...]]:
    handed = {  # `assertRaises(ValueError, f, x)`
        a.value.id
        for n in _nodes(facts)
        if isinstance(n, Call) and _says(n, "raises")
        for a in n.args
        if isinstance(a.value, Name)
    }
    found: list[tuple[Node, ...]] = []
    for node in _nodes(facts):
        match node:
            case With(items=items, body=body) if any(_says(i.value, "raises", "suppress") for i in items):
                found.append(body)
            case With(items=items, body=body) if any(_patches(i.value) for i in items):
                found.append(body)
            case Function(name=name, body=body, decorators=decorators, params=params) if (
                name in handed or any(map(_patches, decorators)) or any(p.name in PATCHERS for p in params)
            ):
                found.append(body)
            case Function(body=body) if any(isinstance(n, Call) and _says(n, "mock") for n in walk(node)):
                found.append(body)
    return found


def by_a_test(fact: Fact, facts: Facts) -> bool:
    """Did a test function call what the fact speaks of? A test that crashes says so itself, at its first run."""
    return bool(fact.stack) and fact.stack[0].site.path == facts.path and in_a_test(fact.stack[0].site.node, facts)


def in_a_test(node: Node, facts: Facts) -> bool:
    """Does the place stand in a test function?"""
    function = function_of(node, facts)
    return function is not None and function.name.lower().startswith("test")


PATCHERS = ("monkeypatch", "mocker")  # fixtures of pytest


def _says(node: Node, *words: str) -> bool:
    """Is the callee called so: `pytest.raises(...)`, `self.assertRaises(...)`?"""
    match node:
        case Call(func=Attr(name=name) | Name(id=name)):
            return any(word in name.lower() for word in words)
    return False


def _patches(node: Node) -> bool:
    """`mock.patch(...)`, `patch.object(...)`, `monkeypatch.context()`."""
    match node:
        case Call(func=func):
            return _patches(func)
        case Attr(value=value, name=name):
            return name == "patch" or _patches(value)
        case Name(id=name):
            return name in ("patch", *PATCHERS)
    return False


def _nodes(facts: Facts) -> Iterator[Node]:
    return iter(()) if facts.program is None else walk(facts.program)


__all__ = ["expected", "proves_nothing"]
