"""The symbolic interpreter: `analyze(program, project) -> Facts`, `reveal(program, project)`."""

from shapecheck.interpret.entry import analyze
from shapecheck.interpret.reveal import Revealed, reveal

__all__ = ["Revealed", "analyze", "reveal"]
