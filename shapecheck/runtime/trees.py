"""Pytrees: their leaves in JAX's order, and the structures that `PyTree[X, "T"]` compares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Tree", "apart", "unlike"]


class Tree:
    """The kind of `PyTree[...]`: whatever JAX takes apart."""


def apart(value: Any, is_leaf: Callable[[Any], bool] | None) -> tuple[list[Any], Any]:
    """The leaves of a value, and how containers hold them."""
    from jax import tree_util

    leaves, structure = tree_util.tree_flatten(value, is_leaf=is_leaf)
    return list(leaves), structure


def unlike(asked: str, found: Any, known: dict[str, Any]) -> str | None:
    """What was asked of a structure that is another one; None where it fits. A single new name is bound by it.

    `"T S"` is T with S at each leaf, `"T ..."` begins like T, `"... T"` has T at each end; the rules are jaxtyping's.
    """
    if asked.isidentifier():
        return None if known.setdefault(asked, found) == found else f"the structure {asked}, {known[asked]}"
    names = [name for name in asked.split() if name != "..."]
    if unknown := [name for name in names if name not in known]:
        return f"the structure {asked!r}, where nothing before has bound {', '.join(unknown)}"
    return None if _fits(asked, found, [known[name] for name in names]) else f"the structure {asked!r}"


def _fits(asked: str, found: Any, parts: list[Any]) -> bool:
    from jax import tree_util

    whole: Any = 0
    for part in parts:
        filled = _filled(part)
        whole = tree_util.tree_map(lambda _, filled=filled: filled, whole)
    structure: Any = tree_util.tree_structure(whole)
    if asked.endswith("..."):
        try:
            tree_util.tree_map(lambda *_: 0, _filled(structure), _filled(found))
        except ValueError:  # the one is no beginning of the other
            return False
        return True
    if asked.startswith("..."):
        alike = lambda tree: tree_util.tree_structure(tree) == structure  # noqa: E731
        return all(map(alike, tree_util.tree_leaves(_filled(found), is_leaf=alike)))
    return bool(found == structure)


def _filled(structure: Any) -> Any:
    from jax import tree_util

    return tree_util.tree_unflatten(structure, [0] * structure.num_leaves)
