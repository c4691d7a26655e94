"""Questions whose answers are known before training: is the configured loss the one that was declared?

A wrong contrastive loss runs, falls and warns of nothing. But it can't hide from a handful of tiny batches: equal
embeddings must give log C, perfect ones almost nothing, reordering the batch must change nothing, and in-group
another query's group must not matter. Everything is judged on the CPU in milliseconds, by value and by gradient;
gradients only where a question needs them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from .gradcache import cached_backward
from .modes import Mode
from .objective import Embedded, candidates, contrastive_loss, uniform_loss
from .reference import Joint, reference_loss
from .settings import Distill, LossSettings
from .world import World

# value, gradient of the queries, gradient of the passages
Outcome = tuple[float, Tensor, Tensor]
LossFunction = Callable[[Embedded, World], Tensor]

RELATIVE, ABSOLUTE = 1e-4, 1e-5


class Engine(Protocol):
    """A way to run a loss on a joined batch."""

    def value(self, joint: Joint) -> float: ...

    def outcome(self, joint: Joint) -> Outcome: ...


class WrongLoss(ValueError):
    """The configured loss is not the declared one; the message lists the answers that were wrong."""


@dataclass(frozen=True)
class Verdict:
    """One question, whether its answer was right, and what was wanted and seen."""

    name: str
    ok: bool
    sentence: str


@dataclass(frozen=True)
class Declared:
    """What the loss is meant to be, and the size of the batches that it is asked about: queries a process, group."""

    loss: LossSettings
    scale: float
    normalize: bool = True
    normalizes_inside: bool = False
    batch: int = 3
    group: int = 4
    world_size: int = 1


@dataclass(frozen=True)
class Simulated:
    """One rank of several, in one process: gather finds the joined tensor that a local one was cut from."""

    rank: int
    size: int
    joined: tuple[tuple[Tensor, Tensor], ...]

    def gather(self, local: Tensor) -> Tensor:
        for part, whole in self.joined:
            if part is local:
                return whole
        raise ValueError("gather was called with a tensor that isn't the batch's own queries, passages or ids")


@dataclass(frozen=True)
class _Asked:
    """What is judged, against what, and its answer to one random batch (with copies of a positive, if masked)."""

    engine: Engine
    declared: Declared
    batch: Joint
    answer: Outcome
    generator: torch.Generator


def judge(engine: Engine, declared: Declared) -> list[Verdict]:
    """Ask every question that the declared loss has an answer to."""
    generator = torch.Generator().manual_seed(20240123)
    batch = _random(declared, generator)
    if declared.loss.mask_duplicates:
        batch = _with_copies(batch, declared.group)
    asked = _Asked(engine, declared, batch, engine.outcome(batch), generator)
    checks = (_uniform, _oracle, _order, _other_groups, _definition)
    return [verdict for check in checks for verdict in check(asked)]


def small(loss: LossSettings, scale: float, normalize: bool = True, world_size: int = 1) -> Declared:
    """The smallest batch that tells every wrong loss that we know from the right one."""
    return Declared(loss, scale, normalize, batch=3 if world_size == 1 else 2, world_size=world_size)


def require(verdicts: list[Verdict], what: str) -> None:
    """Raise WrongLoss unless every answer was right."""
    wrong = [v for v in verdicts if not v.ok]
    if wrong:
        lines = "\n".join(f"  {v.name}: {v.sentence}" for v in wrong)
        raise WrongLoss(f"{what} is not the declared loss:\n{lines}")


def configured(loss: LossSettings, scale: float, normalize: bool) -> LossFunction:
    """The trainer's own loss, as something to judge."""
    return lambda batch, world: contrastive_loss(loss, batch, scale, normalize, world)


@dataclass(frozen=True)
class ByAutograd:
    """Run a loss on every simulated rank; the mean of values and gradients is what data-parallel training applies."""

    function: LossFunction
    always: bool = False  # give it inputs that require gradients even where none is asked for

    def value(self, joint: Joint) -> float:
        return _value(self.function, joint, self.always)

    def outcome(self, joint: Joint) -> Outcome:
        queries = joint.queries.float().requires_grad_()
        passages = joint.passages.float().requires_grad_()
        value = _mean(self.function, joint, queries, passages)
        query_grad, passage_grad = torch.autograd.grad(value, (queries, passages), allow_unused=True)
        return value.item(), _or_zero(query_grad, queries), _or_zero(passage_grad, passages)


@dataclass(frozen=True)
class ByCache:
    """Run a loss through gradient caching: the encoder is a table that holds the embeddings."""

    function: LossFunction
    chunk: int = 6

    def value(self, joint: Joint) -> float:
        return _value(self.function, joint)

    def outcome(self, joint: Joint) -> Outcome:
        count = joint.queries.shape[0]
        table = torch.cat([joint.queries, joint.passages]).float().requires_grad_()
        chunks = torch.split(torch.arange(table.shape[0]), self.chunk)
        value = cached_backward(
            lambda rows: table[rows], chunks, lambda both: _mean(self.function, joint, both[:count], both[count:])
        )
        slope = _or_zero(table.grad, table)
        return value.item(), slope[:count], slope[count:]


@dataclass(frozen=True)
class ByProcesses:
    """Run a loss on the real processes: each takes its share, gradients are averaged as data-parallel training does."""

    function: LossFunction
    world: World
    device: torch.device

    def value(self, joint: Joint) -> float:
        share = _cut_share(joint, self.world.rank)
        return self._mean(self.function(self._local(share, *self._embeddings(share)), self.world))

    def outcome(self, joint: Joint) -> Outcome:
        share = _cut_share(joint, self.world.rank)
        queries, passages = (x.requires_grad_() for x in self._embeddings(share))
        value = self.function(self._local(share, queries, passages), self.world)
        grads = torch.autograd.grad(value, (queries, passages), allow_unused=True)
        slopes = [_or_zero(grad, like) / self.world.size for grad, like in zip(grads, (queries, passages))]
        query_grad, passage_grad = (self.world.gather(slope).cpu() for slope in slopes)
        return self._mean(value.detach()), query_grad, passage_grad

    def _embeddings(self, share: Joint) -> tuple[Tensor, Tensor]:
        return share.queries.float().to(self.device), share.passages.float().to(self.device)

    def _local(self, share: Joint, queries: Tensor, passages: Tensor) -> Embedded:
        ids = None if share.ids is None else torch.tensor(share.ids, device=self.device)
        teacher = None if share.teacher is None else share.teacher.float().to(self.device)
        return Embedded(queries, passages, ids, teacher)

    def _mean(self, value: Tensor) -> float:
        return float(self.world.gather(value.reshape(1)).mean())


def _value(function: LossFunction, joint: Joint, gradient: bool = False) -> float:
    queries, passages = (x.float().requires_grad_(gradient) for x in (joint.queries, joint.passages))
    return _mean(function, joint, queries, passages).item()


def _mean(function: LossFunction, joint: Joint, queries: Tensor, passages: Tensor) -> Tensor:
    values = [function(batch, world) for batch, world in _shares(joint, queries, passages)]
    return values[0] if len(values) == 1 else torch.stack(values).mean()


def _cut_share(joint: Joint, rank: int) -> Joint:
    size = joint.world_size
    rows = joint.passages.shape[0] // size
    ids = None if joint.ids is None else joint.ids[rank * rows : (rank + 1) * rows]
    teacher = None if joint.teacher is None else joint.teacher.chunk(size)[rank]
    return Joint(joint.queries.chunk(size)[rank], joint.passages.chunk(size)[rank], ids, teacher)


def _shares(joint: Joint, queries: Tensor, passages: Tensor) -> Iterator[tuple[Embedded, World]]:
    size = joint.world_size
    ids = None if joint.ids is None else torch.tensor(joint.ids)
    for rank in range(size):
        q, p = queries.chunk(size)[rank], passages.chunk(size)[rank]
        own_ids = None if ids is None else ids.chunk(size)[rank]
        teacher = None if joint.teacher is None else joint.teacher.float().chunk(size)[rank]
        joined = [(q, queries), (p, passages)]
        if ids is not None and own_ids is not None:
            joined.append((own_ids, ids))
        yield Embedded(q, p, own_ids, teacher), Simulated(rank, size, tuple(joined))


def _or_zero(gradient: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if gradient is None else gradient


def _uniform(asked: _Asked) -> Iterator[Verdict]:
    declared = asked.declared
    batch, group, size = declared.batch, declared.group, declared.world_size
    count = batch * size
    one = F.normalize(torch.ones(_width(declared), dtype=torch.float64), dim=0)
    teacher = torch.zeros(count, group, dtype=torch.float64)
    joint = _joint(declared, one.repeat(count, 1), one.repeat(count * group, 1), teacher)
    wanted, seen = uniform_loss(declared.loss, batch, group, size), asked.engine.value(joint)
    number = candidates(declared.loss, batch, group, size)
    as_if = (
        "" if declared.loss.symmetric or not 0 < seen < 50 else f", as if there were {math.exp(seen):.4g} candidates"
    )
    yield Verdict(
        "uniform", _near(seen, wanted), f"equal embeddings must give {wanted:.4f} (C = {number}), not {seen:.4f}{as_if}"
    )


def _oracle(asked: _Asked) -> Iterator[Verdict]:
    """Positives equal their queries, everything else is orthogonal to them."""
    declared = asked.declared
    count, group = declared.batch * declared.world_size, declared.group
    width = _width(declared)
    if count + 1 > min(declared.loss.dims, default=width):
        return
    axes = torch.eye(width, dtype=torch.float64)
    queries = axes[:count]
    passages = axes[count].repeat(count * group, 1)
    passages[::group] = queries
    similarity = torch.zeros(count, group, dtype=torch.float64)
    similarity[:, 0] = 1.0
    joint = _joint(declared, queries, passages, _consistent_teacher(declared, similarity))
    number = candidates(declared.loss, declared.batch, group, declared.world_size)
    wanted = math.log1p((number - 1) * math.exp(-declared.scale))
    if declared.loss.symmetric:
        others = count if declared.loss.cross_device else declared.batch
        wanted = (wanted + math.log1p((others - 1) * math.exp(-declared.scale))) / 2
    seen = asked.engine.value(joint)
    yield Verdict("oracle", _near(seen, wanted), f"perfect embeddings must give {wanted:.6f}, not {seen:.6f}")


def _order(asked: _Asked) -> Iterator[Verdict]:
    """Neither the order of the batch nor that of the negatives matters; asked apart only if both at once do."""
    joint, group = asked.batch, asked.declared.group
    count, before = joint.queries.shape[0], asked.answer[0]
    same = torch.arange(count)
    rolled = same.view(joint.world_size, -1).roll(1, dims=1).flatten()
    kept, turned = list(range(group)), [0, *range(group - 1, 0, -1)]
    together = _near(asked.engine.value(_reordered(joint, rolled, turned)), before)
    for name, what, rows, columns in (
        ("batch order", "the batch, groups with their queries,", rolled, kept),
        ("negative order", "the negatives of each group", same, turned),
    ):
        after = before if together else asked.engine.value(_reordered(joint, rows, columns))
        sentence = f"reordering {what} changes the loss from {before:.4f} to {after:.4f}"
        yield Verdict(name, _near(after, before), sentence)


def _reordered(joint: Joint, rows: Tensor, columns: list[int]) -> Joint:
    """Queries with their groups in the order of rows, passages within each group in the order of columns."""
    at = (rows.unsqueeze(1) * len(columns) + torch.tensor(columns)).flatten()
    ids = None if joint.ids is None else [joint.ids[k] for k in at.tolist()]
    teacher = None if joint.teacher is None else joint.teacher[rows][:, columns]
    return Joint(joint.queries[rows], joint.passages[at], ids, teacher, joint.world_size)


def _other_groups(asked: _Asked) -> Iterator[Verdict]:
    """Does the loss let query 0 and the last group of its process meet? Preset must not, in-batch must."""
    joint, declared = asked.batch, asked.declared
    other = _random(declared, asked.generator)
    group, last = declared.group, declared.batch - 1
    queries = joint.queries.clone()
    queries[0] = other.queries[0]
    before = asked.answer[2][last * group : (last + 1) * group]
    after = asked.engine.outcome(dataclasses.replace(joint, queries=queries))[2][last * group : (last + 1) * group]
    met = bool((after - before).abs().max() > 1e-3 * before.abs().max().clamp_min(1e-12))
    if declared.loss.mode is Mode.IN_GROUP:
        yield Verdict("other groups", not met, "a query's embedding changes the gradient of another query's group")
    else:
        yield Verdict("other groups", met, "a query's embedding has no effect on another query's passages")


def _definition(asked: _Asked) -> Iterator[Verdict]:
    without = " without copies of the positive" if asked.declared.loss.mask_duplicates else ""
    yield from _compare(asked.declared, asked.batch, asked.answer, f"the definition{without}")


def _with_copies(joint: Joint, group: int) -> Joint:
    """Another group's negative, and a negative of the own group, repeat query 0's positive."""
    ids = list(range(joint.passages.shape[0]))
    passages = joint.passages.clone()
    for copy in (group - 1, 2 * group - 1):
        ids[copy] = 0
        passages[copy] = passages[0]
    return dataclasses.replace(joint, passages=passages, ids=ids)


def _compare(declared: Declared, joint: Joint, outcome: Outcome, what: str) -> Iterator[Verdict]:
    queries, passages = joint.queries.clone().requires_grad_(), joint.passages.clone().requires_grad_()
    leaf = dataclasses.replace(joint, queries=queries, passages=passages)
    if declared.normalizes_inside:
        leaf = dataclasses.replace(joint, queries=F.normalize(queries, dim=1), passages=F.normalize(passages, dim=1))
    wanted = reference_loss(declared.loss, leaf, declared.scale, declared.normalize)
    wanted_grads = torch.autograd.grad(wanted, (queries, passages))
    seen, *grads = outcome
    yield Verdict(f"value of {what}", _near(seen, wanted.item()), f"must be {wanted.item():.5f}, not {seen:.5f}")
    for side, want, got in zip(("queries", "passages"), wanted_grads, grads):
        error = float((got.double() - want).norm() / want.norm())
        ratio = float(got.norm() / want.norm())
        sentence = f"the {side}' gradient is off by {error:.3g} of its length; it is {ratio:.4g} times as long"
        yield Verdict(f"gradient of {what}", error <= 1e-3, sentence)


def _width(declared: Declared) -> int:
    return max(32, declared.batch * declared.world_size + 1, *declared.loss.dims)


def _random(declared: Declared, generator: torch.Generator) -> Joint:
    """Unit vectors whose scores, after the temperature, differ by about one: no softmax is saturated."""
    count, width = declared.batch * declared.world_size, _width(declared)
    spread = min(1.0, 4.0 / declared.scale)
    centre = torch.randn(width, dtype=torch.float64, generator=generator)

    def near_centre(rows: int) -> Tensor:
        noise = torch.randn(rows, width, dtype=torch.float64, generator=generator)
        return F.normalize(centre + math.sqrt(spread) * noise, dim=1)

    queries, passages = near_centre(count), near_centre(count * declared.group)
    teacher = torch.randn(count, declared.group, dtype=torch.float64, generator=generator)
    return _joint(declared, queries, passages, teacher)


def _consistent_teacher(declared: Declared, similarity: Tensor) -> Tensor:
    if declared.loss.distill is Distill.KL:
        return similarity * declared.scale * declared.loss.teacher_temperature
    return similarity


def _joint(declared: Declared, queries: Tensor, passages: Tensor, teacher: Tensor) -> Joint:
    ids = list(range(passages.shape[0])) if declared.loss.mask_duplicates else None
    wanted = None if declared.loss.distill is Distill.NONE else teacher
    return Joint(queries, passages, ids, wanted, declared.world_size)


def _near(seen: float, wanted: float) -> bool:
    return abs(seen - wanted) <= ABSOLUTE + RELATIVE * abs(wanted)
