"""From contracts to straight-line Python: the guards that run at every call.

`f(q: Float[Tensor, "B D"], ...)` becomes, in the function's own frame,

    if not (isinstance(q, Tensor) and len((s := q.shape)) == 2 and q.dtype in FLOATS): B, D = fail(0, q, ...)
    else: B, D = s

No dictionary is kept and nothing is remembered between calls: axis sizes are local variables, so threads,
coroutines and generators cannot mix them up, and torch.compile sees plain comparisons of sizes.
What a guard refuses is judged again by `contract.hold`, which finds the words, or accepts and binds after all.
"""

from __future__ import annotations

import collections.abc
from dataclasses import dataclass, field
from typing import Any

import torch

from shapecheck.dims.spec import Anonymous, Expr, Fixed, Named, Tree, Variadic
from shapecheck.runtime import contract as contracts
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
    leaves_of,
    tensors,
)
from shapecheck.runtime.errors import ContractError
from shapecheck.runtime.lines import Lines
from shapecheck.runtime.scope import variadic

__all__ = ["Crooked", "Guards"]

_USUAL: dict[Any, type] = {
    collections.abc.Collection: list,
    collections.abc.Mapping: dict,
    collections.abc.MutableMapping: dict,
    collections.abc.MutableSequence: list,
    collections.abc.Sequence: list,
    collections.abc.Set: set,
}


class Crooked(Exception):
    """A contract that no straight line checks; the reference walks it instead."""


@dataclass(slots=True)
class Guards(Lines):
    """Writes the guards of contracts: `check` for any value, `tensor` for the test of one tensor."""

    late: list[tuple[TensorOf, str, str, int, Expr]] = field(default_factory=list)
    path: tuple[str, ...] = ()  # where in containers the value stands, for `?name`: expressions

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
                shape = shape or self.fresh("s")
                exact = self._exact(contract) is not None
                before = dict(self.known)
                test, binds, variables = self.tensor(contract, value, shape, subject, site)
                self.known, after = before, self.known
                with self.block(f"if not ({test}):"):
                    self.say(self.fail(site, whole, variables))
                if binds:
                    with self.block("else:"):
                        for bind in binds:
                            self.say(bind)
                self.known = after
                self._device(contract, value, site, whole)
                if not exact:
                    self._expressions(contract, value, shape, site, whole)
            case OneOf(options):
                self._one_of(options, value, site, whole, subject, shape)
            case Items(kind, item):
                self._loop(kind, item, value, site, whole, subject)
            case Values():
                self._values(contract, value, site, whole, subject)
            case Row(items):
                row = self.const("tuple", tuple)
                with self.block(f"if not (isinstance({value}, {row}) and len({value}) == {len(items)}):"):
                    self.say(self.fail(site, whole))
                outer = self.path
                for place, item in enumerate(items):
                    variable = self.fresh("x")
                    if not isinstance(item, Free):
                        self.path = (*outer, str(place))
                        self.say(f"{variable} = {value}[{place}]")
                        self.check(item, variable, site, whole, f"{subject}[{place}]")
                self.path = outer
            case Record():
                self._record(contract, value, site, whole, subject)

    def _loop(self, kind: type, item: Contract, value: str, site: int, whole: str, subject: str) -> None:
        items = value
        if kind is contracts.Tree:
            items = f"{self.const('leaves_of', leaves_of)}({value})"
        else:
            with self.block(f"if not {self._container(kind, value)}:"):
                self.say(self.fail(site, whole))
        if isinstance(item, Free):
            return
        self._perhaps(item)
        variable, outer = self.fresh("x"), self.path
        if _treed(item):
            index = self.fresh("i")
            self.path = (*outer, index)
            header = f"for {index}, {variable} in {self.const('enumerate', enumerate)}({items}):"
        else:
            header = f"for {variable} in {items}:"
        self.say(f"{variable} = None")
        with self.block(header):
            self.check(item, variable, site, whole, f"an item of {subject}")
        self.say(f"{variable} = None")  # the last item is not kept alive
        self.path = outer

    def _values(self, contract: Values, value: str, site: int, whole: str, subject: str) -> None:
        with self.block(f"if not {self._container(contract.kind, value)}:"):
            self.say(self.fail(site, whole))
        key, item = contract.key, contract.value
        variable, place, outer = self.fresh("x"), self.fresh("k"), self.path
        self._perhaps(item)
        with_key = not isinstance(key, Free) or _treed(item)
        if isinstance(item, Free) and not with_key:
            return
        self.say(f"{variable} = None")
        with self.block(
            f"for {place}, {variable} in {value}.items():" if with_key else f"for {variable} in {value}.values():"
        ):
            if not isinstance(key, Free):
                self.check(key, place, site, whole, f"a key of {subject}")
            self.path = (*outer, place)
            self.check(item, variable, site, whole, f"a value of {subject}")
        self.say(f"{variable} = None")
        self.path = outer

    def _container(self, kind: type, value: str) -> str:
        """`isinstance`, with the usual class told apart by identity where the kind is abstract."""
        test = f"isinstance({value}, {self.const(kind.__name__.lower(), kind)})"
        usual = _USUAL.get(kind)
        return f"({value}.__class__ is {self.const(usual.__name__, usual)} or {test})" if usual else test

    def _perhaps(self, *contracts: Contract) -> None:
        """Give every name that the contracts may bind a None to start from."""
        for tensor in (t for contract in contracts for t in tensors(contract)):
            for axis in tensor.spec.axes:
                match axis:
                    case Named(name, treepath=False):
                        self._start(self.axis(name))
                    case Variadic(name, treepath=False):
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
        compound: list[Contract] = [o for o in options if not isinstance(o, Free | Plain | TensorOf)]
        simple = [o for o in options if isinstance(o, Free | Plain | TensorOf)]
        if any(isinstance(o, Free) for o in options):
            return
        if len(compound) > 1 and not self._apart(compound):
            raise Crooked
        if any(_treed(option) for option in options):
            raise Crooked
        if shape:
            self.say(f"{shape} = None")
        self._perhaps(*options)
        tries: list[tuple[str, list[str]]] = []
        variables: list[str] = []
        for option in simple:
            match option:
                case Plain():
                    tries.append((self._plain(option, value), []))
                case TensorOf():
                    test, binds, bound = self._whole_tensor(option, value, shape or self.fresh("s"), subject, site)
                    tries.append((test, binds))
                    variables += bound
        if not compound and not any(binds for _, binds in tries):
            with self.block(f"if not ({' or '.join(test for test, _ in tries)}):"):
                self.say(self.fail(site, whole, variables))
            return
        if compound and not tries and len(compound) == 1:
            self.check(compound[0], value, site, whole, subject)
            return
        word = "if"
        for test, binds in tries:
            with self.block(f"{word} {test}:"):
                for bind in binds:
                    self.say(bind)
            word = "elif"
        for one in compound[:-1]:
            with self.block(f"{word} {self._told_apart(one, value)}:"):
                self.check(one, value, site, whole, subject)
            word = "elif"
        with self.block("else:"):
            if compound:
                self.check(compound[-1], value, site, whole, subject)
            else:
                self.say(self.fail(site, whole, variables))

    def _apart(self, compound: list[Contract]) -> bool:
        """Whether the class (of tuples, the length) says which option is meant, and nothing half-bound is left over."""
        kinds: list[tuple[type, int]] = []
        for option in compound:
            match option:
                case Items(kind) | Values(kind):
                    kinds.append((kind, -1))
                case Row(items):
                    kinds.append((tuple, len(items)))
                case _:
                    return False
        plain = {list, tuple, dict, set, frozenset}
        if any(kind not in plain for kind, _ in kinds):
            return False
        whole = [kind for kind, size in kinds if size < 0]
        return len(set(kinds)) == len(kinds) and not any(size >= 0 and kind in whole for kind, size in kinds)

    def _told_apart(self, option: Contract, value: str) -> str:
        match option:
            case Row(items):
                return f"isinstance({value}, {self.const('tuple', tuple)}) and len({value}) == {len(items)}"
            case Items(kind) | Values(kind):
                return f"isinstance({value}, {self.const(kind.__name__, kind)})"
        raise Crooked

    def _whole_tensor(
        self, contract: TensorOf, value: str, shape: str, subject: str, site: int
    ) -> tuple[str, list[str], list[str]]:
        """A tensor as one test, expressions included, for a choice between options."""
        before, exact = dict(self.known), self._exact(contract) is not None
        test, binds, variables = self.tensor(contract, value, shape, subject, site)
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
        return test, binds, variables

    def _record(self, record: Record, value: str, site: int, whole: str, subject: str) -> None:
        kind = dict if record.keyed else record.cls
        if record.keyed:
            test = self._container(collections.abc.Mapping, value)
        else:
            test = f"isinstance({value}, {self.const(kind.__name__, kind)})"
        with self.block(f"if not {test}:"):
            self.say(self.fail(site, whole))
        if record.shared:
            self._fields(record, value, site, whole, subject, [])
            return
        self.count += 1
        kept = (self.by, self.late, self.inner, self.arguments, self.known, self.renamed, self.path, self.inside)
        self.known, self.by, self.late, self.path = {}, {}, [], ()
        self.inner, self.arguments, self.renamed, self.inside = f"r{self.count}", (), dict(self.renamed), True
        self._fields(record, value, site, whole, subject, [f.name for f in record.fields])
        if self.late:
            raise Crooked
        (self.by, self.late, self.inner, self.arguments, self.known, self.renamed, self.path, self.inside) = kept

    def _fields(self, record: Record, value: str, site: int, whole: str, subject: str, own: list[str]) -> None:
        read = set(expressions.braces_in([f.contract for f in record.fields])) & set(own)
        asked = [f for f in record.fields if not isinstance(f.contract, Free)]
        for part in asked:
            if record.keyed or not part.required or isinstance(part.contract, OneOf):
                self._perhaps(part.contract)
        for name in sorted(read):
            self.renamed[name] = f"{value}[{name!r}]" if record.keyed else f"{value}.{name}"
        waiting, self.path = [], ()
        for part in sorted(asked, key=lambda f: _asks(f.contract)):  # names first, then what computes with them
            item = self.fresh("x")
            place = f"{value}[{part.name!r}]" if record.keyed else f"{value}.{part.name}"
            inside = f"{subject}[{part.name!r}]" if record.keyed else f"{subject}.{part.name}"
            if part.required and not record.keyed:
                self.say(f"{item} = {place}")
                self.check(part.contract, item, site, whole, inside)
                waiting.append(item)
                continue
            there = f"{part.name!r} in {value}" if record.keyed else f"hasattr({value}, {part.name!r})"
            with self.block(f"if {there}:"):
                self.say(f"{item} = {place}")
                self.check(part.contract, item, site, whole, inside)
                self.say(f"{item} = None")
            if part.required:
                with self.block("else:"):
                    self.say(self.fail(site, whole))
        if waiting:
            self.say(f"{' = '.join(waiting)} = None")

    def on_arguments(self, record: Record, site: int, subject: str) -> None:
        """The lines of a record whose fields are variables, before it is made; `whole` stands for all of them."""
        self.inside = True
        for part in sorted(record.fields, key=lambda f: _asks(f.contract)):
            if isinstance(part.contract, OneOf):
                self._perhaps(part.contract)
            self.check(part.contract, part.name, site, f"{self.mark}whole", f"{subject}.{part.name}")
        if self.late:
            raise Crooked

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

    def _plain(self, contract: Plain, value: str) -> str:
        if contract.hint is type(None):
            return f"{value} is None"
        if isinstance(contract.classes, tuple):
            name = "_or_".join(c.__name__ for c in contract.classes)
            rest = tuple(c for c in contract.classes if c is not type(None))
            test = f"isinstance({value}, {self.const(name, rest if len(rest) > 1 else rest[0])})"
            return f"({value} is None or {test})" if len(rest) < len(contract.classes) else test
        if contract.classes is not None:
            return f"isinstance({value}, {self.const(contract.classes.__name__, contract.classes)})"
        compiling = self.const("compiling", torch.compiler.is_compiling)
        return f"({compiling}() or {self.const('test', contract.test)}({value}))"  # beartype is not for tracing


def _treed(contract: Contract) -> bool:
    """Whether some `?name` below asks where it stands."""
    return any(getattr(axis, "treepath", False) for t in tensors(contract) for axis in t.spec.axes)


def _asks(contract: Contract) -> bool:
    """Whether some axis is computed from others."""
    return any(isinstance(axis, Expr) for tensor in tensors(contract) for axis in tensor.spec.axes)


def _unpacked(binds: list[str], shape: str, rank: int, many: int | None) -> list[str]:
    """`B = s[0]`, `D = s[1]` as one unpacking, where every axis is new."""
    wanted = [f" = {shape}[{i}]" for i in range(rank)]
    if many is None and rank > 1 and len(binds) == rank and all(b.endswith(w) for b, w in zip(binds, wanted)):
        names = [b[: -len(w)] for b, w in zip(binds, wanted)]
        if not any(" " in name for name in names):
            return [f"{', '.join(names)} = {shape}"]
    return binds
