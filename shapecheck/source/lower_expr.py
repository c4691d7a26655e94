"""Lowers libcst expressions. `lower.py` lowers the statements around them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import libcst as cst

from shapecheck.source import literals
from shapecheck.source.program import (
    Arg,
    Attr,
    Await,
    Call,
    Comp,
    CompFor,
    Const,
    DictLit,
    Expr,
    FString,
    IfExp,
    Index,
    Lambda,
    Name,
    Op,
    Opaque,
    Param,
    Seq,
    Slice,
    Star,
    Walrus,
    Yield,
)

MAX_DEPTH = 100  # of expressions in expressions; what lies deeper is Opaque, so that readers may recurse
MAX_SPINE = 50  # operators or calls in one chain; a longer one is Opaque, its operands and arguments are kept

BINARY: dict[type[cst.CSTNode], str] = {
    cst.Add: "+",
    cst.Subtract: "-",
    cst.Multiply: "*",
    cst.Divide: "/",
    cst.FloorDivide: "//",
    cst.Modulo: "%",
    cst.Power: "**",
    cst.MatrixMultiply: "@",
    cst.BitAnd: "&",
    cst.BitOr: "|",
    cst.BitXor: "^",
    cst.LeftShift: "<<",
    cst.RightShift: ">>",
}
_UNARY: dict[type[cst.CSTNode], str] = {cst.Minus: "u-", cst.Plus: "u+", cst.BitInvert: "u~", cst.Not: "not"}
_COMPARE: dict[type[cst.CSTNode], str] = {
    cst.Equal: "==",
    cst.NotEqual: "!=",
    cst.LessThan: "<",
    cst.LessThanEqual: "<=",
    cst.GreaterThan: ">",
    cst.GreaterThanEqual: ">=",
    cst.In: "in",
    cst.NotIn: "notin",
    cst.Is: "is",
    cst.IsNot: "isnot",
}
_CONSTANTS = {"True": True, "False": False, "None": None}


class Expressions:
    """Lowers expressions; remembers how deep it is, and whether it met a `yield` since `saw_yield` was last reset."""

    def __init__(self) -> None:
        self.depth = 0
        self.saw_yield = False
        self.chains = 0  # chained comparisons met so far

    def expr(self, node: Any) -> Expr:
        if self.depth >= MAX_DEPTH:
            return Opaque("nested too deeply", cst=node)
        self.depth += 1
        lowered = _EXPRESSIONS.get(type(node), Expressions.unknown)(self, node)
        self.depth -= 1
        return lowered

    def exprs(self, nodes: Iterable[Any]) -> tuple[Expr, ...]:
        return tuple([self.expr(node) for node in nodes])

    def optional(self, node: Any) -> Expr | None:
        return None if node is None else self.expr(node)

    def unknown(self, node: cst.CSTNode) -> Expr:
        return Opaque(type(node).__name__, cst=node)

    # ------------------------------------------------------------ names, literals

    def name(self, node: cst.Name) -> Expr:
        value = node.value
        if value in _CONSTANTS:
            return Const(_CONSTANTS[value], cst=node)
        return Name(value, cst=node)

    def ellipsis(self, node: cst.Ellipsis) -> Expr:
        return Const(..., cst=node)

    def integer(self, node: cst.Integer) -> Expr:
        return self._const(literals.integer(node.value), node)

    def number(self, node: cst.Float | cst.Imaginary) -> Expr:
        return self._const(literals.number(node.value), node)

    def string(self, node: cst.SimpleString) -> Expr:
        return self._const(literals.string(node.value), node)

    def _const(self, value: object, node: cst.CSTNode) -> Expr:
        return Opaque("malformed literal", cst=node) if value is None else Const(value, cst=node)

    def concatenated(self, node: cst.ConcatenatedString) -> Expr:
        pieces: list[Expr] = []
        rest: Any = node
        while isinstance(rest, cst.ConcatenatedString):
            pieces.append(self.expr(rest.left))
            rest = rest.right
        pieces.append(self.expr(rest))
        flat: list[Expr] = []
        for part in pieces:
            for each in part.parts if isinstance(part, FString) else (part,):
                match flat[-1:], each:
                    case [[Const(str() as left)], Const(str() as right)]:
                        flat[-1] = Const(left + right, cst=node)
                    case [[Const(bytes() as head)], Const(bytes() as tail)]:
                        flat[-1] = Const(head + tail, cst=node)
                    case _:
                        flat.append(each)
        if all(isinstance(part, Const) for part in pieces):
            return flat[0] if len(flat) == 1 else Opaque("malformed literal", cst=node)
        if all(isinstance(part, FString | Const) for part in pieces):
            return FString(tuple(flat), cst=node)
        return Opaque("string", tuple(flat), cst=node)

    def formatted(self, node: cst.FormattedString) -> Expr:
        return FString(self._pieces(node), cst=node)

    def templated(self, node: Any) -> Expr:
        return Opaque("t-string", self._pieces(node), cst=node)

    def _pieces(self, node: Any) -> tuple[Expr, ...]:
        parts: list[Expr] = []
        for part in node.parts:
            if hasattr(part, "value"):
                parts.append(self._const(literals.piece(node.start, part.value, node.end), part))
            elif part.conversion is None and not part.format_spec and part.equal is None:
                parts.append(self.expr(part.expression))
            else:  # `{x!r:>{width}}` is not the text of x
                inner = [spec.expression for spec in part.format_spec or () if hasattr(spec, "expression")]
                parts.append(Opaque("formatted", self.exprs([part.expression, *inner]), cst=part))
        return tuple(parts)

    # ------------------------------------------------------------------ operators

    def unary(self, node: cst.UnaryOperation) -> Expr:
        operand = self.expr(node.expression)
        op = _UNARY[type(node.operator)]
        if op == "u-" and isinstance(operand, Const) and type(operand.value) in (int, float, complex):
            return Const(-operand.value, cst=node)
        return Op(op, (operand,), cst=node)

    def binary(self, node: cst.BinaryOperation) -> Expr:
        spine = [node]  # `a + b + c` leans left: walk down instead of recursing
        while isinstance(left := spine[-1].left, cst.BinaryOperation):
            spine.append(left)
        if len(spine) > MAX_SPINE or self.depth + len(spine) > MAX_DEPTH:
            operands = self.exprs([left, *(link.right for link in reversed(spine))])
            return Opaque("long operator chain", operands, cst=node)
        self.depth += len(spine)
        result = self.expr(left)
        for link in reversed(spine):
            result = Op(BINARY[type(link.operator)], (result, self.expr(link.right)), cst=link)
        self.depth -= len(spine)
        return result

    def boolean(self, node: cst.BooleanOperation) -> Expr:
        kind = type(node.operator)
        op = "and" if kind is cst.And else "or"
        pending: list[Any] = [node]
        operands: list[Any] = []
        while pending:
            top = pending.pop()
            if isinstance(top, cst.BooleanOperation) and type(top.operator) is kind:
                pending += (top.right, top.left)
            else:
                operands.append(top)
        return Op(op, self.exprs(operands), cst=node)

    def comparison(self, node: cst.Comparison) -> Expr:
        left = self.expr(node.left)
        pairs: list[Expr] = []
        for target in node.comparisons:
            chains_before = self.chains
            right = self.expr(target.comparator)
            pairs.append(Op(_COMPARE[type(target.operator)], (left, right), cst=node))
            # a chain within a chain would come twice at every level: two to the power of the depth
            left = (
                right if self.chains == chains_before else Opaque("a chained comparison again", cst=target.comparator)
            )
        if len(pairs) == 1:
            return pairs[0]
        self.chains += 1
        return Op("and", tuple(pairs), cst=node)

    def ifexp(self, node: cst.IfExp) -> Expr:
        return IfExp(self.expr(node.test), self.expr(node.body), self.expr(node.orelse), cst=node)

    # ------------------------------------------------------------------- trailers

    def trailer(self, node: cst.Attribute | cst.Call | cst.Subscript) -> Expr:
        spine: list[Any] = [node]  # `x.view(2).sum()[0]` leans left
        while True:
            top = spine[-1]
            inner = top.func if isinstance(top, cst.Call) else top.value
            if not isinstance(inner, cst.Attribute | cst.Call | cst.Subscript):
                break
            spine.append(inner)
        if len(spine) > MAX_SPINE or self.depth + len(spine) > MAX_DEPTH:
            return self._long_trailer(node, inner, spine)
        self.depth += len(spine)
        result = self.expr(inner)
        for link in reversed(spine):
            match link:
                case cst.Attribute():
                    result = Attr(result, link.attr.value, cst=link)
                case cst.Call():
                    result = Call(result, self.args(link.args), cst=link)
                case _:
                    items, is_tuple = self._subscripts(link.slice)
                    result = Index(result, items, is_tuple, cst=link)
        self.depth -= len(spine)
        return result

    def _long_trailer(self, node: cst.CSTNode, inner: cst.CSTNode, spine: Sequence[Any]) -> Expr:
        parts = [self.expr(inner)]
        for link in reversed(spine):
            if isinstance(link, cst.Call):
                parts += [self.expr(arg.value) for arg in link.args]
            elif isinstance(link, cst.Subscript):
                parts += [item for item in self._subscripts(link.slice)[0] if not isinstance(item, Slice)]
        return Opaque("long chain of calls", tuple(parts), cst=node)

    def args(self, nodes: Sequence[cst.Arg]) -> tuple[Arg, ...]:
        return tuple(
            [
                Arg(self.expr(arg.value), None if arg.keyword is None else arg.keyword.value, arg.star, cst=arg)
                for arg in nodes
            ]
        )

    def _subscripts(self, nodes: Sequence[cst.SubscriptElement]) -> tuple[tuple[Expr | Slice, ...], bool]:
        items: list[Expr | Slice] = []
        is_tuple = len(nodes) > 1 or isinstance(nodes[0].comma, cst.Comma)
        for element in nodes:
            inner: Any = element.slice
            if isinstance(inner, cst.Slice):
                items.append(
                    Slice(
                        self.optional(inner.lower), self.optional(inner.upper), self.optional(inner.step), cst=element
                    )
                )
            elif inner.star:
                items.append(Star(self.expr(inner.value), cst=element))
                is_tuple = True
            else:
                items.append(self.expr(inner.value))
        match items:
            case [Seq("tuple", inside)] if not is_tuple:  # `x[(i, j)]` is `x[i, j]`
                return inside, True
        return tuple(items), is_tuple

    # ------------------------------------------------------------------- displays

    def tuple_display(self, node: cst.Tuple) -> Expr:
        return Seq("tuple", self.elements(node.elements), cst=node)

    def list_display(self, node: cst.List) -> Expr:
        return Seq("list", self.elements(node.elements), cst=node)

    def set_display(self, node: cst.Set) -> Expr:
        return Seq("set", self.elements(node.elements), cst=node)

    def elements(self, nodes: Sequence[cst.BaseElement]) -> tuple[Expr, ...]:
        return tuple(
            [
                self.expr(element.value)
                if type(element) is cst.Element
                else Star(self.expr(element.value), cst=element)
                for element in nodes
            ]
        )

    def starred(self, node: cst.StarredElement) -> Expr:
        return Star(self.expr(node.value), cst=node)

    def dict_display(self, node: cst.Dict) -> Expr:
        items: list[tuple[Expr | None, Expr]] = []
        for element in node.elements:
            key = self.expr(element.key) if isinstance(element, cst.DictElement) else None
            items.append((key, self.expr(element.value)))
        return DictLit(tuple(items), cst=node)

    def comprehension(self, node: cst.ListComp | cst.SetComp | cst.GeneratorExp) -> Expr:
        kind = {cst.ListComp: "list", cst.SetComp: "set", cst.GeneratorExp: "gen"}[type(node)]
        return Comp(kind, self.expr(node.elt), self._clauses(node.for_in), cst=node)

    def dict_comprehension(self, node: cst.DictComp) -> Expr:
        return Comp("dict", self.expr(node.value), self._clauses(node.for_in), self.expr(node.key), cst=node)

    def _clauses(self, clause: cst.CompFor | None) -> tuple[CompFor, ...]:
        clauses = []
        while clause is not None:
            tests = self.exprs(test.test for test in clause.ifs)
            clauses.append(CompFor(self.expr(clause.target), self.expr(clause.iter), tests, cst=clause))
            clause = clause.inner_for_in
        return tuple(clauses)

    # ------------------------------------------------------------------- the rest

    def lambda_(self, node: cst.Lambda) -> Expr:
        outside = self.saw_yield
        lowered = Lambda(self.params(node.params), self.expr(node.body), cst=node)
        self.saw_yield = outside
        return lowered

    def walrus(self, node: cst.NamedExpr) -> Expr:
        return Walrus(self.expr(node.target), self.expr(node.value), cst=node)

    def await_(self, node: cst.Await) -> Expr:
        return Await(self.expr(node.expression), cst=node)

    def yield_(self, node: cst.Yield) -> Expr:
        self.saw_yield = True
        if isinstance(node.value, cst.From):
            return Yield(self.expr(node.value.item), True, cst=node)
        return Yield(self.optional(node.value), cst=node)

    def params(self, node: cst.Parameters) -> tuple[Param, ...]:
        params: list[Param] = []
        on_line: list[str] = []  # names since the last line break, without self and cls

        def add(param: cst.Param, kind: str) -> None:
            name = param.name.value
            if name not in ("self", "cls"):
                on_line.append(name)
            broken, comment = _line_end(param.comma, param.whitespace_after_param)
            alone = on_line == [name]  # a comment behind two parameters names neither
            if broken:
                on_line.clear()
            default = self.optional(param.default)
            annotation = None if param.annotation is None else self.expr(param.annotation.annotation)
            params.append(Param(name, kind, default, annotation, comment if alone else None, cst=param))

        for param in node.posonly_params:
            add(param, "pos")
        if isinstance(node.posonly_ind, cst.ParamSlash) and _line_end(node.posonly_ind.comma, None)[0]:
            on_line.clear()
        for param in node.params:
            add(param, "any")
        if isinstance(node.star_arg, cst.Param):
            add(node.star_arg, "*")
        elif isinstance(node.star_arg, cst.ParamStar) and _line_end(node.star_arg.comma, None)[0]:
            on_line.clear()
        for param in node.kwonly_params:
            add(param, "kw")
        if node.star_kwarg is not None:
            add(node.star_kwarg, "**")
        return tuple(params)


def _line_end(comma: Any, after: Any) -> tuple[bool, str | None]:
    """Whether the line breaks behind a parameter, and the comment there."""
    space = comma.whitespace_after if isinstance(comma, cst.Comma) else after
    if not isinstance(space, cst.ParenthesizedWhitespace):
        return False, None
    return True, comment_text(space.first_line.comment)


def comment_text(comment: cst.Comment | None) -> str | None:
    """A comment without its "#" and outer spaces; None when there is none or it is empty."""
    return (comment.value.lstrip("#").strip() or None) if comment is not None else None


_EXPRESSIONS: dict[type[cst.CSTNode], Callable[[Expressions, Any], Expr]] = {
    cst.Name: Expressions.name,
    cst.Ellipsis: Expressions.ellipsis,
    cst.Integer: Expressions.integer,
    cst.Float: Expressions.number,
    cst.Imaginary: Expressions.number,
    cst.SimpleString: Expressions.string,
    cst.ConcatenatedString: Expressions.concatenated,
    cst.FormattedString: Expressions.formatted,
    cst.UnaryOperation: Expressions.unary,
    cst.BinaryOperation: Expressions.binary,
    cst.BooleanOperation: Expressions.boolean,
    cst.Comparison: Expressions.comparison,
    cst.IfExp: Expressions.ifexp,
    cst.Attribute: Expressions.trailer,
    cst.Call: Expressions.trailer,
    cst.Subscript: Expressions.trailer,
    cst.Tuple: Expressions.tuple_display,
    cst.List: Expressions.list_display,
    cst.Set: Expressions.set_display,
    cst.StarredElement: Expressions.starred,
    cst.Dict: Expressions.dict_display,
    cst.ListComp: Expressions.comprehension,
    cst.SetComp: Expressions.comprehension,
    cst.GeneratorExp: Expressions.comprehension,
    cst.DictComp: Expressions.dict_comprehension,
    cst.Lambda: Expressions.lambda_,
    cst.NamedExpr: Expressions.walrus,
    cst.Await: Expressions.await_,
    cst.Yield: Expressions.yield_,
}
if hasattr(cst, "TemplatedString"):  # libcst 1.8.3 and later
    _EXPRESSIONS[cst.TemplatedString] = Expressions.templated
