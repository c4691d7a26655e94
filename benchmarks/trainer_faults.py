"""Faults provoked for real: full disks, read-only folders, two runs in one folder, signals, damaged and changed files.

    python benchmarks/trainer_faults.py [--only NAME] [--seed 0]

Needs Linux and `unshare` (its mounts are its own and end with it). After each fault three things must hold: the command
ended with its code and one sentence, what the folder held is byte for byte what it was, and the next run, the fault
gone, ends with the weights of an undisturbed one. Runs are children forked from a warm process.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow
import pyarrow.parquet
import torch

import reference_trainer.train  # noqa: F401  (children are forked from a process that has it)
from reference_trainer.__main__ import main as command_line
from reference_trainer.checkpoint import latest, weights_digest

CONFIG = {
    "model_type": "bert", "vocab_size": 6000, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 32, "max_position_embeddings": 128, "pad_token_id": 0,
}  # fmt: skip
WORDS = [
    "bank", "river", "money", "water", "paper", "stone", "glass", "light",
    "cloud", "metal", "horse", "table", "chair", "bread", "plant", "storm",
]  # fmt: skip
STEPS = 12
LAST = f"step-{STEPS:08d}"
FULL = "can't be written: No space left on device"
INSIDE = "TRAINER_FAULTS_INSIDE"


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code (negative: the signal), and what it said on either stream."""

    code: int
    said: str


@dataclass
class Table:
    """The checks of each fault, and which of them failed."""

    checks: int = 0
    failed: int = 0

    def check(self, name: str, good: bool, what: str, ended: Ended | None = None) -> None:
        self.checks += 1
        if not good:
            self.failed += 1
            said = "" if ended is None else f"; code {ended.code}, said: {ended.said[-600:]}"
            print(f"  FAILED {name}: {what}{said}")

    def refused(self, name: str, ended: Ended, said: str, code: int = 2) -> None:
        sentence = [line for line in ended.said.splitlines() if line.startswith("error: ")]
        good = ended.code == code and len(sentence) == 1 and said in sentence[0] and "Traceback" not in ended.said
        self.check(name, good, f"wanted code {code} and one sentence with {said!r}", ended)


class Bench:
    """One folder with data, a model's configuration and a finished run, and the ways to run commands in it."""

    def __init__(self, folder: Path, table: Table) -> None:
        self.folder, self.table = folder, table
        (folder / "tiny.json").write_text(json.dumps(CONFIG))
        self.rows = folder / "rows.jsonl"
        self.rows.write_text("".join(json.dumps(row) + "\n" for row in rows_of(64)))
        done = self.run(self.train(folder / "whole"))
        if done.code:
            raise SystemExit(done.said)
        self.wanted = weights_digest(folder / "whole" / "checkpoints" / LAST)

    def train(self, out: Path, *changes: str, data: str = "") -> list[str]:
        """The arguments of a run; changes come last and count."""
        base = (
            "loss.mode=in-batch", f"data.source={data or self.rows}", "data.group=3",
            f"model.name={self.folder / 'tiny.json'}", f"train.steps={STEPS}", "train.batch=8", "train.warmup=1",
            "train.learning_rate=0.001", "train.log_every=1", "train.save_every=3", "train.threads=1",
            "train.chunk_tokens=256",
        )  # fmt: skip
        options = [part for change in (*base, *changes) for part in ("--set", change)]
        return ["train", "--quiet", "--out", str(out), *options]

    def start(self, arguments: list[str]) -> tuple[int, Path]:
        """A forked child at work; its process number, and the file that gets its words."""
        handle, name = tempfile.mkstemp(dir=self.folder, prefix="said-")
        child = os.fork()
        if child == 0:
            os.dup2(handle, 1)
            os.dup2(handle, 2)
            try:  # a second signal may come while the first one is dealt with
                os._exit(code_of(arguments))
            except BaseException:
                os._exit(130)
        os.close(handle)
        return child, Path(name)

    def finish(self, child: int, name: Path) -> Ended:
        _, status = os.waitpid(child, 0)
        said = name.read_text(errors="replace")
        name.unlink()
        return Ended(os.waitstatus_to_exitcode(status), said)

    def run(self, arguments: list[str]) -> Ended:
        return self.finish(*self.start(arguments))

    def right(self, name: str, out: Path, arguments: list[str] | None = None) -> None:
        """The next run, the fault gone, ends with the weights of an undisturbed one."""
        ended = self.run(arguments or self.train(out))
        good = ended.code == 0 and weights_digest(out / "checkpoints" / LAST) == self.wanted
        self.table.check(name, good, "the next run ends with other weights", ended)
        left = [str(path) for path in out.rglob(".partial-*")]
        self.table.check(name, not left, f"left behind: {left}")

    def finished(self, name: str) -> Path:
        """A copy of the finished run."""
        out = self.folder / name
        shutil.copytree(self.folder / "whole", out)
        return out


def code_of(arguments: list[str]) -> int:
    """Run the command line in this process; its exit code, 1 with a traceback."""
    sys.argv = ["reference-trainer", *arguments]
    try:
        command_line()
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def rows_of(count: int) -> list[dict[str, object]]:
    made = []
    for k in range(count):
        own, other = WORDS[k % 16], WORDS[(k * 7 + 3) % 16]
        negatives = [f"the {WORDS[(k + j) % 16]} and {WORDS[(k + 2 * j + 5) % 16]} of {k} {j}" for j in range(1, 5)]
        made.append({"query": f"{own} {other}: find {k}", "pos": [f"a {own} near the {other} {k}"], "neg": negatives})
    return made


def every_byte(folder: Path) -> dict[str, bytes]:
    """What a run's folder holds, but for its lock and its prepared data, which are named by what they hold."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    named = {str(path.relative_to(folder)): path for path in files}
    return {n: p.read_bytes() for n, p in named.items() if n != ".lock" and not n.startswith("prepared/")}


@contextlib.contextmanager
def tmpfs(folder: Path, size: int) -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def full_disk_while_training(bench: Bench, luck: random.Random) -> None:
    """tmpfs of twenty sizes, from nothing to nearly enough; then the disk grows."""
    need = sum(path.stat().st_size for path in (bench.folder / "whole").rglob("*") if path.is_file())
    refused = 0
    for k in range(20):
        disk = bench.folder / f"disk-{k}"
        with tmpfs(disk, 8192 + need * k // 20 // 4096 * 4096):
            out = disk / "run"
            ended = bench.run(bench.train(out))
            if ended.code:
                refused += 1
                bench.table.refused("full disk", ended, FULL)
                whole = latest(out / "checkpoints")
                bench.table.check("full disk", not whole[1], f"a checkpoint that is not whole: {whole[1]}")
            subprocess.run(["mount", "-o", "remount,size=256m", str(disk)], check=True)
            bench.right("full disk", out)
    bench.table.check("full disk", refused >= 15, f"only {refused} of 20 sizes were too small")


def full_disk_for_results(bench: Bench, luck: random.Random) -> None:
    """encode, export and report onto a disk that is full; an older result stays."""
    (bench.folder / "texts.txt").write_text("a bank of stone\n" * 2000)
    disk, whole = bench.folder / "full", str(bench.folder / "whole")
    with tmpfs(disk, 128 << 10):
        for name in ("e.npy", "report.html"):
            (disk / name).write_bytes(b"mine")
        (disk / "filler").write_bytes(b"x" * (100 << 10))
        commands = {
            "e.npy": ["encode", whole, str(bench.folder / "texts.txt"), "--out", str(disk / "e.npy")],
            "report.html": ["report", whole, "--out", str(disk / "report.html")],
            "st": ["export", whole, "--out", str(disk / "st")],
            "model.onnx": ["export", whole, "--layout", "onnx", "--out", str(disk / "model.onnx")],
        }
        with contextlib.suppress(OSError):
            (disk / "filler2").write_bytes(b"x" * (100 << 10))
        for name, command in commands.items():
            bench.table.refused(f"full disk, {command[0]}", bench.run(command), FULL)
            held = (disk / name).read_bytes() if (disk / name).exists() else None
            bench.table.check(f"full disk, {command[0]}", held in (b"mine", None), f"{name} was damaged")
        left = sorted(path.name for path in disk.iterdir())
        bench.table.check("full disk, results", left == ["e.npy", "filler", "filler2", "report.html"], f"{left}")


def read_only_folder(bench: Bench, luck: random.Random) -> None:
    """A run's folder, and the one that it would lie in."""
    parent = bench.folder / "readonly"
    parent.mkdir()
    shutil.copytree(bench.folder / "whole", parent / "run")
    shutil.rmtree(parent / "run" / "checkpoints" / LAST)
    with read_only(parent):
        for out in (parent / "run", parent / "new"):
            bench.table.refused(
                "read-only", bench.run(bench.train(out)), f"{out} can't be written: Read-only file system"
            )
        encoded = ["encode", str(parent / "run"), str(bench.rows), "--out", str(bench.folder / "ro.npy")]
        ended = bench.run(encoded)
        bench.table.check("read-only", ended.code == 0, "what only reads must work", ended)
        out_of_place = [*encoded[:-1], str(parent / "e.npy")]
        bench.table.refused("read-only", bench.run(out_of_place), "can't be written: Read-only file system")
    bench.right("read-only", parent / "run")


def two_in_one_folder(bench: Bench, luck: random.Random) -> None:
    """Two, then four runs of one folder at once, a moment apart."""
    for attempt in range(8):
        out = bench.folder / f"two-{attempt}"
        children = []
        for _ in range(2 + 2 * (attempt % 2)):
            children.append(bench.start(bench.train(out)))
            time.sleep(luck.uniform(0, 0.4))
        ended = [bench.finish(*child) for child in children]
        done = [each for each in ended if each.code == 0]
        bench.table.check("two runs", len(done) >= 1, "none came to its end", ended[0])
        for each in ended:
            if each.code:
                bench.table.refused("two runs", each, "is in use by another run")
        bench.table.check("two runs", weights_digest(out / "checkpoints" / LAST) == bench.wanted, "other weights")
        steps = [json.loads(line)["step"] for line in (out / "log.jsonl").read_text().splitlines()]
        bench.table.check("two runs", steps == list(range(1, STEPS + 1)), f"the log says {steps}")


def refused_continuations(bench: Bench, luck: random.Random) -> None:
    """Other settings, other data under the same path: the finished run is as it was, and encodes as it did."""
    own_rows = bench.folder / "own.jsonl"
    shutil.copy(bench.rows, own_rows)
    out = bench.folder / "own"
    bench.run(bench.train(out, data=str(own_rows)))
    encoding = ["encode", str(out), str(bench.rows), "--out", str(bench.folder / "own.npy")]
    bench.run(encoding)
    before, embedded = every_byte(out), (bench.folder / "own.npy").read_bytes()
    text, stat = own_rows.read_text(), own_rows.stat()

    def changed() -> None:
        own_rows.write_text(text.replace("find 9", "find 8"))
        os.utime(own_rows, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    cases: list[tuple[str, tuple[str, ...], Callable[[], object], str]] = [
        ("other model", ("model.name=tiny",), lambda: None, "belongs to another run: model.name was"),
        ("other lengths", ("data.query_length=9",), lambda: None, "data.query_length was 64, is 9"),
        ("changed data, same size and time", (), changed, "is not what"),
        ("fewer rows", (), lambda: own_rows.write_text("".join(text.splitlines(True)[:-1])), "63 now"),
        ("no rows", (), lambda: own_rows.write_text(""), "no usable row"),
        ("no file", (), own_rows.unlink, "no file matches"),
    ]
    for name, changes, harm, said in cases:
        harm()
        bench.table.refused(name, bench.run(bench.train(out, *changes, data=str(own_rows))), said)
        bench.table.check(name, every_byte(out) == before, "the finished run was changed")
        bench.table.check(name, bench.run(encoding).code == 0, "it doesn't encode any more")
        bench.table.check(name, (bench.folder / "own.npy").read_bytes() == embedded, "it encodes otherwise")
        own_rows.write_text(text)
    bench.right("changed data, put back", out, bench.train(out, data=str(own_rows)))


def malformed_manifests(bench: Bench, luck: random.Random) -> None:
    """The newest checkpoint's manifest, and each of its files, damaged in many ways: the older one takes over."""
    home = bench.folder / "whole" / "checkpoints" / LAST
    listed = json.loads((home / "manifest.json").read_text())
    contents: list[bytes] = [json.dumps(value).encode() for value in (
        {**listed, "model.safetensors": 5}, {**listed, "state.pt": []}, {}, [], 5, None, "x",
        {**listed, "run.json": {}}, {**listed, "run.json": {"bytes": None, "sha256": 1}},
        {**listed, "nothing": listed["run.json"]},
    )]  # fmt: skip
    contents += [b"", b"{", b"\xff\xfe", b"[" * 200_000, bytes(luck.randrange(256) for _ in range(4096))]
    for number, content in enumerate(contents):
        out = bench.finished(f"manifest-{number}")
        (out / "checkpoints" / LAST / "manifest.json").write_bytes(content)
        bench.right("malformed manifest", out)
        shutil.rmtree(out)
    for number, name in enumerate(listed):
        for harm in ("gone", "cut", "changed"):
            out = bench.finished(f"harm-{number}-{harm}")
            path = out / "checkpoints" / LAST / name
            data = path.read_bytes()
            path.write_bytes({"gone": b"", "cut": data[:-1], "changed": bytes([data[0] ^ 1]) + data[1:]}[harm])
            if harm == "gone":
                path.unlink()
            bench.right("damaged checkpoint", out)
            shutil.rmtree(out)


def broken_data(bench: Bench, luck: random.Random) -> None:
    """A parquet file cut, overwritten and emptied; half a character and broken bytes in a row of jsonl."""
    folder = bench.folder / "parquet"
    folder.mkdir()
    path = folder / "train.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows_of(64)), path)
    data = path.read_bytes()
    os.environ["HF_DATASETS_CACHE"] = str(bench.folder / "cache")
    os.environ["HF_HUB_OFFLINE"] = "1"
    harms = {
        "cut": data[:-100], "cut at the start": data[100:], "empty": b"",
        "noise": bytes(luck.randrange(256) for _ in data),
        "a hole": data[:200] + bytes(400) + data[600:], "text": b"not parquet at all",
    }  # fmt: skip
    for name, content in harms.items():
        path.write_bytes(content)
        out = bench.folder / f"parquet-{name}"
        bench.table.refused(
            f"parquet, {name}", bench.run(bench.train(out, data=f"hf:{folder}")), "can't be read after row 0"
        )
        path.write_bytes(data)
        bench.right(f"parquet, {name}", out, bench.train(out, data=f"hf:{folder}"))
    bad = bench.folder / "surrogate.jsonl"
    lines = bench.rows.read_text().splitlines(True)
    for name, line, said in (
        ("lone surrogate", '{"query": "\\ud800 q", "pos": ["p"], "neg": ["a", "b"]}\n', "half a character"),
        ("lone surrogate in a negative", '{"query": "q", "pos": ["p"], "neg": ["a", "\\udfff"]}\n', "half a character"),
        ("null byte and deep nesting", "[" * 100_000 + "\n", "nested too deep"),
    ):
        bad.write_text("".join((lines[0], line, *lines[1:])))
        out = bench.folder / name
        bench.right(name, out, bench.train(out, data=str(bad)))
        strict = bench.run(bench.train(bench.folder / "strict", "data.bad_rows=refuse", data=str(bad)))
        bench.table.refused(name, strict, "surrogate.jsonl:2: " + said)


def signals(bench: Bench, luck: random.Random) -> None:
    """SIGINT and SIGTERM at random moments, once and twice; a run stopped again and again comes to the same end."""
    saved = early = twice = 0
    for number, attempt in itertools.product((signal.SIGINT, signal.SIGTERM), range(15)):
        out = bench.folder / f"signal-{number}-{attempt}"
        for _ in range(3):
            log = out / "log.jsonl"
            before = log.stat().st_mtime_ns if log.exists() else 0
            child, said = bench.start(bench.train(out, "train.save_every=0"))
            wait_for(child, out, luck.uniform(0.0, 1.2), luck.random() < 0.7)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, number)
                if attempt % 3 == 0:
                    time.sleep(luck.uniform(0, 0.01))
                    os.kill(child, number)
            ended = bench.finish(child, said)
            if ended.code == 0:
                break
            name = signal.Signals(number).name
            begun = log.exists() and log.stat().st_mtime_ns > before  # before that, a signal may find Python's handler
            codes = {128 + number} if begun else {128 + number, -number}
            bench.table.check(name, ended.code in codes, f"wanted code {128 + number}", ended)
            bench.table.check(name, "Traceback" not in ended.said, "a traceback", ended)
            found, refused = latest(out / "checkpoints")
            bench.table.check(name, not refused, f"not whole: {refused}")
            if "no step was made" in ended.said:
                early += 1
            elif "is saved as" in ended.said:
                saved += 1
                bench.table.check(name, found is not None and str(found) in ended.said, "says another place", ended)
            elif begun:
                twice += 1
                bench.table.check(name, attempt % 3 == 0, "ended without a word", ended)
            else:
                early += 1
        bench.right(signal.Signals(number).name, out, bench.train(out, "train.save_every=0"))
    print(f"  {saved} saved and said where, {early} before the first step, {twice} ended at once by the second")
    bench.table.check("signals", saved >= 10 and twice >= 3, "too few of a kind: not a trial")


def wait_for(child: int, out: Path, seconds: float, training: bool) -> None:
    """Some time, counted from the first step if training is asked for."""
    while (
        training
        and not (out / "log.jsonl").exists()
        and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    ):
        time.sleep(0.001)
    time.sleep(seconds / 20 if training else seconds)


def kills_while_preparing(bench: Bench, luck: random.Random) -> None:
    """kill -9 while rows are read and tokenised: nothing half made is taken for whole."""
    for attempt in range(20):
        out = bench.folder / f"prepare-{attempt}"
        child, said = bench.start(bench.train(out))
        time.sleep(luck.uniform(0, 0.5))
        os.kill(child, signal.SIGKILL)
        bench.finish(child, said)
        bench.right("kill -9 while preparing", out)


def torchrun(bench: Bench, luck: random.Random) -> None:
    """SIGTERM to torchrun with two processes: both agree on the step, one saves, the next run is right."""

    def launch(out: Path) -> subprocess.Popen[bytes]:
        arguments = bench.train(out, "train.batch=4", "train.save_every=0", "train.steps=300", "loss.cross_device=true")
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
        return subprocess.Popen(
            [*command, "-m", "reference_trainer", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )

    whole, out = launch(bench.folder / "many"), bench.folder / "many-stopped"
    _, said = whole.communicate(timeout=600)
    last = Path("checkpoints") / "step-00000300"
    bench.table.check("torchrun", whole.returncode == 0, "the undisturbed run", Ended(whole.returncode, said.decode()))
    process = launch(out)
    while process.poll() is None and not ((out / "log.jsonl").exists() and (out / "log.jsonl").stat().st_size):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=600)
    ended = Ended(process.returncode, said.decode(errors="replace"))
    bench.table.check("torchrun", ended.said.count("is saved as") == 1, "wanted one sentence of where", ended)
    found, _ = latest(out / "checkpoints")
    bench.table.check("torchrun", found is not None and found.name != last.name, "no checkpoint before the end", ended)
    again = launch(out)
    _, said = again.communicate(timeout=600)
    good = again.returncode == 0 and weights_digest(out / last) == weights_digest(bench.folder / "many" / last)
    bench.table.check("torchrun", good, "the next run ends otherwise", Ended(again.returncode, said.decode()))


FAULTS: dict[str, Callable[[Bench, random.Random], None]] = {
    fault.__name__.replace("_", "-"): fault
    for fault in (
        full_disk_while_training, full_disk_for_results, read_only_folder, two_in_one_folder, refused_continuations,
        malformed_manifests, broken_data, signals, kills_while_preparing, torchrun,
    )
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=[*FAULTS], action="append")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if INSIDE not in os.environ:
        os.environ |= {INSIDE: "1", "TOKENIZERS_PARALLELISM": "false"}
        flags = "-m" if os.geteuid() == 0 else "-Urm"
        os.execvp("unshare", ["unshare", flags, sys.executable, *sys.argv])
    torch.set_num_threads(1)
    failed = 0
    for name in options.only or FAULTS:
        table = Table()
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            began = time.perf_counter()
            FAULTS[name](Bench(Path(folder), table), random.Random(options.seed))
        print(f"{name}: {table.checks} checks, {table.failed} failed, {time.perf_counter() - began:.0f} s", flush=True)
        failed += table.failed
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
