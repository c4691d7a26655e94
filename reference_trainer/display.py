"""A run on the terminal: a progress bar and sentences, on stderr."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from .refusal import visible


class Terminal:
    """Shows a run with rich; `close` leaves the terminal as it was."""

    def __init__(self, label: str = "train") -> None:
        self._console = Console(stderr=True)
        self._label = label
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            TextColumn("{task.fields[numbers]}"),
        )  # fmt: skip
        self._progress = Progress(*columns, console=self._console)
        self._task: TaskID | None = None

    def begin(self, done: int, total: int) -> None:
        self._task = self._progress.add_task(self._label, total=total, completed=done, numbers="")
        self._progress.start()

    def advance(self, step: int, numbers: dict[str, float]) -> None:
        if self._task is None:
            return
        shown = (
            f"loss {numbers['loss']:.3f} (log C {numbers['level']:.2f})  {numbers['tokens_per_second']:.0f} tokens/s"
        )
        self._progress.update(self._task, completed=step, numbers=shown)

    def say(self, text: str) -> None:
        self._console.print(escape(visible(text)), highlight=False)

    def close(self) -> None:
        self._progress.stop()
