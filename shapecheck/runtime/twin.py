"""From a plan to the guarded function: written into the body where the source is at hand, around the call otherwise."""

from __future__ import annotations

import ast
import copy
import functools
import inspect
import types
from collections.abc import Mapping
from typing import Any

import torch

from shapecheck.dims.spec import Named, Variadic
from shapecheck.runtime.body import (
    Body,
    NoSource,
    Writer,
    compile_body,
    read_body,
    register_source,
    stored_names,
)
from shapecheck.runtime.contract import Contract, Free, OneOf, TensorOf, tensors
from shapecheck.runtime.errors import ContractError
from shapecheck.runtime.expressions import braces_in, loose_in
from shapecheck.runtime.failing import failing, walker
from shapecheck.runtime.guards import Crooked, Guards
from shapecheck.runtime.judge import Judge
from shapecheck.runtime.plan import Plan
from shapecheck.runtime.report import Entry

__all__ = ["twin"]


def twin(plan: Plan, entry: Entry) -> types.FunctionType:
    """The function of a plan, checked at every call."""
    marks = ("_sc_", *(f"_sc{number}_" for number in range(100)))
    mark = next(m for m in marks if not any(name.startswith(m) for name in _names_in(plan.fn.__code__)))
    return Assembly(plan, mark, entry).build()


def _names_in(code: types.CodeType) -> set[str]:
    return {*code.co_varnames, *code.co_names, *code.co_freevars, *code.co_cellvars}


class Assembly:
    """Both versions of one function: the first calls with the judge, the steady state without."""

    def __init__(self, plan: Plan, mark: str, entry: Entry) -> None:
        self.plan = plan
        self.mark = mark
        self.entry = entry
        self.body: Body | None = None
        self.declared: dict[str, tuple[Contract, str]] = {}  # locals annotated without a value
        self.locals: list[tuple[int, str, Contract]] = []
        self.rebound: set[str] = set()
        self.walk: Any = None

    def build(self) -> types.FunctionType:
        plan = self.plan
        self._read()
        self.entry.checked = [
            *(name for name, contract in plan.contracts.items() if not isinstance(contract, Free)),
            *(f"{text} (line {line})" for line, text, _ in self.locals),
            *(["yield"] if not isinstance(plan.yields, Free) else []),
            *(["return"] if not isinstance(plan.returns, Free) else []),
        ]
        self.entry.how = "in the body" if self.body else "around the call"
        first, guards = self._version(judged=True)
        steady, _ = self._version(judged=False)
        constants = {**guards.constants, **self._helpers(guards)}
        result, settled = self._compile(first, constants), self._compile(steady, constants)
        self._finish(result)
        holder = constants[f"{self.mark}settle"]
        holder.append(functools.partial(setattr, result, "__code__", settled.__code__))
        if result.__code__.co_freevars != settled.__code__.co_freevars:
            raise AssertionError("both versions close over the same names")
        return result

    # The source.

    def _read(self) -> None:
        plan = self.plan
        try:
            body = read_body(plan.fn)
            code = plan.fn.__code__
            meanings = {*plan.fn.__globals__, *code.co_varnames, *code.co_freevars, *code.co_cellvars}
            if shadowed := {"isinstance", "len", "hasattr"} & meanings:
                raise NoSource(f"{', '.join(sorted(shadowed))} means something else in it")
        except NoSource as error:
            self.entry.notes.append(f"annotated local variables: {error}")
            return
        writer = self._writer(lambda *_: [], None, None)
        writer.yielded = (lambda *_: []) if not isinstance(plan.yields, Free) else None
        writer.survey(body.node)
        if writer.awkward:
            if writer.locals and writer.yielded is not None:
                raise ContractError(
                    f"{plan.fn.__qualname__} annotates local tensors and yields from within an expression; "
                    "give the yield a statement of its own"
                )
            if not writer.locals:
                return
        self.body, self.locals, self.declared = body, writer.locals, writer.declared
        self.rebound = stored_names(body.node) & set(plan.signature.parameters)

    def _writer(self, local: Any, returned: Any, yielded: Any) -> Writer:
        return Writer(self.mark, returned, yielded, local, self._contract_of, self._checked)

    def _contract_of(self, annotation: ast.expr) -> Contract:
        """The contract of an annotated local; nothing is asked of types without tensors."""
        from shapecheck.runtime.build import has_tensor
        from shapecheck.runtime.resolve import resolve

        plan, text = self.plan, ast.unparse(annotation)
        try:
            hint = resolve(text, plan.fn.__globals__, plan.names, plan.late)
        except NameError as error:
            if "[" in text and ("'" in text or '"' in text):  # it looks like axes: not without them
                raise
            plan.builder.notes.append(f"line {annotation.lineno}: {text} is unknown outside the body ({error})")
            return Free()
        except Exception as error:
            raise ContractError(f"the annotation {text} in {plan.fn.__qualname__} is malformed: {error}") from error
        return plan.builder.build(hint) if has_tensor(hint) else Free()

    def _checked(self, call: ast.Call) -> tuple[Contract, ast.expr] | None:
        """`check(x, "B G")` with our own `check`: its contract and `x`."""
        from shapecheck.runtime.checking import check, contract_for

        if len(call.args) != 2 or call.keywords or not _still(call.func) or not _still(call.args[1]):
            return None
        scope = {**self.plan.fn.__globals__, **self.plan.names}
        try:
            if eval(ast.unparse(call.func), scope) is not check:
                return None
            asked = eval(ast.unparse(call.args[1]), scope)
        except Exception:  # not a name of the module: then it is not our `check` with a spec that stands still
            return None
        return contract_for(asked, self.plan.builder), call.args[0]

    # The lines.

    def _guards(self) -> Guards:
        plan = self.plan
        every = [*plan.contracts.values(), plan.returns, plan.yields, *(c for _, _, c in self.locals)]
        guards = Guards(
            self.mark,
            tuple(plan.signature.parameters),
            braced=frozenset(braces_in(every)),
            loose=frozenset(loose_in(every)),
        )
        for name in sorted(guards.braced & self.rebound):
            guards.renamed[name] = f"{self.mark}a_{name}"
            guards.say(f"{guards.renamed[name]} = {name}")
        return guards

    def _head(self, judged: bool) -> Guards:
        """The lines before the body: every argument, then the expressions that waited."""
        plan, mark = self.plan, self.mark
        guards = self._guards()
        pairs = "".join(f"({name!r}, {name}), " for name in plan.signature.parameters)
        start = list(guards.lines)
        try:
            for name, contract in plan.contracts.items():
                if isinstance(contract, Free):
                    continue
                shape = f"{mark}s_{name}" if _keeps_shape(contract) else ""
                site = guards.site(f"argument {name}", contract, wait=True, hint=plan.hints.get(name))
                guards.check(contract, name, site, name, f"argument {name}", shape)
                if shape:
                    guards.shapes[name] = shape
            guards.settle()
        except Crooked:
            guards = self._guards()
            guards.lines = start
            names = sorted({a.name for t in self._argument_tensors() for a in t.spec.axes if isinstance(a, Named)})
            groups = sorted({a.name for t in self._argument_tensors() for a in t.spec.axes if isinstance(a, Variadic)})
            variables = [*map(guards.axis, names), *map(guards.group, groups), f"{mark}device"]
            walk = guards.const("walk", self._walker(tuple(names), tuple(groups), guards.loose))
            guards.say(f"{', '.join(variables)} = {walk}(({pairs}))")
            guards.known = dict.fromkeys(variables, False)
        guards._perhaps(*(contract for _, _, contract in self.locals))
        if judged:
            with guards.block(f"if not {guards.const('compiling', torch.compiler.is_compiling)}():"):
                guards.say(f"{mark}judge(({pairs}))")
                if isinstance(plan.returns, Free) or plan.kind in ("generator", "asyncgen"):
                    guards.say(f"{mark}settle[0]()")
            if not isinstance(plan.returns, Free):
                guards.say(f"{mark}given = ({pairs})")
        with guards.block("if 0:"):  # names that make the free variables of both versions the same
            guards.say(f"{mark}judge, {mark}settle, {guards.const('compiling', torch.compiler.is_compiling)}")
        return guards

    def _walker(self, names: tuple[str, ...], groups: tuple[str, ...], loose: frozenset[str]) -> Any:
        if self.walk is None:  # one object for both versions
            self.walk = walker(self.plan.contracts, names, groups, loose, self.plan.name)
        return self.walk

    def _argument_tensors(self) -> list[TensorOf]:
        return [tensor for contract in self.plan.contracts.values() for tensor in tensors(contract)]

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
            guards.lines = [guards.fail(site, value, "walk_one")]
        lines = guards.lines
        guards.lines, guards.known, guards.indent, guards.inner = outer_lines, known, indent, ""
        return lines

    def _version(self, judged: bool) -> tuple[Any, Guards]:
        plan, mark = self.plan, self.mark
        guards = self._head(judged)
        head = guards.lines

        def returned(value: str, line: int | None) -> list[str]:
            lines = self._at(guards, plan.returns, value, "return value", "y", line)
            if judged and plan.kind in ("plain", "coroutine"):
                compiling = guards.const("compiling", torch.compiler.is_compiling)
                lines += [
                    f"if not {compiling}():",
                    f"    {mark}judge.of_result({mark}given, {value})",
                    f"    {mark}settle[0]()",
                ]
            return lines

        def yielded(value: str, line: int | None) -> list[str]:
            return self._at(guards, plan.yields, value, "yielded value", "y", line)

        def local(contract: Contract, value: str, subject: str, line: int) -> list[str]:
            return self._at(guards, contract, value, subject, "", line)

        wants_return = returned if not isinstance(plan.returns, Free) else None
        wants_yield = yielded if not isinstance(plan.yields, Free) else None
        if self.body is None:
            return self._around(guards, head, wants_return, wants_yield), guards
        node = copy.deepcopy(self.body.node)
        writer = self._writer(local, wants_return, wants_yield)
        writer.declared = self.declared
        writer.write(node, head)
        return node, guards

    def _around(self, guards: Guards, head: list[str], returned: Any, yielded: Any) -> str:
        """A function that calls the original one, as text."""
        mark, kind = self.mark, self.plan.kind
        parameters, call = _signature_text(self.plan)
        fn, result, item = f"{mark}fn({call})", f"{mark}result", f"{mark}item"
        on_return = returned(result, None) if returned else []
        on_yield = yielded(item, None) if yielded else []
        match kind:
            case "plain" | "coroutine":
                wait = "await " if kind == "coroutine" else ""
                body = [f"{result} = {wait}{fn}", *on_return, f"return {result}"]
            case "generator":
                body = [
                    f"{mark}it = {fn}",
                    f"{mark}step, {mark}with = next, ({mark}it,)",
                    "while True:",
                    f"    try: {item} = {mark}step(*{mark}with)",
                    f"    except StopIteration as {mark}stop:",
                    f"        {result} = {mark}stop.value",
                    *_indented(on_return, 2),
                    f"        return {result}",
                    *_indented(on_yield, 1),
                    f"    try: {mark}with, {mark}step = ((yield {item}),), {mark}it.send",
                    "    except GeneratorExit:",
                    f"        {mark}it.close()",
                    "        raise",
                    f"    except BaseException as {mark}error:",
                    f"        {mark}step, {mark}with = {mark}it.throw, ({mark}error,)",
                ]
            case _:
                body = [
                    f"{mark}it = {fn}",
                    f"{mark}step, {mark}with = {mark}it.__anext__, ()",
                    "while True:",
                    f"    try: {item} = await {mark}step(*{mark}with)",
                    "    except StopAsyncIteration: return",
                    *_indented(on_yield, 1),
                    f"    try: {mark}with, {mark}step = ((yield {item}),), {mark}it.asend",
                    "    except GeneratorExit:",
                    f"        await {mark}it.aclose()",
                    "        raise",
                    f"    except BaseException as {mark}error:",
                    f"        {mark}step, {mark}with = {mark}it.athrow, ({mark}error,)",
                ]
        start = "async def" if kind in ("coroutine", "asyncgen") else "def"
        return "\n".join([f"{start} {mark}around({parameters}):", *_indented([*head, *body], 1)])

    # The functions.

    def _helpers(self, guards: Guards) -> dict[str, Any]:
        plan, mark = self.plan, self.mark
        helpers: dict[str, Any] = {
            "fail": failing(guards.sites, guards.by, plan.name, reference=False),
            "walk_one": failing(guards.sites, guards.by, plan.name, reference=True),
            "judge": Judge(plan),
            "settle": [],
        }
        if self.body is None:
            helpers["fn"] = plan.fn
        return {f"{mark}{name}": value for name, value in helpers.items()}

    def _compile(self, version: Any, constants: Mapping[str, Any]) -> types.FunctionType:
        if self.body is not None:
            return compile_body(version, self.body, constants)
        name = f"<shaped {self.plan.where} {id(self.plan.fn):x}>"
        factory = f"def factory({', '.join(constants)}):\n" + "\n".join(_indented(version.split("\n"), 1))
        register_source(name, factory)
        scope: dict[str, Any] = {"__name__": self.plan.fn.__module__}
        exec(compile(f"{factory}\n    return {self.mark}around", name, "exec"), scope)
        function: types.FunctionType = scope["factory"](**constants)
        function.__defaults__, function.__kwdefaults__ = _defaults(self.plan.signature)
        return function

    def _finish(self, function: types.FunctionType) -> None:
        functools.update_wrapper(function, self.plan.fn)


def _still(expression: ast.expr) -> bool:
    """Whether evaluating does nothing: names, attributes, subscripts and constants."""
    fine = (ast.Name, ast.Attribute, ast.Subscript, ast.Constant, ast.Tuple, ast.BinOp, ast.BitOr, ast.expr_context)
    return all(isinstance(node, fine) for node in ast.walk(expression))


def _keeps_shape(contract: Contract) -> bool:
    return isinstance(contract, TensorOf) or (
        isinstance(contract, OneOf) and sum(isinstance(o, TensorOf) for o in contract.options) == 1
    )


def _indented(lines: list[str], levels: int) -> list[str]:
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
