"""Whole training steps against sentence-transformers' trainer on this CPU: same weights, texts, batch, precision.

    python benchmarks/trainer_step.py [--batch 64] [--steps 3] [--cached-steps 2] [--layers 4] [--width 256]

In-batch mode against MultipleNegativesRankingLoss with seven hard negatives; then, at eight times the batch, gradient
caching against CachedMultipleNegativesRankingLoss. The two trainers are processes of their own that take their steps
in turn, one thread each; a step's time is its process's CPU time, so that a busy machine slows both alike. Theirs
tokenises within its step, as its users have it; ours has tokenised ahead. A small first step warms both up. Losses and
gradient norms of every step are compared, so that the same thing is timed. Memory is the highest resident size during
the steps, above what was resident before the first (Linux alone tells).
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from reference_trainer.settings import Settings, load

GROUP, SCALE, WARM = 8, 20.0, 8
MARK = "@ "


def settings_of(folder: Path, options: argparse.Namespace) -> Settings:
    changes = [
        "loss.mode=in-batch", f"loss.temperature={1 / SCALE}", "loss.mask_duplicates=false",
        f"model.name={folder / 'config.json'}", f"data.group={GROUP}", "data.query_length=128",
        f"train.batch={options.batch}", f"train.steps={options.steps + 1}", "train.warmup=0",
        "train.learning_rate=2e-5", "train.schedule=constant", "train.weight_decay=0", "train.clip=1.0",
        f"train.cache={str(options.cached).lower()}", f"train.chunk_tokens={options.chunk_tokens}", "train.threads=1",
    ]  # fmt: skip
    return load(None, changes)


class Turns:
    """Answers the parent: a step's CPU seconds each time that it asks for one."""

    def begin(self) -> None:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # peak := present
        self.resident = memory("VmRSS")
        tell(ready=True)
        self.wait()

    def wait(self) -> None:
        sys.stdin.readline()
        self.start = time.process_time()

    def end_step(self) -> None:
        tell(seconds=time.process_time() - self.start)
        self.wait()

    def finish(self, losses: list[float], norms: list[float]) -> None:
        tell(losses=losses, norms=norms, mb=memory("VmHWM") - self.resident)


def tell(**values: object) -> None:
    print(MARK + json.dumps(values), flush=True)


def memory(name: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split(name + ":")[1].split()[0]) / 1024


def ours(folder: Path, options: argparse.Namespace) -> None:
    from reference_trainer.batch import assemble
    from reference_trainer.journal import Silent
    from reference_trainer.setup import set_up
    from reference_trainer.train import train_step
    from reference_trainer.world import Alone

    settings = settings_of(folder, options)
    run = set_up(settings, folder, Alone(), torch.device("cpu"), Silent())  # shapecheck: ignore[SC101]
    same_weights(run.model.backbone)
    turns, losses, norms = Turns(), [], []
    turns.begin()
    for step in range(options.steps + 1):
        draw = run.sampler.draw(step)
        if step == 0:
            draw = replace(draw, rows=draw.rows[:WARM], queries=draw.queries[:WARM], passages=draw.passages[:WARM])
        loss, norm = train_step(run, assemble(run.sampler.store, draw, settings.train.chunk_tokens, run.pad))
        losses.append(loss.item())
        norms.append(norm.item())
        turns.end_step()
    turns.finish(losses, norms)


def theirs(folder: Path, options: argparse.Namespace) -> None:
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.losses import CachedMultipleNegativesRankingLoss, MultipleNegativesRankingLoss
    from transformers import TrainerCallback

    torch.set_num_threads(1)
    model = SentenceTransformer(str(folder / "st"), device="cpu")
    same_weights(model[0].auto_model)
    rows = json.loads((folder / "rows.json").read_text())
    columns = {"anchor": [r[0] for r in rows]} | {f"p{k}": [r[1 + k] for r in rows] for k in range(GROUP)}
    loss = MultipleNegativesRankingLoss(model, scale=SCALE)
    if options.cached:
        loss = CachedMultipleNegativesRankingLoss(model, scale=SCALE, mini_batch_size=options.mini_batch)
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(folder / "theirs"), per_device_train_batch_size=options.batch, max_steps=options.steps + 1,
        learning_rate=2e-5, lr_scheduler_type="constant", weight_decay=0.0, max_grad_norm=1.0, logging_steps=1,
        save_strategy="no", report_to=[], use_cpu=True, disable_tqdm=True, optim="adamw_torch_fused",
        dataloader_num_workers=0,
    )  # fmt: skip
    turns = Turns()

    class InOrder(SentenceTransformerTrainer):
        def get_batch_sampler(self, dataset, **_):
            starts = [0, *range(WARM, len(dataset), options.batch)]
            return [list(range(a, b)) for a, b in zip(starts, [*starts[1:], len(dataset)])]

    class Clock(TrainerCallback):
        def on_train_begin(self, *_, **__):
            turns.begin()

        def on_step_end(self, *_, **__):
            turns.end_step()

    trainer = InOrder(
        model=model, args=arguments, train_dataset=Dataset.from_dict(columns), loss=loss, callbacks=[Clock()]
    )
    trainer.train()
    history = [entry for entry in trainer.state.log_history if "loss" in entry]
    turns.finish([e["loss"] for e in history], [e["grad_norm"] for e in history])


def same_weights(backbone: torch.nn.Module) -> None:
    """The same weights by name in both trainers."""
    for name, parameter in backbone.named_parameters():
        generator = torch.Generator().manual_seed(sum(name.encode()) * 31 + parameter.numel())
        if parameter.ndim >= 2:
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.05


def prepare_all(folder: Path, options: argparse.Namespace) -> None:
    """The model's configuration, our tokens, their model, and for them the texts of each step as our sampler draws."""
    from transformers import AutoConfig, AutoModel
    from transformers.utils.logging import disable_progress_bar

    from reference_trainer.models import load_tokenizer
    from reference_trainer.rows import Accounting, read_rows
    from reference_trainer.sampler import Sampler
    from reference_trainer.tokens import prepare

    disable_progress_bar()
    shape = {
        "model_type": "bert", "vocab_size": 6000, "hidden_size": options.width, "num_hidden_layers": options.layers,
        "num_attention_heads": options.width // 32, "intermediate_size": 4 * options.width, "pad_token_id": 0,
        "max_position_embeddings": 512, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(shape))
    settings = settings_of(folder, options)
    tokenizer = load_tokenizer(settings.model)
    store = prepare(settings.data, "wordnet", tokenizer.backend_tokenizer, folder / "prepared")
    numbers: dict[tuple[bool, str], int] = {}
    for row in read_rows(settings.data, "wordnet", Accounting()):
        numbers.setdefault((True, row.query), len(numbers))
        for text in (*row.positives, *row.negatives):
            numbers.setdefault((False, text), len(numbers))
    texts, rows = [text for _, text in numbers], []
    for step in range(options.steps + 1):
        draw = Sampler(store, options.batch, GROUP, 0).draw(step)
        part = [(texts[q], *(texts[t] for t in group)) for q, group in zip(draw.queries, draw.passages)]
        rows += part if step else part[:WARM]
    (folder / "rows.json").write_text(json.dumps(rows))
    st = folder / "st"
    AutoModel.from_config(AutoConfig.for_model(**shape), add_pooling_layer=False).save_pretrained(st)
    tokenizer.save_pretrained(str(st))
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    modules = [
        {"idx": k, "name": str(k), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for k, (path, kind) in enumerate(kinds)
    ]
    (st / "modules.json").write_text(json.dumps(modules))
    (st / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 128, "do_lower_case": False}))
    for _, kind in kinds[1:]:
        (st / ("1_Pooling" if kind == "Pooling" else "2_Normalize")).mkdir()
    pooling = {"word_embedding_dimension": options.width, "pooling_mode_mean_tokens": True}
    (st / "1_Pooling" / "config.json").write_text(json.dumps(pooling))


SIDES = {"ours": ours, "theirs": theirs}


class Trainer:
    """One side as a process that takes a step when told to."""

    def __init__(self, side: str, folder: Path, options: argparse.Namespace) -> None:
        command = [sys.executable, __file__, "--serve", side, "--folder", str(folder)]
        for name in ("batch", "steps", "chunk_tokens", "mini_batch"):
            command += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
        command += ["--cached"] if options.cached else []
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        self.errors = (folder / f"{side}.err").open("w+")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True, env=environment
        )
        self.hear()

    def hear(self) -> dict[str, object]:
        for line in self.process.stdout:
            if line.startswith(MARK):
                return json.loads(line.removeprefix(MARK))
        self.errors.seek(0)
        raise SystemExit(self.errors.read()[-3000:])

    def go(self) -> dict[str, object]:
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return self.hear()


def compare(title: str, options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare_all(folder, options)
        trainers = {side: Trainer(side, folder, options) for side in SIDES}
        seconds: dict[str, list[float]] = {side: [] for side in SIDES}
        for step in range(options.steps + 1):
            for side in SIDES if step % 2 else reversed(SIDES):
                seconds[side].append(trainers[side].go()["seconds"])
            print(f"  step {step}: {seconds['ours'][-1]:.2f} s, {seconds['theirs'][-1]:.2f} s", flush=True)
        mine, other = (trainers[side].go() for side in SIDES)
    for what, entry in (("losses", "losses"), ("gradient norms", "norms")):
        error = max(abs(a - b) / b for a, b in zip(mine[entry], other[entry], strict=True))
        print(f"  {what} differ by {error:.1e} over {options.steps + 1} steps")
    fast, slow = (sum(seconds[side][1:]) / options.steps for side in SIDES)
    each = [a / b for a, b in zip(seconds["ours"][1:], seconds["theirs"][1:])]
    print(
        f"{title}, batch {options.batch}: {fast:.2f} s against {slow:.2f} s of CPU a step: {fast / slow:.2f} of its "
        f"time ({min(each):.2f} to {max(each):.2f}); {mine['mb']:.0f} MB against {other['mb']:.0f} MB added",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=3, help="timed steps, after the small first one")
    parser.add_argument("--cached-steps", type=int, default=2)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--chunk-tokens", type=int, default=1024, help="ours: padded tokens a chunk")
    parser.add_argument("--mini-batch", type=int, default=32, help="theirs, cached: texts a mini-batch")
    parser.add_argument("--only", choices=("plain", "cached"))
    parser.add_argument("--serve", choices=SIDES)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--cached", action="store_true")
    options = parser.parse_args()
    if options.serve:
        SIDES[options.serve](options.folder, options)
        return
    print(f"{options.layers} layers of width {options.width}, G={GROUP}, float32, 1 thread, torch {torch.__version__}")
    if options.only != "cached":
        compare("in-batch against MultipleNegativesRankingLoss", options)
    if options.only != "plain":
        options.batch, options.steps, options.cached = 8 * options.batch, options.cached_steps, True
        compare("cached against CachedMultipleNegativesRankingLoss", options)


if __name__ == "__main__":
    main()
