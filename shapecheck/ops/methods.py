"""Which names of methods and attributes tell that a value of which nothing is known is a tensor.

These are no kinds: what an op does to shapes says nothing of whether lists, sets, arrays and modules have one of its
name too.
"""

from __future__ import annotations

# read without a call
PROPERTIES = frozenset({"T", "H", "mT", "mH", "shape", "ndim", "data", "grad", "real", "imag"})
# nothing but a tensor has it, or is asked for it in code that trains
SURE = frozenset(
    {
        "T", "argmax", "argsort", "bmm", "chunk", "clamp", "contiguous", "cumsum", "detach", "dim", "exp", "expand",
        "expand_as", "flatten", "gather", "log", "log_softmax", "logsumexp", "mT", "masked_fill", "matmul", "max",
        "mean", "min", "mm", "ndim", "numel", "permute", "repeat", "repeat_interleave", "reshape", "scatter", "shape",
        "size", "softmax", "sqrt", "squeeze", "sum", "t", "topk", "transpose", "unbind", "unsqueeze", "view",
        "view_as",
    }
)  # fmt: skip
# tensors have it, and so do others: the name alone tells nothing
SHARED = frozenset(
    {
        "add", "all", "any", "append", "apply", "backward", "bool", "clear", "copy", "count", "cpu", "cuda", "data",
        "device", "diff", "div", "double", "dtype", "element_size", "eq", "eval", "extend", "fill", "filter", "float",
        "format", "get", "half", "imag", "index", "insert", "int", "items", "join", "keys", "long", "map", "merge",
        "mul", "name", "names", "ne", "norm", "pop", "pow", "real", "register_hook", "remove", "rename",
        "requires_grad", "reverse", "round", "sample", "set", "sort", "split", "stride", "sub", "to", "train", "type",
        "unique", "update", "values", "view_as_real", "where",
    }
)  # fmt: skip
# ... and what arrays and data sets give there has another shape
OTHERS_TOO = frozenset({"dot", "take"})
