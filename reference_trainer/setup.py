"""From settings to a run that is ready to step: loss checked, rows tokenised, model built, processes joined."""

from __future__ import annotations

import functools
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .encoder import Encoder
from .evaluate import for_evaluation
from .journal import Display
from .models import Saved, load_encoder, load_tokenizer, pad_of, saved
from .modes import Mode
from .oracles import ByAutograd, ByCache, ByProcesses, configured, judge, require, small
from .processes import first_alone, share
from .replay import crossed_batch
from .sampler import Sampler
from .settings import DataSettings, Distill, Settings, SettingsError
from .starts import require_nothing_dropped
from .tokens import Store, build_store, read_store
from .world import Alone, World


@dataclass
class Run:
    """Everything a step touches."""

    settings: Settings
    out: Path
    world: World
    device: torch.device
    model: nn.Module
    log_scale: Tensor
    optimizer: torch.optim.Optimizer
    scale_optimizer: torch.optim.Optimizer | None
    tokenizer: Saved
    sampler: Sampler
    dev: Store | None
    pad: int
    display: Display
    step: int = 0


def check_loss(settings: Settings, world: World | None = None, device: torch.device | None = None) -> list[str]:
    """Judge the configured loss before anything is loaded. WrongLoss if it is not the declared one.

    Returns the sentences of a replayed bug's wrong answers: that run goes on, and says so.
    """
    here, loss, scale = world or Alone(), settings.loss, 1 / settings.loss.temperature
    normalize = settings.model.normalize
    if settings.train.replay_bug:
        wrong = judge(
            ByAutograd(lambda b, w: crossed_batch(b, scale, w)), small(loss, scale, normalize)
        )  # shapecheck: ignore[SC101]
        return [f"{v.name}: {v.sentence}" for v in wrong if not v.ok]
    function = configured(loss, scale, normalize)
    engine = ByCache if settings.train.cache else ByAutograd
    declared = small(loss, scale, normalize, 2 if loss.cross_device else 1)
    require(judge(engine(function), declared), "the configured loss")
    if here.size > 1 and device is not None:
        live = small(loss, scale, normalize, here.size)
        require(judge(ByProcesses(function, here, device), live), "the configured loss on these processes")
    return []


def set_up(settings: Settings, out: Path, world: World, device: torch.device, display: Display) -> Run:
    """Check the loss, read the data, build the model."""
    hyper = settings.train
    if hyper.threads:
        torch.set_num_threads(hyper.threads)
    began = time.perf_counter()
    wrong = check_loss(settings, world, device)
    if wrong:
        display.say("start-up oracles refuse this loss, which is a replayed bug:\n  " + "\n  ".join(wrong))
    else:
        display.say(f"start-up oracles: the loss is the declared one ({1e3 * (time.perf_counter() - began):.0f} ms)")
    for sentence in require_nothing_dropped(settings):
        display.say(sentence)
    tokenizer = load_tokenizer(settings.model)
    pad = pad_of(tokenizer)
    kept = saved(tokenizer)
    store = _prepared(settings.data, settings.data.source, tokenizer.backend_tokenizer, out, world)
    display.say("\n".join(store.report))
    dev_source = settings.data.dev or ("wordnet:dev" if settings.data.source == "wordnet" else "")
    judged = for_evaluation(settings.data)
    dev = _prepared(judged, dev_source, tokenizer.backend_tokenizer, out, world, True) if dev_source else None
    _require_scores(settings, store)
    try:
        data = settings.data
        apart = data.unique and settings.loss.mode is Mode.IN_BATCH  # in-group, no row sees another
        sampler = Sampler(store, hyper.batch * world.size, data.group, hyper.seed, data.bucket, apart)
    except ValueError as error:
        raise SettingsError(f"train.batch: {error}") from error
    torch.manual_seed(hyper.seed)
    encoder = load_encoder(settings.model, device)
    _require_dims(settings, encoder.width)
    for texts in (store, dev):
        if texts is not None:
            _require_fitting(texts, encoder)
    model = share(encoder, hyper.parallel, world, device)
    log_scale = torch.tensor(
        -math.log(settings.loss.temperature), device=device, requires_grad=settings.loss.learn_temperature
    )
    optimizer = _optimizer(settings, model)
    learns = settings.loss.learn_temperature
    scale_optimizer = torch.optim.AdamW([log_scale], hyper.learning_rate, weight_decay=0.0) if learns else None
    torch.manual_seed(hyper.seed + world.rank)  # dropout differs from process to process
    model.train()
    return Run(
        settings, out, world, device, model, log_scale, optimizer, scale_optimizer, kept, sampler, dev, pad, display
    )  # fmt: skip


def _prepared(
    data: DataSettings, source: str, tokenizer: Any, out: Path, world: World, whole_corpus: bool = False
) -> Store:
    """The token store of a source; the first process builds it while the others wait."""
    make = functools.partial(build_store, data, source, tokenizer, out / "prepared", whole_corpus)
    return read_store(first_alone(world, make))


def _require_scores(settings: Settings, store: Store) -> None:
    if settings.loss.distill is not Distill.NONE and not store.scored:
        raise SettingsError(
            f"loss.distill = {settings.loss.distill.value} needs pos_scores and neg_scores on every row of data.source"
        )


def _require_dims(settings: Settings, width: int) -> None:
    wide = [d for d in settings.loss.dims if d > width]
    if wide:
        raise SettingsError(f"loss.dims: {wide[0]} is wider than the model's embeddings ({width})")


def _require_fitting(store: Store, encoder: Encoder) -> None:
    """The model has a vector for every token number and position; else a step would fail in the middle of a run."""
    config: Any = encoder.backbone.config
    vocabulary, positions = getattr(config, "vocab_size", None), getattr(config, "max_position_embeddings", None)
    highest, longest = int(store.tokens.max()), int(np.diff(store.starts).max())
    if vocabulary is not None and highest >= vocabulary:
        raise SettingsError(
            f"model.tokenizer: it has token number {highest}, the model's vocabulary ends at {vocabulary - 1}"
        )
    if positions is not None and "roberta" in str(config.model_type):
        positions -= int(config.pad_token_id or 0) + 1  # its positions start after the padding's number
    if positions is not None and longest > positions:
        raise SettingsError(
            f"data.query_length, data.passage_length: a text has {longest} tokens, the model takes {positions}"
        )


def _optimizer(settings: Settings, model: nn.Module) -> torch.optim.Optimizer:
    """AdamW, fused; weight decay on matrices only."""
    weights = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in weights if p.ndim >= 2], "weight_decay": settings.train.weight_decay},
        {"params": [p for p in weights if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.train.learning_rate, fused=True)
