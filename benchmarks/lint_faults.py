"""Nothing is lost, and the next run is right: edits and deaths at random moments of `--fix` and of a cache write.

    python benchmarks/lint_faults.py [--runs N] [--files N] [--only NAME] [--seed N]

Each fault is provoked N times on a folder of files of which every eighth can be fixed:

    edits   while `lint --fix` runs, files are saved, in place and by renaming, as editors do. Each file must hold what
            was saved last, alone or fixed in one of the two ways that a run leaves: untouched, or wholly fixed.
    fix     `lint --fix` gets SIGKILL. Each file must be wholly as before or wholly fixed; the next run fixes the rest.
    ignores  `lint --add-ignores` gets SIGKILL. As above, with comments for fixes.
    cache   `lint` gets SIGKILL while it writes the cache. The next run must say what one without a cache says.
    baseline  `lint --write-baseline` gets SIGKILL. The file must be wholly the old one or wholly the new one.
    stop    `lint` gets SIGINT. Status 130 (or the run was over), no traceback, nobody blamed.
    start   `lint` gets SIGINT in its first 0.1 s. As above; what Python prints before our modules is its own.

Prints for each how many runs were hit where it counts. Exit status 1 where anything was lost or said wrongly.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

BAD = """\
import torch


def similarity(q, p):
    return torch.matmul(q, p.transpose(-2, -1))


def scores(q, p, group):
    b, d = q.shape
    s = similarity(q, p.view(b, group, d))  # B G
    return s.view(b, -1)
"""
FIXED = BAD.replace("similarity(q, p.view(b, group, d))", "similarity(q.unsqueeze(1), p.view(b, group, d)).squeeze(1)")
SILENCED = BAD.replace("# B G", "# B G  # shapecheck: ignore[SC101]")
EVERY = 8  # so many files for one that can be fixed
OURS = re.compile(r"shapecheck.(?:__init__|__main__|cli|service)\b")
GOOD = "def rows(x):\n    return [*x]\n"


def fixable(files: int) -> int:
    return -(-files // EVERY)


def fresh(folder: Path, files: int) -> dict[Path, str]:
    """The folder with its files, and what each holds."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    texts = {folder / f"m{number:03}.py": BAD if number % EVERY == 0 else GOOD for number in range(files)}
    for file, text in texts.items():
        file.write_text(text)
    return texts


def start(folder: Path, *args: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "shapecheck",
        "lint",
        "--isolated",
        "--output-format",
        "concise",
        *args,
        str(folder),
    ]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def kill(run: subprocess.Popen[str]) -> None:
    """The command and its workers."""
    with suppress(ProcessLookupError):  # it was over
        os.killpg(run.pid, signal.SIGKILL)
    run.communicate()


def lint(folder: Path, *args: str) -> tuple[int, str, str]:
    run = start(folder, *args)
    out, err = run.communicate()
    return run.returncode, out, err


def moment(rng: random.Random, run: subprocess.Popen[str], happened: Callable[[], int], last: int) -> None:
    """Wait for a random moment of a run: in a quarter of the cases some time after its start, else just after it has
    written so many of what it writes."""
    if rng.random() < 0.25:
        time.sleep(rng.uniform(0.05, 1.5))
    else:
        number = rng.randrange(last)
        while run.poll() is None and happened() <= number:
            time.sleep(0.0005)
        time.sleep(rng.choice([0, rng.uniform(0, 0.02)]))


def fixed_in(folder: Path) -> Callable[[], int]:
    """How far a run has come: it fixes files in their order, so one file tells."""
    files = sorted(folder.glob("m*.py"))[::EVERY]

    def count() -> int:
        low, high = 0, len(files)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if files[middle].read_text() != BAD else (low, middle)
        return low

    return count


# ------------------------------------------------------------------------- the faults


def edits(rng: random.Random, folder: Path, files: int) -> tuple[list[str], str]:
    texts = fresh(folder, files)
    saved: dict[Path, list[str]] = {file: [text] for file, text in texts.items()}
    run = start(folder, "--fix", "--no-cache")

    def edit() -> None:
        moment(rng, run, fixed_in(folder), fixable(files))
        number = 0
        while run.poll() is None and number < 400:
            number += 1
            file = rng.choice(list(texts))
            text = saved[file][0] + f"# edit {number}\n"
            if rng.random() < 0.5:
                file.write_text(text)
            else:
                other = file.with_suffix(".new")
                other.write_text(text)
                os.replace(other, file)
            saved[file].append(text)
            time.sleep(rng.choice([0, 0, 0.001, 0.01]))

    editor = threading.Thread(target=edit)
    editor.start()
    _, err = run.communicate()
    status = run.returncode
    editor.join()
    wrong = []
    named = {line.split(":")[0] for line in err.splitlines() if "changed while this ran" in line}
    for file, texts_of in saved.items():
        last = texts_of[-1]
        if file.read_text() not in (last, last.replace(BAD, FIXED)):
            wrong.append(f"{file.name} does not hold what was saved last")
    if named and status != 2:
        wrong.append(f"status {status} though {len(named)} files were left alone")
    wrong += said_wrongly(status, err, (0, 1, 2))
    wrong += next_run(folder, {file: texts_of[-1].replace(BAD, FIXED) for file, texts_of in saved.items()})
    return wrong, f"{len(named)} files left alone" if named else "no file met"


def killed_fix(rng: random.Random, folder: Path, files: int) -> tuple[list[str], str]:
    return killed_write(rng, folder, files, "--fix", FIXED)


def killed_ignores(rng: random.Random, folder: Path, files: int) -> tuple[list[str], str]:
    return killed_write(rng, folder, files, "--add-ignores", SILENCED)


def killed_write(rng: random.Random, folder: Path, files: int, flag: str, after: str) -> tuple[list[str], str]:
    texts = fresh(folder, files)
    run = start(folder, flag, "--no-cache")
    moment(rng, run, fixed_in(folder), fixable(files))
    kill(run)
    now = {file: file.read_text() for file in texts}
    wrong = [
        f"{f.name} is neither whole nor done" for f, t in texts.items() if now[f] not in (t, t.replace(BAD, after))
    ]
    done = sum(now[file] != text for file, text in texts.items())
    wrong += next_run(folder, {file: text.replace(BAD, after) for file, text in texts.items()}, flag)
    where = "before the first file" if not done else "after the last" if done == fixable(files) else "between files"
    return wrong, where


def killed_cache(rng: random.Random, folder: Path, files: int) -> tuple[list[str], str]:
    fresh(folder, files)
    cache = folder.parent / "cache"
    shutil.rmtree(cache, ignore_errors=True)
    run = start(folder, "--cache-dir", str(cache))
    moment(rng, run, lambda: len(list(cache.glob("??/*.json"))), fixable(files))
    kill(run)
    entries = len(list(cache.glob("??/*.json")))
    status, out, err = lint(folder, "--cache-dir", str(cache))
    expected = fixable(files)
    wrong = said_wrongly(status, err, (1,))
    if len(out.splitlines()) != expected:
        wrong.append(f"{len(out.splitlines())} findings, not {expected}")
    return wrong, "no entry yet" if not entries else "all entries" if entries >= expected else "between entries"


def killed_baseline(rng: random.Random, folder: Path, files: int) -> tuple[list[str], str]:
    fresh(folder, files)
    known = folder.parent / "known.json"
    args = ("--no-cache", "--baseline", str(known), "--write-baseline")
    if not known.exists():
        lint(folder, *args)
    old = known.read_text()
    extra = folder / "m000.py"
    extra.write_text(BAD + f"# {rng.random()}\n\n\n" + BAD.replace("scores", "others").replace("s =", "t =  "))
    entry = known.stat().st_ino
    run = start(folder, *args)
    if rng.random() < 0.3:
        time.sleep(rng.uniform(0.05, 2))
    else:  # just before or after it is replaced
        while run.poll() is None and known.stat().st_ino == entry and not list(known.parent.glob(".known.json*")):
            time.sleep(0.0002)
        time.sleep(rng.choice([0, rng.uniform(0, 0.003), rng.uniform(0, 0.05)]))
    kill(run)
    now = known.read_text()
    status, _, err = lint(folder, "--no-cache", "--baseline", str(known))
    wrong = said_wrongly(status, err, (0, 1))
    if now != old and status != 0:
        wrong.append("a new baseline that does not have what was found")
    if now == old and status != 1:
        wrong.append("an old baseline that has what is new")
    known.unlink()
    return wrong, "the old one" if now == old else "the new one"


def stopped(rng: random.Random, folder: Path, files: int) -> tuple[list[str], str]:
    fresh(folder, files)
    run = start(folder, "--no-cache")
    time.sleep(rng.uniform(0.15, 4))  # before, Python itself is starting
    run.send_signal(signal.SIGINT)
    out, err = run.communicate()
    wrong = said_wrongly(run.returncode, err, (130, 1))
    if any(".py:" not in line for line in out.splitlines()):
        wrong.append("half a line")
    found = len(out.splitlines())
    return wrong, "over" if run.returncode == 1 else "with findings so far" if found else "before any finding"


def stopped_early(rng: random.Random, folder: Path, files: int) -> tuple[list[str], str]:
    if not folder.exists():
        fresh(folder, files)
    run = start(folder, "--no-cache")
    time.sleep(rng.uniform(0, 0.1))
    run.send_signal(signal.SIGINT)
    _, err = run.communicate()
    if run.returncode == -signal.SIGINT and not err:
        return [], "before Python heard it"  # a shell says 130
    if "KeyboardInterrupt" in err and not OURS.search(err):
        return [], "while Python itself imported"
    return said_wrongly(run.returncode, err, (130,)), "in ours"


def next_run(folder: Path, expected: dict[Path, str], flag: str = "--fix") -> list[str]:
    status, _, err = lint(folder, flag, "--no-cache")
    wrong = said_wrongly(status, err, (0,))
    return wrong + [
        f"{f.name} is not right after the next run" for f, text in expected.items() if f.read_text() != text
    ]


def said_wrongly(status: int, err: str, allowed: tuple[int, ...]) -> list[str]:
    wrong = [] if status in allowed else [f"status {status}: {err[-300:]}"]
    return wrong + [f"{word}: {err[-600:]}" for word in ("Traceback", "internal error", "rule pack") if word in err]


Fault = Callable[[random.Random, Path, int], "tuple[list[str], str]"]
FAULTS: dict[str, Fault] = {
    "edits": edits,
    "fix": killed_fix,
    "ignores": killed_ignores,
    "cache": killed_cache,
    "baseline": killed_baseline,
    "stop": stopped,
    "start": stopped_early,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--only", choices=FAULTS)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    lost = 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "work")
        for name, fault in FAULTS.items():
            if arguments.only not in (None, name):
                continue
            where: Counter[str] = Counter()
            failed = 0
            for number in range(arguments.runs):
                wrong, met = fault(random.Random(arguments.seed * 1000 + number), folder, arguments.files)
                where["some files left alone" if "left alone" in met else met] += 1
                failed += bool(wrong)
                for line in wrong[:3]:
                    print(f"  run {number}: {line}", flush=True)
            lost += failed
            told = ", ".join(f"{number} {what}" for what, number in where.most_common())
            print(f"{name}: {arguments.runs} runs over {arguments.files} files, {failed} wrong ({told})", flush=True)
    return int(lost > 0)


if __name__ == "__main__":
    sys.exit(main())
