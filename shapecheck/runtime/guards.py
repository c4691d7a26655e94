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
from dataclasses import dataclass
from typing import Any

import torch

from shapecheck.dims.spec import Expr, Named, Variadic
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
    leaves_of,
    structured,
    tensors,
)
from shapecheck.runtime.tensor_lines import Crooked, TensorLines
from shapecheck.runtime.trees import Tree

__all__ = ["Guards"]

_USUAL: dict[Any, type] = {
    collections.abc.Collection: list,
    collections.abc.Mapping: dict,
    collections.abc.MutableMapping: dict,
    collections.abc.MutableSequence: list,
    collections.abc.Sequence: list,
    collections.abc.Set: set,
}


@dataclass(slots=True)
class Guards(TensorLines):
    """Writes the guards of contracts: `check` for any value."""

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
            case Items():
                self._loop(contract, value, site, whole, subject)
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

    def _loop(self, contract: Items, value: str, site: int, whole: str, subject: str) -> None:
        kind, item, structure = contract.kind, contract.item, contract.structure
        items = value
        if kind is Tree:
            if structure and self.inside:
                raise Crooked  # the names of its structures are the record's own
            known = f"{self.mark}trees" if structure else "{}"
            items = f"{self.const('leaves_of', leaves_of)}({value}, {self.const('leaf', item)}, {structure!r}, {known})"
            if structure:
                leaves = self.fresh("x")
                self.say(f"{leaves} = {items}")
                with self.block(f"if {leaves} is None:"):
                    self.say(self.fail(site, whole))
                items = leaves
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
        if any(_treed(option) or structured(option) for option in options):
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
        compiling = self.const("compiling", torch.compiler.is_dynamo_compiling)
        return f"({compiling}() or {self.const('test', contract.test)}({value}))"  # beartype is not for tracing


def _treed(contract: Contract) -> bool:
    """Whether some `?name` below asks where it stands."""
    return any(getattr(axis, "treepath", False) for t in tensors(contract) for axis in t.spec.axes)


def _asks(contract: Contract) -> bool:
    """Whether some axis is computed from others."""
    return any(isinstance(axis, Expr) for tensor in tensors(contract) for axis in tensor.spec.axes)
