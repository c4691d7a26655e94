"""Collectives, model outputs and similarity helpers: what no single process or small test can run for real."""

from __future__ import annotations

import pytest

from ops.judge import JudgeKit
from shapecheck.dims import show, symbol
from shapecheck.engine.values import Axis, Items, Layer, Lit, Many, Mapping, Num, Partial, Tensor, Unknown, Value
from shapecheck.ops import LAYERS, REGISTRY, bind, construct, huggingface, layers
from shapecheck.ops.kit import Kit


def tensor(names: str, dtype: str = "float") -> Tensor:
    return Tensor(tuple(Axis(symbol(n)) for n in names.split()), dtype)


def shown(value: Value | None) -> str:
    """`[B, S]`; `[..., D]` where the rank is open."""
    assert isinstance(value, Tensor)
    if isinstance(value.shape, Partial):
        front, back = ([show(a.size) for a in part] for part in (value.shape.head, value.shape.tail))
        return f"[{', '.join([*front, '...', *back])}]"
    return f"[{', '.join(show(a.size) for a in value.shape)}]"


def call(name: str, *args: Value, kit: Kit | None = None, **kwargs: Value) -> Value:
    spec = REGISTRY[name]
    bound = bind(spec.parameters, args, kwargs)
    assert bound is not None
    return spec.function(kit or JudgeKit(), *bound.args, **bound.kwargs)


def forward(layer: Value | None, *args: Value, kit: Kit | None = None, **kwargs: Value) -> Value:
    assert isinstance(layer, Layer)
    spec = LAYERS[layer.name]
    bound = bind(spec.parameters, args, kwargs)
    assert bound is not None
    return spec.function(kit or JudgeKit(), layer, *bound.args, **bound.kwargs)


def test_encoder_outputs() -> None:
    model = call("transformers.AutoModel.from_pretrained", Lit("some/checkpoint"))
    out = forward(model, tensor("B S", "int"), attention_mask=tensor("B S", "int"))
    assert isinstance(out, Mapping)
    assert shown(out.get("last_hidden_state")) == "[B, S, $config.hidden_size]"
    assert shown(out.get("pooler_output")) == "[B, $config.hidden_size]"
    states = out.get("hidden_states")
    assert isinstance(states, Many)
    assert shown(states.item) == "[B, S, $config.hidden_size]"


def test_inputs_are_learned_to_be_matrices() -> None:
    model = construct("transformers.BertModel", (), {})
    out = forward(model, Tensor(Partial((), (), "ids"), "int"))
    assert isinstance(out, Mapping)
    last = out.get("last_hidden_state")
    assert isinstance(last, Tensor)
    assert last.rank == 3


@pytest.mark.parametrize(
    ("name", "kwargs", "wanted"),
    [
        ("AutoModelForSequenceClassification", {"num_labels": Num(1)}, "[B, 1]"),
        ("BertForSequenceClassification", {}, "[B, $config.num_labels]"),
        ("AutoModelForMaskedLM", {}, "[B, S, $config.vocab_size]"),
        ("Qwen2ForCausalLM", {}, "[B, S, $config.vocab_size]"),
        ("AutoModelForTokenClassification", {"num_labels": Num(9)}, "[B, S, 9]"),
    ],
)
def test_logits(name: str, kwargs: dict[str, Value], wanted: str) -> None:
    model = call(f"transformers.{name}.from_pretrained", Lit("some/checkpoint"), **kwargs)
    out = forward(model, input_ids=tensor("B S", "int"))
    assert isinstance(out, Mapping)
    assert shown(out.get("logits")) == wanted


def test_config() -> None:
    model = call("transformers.AutoModel.from_pretrained", Lit("some/checkpoint"))
    assert isinstance(model, Layer)
    config = huggingface.config(model)
    assert config is not None
    assert config.get("hidden_size") == Num(huggingface.HIDDEN)


def test_tokenizer() -> None:
    tokenizer = call("transformers.AutoTokenizer.from_pretrained", Lit("some/checkpoint"))
    texts = Items("list", (Unknown("str"),) * 3)
    batch = forward(tokenizer, texts, return_tensors=Lit("pt"), padding=Lit("max_length"), max_length=Num(32))
    assert isinstance(batch, Mapping)
    assert shown(batch.get("input_ids")) == "[3, 32]"
    lists = forward(tokenizer, texts)
    assert isinstance(lists, Mapping)
    assert not lists.items


def test_sentence_transformer() -> None:
    model = construct("sentence_transformers.SentenceTransformer", (Lit("x"),), {})
    out = forward(model, Mapping((("input_ids", tensor("B S", "int")),)))
    assert isinstance(out, Mapping)
    assert shown(out.get("sentence_embedding")) == "[B, $config.embedding_dim]"
    assert shown(out.get("token_embeddings")) == "[B, S, $config.embedding_dim]"
    many = Many(Unknown("str"), symbol("N"))
    encoded = call("sentence_transformers.SentenceTransformer.encode", Lit(None), many, convert_to_tensor=Lit(True))
    assert shown(encoded) == "[N, $config.embedding_dim]"


@pytest.mark.parametrize(
    ("left", "right", "wanted"),
    [("B D", "N D", "[B, N]"), ("D", "N D", "[1, N]"), ("B D", "D", "[B, 1]"), ("D", "D", "[1, 1]")],
)
def test_all_pairs(left: str, right: str, wanted: str) -> None:
    for name in ("cos_sim", "dot_score", "pytorch_cos_sim"):
        assert shown(call(f"sentence_transformers.util.{name}", tensor(left), tensor(right))) == wanted


def test_all_pairs_of_something_unknown() -> None:
    """The result is a matrix whatever the ranks; the columns are the rows of what is known."""
    result = call("sentence_transformers.util.cos_sim", Tensor(Partial((), (), "x")), tensor("N D"))
    assert isinstance(result, Tensor)
    assert result.sizes is not None
    assert len(result.sizes) == 2
    assert result.sizes[1] == symbol("N")


def test_row_by_row() -> None:
    assert shown(call("sentence_transformers.util.pairwise_cos_sim", tensor("B D"), tensor("B D"))) == "[B]"
    kit = JudgeKit()
    call("sentence_transformers.util.pairwise_cos_sim", tensor("B D"), tensor("N D"), kit=kit)
    assert [(demand, verdict.when()) for demand, _, _, verdict, _ in kit.crashes] == [("inner", "B = N")]


def test_uneven_gathers_are_not_multiples() -> None:
    rows = call("accelerate.Accelerator.gather_for_metrics", Lit(None), tensor("B D"))
    assert isinstance(rows, Tensor)
    assert rows.axes is not None
    assert "?" in show(rows.axes[0].size)
    assert shown(rows).endswith(", D]")


def test_module_gather_may_add_an_axis() -> None:
    """With one process the tensor itself comes back, with more of them a new first axis."""
    assert shown(call("lightning.LightningModule.all_gather", Lit(None), tensor("B D"))) == "[..., B, D]"


def test_list_gather_keeps_its_length() -> None:
    filled = call("torch.distributed.all_gather", Items("list", (Unknown(), Unknown())), tensor("B D"))
    assert isinstance(filled, Items)
    assert [shown(v) for v in filled.items] == ["[B, D]", "[B, D]"]
    assert REGISTRY["torch.distributed.all_gather"].inplace


def test_in_place_twins_are_marked() -> None:
    marked = {name for name, spec in REGISTRY.items() if spec.inplace}
    assert {"Tensor.add_", "Tensor.fill_diagonal_", "Tensor.masked_fill_", "torch.nn.init.normal_"} <= marked
    assert not {"Tensor.add", "operator.and_", "operator.or_", "torch.nn.utils.clip_grad_norm_"} & marked


def test_layer_attributes() -> None:
    kit = JudgeKit()
    linear = construct("torch.nn.Linear", (Num(symbol("D")), Num(symbol("N"))), {})
    assert isinstance(linear, Layer)
    assert shown(layers.attribute(kit, linear, "weight")) == "[N, D]"
    assert shown(layers.attribute(kit, linear, "bias")) == "[N]"
    assert layers.attribute(kit, linear, "out_features") == Num(symbol("N"))
    convolution = construct("torch.nn.Conv2d", (Num(2), Num(3), Num(1)), {})
    assert isinstance(convolution, Layer)
    assert shown(layers.attribute(kit, convolution, "bias")) == "[...]"  # a tensor, not the flag it was made with
    bare = construct("torch.nn.Linear", (Num(2), Num(3)), {"bias": Lit(False)})
    assert isinstance(bare, Layer)
    assert layers.attribute(kit, bare, "bias") == Lit(None)


def test_unknown_tensors_learn_their_rank() -> None:
    for name, rank in (("torch.bmm", 3), ("torch.mm", 2), ("Tensor.t", 2)):
        unknown = Tensor(Partial((), (), "x"))
        result = call(name, *(unknown,) * (1 if name == "Tensor.t" else 2))
        assert isinstance(result, Tensor)
        assert result.rank == rank


def test_partial_shapes_keep_what_is_sure() -> None:
    x = Tensor(Partial((Axis(symbol("B")),), (Axis(symbol("D")),)), "float")
    dim = {"dim": Num(-1)}
    assert shown(call("torch.exp", x)) == "[B, ..., D]"
    assert shown(call("torch.sum", x, **dim)) == "[B, ...]"
    assert shown(call("torch.sum", x, dim=Num(0))) == "[..., D]"
    assert shown(call("torch.matmul", x, tensor("D N"))) == "[B, ..., N]"
    assert shown(call("Tensor.unsqueeze", x, Num(0))) == "[1, B, ..., D]"
    assert shown(call("Tensor.unsqueeze", x, Num(-1))) == "[B, ..., D, 1]"
    assert shown(call("torch.nn.functional.normalize", x, **dim)) == "[B, ..., D]"
    assert shown(call("Tensor.transpose", x, Num(0), Num(-1))) == "[...]"
    linear = construct("torch.nn.Linear", (Num(symbol("D")), Num(7)), {})
    assert shown(forward(linear, x)) == "[B, ..., 7]"
