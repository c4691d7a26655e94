"""`pytest --shaped PACKAGE`: run the tests of a package with every annotation of it enforced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

__all__ = ["pytest_addoption", "pytest_configure", "pytest_terminal_summary"]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("shapecheck")
    group.addoption(
        "--shaped",
        action="append",
        default=[],
        metavar="PACKAGE",
        help="enforce the shape annotations of PACKAGE (more than once for several)",
    )
    group.addoption("--shaped-report", action="store_true", help="print what is checked, what is not, and why")


def pytest_configure(config: pytest.Config) -> None:
    packages = config.getoption("--shaped")
    if packages:
        from shapecheck.runtime.hook import install

        install(packages)


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
    if not config.getoption("--shaped"):
        return
    from shapecheck.runtime.report import report

    found = report()
    left = f", {len(found.unchecked)} with something left out" if found.unchecked else ""
    terminalreporter.write_sep("-", f"shapecheck: {len(found.entries)} checked{left}")
    if config.getoption("--shaped-report"):
        terminalreporter.write_line(str(found))
