"""Sense retrieval from WordNet 3.0's database files: real text, a real task, nothing to download.

A query is `lemma: example sentence`, its positive is the gloss of the sense that the example belongs to. Negatives are
glosses of the lemma's other senses first, then of sister terms (other children of a parent, the parents, other members
of an adjective cluster), then of the same lexicographer file. The split is by gloss: no gloss is a positive in two.

File format: wndb(5WN). Debian's `wordnet-base` installs the files in /usr/share/wordnet.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .refusal import Refusal

DEFAULT_FOLDER = Path("/usr/share/wordnet")
SPLITS = ("train", "dev", "test")

_FILES = {"n": "data.noun", "v": "data.verb", "a": "data.adj", "r": "data.adv"}
_IRREGULAR = {"n": "noun.exc", "v": "verb.exc", "a": "adj.exc", "r": "adv.exc"}
_PARENT = {"@", "@i"}
_CLUSTER = {"&"}
_EXAMPLE = re.compile(r'"([^"]+)"')

Key = tuple[str, int]  # part of speech (satellites count as adjectives) and byte offset


Forms = dict[tuple[str, str], list[str]]  # (part of speech, lemma) to its irregular forms


class WordNetMissing(Refusal):
    """A database file is not where it was looked for."""


@dataclass(frozen=True)
class Synset:
    """One sense: its lemmas in order, its definition and the example sentences that came with it."""

    key: Key
    file: int
    lemmas: tuple[str, ...]
    parents: tuple[Key, ...]
    cluster: tuple[Key, ...]
    gloss: str
    examples: tuple[str, ...]


@dataclass(frozen=True)
class SenseQuery:
    """One query, its gloss, and at most `negatives` other glosses, hardest kind first."""

    lemma: str
    example: str
    gloss: str
    negatives: tuple[str, ...]
    split: str

    def as_row(self) -> dict[str, object]:
        return {"query": f"{self.lemma}: {self.example}", "pos": [self.gloss], "neg": list(self.negatives)}


def read_synsets(folder: Path) -> dict[Key, Synset]:
    """Parse the four data files. WordNetMissing names the first that is not there."""
    synsets = {}
    for part, name in _FILES.items():
        for line in _lines(folder / name):
            if not line.startswith("  "):  # licence lines are indented
                synset = _parse(part, line)
                synsets[synset.key] = synset
    return synsets


def read_irregular(folder: Path) -> Forms:
    """Inflected forms that no ending explains (`made` of `make`)."""
    forms: Forms = defaultdict(list)
    for part, name in _IRREGULAR.items():
        for line in _lines(folder / name):
            inflected, *lemmas = line.split()
            for lemma in lemmas:
                forms[part, lemma.replace("_", " ")].append(inflected.replace("_", " "))
    return forms


def sense_queries(synsets: Mapping[Key, Synset], forms: Forms, negatives: int = 7) -> Iterator[SenseQuery]:
    """Every example that contains a lemma of its synset, with negatives, in database order."""
    by_lemma: dict[str, list[Key]] = defaultdict(list)
    children: dict[Key, list[Key]] = defaultdict(list)
    by_file: dict[int, list[Key]] = defaultdict(list)
    for synset in synsets.values():
        by_file[synset.file].append(synset.key)
        for lemma in synset.lemmas:
            by_lemma[lemma.lower()].append(synset.key)
        for parent in synset.parents:
            children[parent].append(synset.key)
    for synset in synsets.values():
        for example in synset.examples:
            found = _lemma_in(example, synset, forms)
            if found is None:
                continue
            other_senses = [key for key in by_lemma[found.lower()] if key != synset.key]
            sisters = [k for parent in synset.parents for k in (*children[parent], parent)]
            sisters += [k for head in synset.cluster for k in (*synsets[head].cluster, head)]
            near = _around(by_file[synset.file], synset.key, 4 * negatives)
            glosses = _distinct(synsets, synset.gloss, (other_senses, sisters, near), negatives)
            yield SenseQuery(found, example, synset.gloss, glosses, split_of(synset.gloss))


def split_of(gloss: str) -> str:
    """train, dev or test in the ratio 90 : 5 : 5, by a hash of the gloss: synsets with one text stay together."""
    point = int.from_bytes(hashlib.md5(gloss.encode(), usedforsecurity=False).digest()[:4], "big") % 100
    return "train" if point < 90 else "dev" if point < 95 else "test"


def _parse(part: str, line: str) -> Synset:
    data, _, text = line.partition("|")
    fields = data.split()
    word_count = int(fields[3], 16)
    lemmas = tuple(_clean(fields[4 + 2 * k]) for k in range(word_count))
    at = 4 + 2 * word_count
    pointers = []
    for k in range(int(fields[at])):
        symbol, offset, target, _ = fields[at + 1 + 4 * k : at + 5 + 4 * k]
        pointers.append((symbol, ("a" if target == "s" else target, int(offset))))
    parents = tuple(key for symbol, key in pointers if symbol in _PARENT)
    cluster = tuple(key for symbol, key in pointers if symbol in _CLUSTER)
    examples = tuple(example.strip() for example in _EXAMPLE.findall(text))
    gloss = text[: text.find('"')] if '"' in text else text
    return Synset(
        (part, int(fields[0])), int(fields[1]), lemmas, parents, cluster, gloss.strip().rstrip(";: "), examples
    )  # fmt: skip


def _clean(lemma: str) -> str:
    return re.sub(r"\((a|p|ip)\)$", "", lemma).replace("_", " ")  # adjectives carry a syntactic marker


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise WordNetMissing(
            f"{path}: no such file; install Debian's wordnet-base, or pass the folder of WordNet 3.0's files"
        )
    return path.read_text(encoding="utf-8").splitlines()


def _lemma_in(example: str, synset: Synset, forms: Forms) -> str | None:
    """The first of the synset's lemmas that the example contains, in some form."""
    text = example.lower()
    for lemma in synset.lemmas:
        known = forms.get((synset.key[0], lemma.lower()), [])
        if _stem(lemma.lower()) in text or any(form in text for form in known):
            return lemma
    return None


def _stem(lemma: str) -> str:
    """A lemma without the ending that inflection changes, so that `carry` is found in `carries`."""
    return lemma[:-1] if len(lemma) > 3 and lemma[-1] in "ey" else lemma


def _around(keys: list[Key], key: Key, count: int) -> list[Key]:
    """Neighbours in file order: the database sorts each file by offset, so the choice is stable."""
    at = keys.index(key) if len(keys) < 64 else _position(keys, key)
    return keys[at + 1 : at + 1 + count] + keys[max(0, at - count) : at]


def _position(keys: list[Key], key: Key) -> int:
    low, high = 0, len(keys)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if keys[middle] < key else (low, middle)
    return low


def _distinct(
    synsets: Mapping[Key, Synset], positive: str, kinds: tuple[list[Key], ...], count: int
) -> tuple[str, ...]:
    chosen: dict[str, None] = {}
    for kind in kinds:
        for key in kind:
            if len(chosen) == count:
                return tuple(chosen)
            gloss = synsets[key].gloss
            if gloss and gloss != positive:
                chosen[gloss] = None
    return tuple(chosen)
