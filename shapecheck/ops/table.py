"""What can be said in one line: each row has torch's names, torch's parameters, and the axes of inputs and outputs.

Inputs of a line are the first parameters, in order; the rest of the parameters change no shape.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from shapecheck.engine.values import Axis, Partial, Shape, Tensor, Value
from shapecheck.ops.axes import as_tensor, named, promote
from shapecheck.ops.demands import Demand
from shapecheck.ops.kit import Kit, OpFunction, op
from shapecheck.ops.signature import apply, overloads


class Row(NamedTuple):
    names: str
    parameters: str
    axes: str
    demand: Demand = "inner"
    dtype: str = ""  # "" the operands' own
    fields: str = ""  # several outputs: their names


ALL_PAIRS = "d, d -> 1 1 | d, m d -> 1 m | n d, d -> n 1 | n d, m d -> n m"  # a vector is one row

TABLE = (
    # products of matrices and vectors
    Row("torch.mm Tensor.mm", "input, mat2", "n k, k m -> n m"),
    Row("torch.bmm Tensor.bmm", "input, mat2", "b n k, b k m -> b n m"),
    Row("torch.mv Tensor.mv", "input, vec", "n k, k -> n"),
    Row("torch.dot Tensor.dot torch.vdot Tensor.vdot", "input, tensor", "k, k -> "),
    Row("torch.outer Tensor.outer torch.ger Tensor.ger", "input, vec2", "n, m -> n m"),
    # distances between all pairs of rows
    Row("torch.cdist", "x1, x2, p=2.0, compute_mode=None", "*#b n d, *#b m d -> *b n m", dtype="float"),
    Row("torch.nn.functional.pdist torch.pdist", "input, p=2.0", "n d -> n*(n-1)//2", dtype="float"),
    # linear algebra
    Row("torch.det Tensor.det torch.linalg.det torch.logdet Tensor.logdet", "A", "*b n n -> *b"),
    Row("torch.inverse Tensor.inverse torch.linalg.inv", "A", "*b n n -> *b n n"),
    Row("torch.linalg.pinv torch.pinverse Tensor.pinverse", "A, rcond=None, hermitian=False", "*b n m -> *b m n"),
    Row("torch.linalg.cholesky torch.cholesky Tensor.cholesky", "A, upper=False", "*b n n -> *b n n"),
    Row("torch.linalg.eigvalsh", "A, UPLO='L'", "*b n n -> *b n", dtype="float"),
    Row("torch.linalg.eigvals", "A", "*b n n -> *b n", dtype="complex"),
    Row("torch.linalg.matrix_exp torch.matrix_exp Tensor.matrix_exp", "A", "*b n n -> *b n n"),
    Row("torch.linalg.matrix_power torch.matrix_power Tensor.matrix_power", "A, n", "*b n n -> *b n n"),
    Row("torch.linalg.eigh", "A, UPLO='L'", "*b n n -> *b n, *b n n", fields="eigenvalues eigenvectors"),
    Row("torch.linalg.eig", "A", "*b n n -> *b n, *b n n", dtype="complex", fields="eigenvalues eigenvectors"),
    Row("torch.slogdet Tensor.slogdet torch.linalg.slogdet", "A", "*b n n -> *b, *b", fields="sign logabsdet"),
    # sentence_transformers.util: all pairs, and row by row
    Row("sentence_transformers.util.cos_sim sentence_transformers.util.similarity.cos_sim "
        "sentence_transformers.util.pytorch_cos_sim sentence_transformers.util.similarity.pytorch_cos_sim",
        "a, b", ALL_PAIRS, dtype="float"),
    *(
        Row(f"sentence_transformers.{module}.{name}", "a, b", ALL_PAIRS, dtype="float")
        for module in ("util", "util.similarity")
        for name in ("dot_score", "euclidean_sim", "manhattan_sim")
    ),
    *(
        Row(f"sentence_transformers.{module}.{name}", "a, b", "n d, n d -> n", dtype="float")
        for module in ("util", "util.similarity")
        for name in ("pairwise_cos_sim", "pairwise_dot_score", "pairwise_euclidean_sim", "pairwise_manhattan_sim")
    ),
    *(
        Row(f"sentence_transformers.{module}.pairwise_angle_sim", "x, y", "n d, n d -> n", dtype="float")
        for module in ("util", "util.similarity")
    ),
    *(
        Row(f"sentence_transformers.{module}.normalize_embeddings", "embeddings", "n d -> n d", dtype="float")
        for module in ("util", "util.tensor")
    ),
)  # fmt: skip


def _function(row: Row, name: str) -> OpFunction:
    count = len(overloads(row.axes)[0].inputs)

    ranks = {tuple(len(o.axes) for o in line.outputs) for line in overloads(row.axes) if "*" not in row.axes}

    def run(kit: Kit, *args: Any, **more: Any) -> Value:
        values = [*args, *more.values()][:count]

        def ranked(shape: Shape) -> Shape:  # every overload's result has this rank
            known = not isinstance(shape, Partial) or shape.min_rank or len(ranks) != 1 or len(next(iter(ranks))) != 1
            return shape if known else tuple(Axis(kit.fresh("n")) for _ in range(next(iter(ranks))[0]))

        shapes = apply(kit, name, row.axes, values, row.demand)
        dtype = row.dtype or promote(*(as_tensor(v).dtype for v in values))
        results = [Tensor(shape, dtype) for shape in map(ranked, shapes)]
        if row.fields:
            return named(**dict(zip(row.fields.split(), results)))
        return results[0]

    return run


def _register() -> None:
    for row in TABLE:
        names = row.names.split()
        canonical = names[0].rpartition(".")[2]
        op(*names, name=canonical, parameters=row.parameters)(_function(row, canonical))


_register()
