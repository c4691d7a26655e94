"""What the body of a function declares: the contracts of its annotated locals and of its `check` statements."""

from __future__ import annotations

import ast

from shapecheck.runtime.body import Body
from shapecheck.runtime.contract import Contract, Free
from shapecheck.runtime.errors import ContractError
from shapecheck.runtime.plan import Plan

__all__ = ["Reader"]


class Reader:
    """Reads what a body declares."""

    def __init__(self, plan: Plan, body: Body) -> None:
        from shapecheck.runtime.resolve import imported_names

        self.plan = plan
        self.own = body.facts.stored
        self.names = {**plan.names, **imported_names(body.facts.imports, plan.fn.__globals__)}

    def contract_of(self, annotation: ast.expr) -> Contract:
        """The contract of an annotated local; nothing is asked of types without tensors."""
        from shapecheck.runtime.build import has_tensor
        from shapecheck.runtime.resolve import holds_axes, own_classes, resolve

        plan, text = self.plan, ast.unparse(annotation)
        if not _still(annotation):
            return Free()  # Python does not evaluate it, and it is no plain type
        missing: list[str] = []
        try:
            hint = resolve(text, plan.fn.__globals__, self.names, plan.late, missing, own_classes(plan.fn))
            speaks = has_tensor(hint)
        except Exception as error:
            if not holds_axes(text, plan.fn.__globals__, self.names):
                return Free()
            if plan.builder.strict:
                raise ContractError(f"the annotation {text} in {plan.fn.__qualname__} is malformed: {error}") from error
            plan.builder.notes.append(f"line {annotation.lineno}: the annotation {text} is malformed: {error}")
            return Free()
        if missing:
            if speaks and not plan.late and not self.own & set(missing):
                raise NameError(f"name {missing[0]!r} is not defined", name=missing[0])
            plan.builder.notes.append(f"line {annotation.lineno}: {text} is unknown outside the body: not checked")
            return Free()
        return plan.builder.build(hint) if speaks else Free()

    def checked(self, call: ast.Call) -> tuple[Contract, ast.expr] | None:
        """`check(x, "B G")` with our own `check`: its contract and `x`."""
        from shapecheck.runtime.checking import check, contract_for

        if len(call.args) != 2 or call.keywords or not _still(call.func) or not _still(call.args[1]):
            return None
        scope = {**self.plan.fn.__globals__, **self.names}
        try:
            if eval(ast.unparse(call.func), scope) is not check:
                return None
            asked = eval(ast.unparse(call.args[1]), scope)
        except Exception:  # not a name of the module: then it is not our `check` with a spec that stands still
            return None
        return contract_for(asked, self.plan.builder), call.args[0]


def _still(expression: ast.expr) -> bool:
    """Whether evaluating does nothing: names, attributes, subscripts and constants."""
    fine = (ast.Name, ast.Attribute, ast.Subscript, ast.Constant, ast.Tuple, ast.List, ast.BinOp, ast.BitOr,
            ast.expr_context)  # fmt: skip
    return all(isinstance(node, fine) for node in ast.walk(expression))
