"""Models whose outputs everybody uses: transformers' encoders and heads, tokenizers, SentenceTransformer.

`hidden_size`, `vocab_size` and `num_labels` are one configured size each ("$": the code can tell which).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from shapecheck.dims import Size, symbol
from shapecheck.engine.values import UNKNOWN, Axis, Layer, Many, Mapping, Num, Origin, Partial, Tensor, Unknown, Value
from shapecheck.ops import customs
from shapecheck.ops.axes import as_tensor, flag, is_none, like, members, text
from shapecheck.ops.kinds import FEATURES_LAST
from shapecheck.ops.kit import Kit, OpFunction, layer, op

HIDDEN, VOCABULARY = symbol("$config.hidden_size"), symbol("$config.vocab_size")
_EMBEDDING = symbol("$config.embedding_dim")

_FAMILIES = [
    "Auto",
    "Bert",
    "Roberta",
    "XLMRoberta",
    "DistilBert",
    "Electra",
    "Albert",
    "Deberta",
    "DebertaV2",
    "MPNet",
    "Camembert",
    "Longformer",
    "ModernBert",
    "XLMRobertaXL",
    "NomicBert",
    "Ernie",
    "Funnel",
    "Qwen2",
    "Qwen3",
    "Llama",
    "Mistral",
    "Gemma",
    "Gemma2",
    "Gemma3Text",
    "GPT2",
    "GPTNeo",
    "GPTNeoX",
    "OPT",
    "Bloom",
    "Phi",
    "Phi3",
    "Falcon",
    "StableLm",
    "Starcoder2",
]
_NO_POOLER = frozenset({
    "DistilBert", "Electra", "DebertaV2", "Deberta", "ModernBert", "Qwen2", "Qwen3", "Llama", "Mistral", "Gemma",
    "Gemma2", "Gemma3Text", "GPT2", "GPTNeo", "GPTNeoX", "OPT", "Bloom", "Phi", "Phi3", "Falcon", "StableLm",
    "Starcoder2",
})  # fmt: skip
_HEADS = ("Model", "ForSequenceClassification", "ForMaskedLM", "ForCausalLM", "ForTokenClassification")
_TOKENIZERS = ("Auto", "Bert", "Roberta", "XLMRoberta", "PreTrained")
_CONFIG = "config=None, *args, **kwargs"


def _named(size: Size, why: str) -> Axis:
    features = size in (HIDDEN, _EMBEDDING)
    return Axis(size, origin=Origin(why, None, kind=FEATURES_LAST if features else 0))


def _rows(kit: Kit, input_ids: Value | None, inputs_embeds: Value | None) -> tuple[Axis, Axis] | None:
    """Batch and sequence axes of the inputs; None when neither input is known."""
    if not is_none(inputs_embeds):
        embedded = kit.rank(as_tensor(inputs_embeds), 3).axes
        return (embedded[0], embedded[1]) if embedded is not None and len(embedded) == 3 else None
    if not is_none(input_ids):
        ids = kit.rank(as_tensor(input_ids), 2).axes
        return (ids[0], ids[1]) if ids is not None and len(ids) == 2 else None
    return None


def _unseen(kit: Kit) -> tuple[Axis, Axis]:
    """The axes of an input that nothing is known of."""
    return kit.axis(kit.fresh("b"), "rows of the model's input"), kit.axis(kit.fresh("s"), "tokens of its input")


def _masked(kit: Kit, mask: Value | None, batch: Axis, sequence: Axis) -> None:
    """A padding mask has the inputs' shape; an unknown one is thereby learned."""
    if is_none(mask) or not isinstance(mask, Tensor | Unknown):
        return
    tensor = as_tensor(mask)
    if tensor.rank is None and isinstance(tensor.shape, Partial) and not tensor.shape.min_rank:
        kit.refine(tensor, (batch, sequence))


def _model(family: str) -> OpFunction:
    def call(
        kit: Kit, layer: Layer, input_ids: Value | None = None, attention_mask: Value | None = None, *rest: Value,
        inputs_embeds: Value | None = None, **more: Value,
    ) -> Value:  # fmt: skip
        """`last_hidden_state` [B, S, H], `pooler_output` [B, H], `hidden_states` of every layer."""
        rows = _rows(kit, input_ids, inputs_embeds)
        batch, sequence = rows or _unseen(kit)
        _masked(kit, attention_mask, batch, sequence)
        hidden = _named(HIDDEN, "config.hidden_size")
        last = Tensor((batch, sequence, hidden), "float")
        items: list[tuple[str, Value]] = [("last_hidden_state", last)]
        if family not in _NO_POOLER:
            items.append(("pooler_output", Tensor((batch, hidden), "float")))
        return Mapping((*items, *_depth(kit, batch, sequence)), UNKNOWN, "ModelOutput")

    return call


def _depth(kit: Kit, batch: Axis, sequence: Axis) -> list[tuple[str, Value]]:
    """The outputs that are asked for by flags: one of each layer."""
    states = Many(Tensor((batch, sequence, _named(HIDDEN, "config.hidden_size")), "float"), None, "tuple")
    attention = Tensor((batch, Axis(symbol("$config.num_attention_heads")), sequence, sequence), "float")
    return [("hidden_states", states), ("attentions", Many(attention, None, "tuple"))]


def _head(kind: str) -> OpFunction:
    def call(
        kit: Kit, layer: Layer, input_ids: Value | None = None, attention_mask: Value | None = None, *rest: Value,
        inputs_embeds: Value | None = None, labels: Value | None = None, **more: Value,
    ) -> Value:  # fmt: skip
        rows = _rows(kit, input_ids, inputs_embeds)
        batch, sequence = rows or _unseen(kit)
        if kind.endswith("LM"):
            logits = Tensor((batch, sequence, _named(VOCABULARY, "config.vocab_size")), "float")
        else:
            classes = _named(_labels(kit, layer), "config.num_labels")
            logits = Tensor((batch, sequence, classes) if "Token" in kind else (batch, classes), "float")
        loss: list[tuple[str, Value]] = [] if is_none(labels) else [("loss", Tensor((), "float"))]
        return Mapping((*loss, ("logits", logits), *_depth(kit, batch, sequence)), UNKNOWN, "ModelOutput")

    return call


def _labels(kit: Kit, layer: Layer) -> Size:
    given = layer.arg("kwargs")
    size = kit.size(given.get("num_labels")) if isinstance(given, Mapping) else None
    return symbol("$config.num_labels") if size is None else size


def _from_pretrained(name: str) -> OpFunction:
    def load(kit: Kit, *args: Value, **kwargs: Value) -> Value:
        return Layer(name, (("kwargs", Mapping(tuple(kwargs.items()))),), key=text(args[0]) or "" if args else "")

    return load


def _register() -> None:
    for family in _FAMILIES:
        for kind in _HEADS:
            name = f"transformers.{family}{_AUTO[kind] if family == 'Auto' else kind}"
            layer(f"{name}({_CONFIG})")(_model(family) if kind == "Model" else _head(kind))
            for maker in ("from_pretrained", "from_config"):
                op(f"{name}.{maker}", name=maker, parameters="*args, **kwargs")(_from_pretrained(name))
    for family in _TOKENIZERS:
        for kind in ("", "Fast", "Base"):
            name = f"transformers.{family}Tokenizer{kind}"
            layer(f"{name}(*args, **kwargs)")(tokenize)
            op(f"{name}.from_pretrained", name="from_pretrained", parameters="*args, **kwargs")(_from_pretrained(name))


_AUTO = {
    "Model": "Model",
    "ForSequenceClassification": "ModelForSequenceClassification",
    "ForMaskedLM": "ModelForMaskedLM",
    "ForCausalLM": "ModelForCausalLM",
    "ForTokenClassification": "ModelForTokenClassification",
}


def tokenize(
    kit: Kit, layer: Layer, text: Value | None = None, text_pair: Value | None = None, *rest: Value,
    return_tensors: Value | None = None, max_length: Value | None = None, padding: Value | None = None, **more: Value,
) -> Value:  # fmt: skip
    """`input_ids` and `attention_mask` [N, S] where tensors are asked for; lists otherwise."""
    if _text(return_tensors) != "pt":
        return Mapping((), UNKNOWN, "BatchEncoding")
    listed = members(text)
    if listed is not None:
        count: Size = len(listed)
    elif isinstance(text, Many) and text.length is not None:
        count = text.length
    else:
        count = kit.fresh("n")
    longest = kit.size(max_length) if _text(padding) == "max_length" else None
    axes = (kit.axis(count, "texts"), kit.axis(kit.fresh("s") if longest is None else longest, "tokens"))
    ids = Tensor(axes, "int")
    return Mapping((("input_ids", ids), ("attention_mask", ids), ("token_type_ids", ids)), UNKNOWN, "BatchEncoding")


_text = text
_register()


@layer("sentence_transformers.SentenceTransformer(model_name_or_path=None, *args, **kwargs)")
@layer("sentence_transformers.models.Transformer(model_name_or_path, *args, **kwargs)")
def sentence_transformer(kit: Kit, layer: Layer, features: Value, **more: Value) -> Value:
    """The features with `token_embeddings` [B, S, D] and `sentence_embedding` [B, D]."""
    ids = features.get("input_ids") if isinstance(features, Mapping) else None
    known = as_tensor(ids).axes if ids is not None else None
    batch, sequence = known if known is not None and len(known) == 2 else _unseen(kit)
    width = _named(_EMBEDDING, "the model's embedding dimension")
    items: tuple[tuple[str, Value], ...] = (
        ("token_embeddings", Tensor((batch, sequence, width), "float")),
        ("sentence_embedding", Tensor((batch, width), "float")),
    )
    given = features.items if isinstance(features, Mapping) else ()
    return Mapping((*items, *given), UNKNOWN, "dict")


@op(
    "sentence_transformers.SentenceTransformer.encode",
    parameters="self, sentences, *rest, convert_to_tensor=False, **more",
)
def encode(
    kit: Kit, self: Value, sentences: Value, *rest: Value, convert_to_tensor: Any = False, **more: Value
) -> Value:
    """One row for each sentence, a vector for a single one; a numpy array unless a tensor is asked for."""
    if flag(convert_to_tensor) is not True:
        return UNKNOWN
    width = _named(_EMBEDDING, "the model's embedding dimension")
    if text(sentences) is not None or sentences == Unknown("str"):
        return Tensor((width,), "float")
    listed = members(sentences)
    if listed is None and not isinstance(sentences, Many):
        return Tensor(Partial((), (width,)), "float")
    count = len(listed) if listed is not None else sentences.length if isinstance(sentences, Many) else None
    return Tensor((kit.axis(kit.fresh("n") if count is None else count, "sentences"), width), "float")


@op("sentence_transformers.SentenceTransformer.get_sentence_embedding_dimension", parameters="self")
def embedding_dimension(kit: Kit, self: Value) -> Value:
    return Num(_EMBEDDING)


# What the outputs of encoders are called everywhere, whatever made them; the axes by role
CUSTOMARY = {
    "last_hidden_state": ("batch", "tokens", "hidden_size"),
    "token_embeddings": ("batch", "tokens", "hidden_size"),
    "pooler_output": ("batch", "hidden_size"),
    "sentence_embedding": ("batch", "hidden_size"),
    "text_embeds": ("batch", "projection_dim"),
    "image_embeds": ("batch", "projection_dim"),
}
_PICTURES = re.compile(r"pixel|image|vision|visual|resnet|unet|vae", re.IGNORECASE)


def customary(kit: Kit, value: Unknown, name: str, told: Callable[[], str]) -> Tensor | None:
    """`output.last_hidden_state` and its like of something unknown: [B, S, H].

    `told`: the words around it. Where they speak of pictures nothing is said, since the outputs of convolutional
    networks carry the same names with other ranks.
    """
    axes = CUSTOMARY.get(name)
    if axes is None or value.hint or value.key is None or (name == "last_hidden_state" and _PICTURES.search(told())):
        return None
    custom = kit.assume(customs.of_output(name, len(axes)))
    if custom is None:
        return None
    tensor = kit.rank(Tensor(Partial(key=f"{value.key}.{name}"), "float"), len(axes), custom)
    if tensor.axes is None or any(axis.origin is not None and axis.origin.text != "by custom" for axis in tensor.axes):
        return tensor
    named = tuple(
        Axis(axis.size, origin=Origin(f"{role} of {name}", None, custom, FEATURES_LAST if role == axes[-1] else 0))
        for axis, role in zip(tensor.axes, axes)
    )
    return tensor.with_(shape=named)


@op("transformers.activations.ACT2FN")
def activation(kit: Kit, input: Value) -> Value:
    """`ACT2FN[config.hidden_act](x)` works on each element."""
    return like(as_tensor(input))


@op("transformers.activations.get_activation")
def get_activation(kit: Kit, activation_string: Value) -> Value:
    """A function that works on each element, as this one does."""
    return Layer("torch.nn.GELU")


def config(layer: Layer) -> Mapping | None:
    """`model.config`; None for layers that have none."""
    if not layer.name.startswith("transformers.") or "Tokenizer" in layer.name:
        return None
    sizes = {
        "hidden_size": HIDDEN, "vocab_size": VOCABULARY, "num_attention_heads": symbol("$config.num_attention_heads"),
        "num_hidden_layers": symbol("$config.num_hidden_layers"), "num_labels": symbol("$config.num_labels"),
        "d_model": HIDDEN,
    }  # fmt: skip
    return Mapping(tuple((k, Num(v, Origin(f"config.{k}", None))) for k, v in sizes.items()), UNKNOWN, "config")
