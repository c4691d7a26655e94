"""Every op knows what it is: a kind, one key for all its spellings, and which argument is which."""

from __future__ import annotations

import pytest

from shapecheck.engine.values import Layer, Num, Tensor
from shapecheck.ops import LAYERS, REGISTRY, distributions, kinds
from shapecheck.ops.kinds import kind_of


def test_no_op_is_without_a_kind() -> None:
    keys = {spec.key for spec in REGISTRY.values()} | {spec.key for spec in LAYERS.values()}
    assert sorted(k for k in keys | distributions.METHODS.keys() | {"getitem"} if not kind_of(k)) == []


def test_no_kind_names_what_is_no_op() -> None:
    keys = {spec.key for spec in REGISTRY.values()} | {spec.key for spec in LAYERS.values()}
    assert sorted(kinds.known_keys() - keys - distributions.METHODS.keys() - {"getitem"}) == []


def test_every_kind_has_a_bit_of_its_own() -> None:
    bits = [value for name, value in vars(kinds).items() if name.isupper() and isinstance(value, int)]
    single = [bit for bit in bits if bit.bit_count() == 1]
    assert len(single) == len(set(single))
    assert all(any(kind_of(key) & bit for key in kinds.known_keys()) for bit in single)


@pytest.mark.parametrize(
    "spellings",
    [
        "torch.sub torch.subtract Tensor.sub Tensor.sub_ Tensor.subtract operator.sub",
        "torch.mul torch.multiply Tensor.mul operator.mul",
        "torch.div torch.true_divide Tensor.div operator.truediv",
        "torch.eq Tensor.eq operator.eq",
        "torch.gt torch.greater Tensor.greater operator.gt",
        "torch.neg torch.negative operator.neg",
        "torch.norm Tensor.norm torch.linalg.norm torch.linalg.vector_norm",
        "torch.cat torch.concat torch.concatenate",
        "torch.matmul Tensor.matmul operator.matmul torch.linalg.matmul",
        "torch.softmax Tensor.softmax torch.nn.functional.softmax torch.special.softmax torch.nn.Softmax",
        "torch.log_softmax torch.nn.functional.log_softmax torch.special.log_softmax torch.nn.LogSoftmax",
        "torch.nn.functional.mse_loss torch.nn.MSELoss torch.nn.modules.loss.MSELoss",
        "torch.nn.functional.cross_entropy torch.nn.CrossEntropyLoss",
        "torch.nn.functional.binary_cross_entropy_with_logits torch.nn.BCEWithLogitsLoss",
        "torch.nn.functional.linear torch.nn.Linear",
        "torch.nn.functional.cosine_similarity torch.cosine_similarity torch.nn.CosineSimilarity",
        "torch.nn.functional.dropout torch.nn.Dropout",
        "torch.sigmoid Tensor.sigmoid torch.nn.functional.sigmoid torch.special.expit torch.nn.Sigmoid",
        "torch.transpose Tensor.transpose torch.swapaxes Tensor.swapaxes Tensor.mT",
        "Tensor.view Tensor.reshape torch.reshape Tensor.view_as",
        "sentence_transformers.util.cos_sim sentence_transformers.util.pytorch_cos_sim",
    ],
)
def test_one_key_for_all_spellings(spellings: str) -> None:
    specs = {name: REGISTRY.get(name) or LAYERS[name] for name in spellings.split()}
    assert len({spec.key for spec in specs.values()}) == 1, {name: spec.key for name, spec in specs.items()}


@pytest.mark.parametrize(
    ("name", "args", "role", "plays"),
    [
        ("torch.mm", {"input": 1, "mat2": 2}, "other", 2),
        ("torch.dot", {"input": 1, "tensor": 2}, "other", 2),
        ("torch.cdist", {"x1": 1, "x2": 2, "p": 2.0}, "input", 1),
        ("torch.cdist", {"x1": 1, "x2": 2, "p": 2.0}, "other", 2),
        ("torch.nn.functional.linear", {"input": 1, "weight": 2, "bias": None}, "other", 2),
        ("torch.linalg.vecdot", {"x": 1, "y": 2, "dim": -1}, "other", 2),
        ("torch.linalg.norm", {"A": 1, "ord": None, "dim": None}, "input", 1),
        ("torch.take_along_dim", {"input": 1, "indices": 2, "dim": 3}, "index", 2),
        ("torch.neg", {"input": 1}, "other", None),
    ],
)
def test_a_role_is_found_whatever_torch_calls_it(name: str, args: dict[str, object], role: str, plays: object) -> None:
    assert REGISTRY[name].argument(args, role) == plays


def test_what_a_layer_was_given_is_an_argument_too() -> None:
    layer = Layer("torch.nn.Softmax", (("dim", Num(1)),))
    assert REGISTRY["torch.softmax"].argument({"input": Tensor(), "self": layer}, "dim") == Num(1)
