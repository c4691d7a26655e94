"""Where the trainer gets its shape contract from: one import site."""

from shapecheck import shaped

__all__ = ["shaped"]
