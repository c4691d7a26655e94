"""What torch and its neighbours do to shapes. Importing this package fills `REGISTRY` and `LAYERS`.

`index.index` serves `x[...]`; `layers.attribute` and `huggingface.config` the attributes of layers. The names in
`PROPERTIES` are read without a call: `x.T` is `REGISTRY["Tensor.T"]`.
"""

from shapecheck.ops import (
    create,
    distributed,
    distributions,
    einops,
    factorisations,
    functional,
    huggingface,
    index,
    joining,
    layers,
    longtail,
    loss,
    moving,
    pointwise,
    product,
    reduce,
    repeat,
    reshape,
    select,
    sequences,
    table,
    windows,
)
from shapecheck.ops.kit import LAYERS, REGISTRY, Kit, LayerSpec, OpSpec, bind, construct
from shapecheck.ops.methods import PROPERTIES

__all__ = [
    "LAYERS", "PROPERTIES", "REGISTRY", "Kit", "LayerSpec", "OpSpec", "bind", "construct", "create", "distributed",
    "distributions", "einops", "factorisations", "functional", "huggingface", "index", "joining", "layers",
    "longtail", "loss", "moving", "pointwise", "product", "reduce", "repeat", "reshape", "select", "sequences",
    "table", "windows",
]  # fmt: skip
