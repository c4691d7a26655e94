"""The symbolic interpreter: `analyze(program, project) -> Facts`, `reveal(program, project)`."""

from shapecheck.engine.entry import analyze
from shapecheck.engine.reveal import Revealed, reveal

__all__ = ["Revealed", "analyze", "reveal"]
