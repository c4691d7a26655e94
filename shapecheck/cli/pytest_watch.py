"""`pytest --shapecheck-watch PATH`: each test is watched, and the end says what the rules find in PATH."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from shapecheck.recording.recorder import Recorder

__all__ = ["pytest_addoption", "pytest_configure"]

_SENT = "shapecheck-watch"  # what a worker of `pytest -n` sends home


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("shapecheck").addoption(
        "--shapecheck-watch",
        action="append",
        default=[],
        metavar="PATH",
        help="watch the tests run, and report what the rules find in this file or folder (more than once for several)",
    )


def pytest_configure(config: pytest.Config) -> None:
    paths = config.getoption("--shapecheck-watch")
    if paths:
        from shapecheck.recording.recorder import Recorder
        from shapecheck.service.watched import wanted

        config.pluginmanager.register(Watching(Recorder(wanted(paths))), "shapecheck-watching")


@dataclass
class Watching:
    """The hooks that are there where the option is given. `sent`: what this process and the workers found."""

    recorder: Recorder
    sent: list[dict[str, Any]] = field(default_factory=list)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self) -> Iterator[None]:
        self.recorder.start()
        try:
            yield
        finally:
            self.recorder.stop()

    def pytest_sessionfinish(self, session: Any) -> None:
        from shapecheck.findings.diagnostic import to_plain
        from shapecheck.service.watched import judge, seen_by

        judged = judge(seen_by(self.recorder))
        mine = {
            "found": [to_plain(d) for d in judged.diagnostics],
            "problems": [*map(str, judged.problems), *(f"disagrees with torch: {d}" for d in judged.disagreements)],
            "rows": dict(judged.rows),
        }
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput[_SENT] = mine
        else:
            self.sent.append(mine)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker of pytest-xdist is done."""
        sent = getattr(node, "workeroutput", {}).get(_SENT)
        if sent:
            self.sent.append(sent)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        from shapecheck.cli.console import count
        from shapecheck.findings.diagnostic import diagnostic_from
        from shapecheck.formats import Format, Report, render
        from shapecheck.service.watched import shows

        every = (diagnostic_from(plain) for sent in self.sent for plain in sent["found"])
        found = sorted({(d.span, d.code): d for d in every if shows(d)}.values(), key=lambda d: d.order)
        rows: dict[str, int] = {}
        for sent in self.sent:
            rows = {path: max(number, rows.get(path, 0)) for path, number in {**rows, **sent["rows"]}.items()}
        told = count(len(found), "finding") if found else "no findings"
        seen = f"{count(sum(rows.values()), 'row')} of {count(len(rows), 'file')} watched"
        terminalreporter.write_sep("-", f"shapecheck: {told}, {seen}")
        terminalreporter.write(render(Report(found), Format.TEXT))
        for problem in dict.fromkeys(problem for sent in self.sent for problem in sent["problems"]):
            terminalreporter.write_line(problem)
