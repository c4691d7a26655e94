"""Watches one thread run: a trace function sees which rows run, what names hold after them and what calls give back.
Only files that are asked for are looked into; of what they call the result is seen, and nothing else.

The program runs as it would: nothing of it is replaced, no value is changed, none is kept.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from types import CodeType, FrameType
from typing import Any

import torch

from shapecheck.engine.evidence import Ran, Seen, in_characters
from shapecheck.recording.codes import INLINED, WAYS, Code, read
from shapecheck.recording.glimpse import look, signature

Tracer = Callable[[FrameType, str, Any], Any]


class _Live:
    """A run of a watched function's body that is under way."""

    __slots__ = ("code", "ran", "row")

    def __init__(self, code: Code, ran: Ran, row: int) -> None:
        self.code, self.ran, self.row = code, ran, row


class Recorder:
    """Collects how functions of the wanted files ran, on the thread that starts it, until it is stopped."""

    def __init__(self, wanted: Callable[[str], bool]) -> None:
        self._wanted = wanted
        self._files: dict[str, bool] = {}
        self._codes: dict[
            int, Code | CodeType
        ] = {}  # by id; one that is not watched is kept too, lest its id come back
        self._live: dict[int, _Live] = {}  # by the id of the frame, which is alive as long as it is here
        self._before: Any = None
        self._process = 0
        self.on = False

    # ------------------------------------------------------------- start, stop

    def start(self, frame: FrameType | None = None) -> None:
        """Watch from here on; `frame`: one that runs already, of which the rest is watched too."""
        self._before, self._process = sys.gettrace(), os.getpid()
        self.on = True
        if frame is not None:
            code = self._code(frame.f_code)
            if code is not None:
                with torch._C.DisableTorchFunction():
                    self._begin(frame, code)
                    self._held(frame, code)
                frame.f_trace = self._in_frame
        sys.settrace(self._on_call)

    def stop(self, frame: FrameType | None = None) -> None:
        """Leave: what ran until here stands."""
        if not self.on:
            return
        self.on = False
        sys.settrace(self._before)
        if frame is not None:
            frame.f_trace = None
            with torch._C.DisableTorchFunction():
                self._end(frame, frame.f_lineno)
        self._live.clear()

    def files(self) -> dict[str, list[Ran]]:
        """How each file ran."""
        found: dict[str, list[Ran]] = {}
        for code in self._codes.values():
            if isinstance(code, Code) and code.ways:
                found.setdefault(code.code.co_filename, []).extend(code.ways.values())
        return found

    # ---------------------------------------------------------------- tracing

    def _code(self, code: CodeType) -> Code | None:
        known = self._codes.get(id(code))
        if known is None:
            name = code.co_filename
            wanted = self._files.get(name)
            if wanted is None:
                wanted = self._files[name] = self._wanted(name)
            known = self._codes[id(code)] = read(code) if wanted else code
        return known if isinstance(known, Code) else None

    def _on_call(self, frame: FrameType, event: str, arg: Any) -> Tracer | None:
        code = self._code(frame.f_code)
        if code is None or frame.f_code.co_name in INLINED:
            if id(frame.f_back) not in self._live or not self.on:
                return None
            if code is not None:  # a comprehension is part of the function around it
                self._live[id(frame)] = self._live[id(frame.f_back)]
                return self._in_comprehension
            frame.f_trace_lines = False
            return self._in_child
        if not self.on or os.getpid() != self._process:
            return None
        with torch._C.DisableTorchFunction():
            self._begin(frame, code)
        return self._in_frame

    def _begin(self, frame: FrameType, code: Code) -> None:
        held = frame.f_locals
        args = {
            name: seen for name in code.params if name in held and (seen := look(held[name], code.names)) is not None
        }
        key = tuple((name, signature(seen)) for name, seen in args.items())
        ran = code.ways.get(key)
        if ran is None:
            if len(code.ways) >= WAYS:
                return
            ran = code.ways[key] = Ran(code.name, code.code.co_firstlineno, args)
        ran.times += 1
        ran.outer = ran.outer or id(frame.f_back) not in self._live
        self._live[id(frame)] = _Live(code, ran, frame.f_lineno)

    def _held(self, frame: FrameType, code: Code) -> None:
        """What names hold in a frame that runs already: those that one row sets, and those that come from elsewhere."""
        live = self._live.get(id(frame))
        if live is None:
            return
        rows: dict[str, list[int]] = {}
        for row, names in code.stores.items():
            for name in names:
                rows.setdefault(name, []).append(row)
        known = frame.f_locals
        for name in code.names.union(rows):
            value, at = known.get(name), rows.get(name, [])
            seen = None if value is None or len(at) > 1 else look(value)
            if seen is None:
                continue
            if at and at[0] < frame.f_lineno:
                live.ran.note(live.ran.names.setdefault((at[0], name), []), seen)
            elif not at and frame.f_globals is frame.f_locals:
                live.ran.args.setdefault(name, seen)

    def _in_frame(self, frame: FrameType, event: str, arg: Any) -> Tracer | None:
        live = self._live.get(id(frame))
        if live is None:
            return self._in_frame
        if event == "line":
            row = frame.f_lineno
            if live.row in live.code.stores:
                self._names(frame, live)
            live.ran.arcs.add((live.row, row))
            live.row = row
        elif event == "exception":
            live.row = 0  # what the row sets was not set
            place = live.code.place(frame.f_lasti)
            if place is not None and not isinstance(arg[1], StopIteration):
                live.ran.raised.add(place)
        elif event == "return":
            with torch._C.DisableTorchFunction():
                self._end(frame, 0)
                if arg is not None:
                    seen = look(arg)
                    if seen is not None:
                        live.ran.note(live.ran.results, seen)
            self._given(frame, arg)
        return self._in_frame

    def _names(self, frame: FrameType, live: _Live) -> None:
        held, ran = frame.f_locals, live.ran
        with torch._C.DisableTorchFunction():
            for name in live.code.stores.get(live.row, ()):
                value = held.get(name)
                if value is not None:
                    seen = look(value)
                    if seen is not None:
                        ran.note(ran.names.setdefault((live.row, name), []), seen)

    def _end(self, frame: FrameType, row: int) -> None:
        live = self._live.pop(id(frame), None)
        if live is not None:
            self._names(frame, live)
            live.ran.arcs.add((live.row, row))

    def _in_child(self, frame: FrameType, event: str, arg: Any) -> Tracer:
        """A function that is not watched, called by one that is."""
        if event == "return":
            self._given(frame, arg)
        return self._in_child

    def _in_comprehension(self, frame: FrameType, event: str, arg: Any) -> Tracer:
        if event == "return":
            self._live.pop(id(frame), None)
            if frame.f_code.co_name != INLINED[-1]:
                self._given(frame, arg)
        return self._in_comprehension

    def _given(self, frame: FrameType, value: Any) -> None:
        """A call returned to the frame below."""
        caller = frame.f_back
        if caller is None or value is None:
            return
        live = self._live.get(id(caller))
        if live is not None:
            with torch._C.DisableTorchFunction():
                self.saw(live, caller, look(value))

    def saw(self, live: _Live, frame: FrameType, seen: Seen | None) -> None:
        """The expression at which the frame stands was worth this."""
        code = live.code if frame.f_code is live.code.code else self._code(frame.f_code)
        place = None if code is None or seen is None else code.place(frame.f_lasti)
        if place is not None and seen is not None:
            live.ran.note(live.ran.values.setdefault(place, []), seen)


def placed(files: dict[str, list[Ran]], text_of: Callable[[str], str]) -> dict[str, list[Ran]]:
    """The same with places in characters from 1, as the interpreter counts them."""
    found: dict[str, list[Ran]] = {}
    for path, ways in files.items():
        turned = in_characters(text_of(path))
        found[path] = [
            replace(
                ran,
                values={turned(*place): seen for place, seen in ran.values.items()},
                raised={turned(*place) for place in ran.raised},
            )
            for ran in ways
        ]
    return found
