"""A sentence-transformers folder as the start of a run: what the trainer would leave out of it is refused by name.

The trainer takes the folder's transformer and tokenizer and pools by its own settings. Modules behind the pooling,
prompts and lengths of the folder count only as far as the settings say the same.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .models import BUNDLED
from .refusal import printable, reason_of
from .settings import Pooling, Settings, SettingsError

_MODULES = ("Transformer", "Pooling", "Normalize")
_POOLINGS = {"mean": Pooling.MEAN, "cls": Pooling.CLS, "lasttoken": Pooling.LAST}
_OLD_POOLINGS = {
    "pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls", "pooling_mode_lasttoken": "lasttoken",
    "pooling_mode_max_tokens": "max", "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
}  # fmt: skip
_PASSAGES = ("document", "passage", "corpus")
ALONE = "(a copy of the folder without modules.json starts from its transformer alone)"


def require_nothing_dropped(settings: Settings) -> list[str]:
    """SettingsError names what model.name holds and the run would lose; returns what the log should say of it."""
    name = settings.model.name
    if name in BUNDLED:
        return []
    modules = _read(name, "modules.json")
    if modules is None:
        return []
    kinds = {str(m.get("type", "")).rpartition(".")[2]: str(m.get("path", "")) for m in _listed(name, modules)}
    lost = [f"its {kind} module is not supported" for kind in kinds if kind not in _MODULES]
    if kinds.get("Transformer"):
        lost.append(f"its transformer lies in {kinds['Transformer']}: name that folder")
    if "Normalize" not in kinds and settings.model.normalize:
        lost.append("it doesn't normalize: set model.normalize=false")
    if "Normalize" in kinds and not settings.model.normalize:
        lost.append("it normalizes: set model.normalize=true")
    if "Pooling" in kinds:
        lost += _pooling(_object(name, f"{kinds['Pooling']}/config.json"), settings)
    lost += _prompts(_object(name, "config_sentence_transformers.json"), settings)
    transformer = _object(name, "sentence_bert_config.json")
    if transformer.get("do_lower_case"):
        lost.append("it lower-cases texts before its tokenizer")
    limit = transformer.get("max_seq_length") or _object(name, "tokenizer_config.json").get("model_max_length")
    longest = max(settings.data.query_length, settings.data.passage_length)
    if isinstance(limit, int) and longest > limit:
        lost.append(f"it cuts texts at {limit} tokens: set data.query_length and data.passage_length to that at most")
    if lost:
        raise SettingsError(f"model.name: {name} is a sentence-transformers model, and {'; '.join(lost)} {ALONE}")
    if isinstance(limit, int) and longest < limit <= 1_000_000:
        return [f"{name} cuts texts at {limit} tokens, this run at {longest}: data.query_length, data.passage_length"]
    return []


def _pooling(config: dict[str, Any], settings: Settings) -> list[str]:
    wanted = config.get("pooling_mode") or [their for key, their in _OLD_POOLINGS.items() if config.get(key)]
    names = [wanted] if isinstance(wanted, str) else [str(each) for each in wanted]
    lost = []
    if len(names) != 1 or names[0] not in _POOLINGS:
        lost.append(f"its pooling, {' with '.join(names) or 'none'}, is not supported")
    elif _POOLINGS[names[0]] is not settings.model.pooling:
        lost.append(f"its pooling is {names[0]}: set model.pooling={_POOLINGS[names[0]].value}")
    if config.get("include_prompt") is False:
        lost.append("its pooling leaves the prompt's tokens out")
    return lost


def _prompts(config: dict[str, Any], settings: Settings) -> list[str]:
    prompts, data = config.get("prompts") or {}, settings.data
    lost = []
    for name, text in prompts.items():
        side = "query" if name == "query" else "passage" if name in _PASSAGES else ""
        if not text:
            continue
        if not side:
            lost.append(f"its prompt {name!r} is neither of queries nor of passages")
        elif text != (data.query_prompt if side == "query" else data.passage_prompt):
            lost.append(f"its prompt {name!r} is {text!r}: set data.{side}_prompt")
    default = config.get("default_prompt_name")
    if default and prompts.get(default):
        lost.append(f"it puts its prompt {default!r} before every text that names none")
    return lost


def _listed(name: str, modules: Any) -> list[dict[str, Any]]:
    if isinstance(modules, list) and all(isinstance(module, dict) for module in modules):
        return modules
    raise SettingsError(f"model.name: {name}: modules.json doesn't list modules")


def _object(name: str, file: str) -> dict[str, Any]:
    found = _read(name, file)
    if found is not None and not isinstance(found, dict):
        raise SettingsError(f"model.name: {name}: {file} doesn't hold an object")
    return found or {}


def _read(name: str, file: str) -> Any:
    """A json file of a model's folder or hub repository; None where there is no such file."""
    path = Path(name) / file
    if not Path(name).exists():
        found = _hub_file(name, file)
        if found is None:
            return None
        path = found
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"model.name: {printable(path)} can't be read: {reason_of(error)}") from error


def _hub_file(name: str, file: str) -> Path | None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HFValidationError, RepositoryNotFoundError

    try:
        return Path(hf_hub_download(name, file))
    except (EntryNotFoundError, HFValidationError, RepositoryNotFoundError):
        return None  # not there, or no such repository: loading the model says so
    except OSError as error:
        raise SettingsError(f"model.name: {name}: {file} can't be had: {reason_of(error)}") from error
