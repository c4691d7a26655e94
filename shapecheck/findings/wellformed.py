"""Is a finding what the formats take it for? Rules come from strangers too, and Python checks no field's type."""

from __future__ import annotations

import re
from typing import Any

from shapecheck.engine.values import Site
from shapecheck.findings.rule import Edit, Finding, Fix, Label, Note, Rule, Severity

CODE = re.compile(r"[A-Z]{1,12}[0-9]{1,8}")
NAME = re.compile(r"[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)*")


class BadFinding(TypeError):
    """A rule gave something that cannot be reported."""


def flaw(rule: Rule) -> str:
    """Why the rule cannot be named in a report or in an `ignore[...]`; empty when it can."""
    if not isinstance(rule.code, str) or not CODE.fullmatch(rule.code):
        return f"its code {rule.code!r} is not capital letters and then digits"
    if not isinstance(rule.name, str) or not NAME.fullmatch(rule.name):
        return f"its name {rule.name!r} is not words joined by hyphens"
    if not isinstance(rule.severity, Severity):
        return f"its severity {rule.severity!r} is not a Severity"
    return "" if isinstance(rule.summary, str) else f"its summary {rule.summary!r} is not a text"


def checked(rule: Rule, finding: Any) -> Finding:
    """The finding as it is. Raises BadFinding, which names the field, where one is not what it should be."""
    if not isinstance(finding, Finding):
        raise BadFinding(f"a rule yields findings, not {_shown(finding)}")
    if (finding.code, finding.name) != (rule.code, rule.name):
        raise BadFinding(f"a finding of {rule.code} has the code {finding.code!r} and the name {finding.name!r}")
    _fields(finding, _FINDING)
    for label in finding.labels:
        _fields(label, _LABEL)
    for note in finding.notes:
        _fields(note, _NOTE)
    if finding.fix is not None:
        _fields(finding.fix, _FIX)
        for edit in finding.fix.edits:
            _fields(edit, _EDIT)
            if any(not _is(part, (tuple,)) or list(map(type, part)) != [str, Site] for part in edit.parts):
                raise BadFinding(f"parts of an Edit are pairs of a name and a Site, not {_shown(edit.parts)}")
    try:
        hash(finding.cause)
    except TypeError as error:
        raise BadFinding(f"cause of a Finding: {error}") from None
    return finding


# The class of each field; of a tuple the class of its members too
_FINDING: dict[str, tuple[type, ...]] = {
    "severity": (Severity,),
    "message": (str,),
    "site": (Site,),
    "labels": (tuple, Label),
    "notes": (tuple, Note),
    "condition": (str,),
    "help": (str,),
    "fix": (Fix, type(None)),
    "cause": (tuple,),
    "covers": (tuple, str),
}
_LABEL: dict[str, tuple[type, ...]] = {"site": (Site,), "text": (str,)}
_NOTE: dict[str, tuple[type, ...]] = {"message": (str,), "site": (Site, type(None))}
_FIX: dict[str, tuple[type, ...]] = {
    "message": (str,),
    "edits": (tuple, Edit),
    "safe": (bool,),
    "imports": (tuple, str),
}
_EDIT: dict[str, tuple[type, ...]] = {"site": (Site,), "text": (str,), "parts": (tuple,), "remark": (str,)}


def _fields(record: Any, wanted: dict[str, tuple[type, ...]]) -> None:
    for name, kinds in wanted.items():
        value = getattr(record, name)
        if not _is(value, kinds):
            words = " of ".join(k.__name__ for k in kinds) if kinds[0] is tuple else kinds[0].__name__
            raise BadFinding(f"{name} of a {type(record).__name__} is {_shown(value)}, not {words}")


def _is(value: Any, kinds: tuple[type, ...]) -> bool:
    if kinds[0] is tuple:
        return isinstance(value, tuple) and all(isinstance(v, kinds[1:] or object) for v in value)
    return isinstance(value, kinds)


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
