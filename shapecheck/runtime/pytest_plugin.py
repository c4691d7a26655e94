"""`pytest --shaped PACKAGE`: run the tests of a package with every annotation of it enforced."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

__all__ = [
    "pytest_addoption",
    "pytest_configure",
    "pytest_load_initial_conftests",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
    "pytest_testnodedown",
]

_SENT = "shapecheck"  # what a worker of `pytest -n` sends home
_from_workers: list[dict[str, Any]] = []


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
    group.addoption(
        "--shaped-types",
        choices=("all", "tensors"),
        default="all",
        help="'tensors' leaves types without tensors alone",
    )


def pytest_load_initial_conftests(early_config: Any, parser: Any, args: Any) -> None:
    """Before conftests, which may import the package."""
    _install(early_config, early_config.known_args_namespace)


def pytest_configure(config: pytest.Config) -> None:
    _install(config, config.option)  # where the plugin was named by `-p` in a conftest, or this is a worker


def _install(config: Any, options: Any) -> None:
    packages = getattr(options, "shaped", None)
    if not packages or getattr(config, "_shapecheck_installed", False):
        return
    from shapecheck.runtime.hook import install

    config._shapecheck_installed = True
    try:
        install(packages, types=getattr(options, "shaped_types", "all"))
    except ValueError as error:
        raise pytest.UsageError(f"--shaped: {error}") from error


def _missing(packages: list[str], imported: set[str]) -> list[str]:
    """The packages that do not exist; asked when the tests have run, for a conftest may have changed `sys.path`."""
    return [name for name in packages if name not in imported and not _exists(name)]


def _exists(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def pytest_sessionfinish(session: Any, exitstatus: Any) -> None:
    config = session.config
    packages = config.getoption("--shaped")
    if not packages:
        return
    if hasattr(config, "workeroutput"):
        config.workeroutput[_SENT] = _own()
        return
    if _missing(packages, _imported()):
        session.exitstatus = pytest.ExitCode.USAGE_ERROR


def _imported() -> set[str]:
    return {name for sent in (_own(), *_from_workers) for name in sent["imported"]}


def _own() -> dict[str, Any]:
    """What this process has checked, as plain data."""
    from shapecheck.runtime.hook import imported
    from shapecheck.runtime.report import report

    entries = [(e.where, list(e.checked), list(e.notes), e.how) for e in report().entries]
    return {"entries": entries, "imported": sorted(imported)}


@pytest.hookimpl(optionalhook=True)  # pytest-xdist may not be installed
def pytest_testnodedown(node: Any, error: Any) -> None:
    """A worker of pytest-xdist is done."""
    sent = getattr(node, "workeroutput", {}).get(_SENT)
    if sent:
        _from_workers.append(sent)


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
    packages = config.getoption("--shaped")
    if not packages:
        return
    from shapecheck.runtime.report import Entry, Report

    entries: dict[str, Entry] = {}
    for sent in (_own(), *_from_workers):
        entries.update({where: Entry(where, *rest) for where, *rest in sent["entries"]})
    imported = _imported()
    found = Report(tuple(entries.values()))
    unchecked = [entry for entry in found.entries if not entry.checked]
    left = f", {len(found.unchecked)} with something left out" if found.unchecked else ""
    terminalreporter.write_sep("-", f"shapecheck: {len(found.entries) - len(unchecked)} checked{left}")
    for name in packages:
        if name in imported:
            continue
        if not _exists(name):
            terminalreporter.write_line(f"ERROR: --shaped {name}: there is no package {name}", red=True)
        else:
            terminalreporter.write_line(f"--shaped {name}: nothing of it was imported", yellow=True)
    if config.getoption("--shaped-report"):
        terminalreporter.write_line(str(found))
