"""The training loop.

    reference-trainer train run.yaml --out runs/a                                       one process
    torchrun --nproc-per-node 8 -m reference_trainer train run.yaml --out runs/a        one node, eight GPUs
    torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:29500 \\
        -m reference_trainer train run.yaml --out /shared/runs/a                        two nodes; start it on both

A step: draw the rows, embed each distinct text once, take the loss, step AdamW. Batches are assembled one step ahead in
a thread; on CUDA nothing in a step waits for the device.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from .batch import Batch, Chunk, assemble
from .evaluate import evaluate
from .explain import explain_step
from .gradcache import cached_backward
from .journal import Display, Journal, Silent
from .objective import Embedded, contrastive_loss
from .processes import bare, first_alone, joined, mean_over, no_reduction
from .replay import crossed_batch
from .resume import continue_from, find_start, write_checkpoint
from .settings import Precision, Schedule, Settings, to_plain
from .setup import Run, set_up
from .stop import Stop, Stopped, stopping
from .watch import Watch
from .whole import locked, sweep, write_text
from .world import World

MAX_SCALE = 100.0


def train(
    settings: Settings, out: Path, resume: str = "auto", display: Display | None = None, explain: bool = False
) -> Path:
    """Train and return the last checkpoint's folder.

    resume is "auto" (continue from the last whole checkpoint, if there is one), "never" (refuse a folder that holds
    one) or a checkpoint's path. A Refusal or WrongLoss leaves what the folder held as it was; NotFinite and Stopped
    come while training. Everything is decided before the first write into the folder but for the lock and `prepared`,
    whose parts are named by what they hold.
    """
    with joined() as (world, device), stopping() as stop, _held(out, world):
        shown = display if display is not None and world.rank == 0 else Silent()
        start = find_start(out, resume, settings, world.size, shown)
        run = set_up(settings, out, world, device, shown)
        watch = Watch(run)
        if start is not None:
            continue_from(run, watch.alarm, start)
        with _begun(run) as journal:
            stop.begin()
            last = _loop(run, watch, journal, stop, explain)
        return last or (start.home if start is not None else out)


@contextlib.contextmanager
def _held(out: Path, world: World) -> Iterator[None]:
    """The run's folder, locked by the first process."""
    with contextlib.ExitStack() as stack:

        def lock() -> None:
            stack.enter_context(locked(out))
            sweep(out)
            sweep(out / "prepared")

        first_alone(world, lock)
        yield


@contextlib.contextmanager
def _begun(run: Run) -> Iterator[Journal | None]:
    """The first process's journal, opened. These are the first writes that replace anything."""
    with contextlib.ExitStack() as stack:
        opened: list[Journal] = []

        def begin() -> None:
            write_text(run.out / "settings.json", json.dumps(to_plain(run.settings), indent=1))
            opened.append(Journal(run.out, run.step, run.settings.train.tensorboard))
            stack.callback(opened[0].close)

        first_alone(run.world, begin)
        yield opened[0] if opened else None


def loss_of(run: Run, batch: Batch, embeddings: Tensor) -> Tensor:
    """The configured loss of a batch, from the embeddings `[U, D]` of its distinct texts."""
    scale = (
        run.log_scale.exp().clamp(max=MAX_SCALE) if run.log_scale.requires_grad else 1 / run.settings.loss.temperature
    )
    own = Embedded(embeddings[batch.query_at], embeddings[batch.passage_at], batch.passage_ids, batch.teacher)
    if run.settings.train.replay_bug:
        return crossed_batch(own, scale, run.world)
    return contrastive_loss(run.settings.loss, own, scale, run.settings.model.normalize, run.world)


def train_step(run: Run, batch: Batch) -> tuple[Tensor, Tensor]:
    """One optimizer step; returns the loss and the gradient norm before clipping, without waiting for them."""
    settings = run.settings
    _set_learning_rate(run)
    if settings.train.cache:
        encode = functools.partial(_encode_one, run)
        hold = functools.partial(no_reduction, run.model)
        loss = cached_backward(encode, batch.chunks, functools.partial(loss_of, run, batch), hold)
    else:
        with autocast(settings, run.device):
            embeddings = run.model(batch.chunks)  # U D
        value = loss_of(run, batch, embeddings)
        value.backward()  # type: ignore[no-untyped-call]
        loss = value.detach()
    weights = [p for p in run.model.parameters() if p.requires_grad]
    norm = nn.utils.clip_grad_norm_(weights, settings.train.clip or math.inf, foreach=True)
    run.optimizer.step()
    run.optimizer.zero_grad(set_to_none=True)
    if run.scale_optimizer is not None and run.log_scale.grad is not None:
        mean_over(run.log_scale.grad, run.world)
        run.scale_optimizer.step()
        run.scale_optimizer.zero_grad(set_to_none=True)
    run.step += 1
    return loss, norm.full_tensor() if isinstance(norm, DTensor) else norm


def learning_rate(settings: Settings, step: int) -> float:
    """Linear warm-up to the peak, then constant, or falling to zero on a line or half a cosine."""
    hyper = settings.train
    if step < hyper.warmup:
        return hyper.learning_rate * (step + 1) / hyper.warmup
    done = (step - hyper.warmup) / max(1, hyper.steps - hyper.warmup)
    if hyper.schedule is Schedule.LINEAR:
        return hyper.learning_rate * (1 - done)
    if hyper.schedule is Schedule.COSINE:
        return hyper.learning_rate * (1 + math.cos(math.pi * done)) / 2
    return hyper.learning_rate


def _set_learning_rate(run: Run) -> None:
    rate = learning_rate(run.settings, run.step)
    for optimizer in (run.optimizer, run.scale_optimizer):
        for group in optimizer.param_groups if optimizer is not None else ():
            group["lr"] = rate


def _loop(run: Run, watch: Watch, journal: Journal | None, stop: Stop, explain: bool) -> Path | None:
    hyper = run.settings.train
    checkpoint = None
    run.display.begin(run.step, hyper.steps)
    if run.step == 0 and hyper.eval_every:
        with watch.aside():
            _evaluate(run, journal)
    with contextlib.closing(_batches(run)) as batches:
        for batch in batches:
            if explain and run.step == 0:
                run.display.say(explain_step(run.model, batch, functools.partial(loss_of, run, batch)))
            watch.take(batch, *train_step(run, batch))
            if _due(run, hyper.log_every):
                watch.log(journal)
            if run.dev is not None and _due(run, hyper.eval_every):
                with watch.aside():
                    _evaluate(run, journal)
            number = stop.everywhere(run.world, run.device) if run.step < hyper.steps else 0
            if number or _due(run, hyper.save_every):
                with watch.aside():
                    checkpoint = write_checkpoint(run, watch.alarm)
            if number:
                if not _due(run, hyper.log_every):
                    watch.log(journal)
                raise Stopped(number, f"step {run.step} is saved as {checkpoint}; --resume auto continues from there")
    return checkpoint


def _due(run: Run, every: int) -> bool:
    return run.step == run.settings.train.steps or (every > 0 and run.step % every == 0)


def _batches(run: Run) -> Generator[Batch, None, None]:
    """The steps that are left, assembled one ahead."""
    settings, world = run.settings, run.world

    def make(step: int) -> Batch:
        draw = run.sampler.draw(step, world.rank, world.size)
        batch = assemble(run.sampler.store, draw, settings.train.chunk_tokens, run.pad, settings.model.unpadded)
        return batch.pinned() if run.device.type == "cuda" else batch

    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(make, run.step) if run.step < settings.train.steps else None
        while coming is not None:
            batch = coming.result()
            following = run.step + 1
            coming = ahead.submit(make, following) if following < settings.train.steps else None
            yield batch.to(run.device)


def _evaluate(run: Run, journal: Journal | None) -> None:
    """Every process embeds, so that sharded weights can be gathered; the first one writes."""
    if run.dev is None:
        return
    settings = run.settings
    with autocast(run.settings, run.device):
        found = evaluate(
            bare(run.model), run.dev, settings.data.group, settings.train.chunk_tokens, run.pad, settings.model.unpadded
        )
    run.display.say("  ".join(f"{name} {value:.4g}" for name, value in found.items()))
    if journal is not None:
        journal.write("eval", run.step, **found)


def _encode_one(run: Run, chunk: Chunk) -> Tensor:
    with autocast(run.settings, run.device):
        embeddings: Tensor = run.model([chunk])
    return embeddings


def autocast(settings: Settings, device: torch.device) -> contextlib.AbstractContextManager[None]:
    wanted = settings.train.precision is Precision.BFLOAT16
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=wanted)
