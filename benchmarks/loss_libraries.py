"""Every loss that a library exports, as it is: none of them may be called wrong.

    python benchmarks/loss_libraries.py [--seconds 300] [LIBRARY ...]

Libraries: sentence-transformers, pytorch-metric-learning, open_clip (local_loss on and off), lightly; those that are
installed. Each loss is judged in a process of its own. What can't be called is counted apart, with the reason.
"""

from __future__ import annotations

import argparse
import collections
import importlib
import inspect
import json
import os
import pkgutil
import select
import signal
import time
from collections.abc import Iterator

import torch
from torch import nn

from reference_trainer.validation.judge import judge
from reference_trainer.validation.subject import subject_of
from reference_trainer.validation.target import CannotCall, find_target

LIBRARIES = {
    "sentence-transformers": "sentence_transformers.sentence_transformer.losses",
    "pytorch-metric-learning": "pytorch_metric_learning.losses",
    "open_clip": "open_clip.loss",
    "lightly": "lightly.loss",
}
SETTINGS = {"ClipLoss": ({}, {"local_loss": True})}  # both ways


def losses(library: str) -> Iterator[str]:
    """`module:Name` of every loss that the library's package of losses holds."""
    package = importlib.import_module(LIBRARIES[library])
    modules = [package]
    for found in pkgutil.iter_modules(getattr(package, "__path__", ())):
        modules.append(importlib.import_module(f"{package.__name__}.{found.name}"))
    seen = set()
    for module in modules:
        for name, value in vars(module).items():
            if not isinstance(value, type) or not issubclass(value, nn.Module) or value in seen:
                continue
            if value.__module__.startswith(package.__name__) and "oss" in name and not inspect.isabstract(value):
                seen.add(value)
                yield f"{value.__module__}:{name}"


def judged(spec: str, init: dict[str, object], seconds: float) -> tuple[str, str]:
    """What is said of one loss, found out in a process of its own."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reads)
        try:
            judgement = judge(subject_of(find_target(spec), init))
            said = ["right" if judgement.right else "wrong", f"{judgement.verdict} [{judgement.found.sentence}]"]
        except CannotCall as error:
            said = ["could not be called", str(error)]
        except BaseException as error:  # a fault of ours, told as one: the child must not run on in the parent's place
            said = ["FAULT", f"{type(error).__name__}: {error}"]
        os.write(writes, json.dumps(said).encode())
        os._exit(0)
    os.close(writes)
    text, end = b"", time.monotonic() + seconds
    while select.select([reads], [], [], max(0.0, end - time.monotonic()))[0]:
        part = os.read(reads, 65536)
        if not part:
            break
        text += part
    os.close(reads)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if not text:
        return "no answer in time", f"{seconds:g} s"
    kind, sentence = json.loads(text)
    return kind, sentence


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("libraries", nargs="*", default=[])
    options = parser.parse_args()
    torch.set_num_threads(1)
    for library in options.libraries or LIBRARIES:
        try:
            specs = list(losses(library))
        except ImportError as error:
            print(f"{library}: not installed ({error})")
            continue
        counts: collections.Counter[str] = collections.Counter()
        for spec in specs:
            for init in SETTINGS.get(spec.rpartition(":")[2], ({},)):
                kind, sentence = judged(spec, dict(init), options.seconds)
                counts[kind] += 1
                shown = spec.rpartition(":")[2] + (f" {init}" if init else "")
                print(f"{kind:20} {shown:42} {sentence[:260]}", flush=True)
        print(f"{library}: " + ", ".join(f"{count} {kind}" for kind, count in counts.most_common()), flush=True)


if __name__ == "__main__":
    main()
