"""Watches one thread run: a trace function sees which rows run, what names hold after them and what calls give back.
Only files that are asked for are looked into; of what they call the result is seen, and nothing else.

The program runs as it would: nothing of it is replaced, no value is changed, none is kept.
"""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable
from dataclasses import replace
from types import CodeType, FrameType
from typing import Any

import torch

from shapecheck.engine.evidence import Place, Ran, Seen, either, in_characters
from shapecheck.recording.codes import INLINED, WAYS, Code, read
from shapecheck.recording.glimpse import look, signature

_BACKWARD = torch.autograd.backward.__code__  # what `loss.backward()` comes to as well

NEAR = 12  # calls between two watched functions: a module's own, a container's

Tracer = Callable[[FrameType, str, Any], Any]


class _Live:
    """A run of a watched function's body that is under way."""

    __slots__ = ("code", "ran", "row")

    def __init__(self, code: Code, ran: Ran, row: int) -> None:
        self.code, self.ran, self.row = code, ran, row


class Recorder:
    """Collects how functions of the wanted files ran, on the thread that starts it, until it is stopped, or until more
    than `steps` backward passes have begun; `ends`: SystemExit is raised there."""

    def __init__(self, wanted: Callable[[str], bool], steps: int | None = None, *, ends: bool = False) -> None:
        self._wanted, self._left, self._ends = wanted, steps, ends
        self._files: dict[str, str] = {}  # as code names it -> absolute, "" of one that is not watched
        self._codes: dict[
            int, Code | CodeType
        ] = {}  # by id; one that is not watched is kept too, lest its id come back
        self._live: dict[int, _Live] = {}  # by the id of the frame, which is alive as long as it is here
        self._made: dict[int, tuple[weakref.ref[Any], int]] = {}  # id of an object -> the way of `__init__`
        self._number = 0
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

    def _leave(self) -> None:
        """So many steps were watched: the run goes on as if nobody did, or ends."""
        self.stop()
        if self._ends:
            raise SystemExit(0)

    def files(self) -> dict[str, list[Ran]]:
        """How each file ran."""
        found: dict[str, list[Ran]] = {}
        for code in self._codes.values():
            if isinstance(code, Code) and code.ways:
                found.setdefault(self._files[code.code.co_filename], []).extend(code.ways.values())
        return found

    # ---------------------------------------------------------------- tracing

    def _code(self, code: CodeType) -> Code | None:
        known = self._codes.get(id(code))
        if known is None:
            name = code.co_filename
            path = self._files.get(name)
            if path is None:
                there = os.path.abspath(name) if os.path.isfile(name) else name
                path = self._files[name] = there if self._wanted(there) else ""
            known = self._codes[id(code)] = read(code) if path else code
        return known if isinstance(known, Code) else None

    def _on_call(self, frame: FrameType, event: str, arg: Any) -> Tracer | None:
        if frame.f_code is _BACKWARD and self._left is not None and self.on:
            self._left -= 1
            if self._left < 0:
                self._leave()
                return None
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
        made = self._maker(code, held)
        numbers = code.name == "__init__"  # objects made with other numbers are others
        key = (made, *((name, signature(seen, numbers=numbers)) for name, seen in args.items()))
        ran = code.ways.get(key)
        if ran is None:
            if len(code.ways) >= WAYS:
                self._link(frame, 0)
                return
            self._number += 1
            ran = Ran(code.name, code.code.co_firstlineno, args, number=self._number, made=made)
            code.ways[key] = ran
        elif args != ran.args:  # other numbers
            both = ((name, either(seen, args[name])) for name, seen in ran.args.items() if name in args)
            ran.args = {name: seen for name, seen in both if seen is not None}
        ran.times += 1
        ran.outer = not self._link(frame, ran.number) or ran.outer
        self._note_maker(code, held, ran)
        self._live[id(frame)] = _Live(code, ran, frame.f_lineno)

    def _link(self, frame: FrameType, number: int) -> bool:
        """Note at the call that led here which way it ran (0: one that is not told apart). False where nobody who is
        watched called."""
        caller, at = self._within(frame.f_back)
        if caller is not None and at is not None:
            ways = caller.ran.calls.setdefault(at, [])
            if number not in ways:
                ways.append(number)
        return caller is not None

    def _within(self, frame: FrameType | None) -> tuple[_Live | None, Place | None]:
        """The watched function among the nearest callers, and the expression at which it stands."""
        for _ in range(NEAR):
            if frame is None:
                break
            live = self._live.get(id(frame))
            if live is not None:
                code = self._code(frame.f_code)
                return live, None if code is None else code.place(frame.f_lasti)
            frame = frame.f_back
        return None, None

    def _maker(self, code: Code, held: Any) -> int | None:
        """The way of running `__init__` that made the object whose method this is."""
        me = held.get(code.params[0]) if code.params and code.name != "__init__" else None
        found = self._made.get(id(me))
        return found[1] if found is not None and found[0]() is me else None

    def _note_maker(self, code: Code, held: Any, ran: Ran) -> None:
        me = held.get(code.params[0]) if code.params and code.name == "__init__" else None
        if me is None or not type(me).__weakrefoffset__:
            return
        found = self._made.get(id(me))
        if found is None or found[0]() is not me:  # the class's own, which calls those of its bases
            self._made[id(me)] = (weakref.ref(me), ran.number)

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
            return self._in_frame if self.on else None
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
                calls={turned(*place): ways for place, ways in ran.calls.items()},
            )
            for ran in ways
        ]
    return found
