"""Calls written anew for a fix: the same call with one more argument."""

from __future__ import annotations

from shapecheck.engine.values import Site
from shapecheck.findings.rule import Edit
from shapecheck.source.program import Call


def with_argument(site: Site, more: str, instead_of: tuple[str, ...]) -> Edit:
    """The call at `site` with `more` as its last argument, in the place of the keywords `instead_of`."""
    call = site.node
    assert isinstance(call, Call)
    parts = [("function", Site(site.path, call.func))]
    written: list[str] = []
    for i, arg in enumerate(call.args):
        if arg.keyword not in instead_of:
            parts.append((f"a{i}", Site(site.path, arg.value)))
            written.append(arg.star + (f"{arg.keyword}=" if arg.keyword else "") + f"{{a{i}}}")
    return Edit(site, f"{{function}}({', '.join([*written, more])})", tuple(parts))


__all__ = ["with_argument"]
