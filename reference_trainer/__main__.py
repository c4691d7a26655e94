"""`python -m reference_trainer`, for torchrun."""

from .cli import app

app()
