"""Every setting of a run, in one place: what it is called, what it means, and which values are refused.

A file (YAML or TOML) holds these sections; `--set section.name=value` overrides one of them. Values are checked here,
before a model or a data file is opened.
"""
# ruff: noqa: RUF009  (_doc returns a dataclasses.field)

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import yaml

from .forms import ROLES
from .fused import Fused
from .modes import Mode
from .refusal import Refusal, printable, reason_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class SettingsError(Refusal):
    """A setting is unknown, has the wrong type, or contradicts another; the message names it."""


class Distill(str, Enum):
    """How teacher scores enter the loss."""

    NONE = "none"
    KL = "kl"
    MARGIN_MSE = "margin-mse"


class Pooling(str, Enum):
    """How token states become one embedding."""

    MEAN = "mean"
    CLS = "cls"
    LAST = "last"


class BadRows(str, Enum):
    """What to do with a row that can't be trained on."""

    SKIP = "skip"
    REFUSE = "refuse"


class Precision(str, Enum):
    """Arithmetic of the encoder; the loss is always float32."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class Parallel(str, Enum):
    """How weights are shared when torchrun starts several processes."""

    DDP = "ddp"
    FSDP = "fsdp"


class Schedule(str, Enum):
    """How the learning rate falls after warm-up."""

    CONSTANT = "constant"
    LINEAR = "linear"
    COSINE = "cosine"


def _doc(text: str, default: Any = dataclasses.MISSING) -> Any:
    if default is dataclasses.MISSING:
        return field(metadata={"doc": text})
    return field(default=default, metadata={"doc": text})


def _require(ok: bool, message: str) -> None:
    if not ok:
        raise SettingsError(message)


@dataclass(frozen=True)
class LossSettings:
    """[loss] What is minimised."""

    mode: Mode = _doc(
        "in-batch: all passages of the batch are candidates; in-group (or preset): only the query's own group"
    )
    temperature: float = _doc("scores are divided by this", 0.05)
    learn_temperature: bool = _doc(
        "train the temperature, from the value above; 1/temperature is kept at or below 100", False
    )
    cross_device: bool = _doc("in-batch only: passages of all processes are candidates", False)
    mask_duplicates: bool = _doc("leave out candidates whose text is the positive's text", True)
    symmetric: bool = _doc("in-batch only: also contrast each positive with all queries, and take the mean", False)
    fused: Fused = _doc(
        "in-batch without the score matrix: off, auto, torch (linear_cross_entropy) or chunked", Fused.OFF
    )
    dims: tuple[int, ...] = _doc("Matryoshka: also train these leading widths; the mean over widths is the loss", ())
    distill: Distill = _doc("learn from teacher scores over the own group: none, kl or margin-mse", Distill.NONE)
    distill_weight: float = _doc("weight of the teacher's term, added to the contrastive one", 1.0)
    teacher_temperature: float = _doc("kl only: teacher scores are divided by this", 1.0)

    def __post_init__(self) -> None:
        _require(math.isfinite(self.temperature) and self.temperature >= 0.01, "loss.temperature must be at least 0.01")
        _require(self.teacher_temperature > 0, "loss.teacher_temperature must be above 0")
        _require(self.distill_weight > 0, "loss.distill_weight must be above 0")
        _require(all(d > 0 for d in self.dims), "loss.dims must be positive widths")
        _require(len(set(self.dims)) == len(self.dims), "loss.dims names a width twice")
        if self.mode is Mode.IN_GROUP:
            _require(
                not self.cross_device,
                "loss.cross_device has no meaning in-group: a query sees its own group alone",
            )
            _require(not self.symmetric, "loss.symmetric has no meaning in-group: a query sees its own group alone")
            _require(self.fused is Fused.OFF, "loss.fused has no meaning in-group: there is no matrix to avoid")
        _require(
            not (self.fused is Fused.TORCH and self.mask_duplicates),
            "loss.fused = torch can't mask duplicates: set loss.mask_duplicates = false, or fused = chunked or auto",
        )


@dataclass(frozen=True)
class DataSettings:
    """[data] Where rows come from and how they are drawn."""

    source: str = _doc(
        "'wordnet' (bundled), a file or glob (jsonl, json, csv, tsv, parquet, arrow; compressed too), a folder of "
        "save_to_disk or BEIR, PATH[@SPLIT], or hf:NAME[:CONFIG][@SPLIT] for datasets",
        "wordnet",
    )
    dev: str = _doc(
        "held-out rows of the same kind; empty: the bundled dev split for 'wordnet', else no evaluation", ""
    )
    columns: tuple[str, ...] = _doc(
        "what columns are, where their names don't tell: [query=question, pos=answer, neg=wrong]; dots reach inside", ()
    )
    positive_score: float | None = _doc("pairs with a score or label: the least one of a positive pair", None)
    group: int = _doc("passages a query: one positive and group-1 negatives; 1: pairs only (in-batch)", 8)
    repeat_negatives: bool = _doc("draw a negative more than once where a row has fewer than group-1", False)
    unique: bool = _doc("in-batch only: no two rows of one query, positive or label in a batch", True)
    bad_rows: BadRows = _doc("skip (and count) or refuse rows that can't be used", BadRows.SKIP)
    streaming: bool = _doc("hf: only: read the source as a stream", False)
    limit: int = _doc("use the first so many good rows; 0: all", 0)
    bucket: int = _doc("rows are sorted by length within so many batches; 1: not at all", 1)
    query_prompt: str = _doc("put before every query", "")
    passage_prompt: str = _doc("put before every passage", "")
    query_length: int = _doc("tokens a query is cut to", 64)
    passage_length: int = _doc("tokens a passage is cut to", 128)

    def __post_init__(self) -> None:
        _require(bool(self.source), "data.source must name something")
        _require(self.group >= 1, "data.group must be at least 1: the positive")
        for entry in self.columns:
            role, separator, column = entry.partition("=")
            _require(
                bool(separator and column) and role in ROLES,
                f"data.columns: {entry!r} is not ROLE=COLUMN, ROLE one of {', '.join(ROLES)}",
            )
        for name in ("query_prompt", "passage_prompt"):
            _require(
                not any("\ud800" <= letter <= "\udfff" for letter in getattr(self, name)),
                f"data.{name} holds half a character (a lone surrogate)",
            )
        _require(self.bucket >= 1, "data.bucket must be at least 1")
        _require(self.limit >= 0, "data.limit must be 0 (all) or more")
        _require(
            min(self.query_length, self.passage_length) >= 4, "data.query_length and passage_length must be at least 4"
        )
        _require(not self.streaming or self.source.startswith("hf:"), "data.streaming needs an hf: source")


@dataclass(frozen=True)
class ModelSettings:
    """[model] The encoder."""

    name: str = _doc(
        "'tiny' or 'static' (bundled, random start), a folder, a hub name, or a config.json for a random start", "tiny"
    )
    tokenizer: str = _doc("folder, hub name or tokenizer.json; empty: the model's own", "")
    pooling: Pooling = _doc("mean, cls or last token", Pooling.MEAN)
    normalize: bool = _doc("scale embeddings to length 1", True)
    lora_rank: int = _doc("train low-rank adapters of this rank instead of the weights (needs peft); 0: off", 0)
    lora_targets: tuple[str, ...] = _doc("names of the linear layers that get adapters", ("query", "value"))
    unpadded: bool = _doc(
        "one packed sequence with variable-length attention instead of padding (meant for CUDA)", False
    )
    checkpointing: bool = _doc("recompute activations in the backward pass", False)
    compile: bool = _doc("torch.compile every transformer block", False)

    def __post_init__(self) -> None:
        _require(bool(self.name), "model.name must name something")
        _require(self.lora_rank >= 0, "model.lora_rank must be 0 (off) or more")
        _require(
            self.lora_rank == 0 or bool(self.lora_targets), "model.lora_targets must name layers when lora_rank is set"
        )


@dataclass(frozen=True)
class TrainSettings:
    """[train] The run."""

    steps: int = _doc("optimizer steps", 1000)
    batch: int = _doc("queries a step and process", 64)
    learning_rate: float = _doc("peak learning rate of AdamW", 2e-5)
    weight_decay: float = _doc("AdamW weight decay, not applied to biases and norms", 0.01)
    warmup: int = _doc("steps of linear warm-up", 50)
    schedule: Schedule = _doc("constant, linear or cosine, after warm-up", Schedule.LINEAR)
    clip: float = _doc("largest gradient norm; 0: no clipping", 1.0)
    seed: int = _doc("of weights, order and negatives", 0)
    precision: Precision = _doc("float32 or bfloat16 (autocast)", Precision.FLOAT32)
    chunk_tokens: int = _doc("padded tokens that one forward of the encoder takes at most", 16384)
    cache: bool = _doc("gradient caching: one chunk's activations live at a time, for batches that don't fit", False)
    parallel: Parallel = _doc("ddp or fsdp, under torchrun", Parallel.DDP)
    log_every: int = _doc("steps between log lines", 10)
    eval_every: int = _doc("steps between evaluations; 0: at the end only", 0)
    save_every: int = _doc("steps between checkpoints; 0: at the end only", 0)
    keep: int = _doc("whole checkpoints to keep", 2)
    tensorboard: bool = _doc("also write TensorBoard events (needs tensorboard)", False)
    threads: int = _doc("CPU threads; 0: torch's choice", 0)
    replay_bug: int = _doc("train with a known wrong loss on purpose (450); the run can't be exported", 0)

    def __post_init__(self) -> None:
        _require(self.steps >= 1, "train.steps must be at least 1")
        _require(self.batch >= 2, "train.batch must be at least 2")
        _require(self.learning_rate > 0, "train.learning_rate must be above 0")
        _require(self.weight_decay >= 0, "train.weight_decay must not be negative")
        _require(0 <= self.warmup <= self.steps, "train.warmup must lie between 0 and train.steps")
        _require(self.clip >= 0, "train.clip must be 0 (off) or more")
        _require(self.chunk_tokens >= 16, "train.chunk_tokens must be at least 16")
        _require(self.keep >= 1, "train.keep must be at least 1")
        _require(self.log_every >= 1, "train.log_every must be at least 1")
        _require(
            min(self.eval_every, self.save_every, self.threads) >= 0, "train.*_every and threads must not be negative"
        )
        _require(0 <= self.seed < 2**63, "train.seed must lie between 0 and 2**63 - 1")
        _require(self.replay_bug in (0, 450), "train.replay_bug knows one bug: 450")


@dataclass(frozen=True)
class Settings:
    """A whole run."""

    loss: LossSettings
    data: DataSettings = field(default_factory=DataSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    train: TrainSettings = field(default_factory=TrainSettings)

    def __post_init__(self) -> None:
        alone = self.data.group == 1
        _require(
            not (alone and self.loss.mode is Mode.IN_GROUP),
            "data.group = 1 leaves nothing to choose from in-group: set loss.mode = in-batch, or a larger group",
        )
        _require(
            not (alone and self.loss.distill is not Distill.NONE),
            "data.group = 1 has no negatives whose teacher scores could be learnt: set loss.distill = none",
        )
        bug = self.train.replay_bug
        _require(
            not bug or self.loss.mode is Mode.IN_GROUP,
            "train.replay_bug = 450 replaces the in-group loss: set loss.mode = in-group",
        )
        plain = not self.loss.dims and self.loss.distill is Distill.NONE and not self.train.cache
        _require(
            not bug or plain, "train.replay_bug = 450 can't be combined with loss.dims, loss.distill or train.cache"
        )
        lora_fsdp = self.model.lora_rank and self.train.parallel is Parallel.FSDP
        _require(not lora_fsdp, "model.lora_rank with train.parallel = fsdp is not supported: use ddp")

    def digest(self) -> str:
        """sha256 of the resolved settings; a checkpoint carries it."""
        return hashlib.sha256(json.dumps(to_plain(self), sort_keys=True).encode()).hexdigest()


SECTIONS: dict[str, type[Any]] = {
    "loss": LossSettings, "data": DataSettings, "model": ModelSettings, "train": TrainSettings,
}  # fmt: skip

T = TypeVar("T")


def to_plain(settings: object) -> Any:
    """Settings as JSON-able values: enums by value, tuples as lists."""
    if dataclasses.is_dataclass(settings):
        return {f.name: to_plain(getattr(settings, f.name)) for f in dataclasses.fields(settings)}
    if isinstance(settings, Enum):
        return settings.value
    if isinstance(settings, tuple):
        return [to_plain(item) for item in settings]
    return settings


def from_plain(plain: Mapping[str, Any]) -> Settings:
    """Build settings from nested mappings. SettingsError names an unknown, missing or wrong entry."""
    unknown = set(plain) - set(SECTIONS)
    _require(not unknown, f"no such section: {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    return Settings(**{name: _section(name, kind, plain.get(name) or {}) for name, kind in SECTIONS.items()})


def load(path: Path | None, overrides: Sequence[str] = ()) -> Settings:
    """Read a YAML or TOML file, then apply `section.name=value` overrides (text as it stands, other values as YAML)."""
    plain: dict[str, Any] = {}
    if path is not None:
        plain = _read(path)
    for override in overrides:
        key, separator, text = override.partition("=")
        section, dot, name = key.strip().partition(".")
        _require(bool(separator and dot), f"--set wants section.name=value, not {override!r}")
        chosen = plain.setdefault(section, {})
        _require(isinstance(chosen, dict), f"section {section} must hold settings")
        try:
            chosen[name] = text if _is_text(section, name) else _value(text)
        except _Unreadable as error:
            raise SettingsError(f"--set {override}: {error}") from error
    return from_plain(plain)


def describe() -> list[tuple[str, str, str, str]]:
    """(setting, type, default, meaning) of every setting, for help and documentation."""
    rows = []
    for section, kind in SECTIONS.items():
        hints = typing.get_type_hints(kind)
        for f in dataclasses.fields(kind):
            default = "required" if f.default is dataclasses.MISSING else json.dumps(to_plain(f.default))
            rows.append((f"{section}.{f.name}", _type_name(hints[f.name]), default, f.metadata["doc"]))
    return rows


def _read(path: Path) -> dict[str, Any]:
    _require(path.is_file(), f"{printable(path)}: no such file")
    try:
        text = path.read_text(encoding="utf-8")
        plain = tomllib.loads(text) if path.suffix == ".toml" else _value(text)
    except OSError as error:
        raise SettingsError(f"{printable(path)} can't be read: {reason_of(error)}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError, _Unreadable) as error:
        raise SettingsError(f"{printable(path)}: {error}") from error
    _require(isinstance(plain, dict), f"{printable(path)}: expected sections {', '.join(SECTIONS)}")
    return dict(plain)


class _Unreadable(ValueError):
    """Text that is no YAML, or a value that YAML cannot have."""


def _value(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        at = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise _Unreadable(f"no YAML: {error.problem}{at}") from error
    except (
        yaml.YAMLError,
        ValueError,
        AttributeError,
        RecursionError,
    ) as error:  # of a tag whose text is of no such kind
        raise _Unreadable(f"no YAML: {reason_of(error)}") from error


def _is_text(section: str, name: str) -> bool:
    kind = SECTIONS.get(section)
    return kind is not None and typing.get_type_hints(kind).get(name) is str


def _section(name: str, kind: type[T], plain: Any) -> T:
    _require(isinstance(plain, Mapping), f"section {name} must hold settings")
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = set(plain) - set(fields)
    _require(not unknown, f"{name}: no such setting: {', '.join(sorted(map(str, unknown)))}")
    missing = [n for n, f in fields.items() if f.default is dataclasses.MISSING and n not in plain]
    _require(not missing, f"{name}.{missing[0] if missing else ''} must be set")
    hints = typing.get_type_hints(kind)
    return kind(**{key: _convert(f"{name}.{key}", hints[key], value) for key, value in plain.items()})


def _convert(key: str, wanted: Any, value: Any) -> Any:
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        known = [item.value for item in wanted]
        value = "off" if value is False and "off" in known else value  # YAML reads a bare `off` as false
        try:
            return wanted(value)
        except ValueError:
            raise SettingsError(f"{key} must be one of {', '.join(known)}, not {_said(value)}") from None
    if isinstance(wanted, types.UnionType):
        return None if value is None else _convert(key, typing.get_args(wanted)[0], value)
    if typing.get_origin(wanted) is tuple:
        _require(isinstance(value, (list, tuple)), f"{key} must be a list, not {_said(value)}")
        return tuple(_convert(key, typing.get_args(wanted)[0], item) for item in value)
    if wanted is float:
        value = float(value) if _is_number(value) else value
    _require(type(value) is wanted, f"{key} must be {_type_name(wanted)}, not {_said(value)}")
    return value


def _said(value: Any) -> str:
    try:
        return repr(value)
    except ValueError:  # Python writes no number of that many digits
        return "a number that is too large"


def _is_number(value: Any) -> bool:
    if isinstance(value, str):  # YAML reads 2e-5 as text
        try:
            float(value)
        except ValueError:
            return False
        return True
    if isinstance(value, int) and not isinstance(value, bool):
        return value.bit_length() <= sys.float_info.max_exp
    return isinstance(value, float)


def _type_name(wanted: Any) -> str:
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        return " | ".join(item.value for item in wanted)
    if isinstance(wanted, types.UnionType):
        return _type_name(typing.get_args(wanted)[0])
    if isinstance(wanted, types.GenericAlias):
        return f"list of {typing.get_args(wanted)[0].__name__}"
    return {"int": "integer", "float": "number", "bool": "true or false", "str": "text"}.get(
        wanted.__name__, str(wanted)
    )
