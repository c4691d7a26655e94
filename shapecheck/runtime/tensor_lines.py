"""The lines that hold one tensor against its annotation: class, rank, dtype, sizes, and what is computed of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from shapecheck.dims.spec import Anonymous, Expr, Fixed, Named, Tree, Variadic
from shapecheck.runtime import expressions
from shapecheck.runtime.contract import TensorOf, dtype_fits
from shapecheck.runtime.errors import ContractError
from shapecheck.runtime.lines import Lines
from shapecheck.runtime.scope import variadic

__all__ = ["Crooked", "TensorLines"]


class Crooked(Exception):
    """A contract that no straight line checks; the reference walks it instead."""


@dataclass(slots=True)
class TensorLines(Lines):
    """Writes the guards of tensors: `tensor` is the test of one, `_expressions` what its sizes are computed from."""

    late: list[tuple[TensorOf, str, str, int, Expr]] = field(default_factory=list)
    path: tuple[str, ...] = ()  # where in containers the value stands, for `?name`: expressions

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

    def _columns(self, contract: TensorOf) -> list[tuple[int, Any]]:
        """Each single axis with its index into the shape: from the end, behind a variadic one."""
        axes, many = contract.spec.axes, contract.spec.variadic
        return [(i if many is None or i < many else i - len(axes), axis) for i, axis in enumerate(axes) if i != many]

    def tensor(
        self, contract: TensorOf, value: str, shape: str, subject: str, site: int
    ) -> tuple[str, list[str], list[str]]:
        """The test of everything but expressions, the lines that bind its new names afterwards, those names."""
        spec = contract.spec
        tests: list[str] = [self._class(contract, value)]
        binds: list[str] = []
        variables: list[str] = []
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
                self._axis(axis, column, shape, subject, first, tests, binds, variables)
            binds = _unpacked(binds, shape, len(spec.axes), many)
        if exact is None and many is not None and isinstance(group := spec.axes[many], Variadic):
            self._group(group, many, len(spec.axes) - many - 1, shape, subject, tests, binds, variables)
        return " and ".join(tests), binds, variables

    def _spreads(self, contract: TensorOf) -> bool:
        """Whether unpacking the shape says all: no axis broadcasts, and the shape is not known altogether by now."""
        axes, many = contract.spec.axes, contract.spec.variadic
        if len(axes) < 2 or any(isinstance(a, Named | Fixed) and a.broadcast for a in axes):
            return False
        if any(isinstance(a, Named | Variadic) and a.treepath for a in axes) or self._exact(contract) is not None:
            return False
        return many is None or (isinstance(group := axes[many], Variadic) and self._plain_group(group))

    def _plain_group(self, axis: Variadic) -> bool:
        return not axis.treepath and axis.name not in self.loose

    def _spread(self, contract: TensorOf, value: str, shape: str, subject: str, site: int, whole: str) -> None:
        """`*b, D = s` and then comparisons: what is new is unpacked into its own variable."""
        compare = "==" if contract.spec.variadic is None else ">="
        tests = [self._class(contract, value), f"len(({shape} := {value}.shape)) {compare} {contract.spec.min_rank}"]
        tests += self._dtype(contract, value)
        head = f"if not ({' and '.join(tests)}):"
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
        fail = self.fail(site, whole, new)
        with self.block(head):
            self.say(fail)
        with self.block("else:"):
            self.say(f"{', '.join(targets)} = {shape}")
            if tests:
                with self.block(f"if not ({' and '.join(tests)}):"):
                    self.say(fail)
                if binds:
                    with self.block("else:"):
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
        torch_only = isinstance(contract.array, type) and issubclass(contract.array, torch.Tensor)
        if contract.autocast_ok or not torch_only:  # dtypes of numpy and JAX are met one by one
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
        variables: list[str],
    ) -> None:
        size = f"{shape}[{column}]"
        match axis:
            case Anonymous() | Expr():
                return
            case Fixed(value, broadcast):
                tests.append(f"({size} == 1 or {size} == {value})" if broadcast else f"{size} == {value}")
            case Named(name, broadcast, treepath=True):
                if not self.path or self.inside or broadcast:
                    raise Crooked
                # one size for each place: kept by name and place, as they are met
                place = f"({name!r}, {', '.join(self.path)},)"
                tests.append(f"{self.mark}places.setdefault({place}, {size}) == {size}")
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
                    return
                variables.append(variable)
                if state is False:
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
        self,
        axis: Variadic,
        start: int,
        tail: int,
        shape: str,
        subject: str,
        tests: list[str],
        binds: list[str],
        variables: list[str],
    ) -> None:
        if axis.treepath:
            raise Crooked
        variable, found = self.group(axis.name), self.fresh("v")
        group = f"{shape}[{start}:{f'-{tail}' if tail else ''}]"
        self._bound_by("*" + axis.name, subject)
        variables.append(variable)
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
            known = all(self.known.get(self.axis(n)) for n in axis.names)
            if (self.sites[site].wait or self.inside) and not known:
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


def _unpacked(binds: list[str], shape: str, rank: int, many: int | None) -> list[str]:
    """`B = s[0]`, `D = s[1]` as one unpacking, where every axis is new."""
    wanted = [f" = {shape}[{i}]" for i in range(rank)]
    if many is None and rank > 1 and len(binds) == rank and all(b.endswith(w) for b, w in zip(binds, wanted)):
        names = [b[: -len(w)] for b, w in zip(binds, wanted)]
        if not any(" " in name for name in names):
            return [f"{', '.join(names)} = {shape}"]
    return binds
