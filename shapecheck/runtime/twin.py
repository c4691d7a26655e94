"""From a plan to the guarded function: written into the body where the source is at hand, around the call otherwise."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import itertools
import linecache
import types
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from shapecheck.dims.spec import Named, Variadic
from shapecheck.runtime.body import Body, compile_body, read_body
from shapecheck.runtime.contract import Contract, Free, OneOf, TensorOf, structured, tensors
from shapecheck.runtime.errors import ContractError
from shapecheck.runtime.expressions import braces_in, loose_in
from shapecheck.runtime.failing import Ground, failing, walker
from shapecheck.runtime.guards import Guards
from shapecheck.runtime.judge import Judge
from shapecheck.runtime.plan import Plan
from shapecheck.runtime.reader import Reader
from shapecheck.runtime.report import Entry
from shapecheck.runtime.source import NoSource
from shapecheck.runtime.tensor_lines import Crooked
from shapecheck.runtime.writer import FRAME_READERS, Writer

__all__ = ["twin"]

_numbers = itertools.count()


def twin(plan: Plan, entry: Entry) -> types.FunctionType:
    """The function of a plan, checked at every call."""
    marks = ("_sc_", *(f"_sc{number}_" for number in range(100)))
    mark = next(m for m in marks if not any(name.startswith(m) for name in _names_in(plan.fn.__code__)))
    inside = _surveyed(plan, mark, entry)
    body, writer = inside if inside is not None else (None, None)
    found = [] if writer is None else writer.locals
    entry.checked = [
        *(name for name, contract in plan.contracts.items() if not isinstance(contract, Free)),
        *(f"{text} (line {line})" for line, text, _ in found),
        *(["yield"] if not isinstance(plan.yields, Free) else []),
        *(["return"] if not isinstance(plan.returns, Free) else []),
    ]
    entry.how = "in the body" if body else "around the call"
    free = isinstance(plan.returns, Free) and isinstance(plan.yields, Free)
    if body is None or writer is None or free or not (writer.sheltered or writer.hidden_yield):
        try:
            return Assembly(plan, mark, entry.notes, body, writer).build()
        except NoSource as error:
            entry.notes.append(f"annotated local variables: {error}")
            entry.how = "around the call"
            return Assembly(plan, mark, entry.notes).build()
    # an error raised at a `return` within `try` or `with` might be swallowed there: the result is checked outside
    if not found:
        entry.how = "around the call"
        return Assembly(plan, mark, entry.notes).build()
    fn = Assembly(dataclasses.replace(plan, returns=Free(), yields=Free()), mark, entry.notes, body, writer).build()
    try:
        whole = Assembly(dataclasses.replace(plan, fn=fn), mark, entry.notes).build()
    except ContractError:  # an expression over what only a local binds
        entry.notes.append("the result within `try` or `with`: an error raised there may be caught there")
        return Assembly(plan, mark, entry.notes, body, writer).build()
    entry.how = "in the body, its result around the call"
    return whole


def _names_in(code: types.CodeType) -> set[str]:
    return {*code.co_varnames, *code.co_names, *code.co_freevars, *code.co_cellvars}


def _surveyed(plan: Plan, mark: str, entry: Entry) -> tuple[Body, Writer] | None:
    """The body and what it declares; None where the guards go around the call."""
    try:
        body = plan.body if plan.body is not None else read_body(plan.fn)
        if isinstance(body, NoSource):
            raise body
        code = plan.fn.__code__
        meanings = {*plan.fn.__globals__, *code.co_varnames, *code.co_freevars, *code.co_cellvars}
        if shadowed := {"isinstance", "len", "hasattr"} & meanings:
            raise NoSource(f"{', '.join(sorted(shadowed))} means something else in it")
    except NoSource as error:
        entry.notes.append(f"annotated local variables: {error}")
        return None
    reader = Reader(plan, body)
    writer = Writer(mark, reader.contract_of, reader.checked)
    writer.survey(body.node, body.facts.hides)
    entry.notes += writer.notes
    bound = set(plan.bound)
    for line, text, contract in writer.locals:
        if new := sorted({n for t in tensors(contract) for n in t.spec.binds} - bound):
            bound.update(new)
            entry.notes.append(f"{', '.join(new)} of {text} (line {line}) is bound by no argument: any size passes")
    if FRAME_READERS & set(code.co_names):
        if not writer.locals:
            return None  # it may look at its own frame
        entry.notes.append("its frame holds names of the guards, which it may look at")
    return body, writer


class Assembly:
    """One function in the making. The first call meets the judge, until a cell says that it has."""

    def __init__(
        self, plan: Plan, mark: str, notes: list[str], body: Body | None = None, writer: Writer | None = None
    ) -> None:
        self.plan = plan
        self.mark = mark
        self.notes = notes
        self.body = body
        self.writer = writer
        self.locals = writer.locals if body is not None and writer is not None else []
        self.rebound = body.facts.stored & set(plan.signature.parameters) if body is not None else set()
        self.judge = Judge(plan)
        self.slow: set[str] = set()
        self.trees = any(map(structured, self._every()))
        self.settle: list[Any] = []  # what ends the first call

    def build(self) -> types.FunctionType:
        plan, mark = self.plan, self.mark
        guards = self._head()
        head = guards.lines
        wants_return = self._returned(guards) if not isinstance(plan.returns, Free) else None
        wants_yield = self._yielded(guards) if not isinstance(plan.yields, Free) else None
        if self.body is not None and self.writer is not None:

            def local(contract: Contract, value: str, subject: str, line: int) -> list[str]:
                return self._at(guards, contract, value, subject, "", line)

            writer = dataclasses.replace(self.writer, local=local, returned=wants_return, yielded=wants_yield)
            node = writer.write(self.body.node, head)
            result = compile_body(node, self.body, {**guards.constants, **self._helpers(guards)})
        else:
            text = self._around(head, wants_return, wants_yield)
            result = self._compile(text, {**guards.constants, **self._helpers(guards)})
        functools.update_wrapper(result, plan.fn)
        cells = dict(zip(result.__code__.co_freevars, result.__closure__ or ()))
        if (fresh := cells.get(f"{mark}fresh")) is not None:
            self.settle.append(functools.partial(setattr, fresh, "cell_contents", False))
        if self.slow:
            self.notes.append(f"checked, but slowly: {', '.join(sorted(self.slow))}")
        return result

    # The lines.

    def _every(self) -> list[Contract]:
        plan = self.plan
        return [*plan.contracts.values(), plan.returns, plan.yields, *(c for _, _, c in self.locals)]

    def _guards(self) -> Guards:
        plan = self.plan
        every = self._every()
        guards = Guards(
            self.mark,
            tuple(plan.signature.parameters),
            braced=frozenset(braces_in(every)),
            loose=frozenset(loose_in(every)),
        )
        for name in sorted(guards.braced & self.rebound):
            guards.renamed[name] = f"{self.mark}a_{name}"
            guards.say(f"{guards.renamed[name]} = {name}")
        if any(getattr(axis, "treepath", False) for c in every for t in tensors(c) for axis in t.spec.axes):
            guards.say(f"{self.mark}places = {{}}")
        if self.trees:
            guards.say(f"{self.mark}trees = {{}}")
        return guards

    def _head(self) -> Guards:
        """The lines before the body: every argument, then the expressions that waited."""
        guards = self._straight()
        if guards is None:
            guards = self._walked()
        guards._perhaps(*(contract for _, _, contract in self.locals))
        if self.judge.arguments:
            pairs = "".join(f"({name!r}, {name}), " for name in self.plan.signature.parameters)
            with self._first(guards):
                guards.say(f"{self.mark}judge(({pairs}))")
                if self.judge.result is None:
                    guards.say(f"{self.mark}settle[0]()")
        return guards

    def _first(self, guards: Guards) -> Any:
        return guards.block(f"if {self.mark}fresh and not {guards.const('compiling', torch.compiler.is_compiling)}():")

    def _straight(self) -> Guards | None:
        """Each argument in turn; one that computes with the names of later ones, after them."""
        waiting = [name for name, contract in self.plan.contracts.items() if not isinstance(contract, Free)]
        guards = self._guards()
        while waiting:
            put_off = []
            for name in waiting:
                contract = self.plan.contracts[name]
                before = (len(guards.lines), dict(guards.known), len(guards.sites), len(guards.late))
                shape = f"{self.mark}s_{name}" if _keeps_shape(contract) else ""
                site = guards.site(f"argument {name}", contract, wait=True, hint=self.plan.whole_hint(name))
                try:
                    guards.check(contract, name, site, name, f"argument {name}", shape)
                except Crooked:
                    put_off.append(name)
                    lines, guards.known, sites, late = before
                    del guards.lines[lines:], guards.sites[sites:], guards.late[late:]
                    guards.indent, guards.inner, guards.path, guards.inside = 0, "", (), False
                    guards.arguments = tuple(self.plan.signature.parameters)
            if len(put_off) == len(waiting):
                return None
            waiting = put_off
        try:
            guards.settle()
        except Crooked:
            return None
        return guards

    def _walked(self) -> Guards:
        """The reference instead, for what no straight line checks."""
        self.slow.add("the arguments")
        guards = self._guards()
        pairs = "".join(f"({name!r}, {name}), " for name in self.plan.signature.parameters)
        found = [tensor for contract in self.plan.contracts.values() for tensor in tensors(contract)]
        names = sorted({a.name for t in found for a in t.spec.axes if isinstance(a, Named)})
        groups = sorted({a.name for t in found for a in t.spec.axes if isinstance(a, Variadic)})
        variables = [*map(guards.axis, names), *map(guards.group, groups), f"{self.mark}device"]
        walk = walker(self.plan.contracts, tuple(names), tuple(groups), guards.loose, self.plan.name)
        trees = f"{self.mark}trees" if self.trees else "{}"
        guards.say(f"{', '.join(variables)}, = {guards.const('walk', walk)}(({pairs}), {trees})")
        guards.known = dict.fromkeys(variables, False)
        return guards

    def _at(
        self, guards: Guards, contract: Contract, value: str, subject: str, inner: str, line: int | None
    ) -> list[str]:
        """The lines of one place in the body. What a result or an item binds is its own; what a local binds, stays."""
        outer_lines, known, indent = guards.lines, dict(guards.known), guards.indent
        guards.lines, guards.indent, guards.inner = [], 0, inner
        hint = self.plan.hints.get("return") if contract is self.plan.returns else None
        site = guards.site(subject, contract, line=line, hint=hint)
        try:
            guards.check(contract, value, site, value, subject)
        except Crooked:
            self.slow.add(subject)
            guards.inside, guards.path, guards.arguments = False, (), tuple(self.plan.signature.parameters)
            guards.lines = [guards.fail(site, value, name="walk_one")]
        lines = guards.lines
        guards.lines, guards.known, guards.indent, guards.inner = outer_lines, known, indent, ""
        return lines

    def _returned(self, guards: Guards) -> Any:
        def returned(value: str, line: int | None) -> list[str]:
            lines = self._at(guards, self.plan.returns, value, "return value", "y", line)
            if self.judge.result is not None:
                start = f"{self.mark}n_"
                sizes = "".join(f"({v[len(start) :]!r}, {v}), " for v in guards.known if v.startswith(start))
                lines += [
                    f"if {self.mark}fresh and not {guards.const('compiling', torch.compiler.is_compiling)}():",
                    f"    {self.mark}judge.of_result(({sizes}), {value})",
                    f"    {self.mark}settle[0]()",
                ]
            return lines

        return returned

    def _yielded(self, guards: Guards) -> Any:
        def yielded(value: str, line: int | None) -> list[str]:
            return self._at(guards, self.plan.yields, value, "yielded value", "y", line)

        return yielded

    def _around(self, head: list[str], returned: Any, yielded: Any) -> str:
        """A function that calls the original one, as text."""
        mark, kind = self.mark, self.plan.kind
        parameters, call = _signature_text(self.plan)
        result, item = f"{mark}result", f"{mark}item"
        source = f"{mark}given" if self.plan.lent else f"{mark}fn({call})"
        on_return = returned(result, None) if returned else []
        on_yield = yielded(item, None) if yielded else []
        match kind:
            case "plain" | "coroutine":
                wait = "await " if kind == "coroutine" else ""
                body = [f"{result} = {wait}{source}", *on_return, f"return {result}"]
            case "generator":
                body = [
                    f"{mark}it = {source}",
                    f"{mark}step, {mark}with = next, ({mark}it,)",
                    "while True:",
                    f"    try: {item} = {mark}step(*{mark}with)",
                    f"    except StopIteration as {mark}stop:",
                    f"        {result} = {mark}stop.value",
                    *_indented(on_return, 2),
                    f"        return {result}",
                    *_indented(on_yield, 1),
                    f"    try: {mark}with, {mark}step = ((yield ({item}, {item} := None)[0]),), {mark}it.send",
                    "    except GeneratorExit:",
                    f"        {mark}it.close()",
                    "        raise",
                    f"    except BaseException as {mark}error:",
                    f"        {mark}step, {mark}with = {mark}it.throw, ({mark}error,)",
                ]
            case _:
                body = [
                    f"{mark}it = {source}",
                    f"{mark}step, {mark}with = {mark}it.__anext__, ()",
                    "while True:",
                    f"    try: {item} = await {mark}step(*{mark}with)",
                    "    except StopAsyncIteration: return",
                    *_indented(on_yield, 1),
                    f"    try: {mark}with, {mark}step = ((yield ({item}, {item} := None)[0]),), {mark}it.asend",
                    "    except GeneratorExit:",
                    f"        await {mark}it.aclose()",
                    "        raise",
                    f"    except BaseException as {mark}error:",
                    f"        {mark}step, {mark}with = {mark}it.athrow, ({mark}error,)",
                ]
        start = "async def" if kind in ("coroutine", "asyncgen") else "def"
        if self.plan.lent:
            # a plain function that hands on what another made: looked at as it comes out, if it is that
            body = [
                f"{mark}given = {mark}fn({call})",
                f"if not isinstance({mark}given, {mark}lent): return {mark}given",
                f"{start} {mark}watched():",
                *_indented(body, 1),
                f"return {mark}watched()",
            ]
            start = "def"
        return "\n".join([f"{start} {mark}around({parameters}):", *_indented([*head, *body], 1)])

    # The functions.

    def _helpers(self, guards: Guards) -> dict[str, Any]:
        plan, mark = self.plan, self.mark
        rebound = frozenset(self.rebound) if self.body is not None else frozenset()
        ground = Ground(plan.name, plan.contracts, tuple(guards.arguments), mark, dict(guards.renamed), rebound)
        helpers: dict[str, Any] = {
            "fail": failing(guards.sites, guards.by, ground),
            "walk_one": failing(guards.sites, guards.by, ground, reference=True),
            "judge": self.judge,
            "settle": self.settle,
            "fresh": True,
            "visible": functools.partial(_visible, mark),
            "lent": _LENT.get(plan.kind, object),
            "fn": plan.fn,
        }
        return {f"{mark}{name}": value for name, value in helpers.items()}

    def _compile(self, text: str, constants: Mapping[str, Any]) -> types.FunctionType:
        name = f"<shaped {self.plan.where} {next(_numbers)}>"
        factory = f"def factory({', '.join(constants)}):\n" + "\n".join(_indented(text.split("\n"), 1))
        scope: dict[str, Any] = {"__name__": self.plan.fn.__module__}
        exec(compile(f"{factory}\n    return {self.mark}around", name, "exec"), scope)
        function: types.FunctionType = scope["factory"](**constants)
        # tracebacks and debuggers see the generated lines for as long as the function lives
        linecache.cache[name] = (len(factory), None, factory.splitlines(keepends=True), name)
        weakref.finalize(function, linecache.cache.pop, name, None)
        function.__defaults__, function.__kwdefaults__ = _defaults(self.plan.signature)
        return function


_LENT = {"generator": types.GeneratorType, "asyncgen": types.AsyncGeneratorType, "coroutine": types.CoroutineType}


def _visible(mark: str, listed: Any) -> Any:
    """What `locals()` and `dir()` list, without the guards' own names."""
    if isinstance(listed, list):
        return [name for name in listed if not name.startswith(mark)]
    return {name: value for name, value in listed.items() if not name.startswith(mark)}


def _keeps_shape(contract: Contract) -> bool:
    return isinstance(contract, TensorOf) or (
        isinstance(contract, OneOf) and sum(isinstance(o, TensorOf) for o in contract.options) == 1
    )


def _indented(lines: Sequence[str], levels: int) -> list[str]:
    return ["    " * levels + line for line in lines]


def _signature_text(plan: Plan) -> tuple[str, str]:
    """The parameters as they are declared, and the arguments that pass them on."""
    parameters, call, star, slash = [], [], False, False
    for p in plan.signature.parameters.values():
        default = "" if p.default is p.empty else "=None"
        if slash and p.kind is not p.POSITIONAL_ONLY:
            parameters.append("/")
            slash = False
        match p.kind:
            case p.POSITIONAL_ONLY | p.POSITIONAL_OR_KEYWORD:
                slash = p.kind is p.POSITIONAL_ONLY
                parameters.append(p.name + default)
                call.append(p.name)
            case p.VAR_POSITIONAL:
                star = True
                parameters.append(f"*{p.name}")
                call.append(f"*{p.name}")
            case p.KEYWORD_ONLY:
                if not star:
                    parameters.append("*")
                    star = True
                parameters.append(p.name + default)
                call.append(f"{p.name}={p.name}")
            case p.VAR_KEYWORD:
                parameters.append(f"**{p.name}")
                call.append(f"**{p.name}")
    if slash:
        parameters.append("/")
    return ", ".join(parameters), ", ".join(call)


def _defaults(signature: inspect.Signature) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword-only defaults. They are the signature's: a wrapper of a function has none of its own."""
    given = [p for p in signature.parameters.values() if p.default is not p.empty]
    return (
        tuple(p.default for p in given if p.kind is not p.KEYWORD_ONLY),
        {p.name: p.default for p in given if p.kind is p.KEYWORD_ONLY},
    )
