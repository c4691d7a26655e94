"""The encoder: padding changes nothing, packing changes nothing, and what can't be packed is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reference_trainer import packing
from reference_trainer.batch import chunked
from reference_trainer.encoder import pool_packed, pool_padded
from reference_trainer.models import blocks_of, load_encoder, load_tokenizer, require_packing
from reference_trainer.packing import positions_in
from reference_trainer.settings import ModelSettings, Pooling, SettingsError

from .runs import tiny_config

CPU = torch.device("cpu")
LENGTHS = (19, 11, 11, 6, 3)


def sequences(seed=0):
    generator = np.random.default_rng(seed)
    return [generator.integers(5, 6000, n).astype(np.int32) for n in LENGTHS]


def encoder(tmp_path, **settings):
    torch.manual_seed(0)
    config = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, **settings.pop("config", {})}
    return load_encoder(ModelSettings(name=tiny_config(tmp_path, **config), **settings), CPU)


@pytest.mark.parametrize("pooling", Pooling)
@pytest.mark.parametrize("normalize", [True, False])
def test_a_text_s_embedding_does_not_depend_on_its_company(tmp_path, pooling, normalize):
    model = encoder(tmp_path, pooling=pooling, normalize=normalize).eval()
    together = model(chunked(sequences(), 10_000, 0))
    alone = torch.cat([model(chunked([sequence], 10_000, 0)) for sequence in sequences()])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)
    assert torch.allclose(together.norm(dim=1), torch.ones(5)) is normalize


@pytest.mark.parametrize("pooling", Pooling)
@pytest.mark.parametrize("budget", [12, 30, 10_000])
def test_packed_equals_padded_values_and_gradients(tmp_path, pooling, budget):
    model = encoder(tmp_path, pooling=pooling, unpadded=True)
    weights, found = torch.randn(5, 16), {}
    for packed in (False, True):
        model.zero_grad()
        embeddings = model(chunked(sequences(), budget, 0, packed))
        (embeddings * weights).sum().backward()
        found[packed] = [embeddings.detach(), *(p.grad.clone() for p in model.parameters())]
    for padded, together in zip(found[False], found[True]):
        torch.testing.assert_close(together, padded, rtol=1e-4, atol=1e-5)


def test_a_model_that_lets_packed_texts_meet_is_refused(tmp_path, monkeypatch):
    model = encoder(tmp_path, unpadded=True)
    require_packing(model, CPU)
    whole = lambda bounds, total: torch.arange(total)  # noqa: E731  positions that ignore the boundaries
    monkeypatch.setattr("reference_trainer.encoder.positions_in", whole)
    with pytest.raises(SettingsError, match="doesn't keep packed texts apart"):
        require_packing(model, CPU)


def test_causal_decoder_packs_too():
    query, key, value = (torch.randn(1, 4, 9, 8), torch.randn(1, 2, 9, 8), torch.randn(1, 2, 9, 8))
    module = torch.nn.Module()
    module.is_causal = True
    bounds = torch.tensor([0, 4, 9], dtype=torch.int32)
    together, _ = packing.packed_attention(module, query, key, value, None, scaling=0.3, bounds=bounds, longest=5)
    for a, b in ((0, 4), (4, 9)):
        q, k, v = (x[:, :, a:b] for x in (query, key, value))
        alone = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.3, enable_gqa=True)
        torch.testing.assert_close(together[:, a:b], alone.transpose(1, 2))


def test_positions_and_pooling_by_hand():
    bounds = torch.tensor([0, 3, 5], dtype=torch.int32)
    assert positions_in(bounds, 5).tolist() == [0, 1, 2, 0, 1]
    states = torch.arange(10.0).view(5, 2)
    assert pool_packed(states, bounds, Pooling.MEAN).tolist() == [[2.0, 3.0], [7.0, 8.0]]
    assert pool_packed(states, bounds, Pooling.CLS).tolist() == [[0.0, 1.0], [6.0, 7.0]]
    assert pool_packed(states, bounds, Pooling.LAST).tolist() == [[4.0, 5.0], [8.0, 9.0]]
    mask = torch.tensor([[True, True, True], [True, True, False]])
    padded = torch.stack([states[:3], torch.cat([states[3:], torch.full((1, 2), 99.0)])])
    for pooling in Pooling:
        assert torch.equal(pool_padded(padded, mask, pooling), pool_packed(states, bounds, pooling))


def test_lora_trains_adapters_only(tmp_path):
    model = encoder(tmp_path, lora_rank=2)
    trainable = [name for name, p in model.named_parameters() if p.requires_grad]
    assert len(trainable) == 8  # two blocks, query and value, A and B
    assert all("lora_" in name for name in trainable)


def test_compiled_blocks_compute_the_same(tmp_path):
    plain = encoder(tmp_path, config={"num_hidden_layers": 1}).eval()
    compiled = encoder(tmp_path, config={"num_hidden_layers": 1}, compile=True).eval()
    chunks = chunked(sequences(), 10_000, 0)
    with torch.no_grad():
        torch.testing.assert_close(compiled(chunks), plain(chunks), rtol=1e-4, atol=1e-5)


def test_bundled_models_and_tokenizer():
    tokenizer = load_tokenizer(ModelSettings())
    assert tokenizer("an animal")["input_ids"][0] == tokenizer.cls_token_id
    assert len(blocks_of(load_encoder(ModelSettings(), CPU).backbone)) == 2
    static = load_encoder(ModelSettings(name="static"), CPU)
    assert static.width == 128
    assert blocks_of(static.backbone) == []


@pytest.mark.parametrize("name", ["/no/such/folder", "/no/such/file.json"])
def test_missing_model_is_named(name):
    with pytest.raises(SettingsError, match=r"model\.name: /no/such"):
        load_encoder(ModelSettings(name=name), CPU)
