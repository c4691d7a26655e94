"""Recurrent, attention and transformer layers."""

from __future__ import annotations

from typing import Any

from shapecheck.engine.values import NONE, Items, Layer, Partial, Tensor, Value
from shapecheck.ops import customs
from shapecheck.ops.axes import as_tensor, flag, is_none, like, rank_crash, require, take
from shapecheck.ops.kit import Kit, layer
from shapecheck.ops.layers import setting
from shapecheck.ops.product import project

_RNN = "input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False"


@layer(f"torch.nn.GRU({_RNN}, device=None, dtype=None)")
@layer(f"torch.nn.RNN({_RNN}, device=None, dtype=None, nonlinearity='tanh')")
def gru(kit: Kit, layer: Layer, input: Tensor, hx: Value = NONE) -> Value:
    output, state = _recurrent(kit, layer, as_tensor(input))
    return Items("tuple", (output, state))


@layer(f"torch.nn.LSTM({_RNN}, proj_size=0, device=None, dtype=None)")
def lstm(kit: Kit, layer: Layer, input: Tensor, hx: Value = NONE) -> Value:
    output, state = _recurrent(kit, layer, as_tensor(input))
    cell = state
    if kit.integer(layer.arg("proj_size")) != 0:
        output, state = Tensor(Partial(), output.dtype), Tensor(Partial(), output.dtype)
    return Items("tuple", (output, Items("tuple", (state, cell))))


def _recurrent(kit: Kit, layer: Layer, x: Tensor) -> tuple[Tensor, Tensor]:
    """Output `[B, S, D*H]` (or `[S, B, D*H]`), state `[D*L, B, H]`; without a batch `[S, D*H]` and `[D*L, H]`."""
    unknown = Tensor(Partial(), x.dtype)
    both, first = flag(layer.arg("bidirectional")), flag(layer.arg("batch_first"))
    if isinstance(x.shape, Partial) and x.shape.min_rank <= 3 and (custom := kit.assume(customs.batched(3))):
        x = kit.rank(x, 3, custom)  # torch takes one sequence too, but models are not fed so
    if x.axes is None or both is None or first is None:
        return unknown, unknown
    if len(x.axes) not in (2, 3):
        rank_crash(kit, "rnn", (x,), len(x.axes), 3, "a recurrent layer needs rank 2 or 3")
        return unknown, unknown
    inside = kit.size(layer.arg("input_size"))
    if inside is not None:
        require(kit, "made for", "rnn", (x,), x.axes[-1].size, inside, "input_size")
    hidden, layers = setting(kit, layer, "hidden_size", "h"), setting(kit, layer, "num_layers", "l")
    ways = 2 if both else 1
    depth, state = kit.axis(ways * layers, "layers"), kit.axis(hidden, "hidden_size")
    output = Tensor((*x.axes[:-1], kit.axis(ways * hidden, "hidden_size")), x.dtype)
    batch = () if len(x.axes) == 2 else (x.axes[0 if first else 1],)
    return output, Tensor((depth, *batch, state), x.dtype)


@layer("torch.nn.GRUCell(input_size, hidden_size, bias=True, device=None, dtype=None)")
@layer("torch.nn.RNNCell(input_size, hidden_size, bias=True, nonlinearity='tanh', device=None, dtype=None)")
def gru_cell(kit: Kit, layer: Layer, input: Value, hx: Value = NONE) -> Value:
    inside = kit.axis(setting(kit, layer, "input_size", "d"))
    outside = kit.axis(setting(kit, layer, "hidden_size", "h"), "hidden_size")
    x = as_tensor(input)
    return Tensor(project(kit, "rnn", x, inside, outside, "made for"), x.dtype)


@layer("torch.nn.LSTMCell(input_size, hidden_size, bias=True, device=None, dtype=None)")
def lstm_cell(kit: Kit, layer: Layer, input: Value, hx: Value = NONE) -> Value:
    state = gru_cell(kit, layer, input)
    return Items("tuple", (state, state))


@layer("torch.nn.MultiheadAttention(embed_dim, num_heads, dropout=0.0, bias=True, add_bias_kv=False, "
       "add_zero_attn=False, kdim=None, vdim=None, batch_first=False, device=None, dtype=None)")  # fmt: skip
def multihead_attention(
    kit: Kit, layer: Layer, query: Value, key: Value, value: Value, key_padding_mask: Value = NONE,
    need_weights: Any = True, attn_mask: Value = NONE, average_attn_weights: Any = True, is_causal: Any = False,
) -> Value:  # fmt: skip
    """Output like the query; weights `[B, L, S]`, with a head axis when they are not averaged."""
    q, k = as_tensor(query), as_tensor(key)
    width = kit.size(layer.arg("embed_dim"))
    last = take(q.shape, -1)
    if last is not None and width is not None:
        require(kit, "made for", "multihead_attention", (q,), last.size, width, "embed_dim")
    wanted, average = flag(need_weights), flag(average_attn_weights)
    first = flag(layer.arg("batch_first"))
    _attention_fits(kit, q, k, as_tensor(value), first)
    for tensor, own in ((k, "kdim"), (as_tensor(value), "vdim")):
        inside = width if is_none(layer.arg(own)) else kit.size(layer.arg(own))
        axis = take(tensor.shape, -1)
        if axis is not None and inside is not None:
            require(kit, "made for", "multihead_attention", (q, k), axis.size, inside, own)
    weights: Value = Tensor()
    if wanted is False:
        weights = NONE
    elif q.axes and k.axes and len(q.axes) == len(k.axes) and first is not None and average is not None:
        heads = () if average else (kit.axis(setting(kit, layer, "num_heads", "h"), "num_heads"),)
        if len(q.axes) == 2:
            weights = Tensor((*heads, q.axes[0], k.axes[0]), q.dtype)
        elif len(q.axes) == 3:
            batch, rows = (0, 1) if first else (1, 0)
            weights = Tensor((q.axes[batch], *heads, q.axes[rows], k.axes[rows]), q.dtype)
    return Items("tuple", (like(q), weights))


def _attention_fits(kit: Kit, q: Tensor, k: Tensor, v: Tensor, batch_first: bool | None) -> None:
    """Query, key and value have one rank and one batch; key and value one length."""
    if q.axes is None or k.axes is None or v.axes is None:
        return
    given = (q, k, v)
    if not len(q.axes) == len(k.axes) == len(v.axes) or len(q.axes) not in (2, 3):
        rank_crash(kit, "multihead_attention", given, len(q.axes), len(k.axes), "query, key and value need one rank")
        return
    for x, y in zip(k.axes[:-1], v.axes[:-1]):
        require(kit, "made for", "multihead_attention", given, x.size, y.size, "key and value")
    if len(q.axes) == 3 and batch_first is not None:
        batch = 0 if batch_first else 1
        require(kit, "made for", "multihead_attention", given, q.axes[batch].size, k.axes[batch].size, "batch")


_BLOCK = (
    "d_model, nhead, dim_feedforward=2048, dropout=0.1, activation='relu', layer_norm_eps=1e-05, batch_first=False, "
    "norm_first=False, bias=True, device=None, dtype=None"
)


@layer(f"torch.nn.TransformerEncoderLayer({_BLOCK})")
def encoder_layer(kit: Kit, layer: Layer, src: Value, *masks: Value, **more: Value) -> Value:
    return _model_wide(kit, layer, src)


@layer(f"torch.nn.TransformerDecoderLayer({_BLOCK})")
def decoder_layer(kit: Kit, layer: Layer, tgt: Value, memory: Value, *masks: Value, **more: Value) -> Value:
    return _model_wide(kit, layer, tgt)


def _model_wide(kit: Kit, layer: Layer, value: Value) -> Tensor:
    x, width = as_tensor(value), kit.size(layer.arg("d_model"))
    last = take(x.shape, -1)
    if last is not None and width is not None:
        require(kit, "made for", "transformer_layer", (x,), last.size, width, "d_model")
    return like(x)


@layer("torch.nn.TransformerEncoder(encoder_layer, num_layers, norm=None, enable_nested_tensor=True, mask_check=True)")
def encoder(kit: Kit, layer: Layer, src: Value, *masks: Value, **more: Value) -> Value:
    block = layer.arg("encoder_layer")
    return _model_wide(kit, block, src) if isinstance(block, Layer) else like(as_tensor(src))


@layer("torch.nn.TransformerDecoder(decoder_layer, num_layers, norm=None)")
def decoder(kit: Kit, layer: Layer, tgt: Value, memory: Value, *masks: Value, **more: Value) -> Value:
    block = layer.arg("decoder_layer")
    return _model_wide(kit, block, tgt) if isinstance(block, Layer) else like(as_tensor(tgt))
