"""`python -m shapecheck`."""

from shapecheck.cli import main

main()
