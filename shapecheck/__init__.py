"""shapecheck: tensor shapes of contrastive training code, compared with the shapes that its author meant.

The linter is the command `shapecheck lint`; the names here are the runtime layer's and `watch`, imported when used:
`import shapecheck` alone imports neither torch nor jaxtyping nor libcst.
"""

from __future__ import annotations

TYPE_CHECKING = False  # what is imported here comes before the command can hear Ctrl-C, so nothing is

if TYPE_CHECKING:
    from shapecheck.runtime.broadcasts import no_broadcast as no_broadcast
    from shapecheck.runtime.checking import check as check
    from shapecheck.runtime.decorate import shaped as shaped
    from shapecheck.runtime.errors import ContractError as ContractError
    from shapecheck.runtime.errors import ShapeError as ShapeError
    from shapecheck.runtime.hook import install as install_import_hook
    from shapecheck.runtime.report import report as report
    from shapecheck.service.watched import watch as watch

_HOMES = {
    "ContractError": ("runtime.errors", "ContractError"),
    "ShapeError": ("runtime.errors", "ShapeError"),
    "check": ("runtime.checking", "check"),
    "install_import_hook": ("runtime.hook", "install"),
    "no_broadcast": ("runtime.broadcasts", "no_broadcast"),
    "report": ("runtime.report", "report"),
    "shaped": ("runtime.decorate", "shaped"),
    "watch": ("service.watched", "watch"),
}

__all__ = ["ContractError", "ShapeError", "check", "install_import_hook", "no_broadcast", "report", "shaped", "watch"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'shapecheck' has no attribute {name!r}")
    from importlib import import_module

    home, attribute = _HOMES[name]
    value: object = getattr(import_module(f"shapecheck.{home}"), attribute)
    globals()[name] = value
    return value
