"""Whole training steps against sentence-transformers on this CPU: same weights, texts, batch, precision.

    python benchmarks/trainer_step.py [--batch 64] [--steps 4] [--layers 4] [--width 256]

Both train one transformer from one set of weights on the same rows: MultipleNegativesRankingLoss with seven hard
negatives against in-batch mode, then, at eight times the batch, the cached loss against gradient caching. Each is a
process of its own. Tokenisation is in their step, as their users have it, and ahead of ours. Losses and gradient norms
are compared, so that the same thing is timed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import ClassVar

import torch

from reference_trainer.journal import Silent
from reference_trainer.rows import Accounting, read_rows
from reference_trainer.settings import DataSettings, Settings, load
from reference_trainer.world import Alone

GROUP, SCALE = 8, 20.0


def config_of(folder: Path, layers: int, width: int) -> Path:
    shape = {
        "model_type": "bert", "vocab_size": 6000, "hidden_size": width, "num_hidden_layers": layers,
        "num_attention_heads": width // 32, "intermediate_size": 4 * width, "max_position_embeddings": 512,
        "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "pad_token_id": 0,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(shape))
    return folder / "config.json"


def settings_of(folder: Path, options: argparse.Namespace, batch: int, cached: bool) -> Settings:
    config = config_of(folder, options.layers, options.width)
    changes = [
        "loss.mode=in-batch", f"loss.temperature={1 / SCALE}", "loss.mask_duplicates=false", f"model.name={config}",
        f"data.group={GROUP}", "data.query_length=128", f"train.batch={batch}", f"train.steps={options.steps}",
        "train.warmup=0",
        "train.learning_rate=2e-5", "train.schedule=constant", "train.weight_decay=0", "train.clip=1.0",
        f"train.cache={str(cached).lower()}", f"train.chunk_tokens={options.chunk_tokens}",
        f"train.threads={options.threads}",
    ]  # fmt: skip
    return load(None, changes)


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ours(folder: Path, options: argparse.Namespace, batch: int, cached: bool) -> dict[str, object]:
    from reference_trainer.batch import assemble
    from reference_trainer.setup import set_up
    from reference_trainer.train import train_step

    settings = settings_of(folder, options, batch, cached)
    out = folder / "ours"
    out.mkdir(exist_ok=True)
    run = set_up(settings, out, Alone(), torch.device("cpu"), Silent())
    _initial(run.model.backbone)
    before, times, losses, norms = peak(), [], [], []
    for step in range(options.steps):
        start = time.perf_counter()
        batch_ = assemble(run.sampler.store, run.sampler.draw(step), settings.train.chunk_tokens, run.pad)
        loss, norm = train_step(run, batch_)
        losses.append(loss.item())
        norms.append(norm.item())
        times.append(time.perf_counter() - start)
    return {"times": times, "losses": losses, "norms": norms, "mb": peak() - before}


def theirs(folder: Path, options: argparse.Namespace, batch: int, cached: bool) -> dict[str, object]:
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.losses import CachedMultipleNegativesRankingLoss, MultipleNegativesRankingLoss
    from torch.utils.data import SequentialSampler
    from transformers import TrainerCallback

    torch.set_num_threads(options.threads)
    model = SentenceTransformer(str(_as_sentence_transformer(folder, options)), device="cpu")
    _initial(model[0].auto_model)
    rows = _rows_in_order(folder, options, batch)
    columns = {"anchor": [r[0] for r in rows]}
    columns |= {f"p{k}": [r[1 + k] for r in rows] for k in range(GROUP)}
    loss = (
        CachedMultipleNegativesRankingLoss(model, scale=SCALE, mini_batch_size=options.mini_batch)
        if cached else MultipleNegativesRankingLoss(model, scale=SCALE)
    )  # fmt: skip
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(folder / "theirs"), per_device_train_batch_size=batch, max_steps=options.steps,
        learning_rate=2e-5,
        lr_scheduler_type="constant", weight_decay=0.0, max_grad_norm=1.0, logging_steps=1, save_strategy="no",
        report_to=[],
        use_cpu=True, disable_tqdm=True, optim="adamw_torch_fused", dataloader_num_workers=0,
    )  # fmt: skip

    class InOrder(SentenceTransformerTrainer):
        def get_batch_sampler(self, dataset, batch_size, drop_last, **_):
            return torch.utils.data.BatchSampler(SequentialSampler(dataset), batch_size, drop_last)

    class Clock(TrainerCallback):
        marks: ClassVar[list[float]] = []

        def on_step_begin(self, *_, **__):
            if not self.marks:
                self.marks.append(time.perf_counter())

        def on_step_end(self, *_, **__):
            self.marks.append(time.perf_counter())

    trainer = InOrder(
        model=model, args=arguments, train_dataset=Dataset.from_dict(columns), loss=loss, callbacks=[Clock()]
    )
    before = peak()
    trainer.train()
    times = [b - a for a, b in zip(Clock.marks, Clock.marks[1:])]
    history = [entry for entry in trainer.state.log_history if "loss" in entry]
    return {
        "times": times, "losses": [e["loss"] for e in history], "norms": [e["grad_norm"] for e in history],
        "mb": peak() - before,
    }  # fmt: skip


def _initial(backbone: torch.nn.Module) -> None:
    """The same weights by name in both trainers."""
    for name, parameter in backbone.named_parameters():
        seed = sum(name.encode()) * 31 + parameter.numel()
        generator = torch.Generator().manual_seed(seed)
        if parameter.ndim >= 2:
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.05


def _rows_in_order(folder: Path, options: argparse.Namespace, batch: int) -> list[tuple[str, ...]]:
    """Texts of each step exactly as our sampler draws them."""
    from reference_trainer.models import load_tokenizer
    from reference_trainer.sampler import Sampler
    from reference_trainer.tokens import prepare

    settings = settings_of(folder, options, batch, False)
    store = prepare(settings.data, "wordnet", load_tokenizer(settings.model).backend_tokenizer, folder / "order")
    numbers: dict[tuple[bool, str], int] = {}
    for row in read_rows(DataSettings(), "wordnet", Accounting()):
        numbers.setdefault((True, row.query), len(numbers))
        for text in (*row.positives, *row.negatives):
            numbers.setdefault((False, text), len(numbers))
    texts = [text for _, text in numbers]
    sampler = Sampler(store, batch, GROUP, 0)
    rows = []
    for step in range(options.steps):
        draw = sampler.draw(step)
        rows += [(texts[q], *(texts[t] for t in group)) for q, group in zip(draw.queries, draw.passages)]
    return rows


def _as_sentence_transformer(folder: Path, options: argparse.Namespace) -> Path:
    from transformers import AutoConfig, AutoModel

    from reference_trainer.models import load_tokenizer
    from reference_trainer.settings import ModelSettings

    out = folder / "st"
    out.mkdir(exist_ok=True)
    shape = json.loads(config_of(folder, options.layers, options.width).read_text())
    AutoModel.from_config(AutoConfig.for_model(**shape), add_pooling_layer=False).save_pretrained(out)
    load_tokenizer(ModelSettings()).save_pretrained(str(out))
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    modules = [
        {"idx": k, "name": str(k), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for k, (path, kind) in enumerate(kinds)
    ]
    (out / "modules.json").write_text(json.dumps(modules))
    (out / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 128, "do_lower_case": False}))
    (out / "1_Pooling").mkdir(exist_ok=True)
    (out / "2_Normalize").mkdir(exist_ok=True)
    pooling = {"word_embedding_dimension": options.width, "pooling_mode_mean_tokens": True}
    (out / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return out


WAYS = {"ours": ours, "theirs": theirs}


def in_own_process(
    way: str, options: argparse.Namespace, batch: int, cached: bool, **environment: str
) -> dict[str, list[float]]:
    command = [sys.executable, __file__, "--one", way, "--batch", str(batch), *(["--cached"] if cached else [])]
    for name in ("steps", "layers", "width", "threads", "chunk_tokens", "mini_batch"):
        command += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return json.loads(done.stdout.strip().splitlines()[-1])


def compare(title: str, options: argparse.Namespace, batch: int, cached: bool) -> None:
    mine, other = (in_own_process(way, options, batch, cached) for way in ("ours", "theirs"))
    loss = max(abs(a - b) / b for a, b in zip(mine["losses"], other["losses"]))
    norm = max(abs(a - b) / b for a, b in zip(mine["norms"], other["norms"]))
    fast, slow = min(mine["times"][1:]), min(other["times"][1:])
    print(f"{title}, batch {batch}: {fast:.2f} s against {slow:.2f} s a step: {fast / slow:.2f} of its time;", end=" ")
    print(f"added peak memory {mine['mb']:.0f} MB against {other['mb']:.0f} MB;", end=" ")
    print(f"over {options.steps} steps losses differ by {loss:.1e}, gradient norms by {norm:.1e}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--one", choices=WAYS)
    parser.add_argument("--cached", action="store_true")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--chunk-tokens", type=int, default=4096)
    parser.add_argument("--mini-batch", type=int, default=32)
    options = parser.parse_args()
    if options.one:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(WAYS[options.one](Path(folder), options, options.batch, options.cached)))
        return
    print(
        f"{options.layers} layers, width {options.width}, G={GROUP}, float32, {options.threads} thread, "
        f"torch {torch.__version__}"
    )
    compare("in-batch against MultipleNegativesRankingLoss", options, options.batch, False)
    options.steps = 2
    compare("cached against CachedMultipleNegativesRankingLoss", options, 8 * options.batch, True)


if __name__ == "__main__":
    main()
