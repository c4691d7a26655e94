"""Random calls: shapes, arguments and settings drawn so that torch takes about half of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from ops.judge import Call, S, T, number

NAMES = ["B", "D", "N", "K", "G", "S", "1", "2", "3", "2*B", "B*G"]
F = "torch.nn.functional."
Draw = Callable[[Random], Call]


def axes(rng: Random, low: int = 0, high: int = 4) -> tuple[str, ...]:
    return tuple(rng.choice(NAMES) for _ in range(rng.randint(low, high)))


def tensor(rng: Random, low: int = 0, high: int = 4) -> T:
    return T(axes(rng, low, high))


def dim(rng: Random, rank: int) -> int:
    """Mostly in range."""
    if rank == 0 or rng.random() < 0.04:
        return rng.randint(-rank - 2, rank + 1)
    return rng.randint(-rank, rank - 1)


def number_or_name(rng: Random) -> Any:
    return rng.choice([1, 2, 3, 4, S("B"), S("K"), S("G")])


def stretched(rng: Random, shape: tuple[str, ...]) -> tuple[str, ...]:
    """A shape that broadcasts with this one, but for a few slips."""
    kept = shape[rng.randint(0, len(shape)) :] if rng.random() < 0.4 else shape
    return tuple("1" if rng.random() < 0.2 else rng.choice(NAMES) if rng.random() < 0.04 else a for a in kept)


# ------------------------------------------------------------------- families


def reduction(rng: Random) -> Call:
    x = tensor(rng)
    name = rng.choice(["sum", "mean", "amax", "amin", "logsumexp", "prod", "argmax", "max", "min", "std", "var",
                       "median", "norm", "any", "all", "nansum", "cumsum", "softmax", "count_nonzero"])  # fmt: skip
    place = rng.choice(["torch", "Tensor"])
    where: Any = dim(rng, len(x.axes))
    if name in ("cumsum", "softmax", "count_nonzero"):
        return Call(f"{place}.{name}", (x, where))
    if name in ("sum", "mean", "amax", "logsumexp", "std", "norm") and rng.random() < 0.4:
        where = tuple(dim(rng, len(x.axes)) for _ in range(rng.randint(1, 2)))
    if name != "logsumexp" and rng.random() < 0.2:
        return Call(f"{place}.{name}", (x,))
    keep = {"keepdim": rng.random() < 0.5} if rng.random() < 0.6 else {}
    return Call(f"{place}.{name}", (x,), {"dim": where, **keep})


def binary(rng: Random) -> Call:
    shape = axes(rng)
    name = rng.choice(["operator.add", "operator.mul", "operator.eq", "torch.maximum", "torch.where", "torch.mse_loss",
                       "cosine", "masked_fill", "lerp", "pairwise"])  # fmt: skip
    a, c = T(stretched(rng, shape)), T(stretched(rng, shape))
    match name:
        case "torch.where":
            return Call(name, (T(stretched(rng, shape), "bool"), a, c))
        case "torch.mse_loss":
            return Call(F + "mse_loss", (a, c), {"reduction": rng.choice(["none", "mean", "sum"])})
        case "cosine":
            return Call(F + "cosine_similarity", (a, c), {"dim": dim(rng, max(len(a.axes), len(c.axes)))})
        case "pairwise":
            return Call(F + "pairwise_distance", (a, c), {"keepdim": rng.random() < 0.5})
        case "masked_fill":
            place = rng.choice(["Tensor.masked_fill", "Tensor.masked_fill_"])
            return Call(place, (a, T(c.axes, "bool"), 0.0))
        case "lerp":
            return Call("torch.lerp", (a, c, 0.5))
    return Call(name, (a, c))


def view(rng: Random) -> Call:
    """Factors cut anew, in order, with -1 for one of them; now and then a wrong size."""
    x = tensor(rng)
    factors = [f for a in x.axes for f in a.split("*")]
    if rng.random() < 0.3:
        rng.shuffle(factors)
    sizes: list[Any] = []
    while factors:
        count = rng.randint(1, len(factors))
        sizes.append("*".join(factors[:count]))
        factors = factors[count:]
    if rng.random() < 0.3:
        sizes.insert(rng.randint(0, len(sizes)), "1")
    given: list[Any] = [S(s) for s in sizes]
    if given and rng.random() < 0.5:
        given[rng.randrange(len(given))] = -1
    if given and rng.random() < 0.06:
        given[rng.randrange(len(given))] = rng.choice([-1, 2, 5, S("D")])
    if not given:
        given = [-1]
    name = rng.choice(["Tensor.view", "Tensor.reshape", "torch.reshape"])
    return Call(name, (x, tuple(given)) if name == "torch.reshape" or rng.random() < 0.4 else (x, *given))


def reorder(rng: Random) -> Call:
    x = tensor(rng)
    rank = len(x.axes)
    match rng.randrange(9):
        case 0:
            order = list(range(rank))
            rng.shuffle(order)
            order = [o - rank if rng.random() < 0.3 else o for o in order]
            return Call("Tensor.permute", (x, *order)) if order else Call("Tensor.clone", (x,))
        case 1:
            return Call("torch.transpose", (x, dim(rng, rank), dim(rng, rank)))
        case 2:
            return Call("torch.movedim", (x, dim(rng, rank), dim(rng, rank)))
        case 3:
            return Call("Tensor.unsqueeze", (x, rng.randint(-rank - 2, rank + 1)))
        case 4:
            return Call("Tensor.squeeze", (x,) if rng.random() < 0.4 else (x, dim(rng, rank)))
        case 5:
            return Call("torch.flatten", (x, dim(rng, rank), dim(rng, rank)))
        case 6:
            return Call("Tensor.t", (tensor(rng, 2, 3),))
        case 7:
            return Call("property", (x, rng.choice(["mT", "shape", "ndim"])))
    return Call("torch.diagonal", (x,), {"offset": rng.randint(-1, 1), "dim1": dim(rng, rank), "dim2": dim(rng, rank)})


def more_of_it(rng: Random) -> Call:
    x = tensor(rng, 0, 3)
    rank = len(x.axes)
    match rng.randrange(5):
        case 0:
            sizes: list[Any] = [S(rng.choice(NAMES)) if a == "1" else rng.choice([-1, S(a)]) for a in x.axes]
            front = [S(rng.choice(NAMES)) for _ in range(rng.randint(0, 2))]
            if rng.random() < 0.1 and sizes:
                sizes[0] = S("D")
            return Call("Tensor.expand", (x, *front, *sizes) if front or sizes else (x, 2))
        case 1:
            counts = [number_or_name(rng) for _ in range(rank + rng.randint(-1 if rng.random() < 0.1 else 0, 1))]
            return Call("Tensor.repeat", (x, tuple(counts)))
        case 2:
            return Call("torch.tile", (x, tuple(number_or_name(rng) for _ in range(rng.randint(1, 3)))))
        case 3:
            return Call("torch.repeat_interleave", (x, number_or_name(rng)), {"dim": dim(rng, rank)})
    return Call("Tensor.repeat_interleave", (x, number_or_name(rng)))


def join(rng: Random) -> Call:
    shape = axes(rng, 0, 3)
    count = rng.randint(1, 3)
    if rng.random() < 0.5:
        at = dim(rng, len(shape))
        given = []
        for _ in range(count):
            own = list(shape)
            if own and -len(own) <= at < len(own):
                own[at] = rng.choice(NAMES)
            if own and rng.random() < 0.04:
                own[rng.randrange(len(own))] = rng.choice(NAMES)
            given.append(T(tuple(own)))
        return Call("torch.cat", (given,), {"dim": at})
    same = [T(shape if rng.random() > 0.04 else axes(rng, 0, 3)) for _ in range(count)]
    name = rng.choice(
        ["torch.stack", "torch.stack", "torch.hstack", "torch.vstack", "torch.dstack", "torch.column_stack"]
    )
    return Call(name, (same,), {"dim": dim(rng, len(shape) + 1)} if name == "torch.stack" else {})


def part(rng: Random) -> Call:
    x = tensor(rng, 1, 3)
    at = dim(rng, len(x.axes))
    match rng.randrange(5):
        case 0:
            return Call("torch.chunk", (x, rng.randint(1, 4)), {"dim": at})
        case 1:
            return Call("torch.split", (x, number_or_name(rng)), {"dim": at})
        case 2:
            total = number(x.axes[at]) if -len(x.axes) <= at < len(x.axes) else 3
            first = rng.randint(0, total)
            return Call("torch.split", (x, [first, total - first + (rng.random() < 0.05)]), {"dim": at})
        case 3:
            return Call("torch.tensor_split", (x, rng.choice([1, 2, 3, (1, 2), (2,)])), {"dim": at})
    return Call("torch.unbind", (x,), {"dim": at})


def matmul(rng: Random) -> Call:
    batch = axes(rng, 0, 2)
    n, k, m = rng.choice(NAMES), rng.choice(NAMES), rng.choice(NAMES)
    left = (*stretched(rng, batch), n, k) if rng.random() < 0.85 else (k,)
    right = (*stretched(rng, batch), k, m) if rng.random() < 0.85 else (k,)
    if rng.random() < 0.05:
        right = (*right[:-1], rng.choice(NAMES))
    if rng.random() < 0.1:
        right = tuple(reversed(right))
    name = rng.choice(["torch.matmul", "operator.matmul", "torch.bmm", "torch.mm", "torch.mv", "torch.dot",
                       "torch.inner", "torch.outer", "torch.tensordot", "torch.cdist", F + "linear",
                       "torch.kron"])  # fmt: skip
    if name == "torch.tensordot":
        return Call(name, (T(left), T(right)), {"dims": rng.choice([0, 1, 1, 2])})
    if name == F + "linear":
        return Call(name, (T(left), T((m, k))))
    return Call(name, (T(left), T(right)))


def einsum(rng: Random) -> Call:
    letters = {c: rng.choice(NAMES) for c in "abcd"}
    terms = ["".join(rng.choice("abcd") for _ in range(rng.randint(1, 3))) for _ in range(rng.randint(1, 3))]
    used = sorted(set("".join(terms)))
    rng.shuffle(used)
    out = "->" + "".join(used[: rng.randint(0, len(used))]) if rng.random() < 0.7 else ""
    given = [T(tuple(letters[c] if rng.random() > 0.03 else "1" for c in term)) for term in terms]
    if rng.random() < 0.05:
        given[0] = T((*given[0].axes, "2"))
    return Call("torch.einsum", (",".join(terms) + out, *given))


def bound(rng: Random) -> Any:
    return rng.choice([None, None, 0, 1, 2, -1, -2, 5, S("B"), S("K"), S("G"), S("B*G")])


def index(rng: Random) -> Call:
    x = tensor(rng, 1, 4)
    items: list[Any] = []
    at = 0
    wide = rng.choice([("N",), ("K",), ("2", "K"), ("1",), ()])
    while at < len(x.axes) and rng.random() < 0.85:
        match rng.randrange(9):
            case 0 | 1:
                items.append(slice(bound(rng), bound(rng), rng.choice([None, None, 1, 2, 3])))
                at += 1
            case 2:
                items.append(rng.choice([0, 0, -1, 1]))
                at += 1
            case 3:
                items.append(None)
            case 4 if ... not in items:
                items.append(...)
                at += rng.randint(0, len(x.axes) - at)
            case 5:
                items.append(T(wide if rng.random() < 0.8 else ("1",), "int"))
                at += 1
            case 6:
                count = rng.randint(1, min(2, len(x.axes) - at))
                kind = rng.choice(["bool", "bool", "byte"])
                items.append(T(x.axes[at : at + count], kind) if rng.random() < 0.95 else T(("5",), "bool"))
                at += count
            case 7:
                items.append([0] * rng.randint(1, 3))
                at += 1
            case _:
                items.append(slice(None))
                at += 1
    return Call("index", (x, *(items or [slice(None)])))


def pick(rng: Random) -> Call:
    x = tensor(rng, 1, 3)
    at = dim(rng, len(x.axes))
    inside = -len(x.axes) <= at < len(x.axes)
    own = list(x.axes)
    if inside:
        own[at] = rng.choice(["1", "2", "K"])
    if rng.random() < 0.1 and own:
        own[rng.randrange(len(own))] = rng.choice(NAMES)
    match rng.randrange(10):
        case 0:
            return Call("torch.gather", (x, at, T(tuple(own), "int")))
        case 1:
            return Call("Tensor.scatter", (x, at, T(tuple(own), "int"), 1.0))
        case 2:
            return Call("torch.index_select", (x, at, T((rng.choice(NAMES),), "int")))
        case 3:
            return Call("torch.topk", (x, rng.choice([1, 2, 3, S("K")])), {"dim": at})
        case 4:
            return Call(rng.choice(["torch.sort", "torch.argsort"]), (x,), {"dim": at})
        case 5:
            return Call("Tensor.narrow", (x, at, rng.randint(0, 1), rng.choice([1, 2, S("K")])))
        case 6:
            return Call("torch.select", (x, at, 0))
        case 7:
            return Call("torch.diag", (x, rng.randint(-1, 1)))
        case 8:
            return Call("torch.diag_embed", (x,))
    return Call(rng.choice(["torch.tril", "torch.triu"]), (x, rng.randint(-1, 1)))


def loss(rng: Random) -> Call:
    reduction = rng.choice(["none", "mean", "sum"])
    rows, classes = rng.choice(NAMES), rng.choice(NAMES)
    extra = axes(rng, 0, 1)
    slip = rng.random() < 0.12
    other = rng.choice(NAMES) if slip else rows
    match rng.randrange(7):
        case 0:
            scores = T((rows, classes, *extra)) if rng.random() < 0.9 else T((classes,))
            target = T((other, *extra), "int") if len(scores.axes) > 1 else T((), "int")
            return Call(F + "cross_entropy", (scores, target), {"reduction": reduction})
        case 1:
            return Call(F + "cross_entropy", (T((rows, classes)), T((other, classes))), {"reduction": reduction})
        case 2:
            return Call(F + "nll_loss", (T((rows, classes)), T((other,), "int")), {"reduction": reduction})
        case 3:
            shape = (rows, classes)
            return Call(
                F + "binary_cross_entropy_with_logits", (T(shape), T((other, classes))), {"reduction": reduction}
            )
        case 4:
            a, p, n = (T((rows if rng.random() < 0.95 else "1", classes)) for _ in range(3))
            return Call(F + "triplet_margin_loss", (a, p, n), {"reduction": reduction})
        case 5:
            target = T((other,)) if rng.random() < 0.9 else T((other, "1"))
            given = (T((rows, classes)), T((rows, classes)), target)
            return Call(F + "cosine_embedding_loss", given, {"reduction": reduction})
    return Call(F + "margin_ranking_loss", (T((rows,)), T((other,)), T((rows,))), {"reduction": reduction})


def layer(rng: Random) -> Call:
    d = rng.choice(["D", "S", "4", "6"])
    slip = rng.choice(["D", "3"]) if rng.random() < 0.1 else d
    front = axes(rng, 0, 2)
    k, s, p, e = rng.randint(1, 3), rng.randint(1, 3), rng.randint(0, 2), rng.randint(1, 2)
    match rng.randrange(8):
        case 0:
            return Call("torch.nn.Linear", (T((*front, slip)),), {}, (S(d), 3))
        case 1:
            return Call("torch.nn.LayerNorm", (T((*front, slip)),), {}, (S(d),))
        case 2:
            return Call("torch.nn.BatchNorm1d", (T(("B", slip, *front)),), {}, (S(d),), {"track_running_stats": False})
        case 3:
            image = T(("B", "2", rng.choice(["S", "W", "7"]), "W"))
            settings = {"stride": s, "padding": p, "dilation": e}
            return Call("torch.nn.Conv2d", (image,), {}, (2, S(d), k), settings)
        case 4:
            settings = {"stride": s, "padding": min(p, k // 2), "ceil_mode": rng.random() < 0.5}
            return Call("torch.nn.MaxPool1d", (T(("B", "D", rng.choice(["W", "S", "7"]))),), {}, (k,), settings)
        case 5:
            return Call("torch.nn.Embedding", (T(front, "int"),), {}, (9, S(d)))
        case 6:
            settings = {"batch_first": rng.random() < 0.5, "bidirectional": rng.random() < 0.5}
            return Call("torch.nn.GRU", (T(("B", "S", slip)),), {}, (S(d), 3), settings)
    return Call("torch.nn.ConvTranspose1d", (T(("B", "2", "W")),), {}, (2, 3, k), {"stride": s, "padding": min(p, 1)})


def einops(rng: Random) -> Call:
    """Names regrouped on both sides."""
    names = list("abcd")[: rng.randint(1, 4)]
    size = {n: rng.choice(["B", "G", "K", "2", "3", "1"]) for n in names}

    def groups(order: list[str]) -> list[list[str]]:
        found, left = [], list(order)
        while left:
            count = rng.randint(1, min(2, len(left)))
            found.append(left[:count])
            left = left[count:]
        return found

    def written(side: list[list[str]]) -> str:
        return " ".join(g[0] if len(g) == 1 else f"({' '.join(g)})" for g in side)

    left = groups(names)
    rng.shuffle(names)
    name = rng.choice(["rearrange", "reduce", "repeat"])
    kept = names[: rng.randint(0, len(names))] if name == "reduce" else names
    right = groups([*kept, "e"] if name == "repeat" else kept)
    given = T(tuple("*".join(size[n] for n in g) for g in left))
    lengths = {n: S(size[n]) for g in left for n in g[1:]}
    if name == "repeat":
        lengths["e"] = S("K")
    if rng.random() < 0.06:
        given = replace(given, axes=(*given.axes[:-1], rng.choice(NAMES)))
    pattern = f"{written(left)} -> {written(right)}"
    return Call(f"einops.{name}", (given, pattern, *(["mean"] if name == "reduce" else [])), lengths)


def creation(rng: Random) -> Call:
    match rng.randrange(6):
        case 0:
            start, step = rng.choice([0, 1, S("K")]), rng.choice([1, 2, 3, S("G")])
            return Call("torch.arange", (start, S(rng.choice(["B*G", "B", "2*B", "N"])), step))
        case 1:
            return Call("torch.eye", (number_or_name(rng), number_or_name(rng)))
        case 2:
            return Call("torch.full", (tuple(S(a) for a in axes(rng, 1, 3)), 3))
        case 3:
            return Call("Tensor.new_zeros", (tensor(rng), tuple(S(a) for a in axes(rng, 1, 3))))
        case 4:
            given = tensor(rng, 1, 3)
            return Call(F + "pad", (given, tuple(rng.randint(0, 2) for _ in range(2 * rng.randint(1, 2)))))
    return Call(F + "one_hot", (T(axes(rng, 0, 2), "int"), rng.randint(1, 5)))


FAMILIES: tuple[Draw, ...] = (
    reduction, binary, view, view, reorder, more_of_it, join, part, matmul, einsum, index, index, pick, loss, layer,
    einops, creation,
)  # fmt: skip


def draw(rng: Random) -> Call:
    return rng.choice(FAMILIES)(rng)
