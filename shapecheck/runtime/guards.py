"""From contracts to straight-line Python: the guards that run at every call.

`f(q: Float[Tensor, "B D"], ...)` becomes, in the function's own frame,

    if not (isinstance(q, Tensor) and len((s := q.shape)) == 2 and q.dtype in FLOATS): fail(0, q, ...)
    B, D = s

No dictionary is kept and nothing is remembered between calls: axis sizes are local variables, so threads,
coroutines and generators cannot mix them up, and torch.compile sees plain comparisons of sizes.
What a guard refuses is judged again by `contract.hold`, which finds the words.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from shapecheck.dims.spec import Anonymous, Expr, Fixed, Named, Tree, Variadic
from shapecheck.runtime import expressions
from shapecheck.runtime.contract import (
    Contract,
    Free,
    Items,
    OneOf,
    Plain,
    Record,
    Row,
    TensorOf,
    Values,
    dtype_fits,
    tensors,
)
from shapecheck.runtime.errors import ContractError
from shapecheck.runtime.lines import Lines
from shapecheck.runtime.scope import variadic

__all__ = ["Crooked", "Guards"]


class Crooked(Exception):
    """A contract that no straight line checks; the reference walks it instead."""


@dataclass(slots=True)
class Guards(Lines):
    """Writes the guards of contracts: `check` for any value, `tensor` for the test of one tensor."""

    late: list[tuple[TensorOf, str, str, int, Expr]] = field(default_factory=list)

    def check(self, contract: Contract, value: str, site: int, whole: str, subject: str, shape: str = "") -> None:
        """Lines that fail at `site` (with the value `whole`) unless `value` keeps `contract`."""
        match contract:
            case Free():
                return
            case Plain():
                with self.block(f"if not {self._plain(contract, value)}:"):
                    self.say(self.fail(site, whole))
            case TensorOf() if self._spreads(contract):
                shape = shape or self.fresh("s")
                self._spread(contract, value, shape, subject, site, whole)
                self._device(contract, value, site, whole)
                self._expressions(contract, value, shape, site, whole)
            case TensorOf():
                shape, fail = shape or self.fresh("s"), self.fail(site, whole)
                exact = self._exact(contract) is not None
                test, binds = self.tensor(contract, value, shape, subject, site)
                with self.block(f"if not ({test}):"):
                    self.say(fail)
                for bind in binds:
                    self.say(bind)
                self._device(contract, value, site, whole)
                if not exact:
                    self._expressions(contract, value, shape, site, whole)
            case OneOf(options):
                self._one_of(options, value, site, whole, subject, shape)
            case Items(kind, item):
                self._loop(f"for {{}} in {value}:", kind, item, value, site, whole, subject)
            case Values(kind, item):
                self._loop(f"for {{}} in {value}.values():", kind, item, value, site, whole, subject)
            case Row(items):
                row = self.const("tuple", tuple)
                with self.block(f"if not (isinstance({value}, {row}) and len({value}) == {len(items)}):"):
                    self.say(self.fail(site, whole))
                for place, item in enumerate(items):
                    variable = self.fresh("x")
                    if not isinstance(item, Free):
                        self.say(f"{variable} = {value}[{place}]")
                        self.check(item, variable, site, whole, f"{subject}[{place}]")
            case Record():
                self._record(contract, value, site, whole, subject)

    def _loop(self, header: str, kind: type, item: Contract, value: str, site: int, whole: str, subject: str) -> None:
        with self.block(f"if not isinstance({value}, {self.const(kind.__name__.lower(), kind)}):"):
            self.say(self.fail(site, whole))
        if isinstance(item, Free):
            return
        self._perhaps(item)
        variable = self.fresh("x")
        with self.block(header.format(variable)):
            self.check(item, variable, site, whole, f"an item of {subject}")

    def _perhaps(self, *contracts: Contract) -> None:
        """Give every name that the contracts may bind a None to start from."""
        for tensor in (t for contract in contracts for t in tensors(contract)):
            for axis in tensor.spec.axes:
                match axis:
                    case Named(name):
                        self._start(self.axis(name))
                    case Variadic(name):
                        self._start(self.group(name))
            if tensor.same_device:
                self._start(f"{self.mark}device")

    def _start(self, variable: str) -> None:
        if variable not in self.known:
            self.known[variable] = False
            self.say(f"{variable} = None")

    def _one_of(
        self, options: tuple[Contract, ...], value: str, site: int, whole: str, subject: str, shape: str
    ) -> None:
        compound = [o for o in options if not isinstance(o, Free | Plain | TensorOf)]
        simple = [o for o in options if isinstance(o, Free | Plain | TensorOf)]
        if len(compound) > 1:
            raise Crooked
        if shape:
            self.say(f"{shape} = None")
        self._perhaps(*options)
        tries: list[tuple[str, list[str]]] = []
        for option in simple:
            match option:
                case Free():
                    return
                case Plain():
                    tries.append((self._plain(option, value), []))
                case TensorOf():
                    tries.append(self._whole_tensor(option, value, shape or self.fresh("s"), subject, site))
        if not compound and not any(binds for _, binds in tries):
            with self.block(f"if not ({' or '.join(test for test, _ in tries)}):"):
                self.say(self.fail(site, whole))
            return
        for number, (test, binds) in enumerate(tries):
            with self.block(f"{'elif' if number else 'if'} {test}:"):
                for bind in binds:
                    self.say(bind)
        if compound and not tries:
            self.check(compound[0], value, site, whole, subject)
            return
        with self.block("else:"):
            if compound:
                self.check(compound[0], value, site, whole, subject)
            else:
                self.say(self.fail(site, whole))

    def _whole_tensor(
        self, contract: TensorOf, value: str, shape: str, subject: str, site: int
    ) -> tuple[str, list[str]]:
        """A tensor as one test, expressions included, for a choice between options."""
        before, exact = dict(self.known), self._exact(contract) is not None
        test, binds = self.tensor(contract, value, shape, subject, site)
        self.known = before  # a choice binds nothing for certain
        for column, expr in self._columns(contract):
            if exact or not isinstance(expr, Expr):
                continue
            if not all(self.known.get(self.axis(n)) for n in expr.names) or expressions.risky(expr.tree):
                raise Crooked
            size = f"{shape}[{column}]"
            loose = f"{size} == 1 or " if expr.broadcast else ""
            test += f" and ({loose}{size} == {self.code(expr.tree)})"
        if contract.same_device:
            raise Crooked
        return test, binds

    def _record(self, record: Record, value: str, site: int, whole: str, subject: str) -> None:
        if self.outside is not None:
            raise Crooked
        kind = dict if record.keyed else record.cls
        with self.block(f"if not isinstance({value}, {self.const(kind.__name__, kind)}):"):
            self.say(self.fail(site, whole))
        self.count += 1
        by, late, inner, arguments = self.by, self.late, self.inner, self.arguments
        self.outside, self.known, self.by, self.late = self.known, {}, {}, []
        self.inner, self.arguments = f"r{self.count}", ()
        for part in record.fields:
            if isinstance(part.contract, Free):
                continue
            if any(isinstance(a, Expr) for t in tensors(part.contract) for a in t.spec.axes):
                raise Crooked
            self._perhaps(part.contract)
        for part in record.fields:
            if isinstance(part.contract, Free):
                continue
            item = self.fresh("x")
            if not record.keyed:
                self.say(f"{item} = {value}.{part.name}")
                self.check(part.contract, item, site, whole, f"{subject}.{part.name}")
                continue
            with self.block(f"if {part.name!r} in {value}:"):
                self.say(f"{item} = {value}[{part.name!r}]")
                self.check(part.contract, item, site, whole, f"{subject}[{part.name!r}]")
            if part.required:
                with self.block("else:"):
                    self.say(self.fail(site, whole))
        self.known, self.outside = self.outside, None
        self.by, self.late, self.inner, self.arguments = by, late, inner, arguments

    def _device(self, contract: TensorOf, value: str, site: int, whole: str) -> None:
        if not contract.same_device:
            return
        device = f"{self.mark}device"
        state = self.known.get(device)
        if state is None:
            self.say(f"{device} = {value}.device")
            self.known[device] = True
            return
        test = f"{value}.device != {device}"
        with self.block(f"if {test}:" if state else f"if {device} is not None and {test}:"):
            self.say(self.fail(site, whole))
        if not state:
            self.say(f"{device} = {value}.device")

    # Tensors.

    def _columns(self, contract: TensorOf) -> list[tuple[int, Any]]:
        """Each single axis with its index into the shape: from the end, behind a variadic one."""
        axes, many = contract.spec.axes, contract.spec.variadic
        return [(i if many is None or i < many else i - len(axes), axis) for i, axis in enumerate(axes) if i != many]

    def tensor(self, contract: TensorOf, value: str, shape: str, subject: str, site: int) -> tuple[str, list[str]]:
        """The test of everything but expressions, and the lines that bind its new names afterwards."""
        spec = contract.spec
        tests: list[str] = [self._class(contract, value)]
        binds: list[str] = []
        many = spec.variadic
        exact = self._exact(contract)
        if exact is not None:
            tests.append(f"({shape} := {value}.shape) == {exact}")
        else:
            compare, rank = ("==", len(spec.axes)) if many is None else (">=", spec.min_rank)
            tests.append(f"len(({shape} := {value}.shape)) {compare} {rank}")
        tests += self._dtype(contract, value)
        if exact is None:
            first: dict[str, int] = {}
            for column, axis in self._columns(contract):
                self._axis(axis, column, shape, subject, first, tests, binds)
            binds = _unpacked(binds, shape, len(spec.axes), many)
        if exact is None and many is not None and isinstance(group := spec.axes[many], Variadic):
            self._group(group, many, len(spec.axes) - many - 1, shape, subject, tests, binds)
        return " and ".join(tests), binds

    def _spreads(self, contract: TensorOf) -> bool:
        """Whether unpacking the shape says all: no axis broadcasts, and the shape is not known altogether by now."""
        axes, many = contract.spec.axes, contract.spec.variadic
        if len(axes) < 2 or any(isinstance(a, Named | Fixed) and a.broadcast for a in axes):
            return False
        if any(isinstance(a, Named) and a.treepath for a in axes) or self._exact(contract) is not None:
            return False
        return many is None or (isinstance(group := axes[many], Variadic) and self._plain_group(group))

    def _plain_group(self, axis: Variadic) -> bool:
        return not axis.treepath and axis.name not in self.loose

    def _spread(self, contract: TensorOf, value: str, shape: str, subject: str, site: int, whole: str) -> None:
        """`*b, D = s` and then comparisons: what is new is unpacked into its own variable."""
        fail = self.fail(site, whole)
        compare = "==" if contract.spec.variadic is None else ">="
        tests = [self._class(contract, value), f"len(({shape} := {value}.shape)) {compare} {contract.spec.min_rank}"]
        tests += self._dtype(contract, value)
        with self.block(f"if not ({' and '.join(tests)}):"):
            self.say(fail)
        targets: list[str] = []
        tests, binds, new = [], [], []
        for column, axis in enumerate(contract.spec.axes):
            match axis:
                case Variadic(name):
                    variable, star = self.group(name), "*"
                    self._bound_by("*" + name, subject)
                case Named(name):
                    variable, star = self.axis(name), ""
                    self._bound_by(name, f"{subject}, axis {column}")
                case Fixed(size):
                    targets.append(self.fresh("t"))
                    tests.append(f"{targets[-1]} == {size}")
                    continue
                case _:
                    targets.append(self.fresh("t"))
                    continue
            if variable not in self.known and variable not in new:
                targets.append(star + variable)
                new.append(variable)
                continue
            held = self.fresh("t")
            targets.append(star + held)
            if self.known.get(variable) or variable in new:
                tests.append(f"{held} == {variable}")
            else:
                tests.append(f"({variable} is None or {held} == {variable})")
                binds.append(f"{variable} = {held}")
                new.append(variable)
        self.say(f"{', '.join(targets)} = {shape}")
        if tests:
            with self.block(f"if not ({' and '.join(tests)}):"):
                self.say(fail)
        for bind in binds:
            self.say(bind)
        self.known.update(dict.fromkeys(new, True))

    def _class(self, contract: TensorOf, value: str) -> str:
        if contract.array is Any:
            return f"hasattr({value}, 'shape') and hasattr({value}, 'dtype')"
        array = self.const(contract.array.__name__, contract.array)
        test = f"isinstance({value}, {array})"
        # the usual class is told apart faster by identity
        return f"({value}.__class__ is {array} or {test})" if contract.array is torch.Tensor else test

    def _dtype(self, contract: TensorOf, value: str) -> list[str]:
        if contract.dtypes is None:
            return []
        test = f"{value}.dtype in {self.const('dtypes', contract.allowed)}"
        if contract.autocast_ok:
            fits = self.const("dtype_fits", dtype_fits)
            test = f"({test} or {fits}({self.const('tensor', contract)}, {value}.dtype))"
        return [test]

    def _exact(self, contract: TensorOf) -> str | None:
        """The whole shape as one tuple, when every size is known by now."""
        sizes = []
        for axis in contract.spec.axes:
            match axis:
                case Named(name, broadcast=False, treepath=False) if self.known.get(self.axis(name)):
                    sizes.append(self.axis(name))
                case Fixed(value, broadcast=False):
                    sizes.append(str(value))
                case Variadic(name) if self._plain_group(axis) and self.known.get(self.group(name)):
                    sizes.append("*" + self.group(name))
                case Expr(tree=tree, broadcast=False) if expressions.calm(tree):
                    if not all(self.known.get(self.axis(n)) for n in axis.names):
                        return None
                    sizes.append(self.code(tree))
                case _:
                    return None
        return f"({', '.join(sizes)},)" if sizes else None

    def _axis(
        self,
        axis: Any,
        column: int,
        shape: str,
        subject: str,
        first: dict[str, int],
        tests: list[str],
        binds: list[str],
    ) -> None:
        size = f"{shape}[{column}]"
        match axis:
            case Anonymous() | Expr():
                return
            case Fixed(value, broadcast):
                tests.append(f"({size} == 1 or {size} == {value})" if broadcast else f"{size} == {value}")
            case Named(treepath=True):
                raise Crooked
            case Named(name, broadcast):
                variable = self.axis(name)
                loose = f"{size} == 1 or " if broadcast else ""
                if name in first:
                    if first[name] < 0:  # met as `#name` in this very tensor: order matters
                        raise Crooked
                    tests.append(f"({loose}{size} == {shape}[{first[name] - 1}])")
                    return
                self._bound_by(name, f"{subject}, axis {column if column >= 0 else f'{column} from the end'}")
                state = self.known.get(variable)
                if state:
                    tests.append(f"({loose}{size} == {variable})" if broadcast else f"{size} == {variable}")
                elif state is False:
                    tests.append(f"({loose}{variable} is None or {size} == {variable})")
                    if broadcast:
                        binds.append(f"if {size} != 1: {variable} = {size}")
                        first[name] = -1
                    else:
                        binds.append(f"{variable} = {size}")
                        self.known[variable] = True
                        first[name] = -1 if column < 0 else column + 1
                elif broadcast:
                    binds.append(f"{variable} = None if {size} == 1 else {size}")
                    self.known[variable] = False
                    first[name] = -1
                else:
                    binds.append(f"{variable} = {size}")
                    self.known[variable] = True
                    first[name] = -1 if column < 0 else column + 1

    def _bound_by(self, name: str, who: str) -> None:
        candidates = self.by.setdefault(name, [])
        if not self.known.get(self.axis(name)) and who not in candidates:
            candidates.append(who)

    def _group(
        self, axis: Variadic, start: int, tail: int, shape: str, subject: str, tests: list[str], binds: list[str]
    ) -> None:
        if axis.treepath:
            raise Crooked
        variable, found = self.group(axis.name), self.fresh("v")
        group = f"{shape}[{start}:{f'-{tail}' if tail else ''}]"
        self._bound_by("*" + axis.name, subject)
        if self._plain_group(axis):
            state = self.known.get(variable)
            if state is not None:
                tests.append(f"({'' if state else f'{variable} is None or '}[*{group}] == {variable})")
            binds.append(f"{variable} = [*{group}]")
            self.known[variable] = True
            return
        before = variable if variable in self.known else "None"
        merge = self.const("variadic", variadic)
        # kept as (broadcastable, sizes): the rules of `*name` against `#*name` are the reference's own
        tests.append(f"({found} := {merge}({before}, {axis.broadcast}, {group})) is not None")
        binds.append(f"{variable} = {found}")
        self.known.setdefault(variable, True)

    # Expressions.

    def _expressions(self, contract: TensorOf, value: str, shape: str, site: int, whole: str) -> None:
        for column, axis in self._columns(contract):
            if not isinstance(axis, Expr):
                continue
            if self.sites[site].wait and not all(self.known.get(self.axis(n)) for n in axis.names):
                if self.indent or value != whole:
                    raise Crooked  # within a container: the item is gone when the names are known
                self.late.append((contract, value, shape, column, axis))
            else:
                self._expression(column, axis, shape, site, whole)

    def _expression(self, column: int, axis: Expr, shape: str, site: int, whole: str) -> None:
        size = f"{shape}[{column}]"
        names = [self.axis(n) for n in axis.names]
        if unknown := [n for n, v in zip(axis.names, names) if v not in self.known]:
            raise ContractError(
                f"axis {axis.source!r} of {self.sites[site].subject} reads {', '.join(unknown)}, "
                "which no argument binds"
            )
        tests = [f"{v} is not None" for v in names if not self.known[v]]
        code = self.code(axis.tree)
        loose = f"{size} == 1 or " if axis.broadcast else ""
        if expressions.risky(axis.tree):
            found = self.fresh("e")
            with self.block("try:"):
                self.say(f"{found} = {' and '.join([*tests, code])}")
            with self.block(f"except {self.const('Exception', Exception)}:"):
                self.say(f"{found} = None")
            tests, code = [], found
        test = " and ".join([*tests, f"{size} == {code}"])
        with self.block(f"if not ({loose}{test}):"):
            self.say(self.fail(site, whole))

    def settle(self) -> None:
        """The expressions that were put off: every argument has been seen."""
        for contract, value, shape, column, axis in self.late:
            site = self.site(f"argument {value}", contract)  # its names are bound by now
            self._expression(column, axis, shape, site, value)
        self.late.clear()

    def code(self, tree: Tree) -> str:
        """An expression as Python over the variables of its axes."""
        found = expressions.code(tree, self.axis, self.const, self.renamed)
        if found is None:
            raise Crooked
        return found

    def _plain(self, contract: Plain, value: str) -> str:
        if contract.hint is type(None):
            return f"{value} is None"
        if contract.classes is not None:
            return f"isinstance({value}, {self.const(contract.classes.__name__, contract.classes)})"
        compiling = self.const("compiling", torch.compiler.is_compiling)
        return f"({compiling}() or {self.const('test', contract.test)}({value}))"  # beartype is not for tracing


def _unpacked(binds: list[str], shape: str, rank: int, many: int | None) -> list[str]:
    """`B = s[0]`, `D = s[1]` as one unpacking, where every axis is new."""
    wanted = [f" = {shape}[{i}]" for i in range(rank)]
    if many is None and rank > 1 and len(binds) == rank and all(b.endswith(w) for b, w in zip(binds, wanted)):
        names = [b[: -len(w)] for b, w in zip(binds, wanted)]
        if not any(" " in name for name in names):
            return [f"{', '.join(names)} = {shape}"]
    return binds
