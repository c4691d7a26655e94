"""The trainer on one CUDA card, in one command: tokens a second, share of the matrix peak, losses at B = 65,536.

    python benchmarks/trainer_gpu.py                everything, on a card; about six minutes, most of them compiling
    python benchmarks/trainer_gpu.py --rehearse     the same code at toy sizes, on a CPU too: its figures mean nothing

Encoders of BERT-base and MiniLM size at text lengths 64 and 256, G=8, whole steps of some 98,000 tokens, bf16, packed,
compiled by block; sentence-transformers' loss, backward pass and optimizer step on the same card, batch and lengths
(bf16 autocast, sdpa, not compiled; no text is padded, which is its best case). The peak is measured: the best of square
bf16 matrix products. A step's arithmetic is 6 times the weights outside the embeddings, a token; attention is left out.
A part that runs out of memory says so, and the others go on.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

from reference_trainer.batch import assemble
from reference_trainer.fused import HAS_LINEAR_CROSS_ENTROPY, Fused
from reference_trainer.journal import Silent
from reference_trainer.modes import Mode
from reference_trainer.objective import Embedded, contrastive_loss
from reference_trainer.settings import LossSettings, load
from reference_trainer.setup import set_up
from reference_trainer.train import train_step
from reference_trainer.world import Alone

ENCODERS = {"BERT-base": (12, 768, 12, 3072), "MiniLM": (6, 384, 12, 1536)}
TOY = {"toy": (2, 32, 2, 64)}
WORDS = "bank river money water paper stone glass light cloud metal horse table chair bread plant storm"
NOUNS = WORDS.split()
STEP_TOKENS, TEXTS = 98_304, 9  # of a step; of a query: itself and G = 8 passages


def finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def best_seconds(step: Callable[[], object], device: torch.device, repeats: int) -> float:
    for _ in range(3):  # compilation, and again for a second shape
        step()
    finish(device)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        step()
        finish(device)
        times.append(time.perf_counter() - start)
    return min(times)


def matrix_peak(device: torch.device, toy: bool) -> float:
    """FLOP a second of bf16 matrix products."""
    best = 0.0
    for size in (64,) if toy else (4096, 8192, 16384):
        a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
        best = max(best, 2 * size**3 / best_seconds(lambda a=a, b=b: a @ b, device, 10))
    return best


def rows_file(folder: Path, length: int, rows: int) -> Path:
    path = folder / "rows.jsonl"
    with path.open("w") as file:
        for k in range(rows):
            texts = [
                f"{k} {j} " + " ".join(NOUNS[(k * 31 + j * 7 + w * (j + 3)) % 16] for w in range(length))
                for j in range(TEXTS)
            ]
            file.write(json.dumps({"query": texts[0], "pos": [texts[1]], "neg": texts[2:]}) + "\n")
    return path


def train_speed(shape: tuple[int, int, int, int], length: int, batch: int, device: torch.device) -> tuple[float, int]:
    """Tokens a second of whole steps, and the weights outside the embeddings."""
    layers, width, heads, inner = shape
    config = {
        "model_type": "bert", "vocab_size": 6000, "hidden_size": width, "num_hidden_layers": layers,
        "num_attention_heads": heads, "intermediate_size": inner, "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0, "pad_token_id": 0,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.json").write_text(json.dumps(config))
        changes = [
            "loss.mode=in-batch", f"data.source={rows_file(folder, length, batch)}",
            f"model.name={folder / 'config.json'}",
            f"train.batch={batch}", f"data.query_length={length}", f"data.passage_length={length}",
            "model.unpadded=true",
            f"model.compile={str(device.type == 'cuda').lower()}", "train.precision=bfloat16",
            "train.chunk_tokens=65536", "train.warmup=0",
        ]  # fmt: skip
        run = set_up(load(None, changes), folder, Alone(), device, Silent())  # shapecheck: ignore[SC101]
        made = assemble(run.sampler.store, run.sampler.draw(0), 65536, run.pad, packed=True).to(device)
        assert made.tokens == batch * TEXTS * length, "texts were cut or shared"
        seconds = best_seconds(lambda: train_step(run, made), device, 5)
        weights = sum(p.numel() for name, p in run.model.named_parameters() if "embeddings" not in name)
        return made.tokens / seconds, weights


def their_speed(shape: tuple[int, int, int, int], length: int, batch: int, device: torch.device) -> float:
    """Tokens a second of sentence-transformers' loss, backward and step on ready-made features."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.losses import MultipleNegativesRankingLoss
    from sentence_transformers.models import Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel

    from reference_trainer.models import load_tokenizer
    from reference_trainer.settings import ModelSettings

    layers, width, heads, inner = shape
    with tempfile.TemporaryDirectory() as name:
        config = BertConfig(
            vocab_size=6000, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
            intermediate_size=inner, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        )  # fmt: skip
        BertModel(config, add_pooling_layer=False).save_pretrained(name)
        load_tokenizer(ModelSettings()).save_pretrained(name)
        model = SentenceTransformer(modules=[Transformer(name), Pooling(width), Normalize()], device=str(device))
    loss = MultipleNegativesRankingLoss(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    ids = torch.randint(5, 6000, (TEXTS, batch, length), device=device)
    features = [{"input_ids": part, "attention_mask": torch.ones_like(part)} for part in ids]

    def step() -> None:
        with torch.autocast(device.type, dtype=torch.bfloat16):
            value = loss([dict(f) for f in features], None)
        value.backward()
        optimizer.step()
        optimizer.zero_grad()

    return ids.numel() / best_seconds(step, device, 5)


def loss_step(title: str, settings: LossSettings, batch: int, device: torch.device) -> None:
    q = F.normalize(torch.randn(batch, 384, device=device), dim=1).requires_grad_()
    p = F.normalize(torch.randn(batch * 8, 384, device=device), dim=1).requires_grad_()

    def step() -> None:
        q.grad = p.grad = None
        contrastive_loss(settings, Embedded(q, p), 20.0).backward()

    extra = math.nan
    if device.type == "cuda":
        step()
        q.grad = p.grad = None
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        extra = (torch.cuda.max_memory_allocated() - before) / 2**30
    milliseconds = 1e3 * best_seconds(step, device, 3)
    print(f"{title}, B={batch} G=8 D=384: {milliseconds:.1f} ms, {extra:.2f} GB extra with both gradients", flush=True)


def gradient_error(batch: int, device: torch.device) -> None:
    """The chunked loss against the plain one where the plain one fits."""
    generator = torch.Generator(device).manual_seed(0)
    leaves = [
        F.normalize(torch.randn(n, 384, device=device, generator=generator), dim=1).requires_grad_()
        for n in (batch, 8 * batch)
    ]
    grads = []
    for fused in (Fused.OFF, Fused.CHUNKED):
        value = contrastive_loss(LossSettings(Mode.IN_BATCH, fused=fused), Embedded(*leaves), 20.0)
        grads.append(torch.autograd.grad(value, leaves))
    errors = [float((a - b).norm() / b.norm()) for a, b in zip(grads[1], grads[0])]
    print(f"chunked against plain, B={batch}: gradients differ by {max(errors):.1e}", flush=True)


def unless_out_of_memory(what: str, part: Callable[[], None]) -> None:
    try:
        part()
    except torch.OutOfMemoryError as error:
        print(f"{what}: out of memory ({str(error).splitlines()[0][:100]})", flush=True)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def encoder(
    name: str, shape: tuple[int, int, int, int], length: int, batch: int, device: torch.device, peak: float
) -> None:
    ours, weights = train_speed(shape, length, batch, device)
    share = 6 * weights / peak
    title = f"{name}, length {length}, batch {batch}"
    print(f"{title}: {ours:,.0f} tokens/s, {share * ours:.1%} of the peak", flush=True)

    def other() -> None:
        theirs = their_speed(shape, length, batch, device)
        times = ours / theirs
        print(f"{title}, sentence-transformers: {theirs:,.0f} tokens/s, {share * theirs:.1%}; ours {times:.2f} times")

    unless_out_of_memory(f"{title}, sentence-transformers", other)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rehearse", action="store_true")
    toy = parser.parse_args().rehearse
    if not toy and not torch.cuda.is_available():
        raise SystemExit("no CUDA card: this benchmark needs one (--rehearse runs its code at toy sizes)")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_float32_matmul_precision("high")
    peak = matrix_peak(device, toy)
    card = torch.cuda.get_device_name() if device.type == "cuda" else "CPU, rehearsal"
    print(f"{card}: bf16 matrix peak {peak / 1e12:.3g} TFLOP/s")
    for name, shape in (TOY if toy else ENCODERS).items():
        for length in (16,) if toy else (64, 256):
            batch = 4 if toy else STEP_TOKENS // (TEXTS * length)
            unless_out_of_memory(
                f"{name}, length {length}", functools.partial(encoder, name, shape, length, batch, device, peak)
            )
    batch = 64 if toy else 65536
    losses = {
        "preset": LossSettings(Mode.IN_GROUP),
        "in-batch chunked": LossSettings(Mode.IN_BATCH, fused=Fused.CHUNKED),
        "in-batch torch": LossSettings(Mode.IN_BATCH, fused=Fused.TORCH, mask_duplicates=False),
    }
    for title, loss in losses.items():
        if loss.fused is Fused.TORCH and not HAS_LINEAR_CROSS_ENTROPY:
            print(f"{title}: this torch has no linear_cross_entropy")
            continue
        unless_out_of_memory(title, functools.partial(loss_step, title, loss, batch, device))
    unless_out_of_memory("chunked against plain", lambda: gradient_error(64 if toy else 4096, device))


if __name__ == "__main__":
    main()
