"""Run under torchrun by test_distributed: one step of a joined batch, a group that is left, or whole runs and one with
a seeded bug."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch
from torch import nn
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

import reference_trainer.objective as objective
from reference_trainer.batch import assemble
from reference_trainer.journal import Silent
from reference_trainer.oracles import WrongLoss
from reference_trainer.processes import bare, joined, mean_over
from reference_trainer.settings import from_plain
from reference_trainer.setup import set_up
from reference_trainer.train import train, train_step

torch.set_num_threads(1)
what, folder = sys.argv[1], Path(sys.argv[2])

if what == "step":
    with joined() as (world, device):
        for name, plain in json.loads((folder / "settings.json").read_text()).items():
            out = folder / f"{name}-{world.size}"
            out.mkdir(exist_ok=True)
            run = set_up(from_plain(plain), out, world, device, Silent())
            batch = assemble(run.sampler.store, run.sampler.draw(0, world.rank, world.size), 128, run.pad)
            run.optimizer.step = lambda: None
            run.optimizer.zero_grad = lambda set_to_none=True: None
            loss, norm = train_step(run, batch)
            loss = mean_over(loss, world)
            grads = {
                key: (p.grad.full_tensor() if isinstance(p.grad, DTensor) else p.grad)
                for key, p in bare(run.model).named_parameters()
            }
            if world.rank == 0:
                torch.save({"loss": loss, "norm": norm, **grads}, folder / f"{name}-{world.size}.pt")
elif what == "left":
    with joined() as (world, device):
        model = DistributedDataParallel(nn.Linear(2, 2))
        model(torch.ones(3, 2)).sum().backward()
    names = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    del model
    after = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    (folder / f"left-{world.rank}.json").write_text(json.dumps([names, after]))
else:
    settings = {name: from_plain(plain) for name, plain in json.loads((folder / "settings.json").read_text()).items()}
    with joined():
        for name in ("ddp", "fsdp"):
            train(settings[name], folder / "run" / name)
        right = objective.in_batch_target
        objective.in_batch_target = lambda batch, group, rank=0, device=None: right(batch, group, 0, device)
        try:
            train(settings["ddp"], folder / "refused")
        except WrongLoss as error:
            (folder / "refused.txt").write_text(str(error))

# all results are written: gloo's threads now and then abort an interpreter that ends around them
sys.stdout.flush()
os._exit(0)
