"""Losses that are no table of softmaxes: regression on labels, and learning from a teacher's scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .case import Case, Kind
from .cells import Table
from .matching import NamedHead
from .mistakes.crossed import CROSSED_OWN
from .mistakes.order import ORDER
from .similarity import Similarity
from .structures import Structure
from .subject import Outcome

Formula = Callable[[Case, Tensor, Tensor], Tensor]  # batch, similarity [N, N], parameters [K] -> values [K]


@dataclass(frozen=True)
class FormulaCandidate:
    """A loss as a formula, with the same face as a table under a head."""

    structure: Structure
    head: NamedHead
    similarity: Similarity
    formula: Formula

    def values(self, case: Case, parameters: Tensor, similarity: Tensor | None = None) -> Tensor:
        seen = self.similarity(case) if similarity is None else similarity
        return self.formula(case, seen, parameters)

    def outcome(self, case: Case, parameter: float) -> Outcome:
        rows = case.rows.detach().clone().requires_grad_()
        value = self.values(case.with_rows(rows), torch.tensor([parameter], dtype=torch.float64))[0]
        (gradient,) = torch.autograd.grad(value, rows, allow_unused=True) if value.requires_grad else (None,)
        return Outcome(value.item(), torch.zeros_like(rows) if gradient is None else gradient)


def own(case: Case, seen: Tensor) -> Tensor:
    """Similarities of the own groups, [B, G]."""
    b, g = case.batch, case.group
    return seen[torch.arange(b)[:, None], b + torch.arange(b)[:, None] * g + torch.arange(g)]


def _student(case: Case, seen: Tensor, scale: Tensor) -> Tensor:
    return (own(case, seen) * scale.view(-1, 1, 1)).log_softmax(-1)


def kl(case: Case, seen: Tensor, scale: Tensor) -> Tensor:
    wanted = case.teacher.log_softmax(-1)
    return (wanted.exp() * (wanted - _student(case, seen, scale))).sum(-1).mean(-1)


def cross_entropy(case: Case, seen: Tensor, scale: Tensor) -> Tensor:
    return -(case.teacher.softmax(-1) * _student(case, seen, scale)).sum(-1).mean(-1)


def kl_same_scale(case: Case, seen: Tensor, scale: Tensor) -> Tensor:
    """Both sides are scaled."""
    wanted = (case.teacher * scale.view(-1, 1, 1)).log_softmax(-1)
    return (wanted.exp() * (wanted - _student(case, seen, scale))).sum(-1).mean(-1)


def kl_turned(case: Case, seen: Tensor, scale: Tensor) -> Tensor:
    wanted, student = case.teacher.log_softmax(-1), _student(case, seen, scale)
    return (student.exp() * (student - wanted)).sum(-1).mean(-1)


def kl_over_batch(case: Case, seen: Tensor, scale: Tensor) -> Tensor:
    wanted = case.teacher.log_softmax(0)
    student = (own(case, seen) * scale.view(-1, 1, 1)).log_softmax(1)
    return (wanted.exp() * (wanted - student)).sum((1, 2)) / case.batch


def kl_teacher_over_batch(case: Case, seen: Tensor, scale: Tensor) -> Tensor:
    wanted = case.teacher.log_softmax(0)
    return (wanted.exp() * (wanted - _student(case, seen, scale))).sum((1, 2)) / case.batch


def kl_student_over_batch(case: Case, seen: Tensor, scale: Tensor) -> Tensor:
    wanted = case.teacher.log_softmax(-1)
    student = (own(case, seen) * scale.view(-1, 1, 1)).log_softmax(1)
    return (wanted.exp() * (wanted - student)).sum((1, 2)) / case.batch


def kl_of_logits(case: Case, seen: Tensor, scale: Tensor) -> Tensor:
    """kl_div was given scores where it wants log-probabilities."""
    wanted = case.teacher.log_softmax(-1)
    return (wanted.exp() * (wanted - own(case, seen) * scale.view(-1, 1, 1))).sum(-1).mean(-1)


def kl_of_probabilities(case: Case, seen: Tensor, scale: Tensor) -> Tensor:
    """kl_div was given the student's probabilities where it wants their logarithm."""
    wanted = case.teacher.log_softmax(-1)
    return (wanted.exp() * (wanted - _student(case, seen, scale).exp())).sum(-1).mean(-1)


def through(build: Callable[[Case], Table], formula: Formula) -> Formula:
    """The formula, where the student's scores of the own group are those of another table `[B, G]`."""

    def made(case: Case, seen: Tensor, parameters: Tensor) -> Tensor:
        other = build(case)
        b = case.batch
        rows = torch.arange(b)[:, None]
        places = b + rows * case.group + torch.arange(case.group)
        moved = seen.index_put((rows.expand_as(places), places), seen[other.left, other.right])
        return formula(case, moved, parameters)

    return made


def _margins(case: Case, seen: Tensor) -> tuple[Tensor, Tensor]:
    mine = own(case, seen)
    return mine[:, :1] - mine[:, 1:], case.teacher[:, :1] - case.teacher[:, 1:]


def margin_mse(case: Case, seen: Tensor, unused: Tensor) -> Tensor:
    student, wanted = _margins(case, seen)
    return ((student - wanted) ** 2).mean().expand(len(unused))


def margin_mse_crossed(case: Case, seen: Tensor, unused: Tensor) -> Tensor:
    """[B] against [B, 1]: every margin against every query's."""
    student, wanted = _margins(case, seen)
    return ((student[:, 0] - wanted[:, :1]) ** 2).mean().expand(len(unused))


def score_mse(case: Case, seen: Tensor, unused: Tensor) -> Tensor:
    return ((own(case, seen) - case.teacher) ** 2).mean().expand(len(unused))


def _graded(case: Case, seen: Tensor) -> Tensor:
    b = case.batch
    return seen[torch.arange(b), b + torch.arange(b)]


def grade_mse(case: Case, seen: Tensor, unused: Tensor) -> Tensor:
    return ((_graded(case, seen) - case.grades) ** 2).mean().expand(len(unused))


def grade_mse_crossed(case: Case, seen: Tensor, unused: Tensor) -> Tensor:
    """[B] against [B, 1]: every similarity against every label."""
    return ((_graded(case, seen)[:, None] - case.grades) ** 2).mean().expand(len(unused))


def contrastive(case: Case, seen: Tensor, margin: Tensor) -> Tensor:
    """Hadsell 2006, on distances 1 - similarity."""
    far = (1 - _graded(case, seen)).expand(len(margin), -1)
    return 0.5 * (case.grades * far**2 + (1 - case.grades) * (margin[:, None] - far).clamp_min(0) ** 2).mean(1)


def contrastive_turned(case: Case, seen: Tensor, margin: Tensor) -> Tensor:
    far = (1 - _graded(case, seen)).expand(len(margin), -1)
    return 0.5 * ((1 - case.grades) * far**2 + case.grades * (margin[:, None] - far).clamp_min(0) ** 2).mean(1)


def cosine_embedding(case: Case, seen: Tensor, margin: Tensor) -> Tensor:
    """torch's CosineEmbeddingLoss: 1 - similarity of label 1, relu(similarity - margin) of the others."""
    near = _graded(case, seen).expand(len(margin), -1)
    return (case.grades * (1 - near) + (1 - case.grades) * (near - margin[:, None]).clamp_min(0)).mean(1)


def grade_bce(case: Case, seen: Tensor, scale: Tensor) -> Tensor:
    logits = _graded(case, seen) * scale.view(-1, 1)
    return F.binary_cross_entropy_with_logits(logits, case.grades.expand_as(logits), reduction="none").mean(1)


def no_head(seen: Tensor, made: Table, parameters: Tensor) -> Tensor:
    """A formula has no table."""
    raise NotImplementedError


GROUPS, GRADED = (Kind.GROUPS,), (Kind.GRADED,)
_COLUMN = "give both sides one shape, `[B]`: `.squeeze(-1)` the column or `.unsqueeze(-1)` the other"


def _right(
    name: str, says: str, formula: Formula, kinds: tuple[Kind, ...], grid: str = "scale"
) -> tuple[Structure, NamedHead, Formula]:
    return (
        Structure(name, says, (), kinds=kinds, mode="in-group" if kinds == GROUPS else ""),
        NamedHead(name, no_head, grid),
        formula,
    )


def _wrong(
    name: str, says: str, formula: Formula, kinds: tuple[Kind, ...], code: str, fix: str, grid: str = "scale"
) -> tuple[Structure, NamedHead, Formula]:
    return Structure(name, says, (), kinds=kinds, code=code, fix=fix), NamedHead(name, no_head, grid), formula


RIGHT = (
    _right("KL to the teacher", "the student's shares of the own group follow the teacher's", kl, GROUPS),
    _right(
        "cross-entropy to the teacher",
        "the student's shares of the own group follow the teacher's",
        cross_entropy,
        GROUPS,
    ),
    _right(
        "KL to the teacher, both scaled",
        "the student's shares of the own group follow the teacher's",
        kl_same_scale,
        GROUPS,
    ),
    _right("margin-MSE", "the student's margins follow the teacher's", margin_mse, GROUPS, "none"),
    _right("MSE of scores", "the student's scores follow the teacher's", score_mse, GROUPS, "none"),
    _right("MSE of similarities", "similarities follow the labels", grade_mse, GRADED, "none"),
    _right(
        "contrastive loss of pairs",
        "pairs of label 1 are pulled, others pushed beyond a margin",
        contrastive,
        GRADED,
        "margin",
    ),
    _right(
        "cosine embedding loss",
        "pairs of label 1 are pulled, others pushed under a margin",
        cosine_embedding,
        GRADED,
        "margin",
    ),
    _right("logistic regression of pairs", "similarities are logits of the labels", grade_bce, GRADED),
)
WRONG = (
    _wrong(
        "column against row",
        "student margins [B] meet teacher margins [B, 1]: every margin is compared with every query's",
        margin_mse_crossed,
        GROUPS,
        "SC102",
        _COLUMN,
        "none",
    ),
    _wrong(
        "column against row ",
        "similarities [B] meet labels [B, 1]: every similarity is compared with every label",
        grade_mse_crossed,
        GRADED,
        "SC102",
        _COLUMN,
        "none",
    ),
    _wrong(
        "teacher over the batch",
        "the teacher's softmax runs over the batch",
        kl_teacher_over_batch,
        GROUPS,
        "SC402",
        "`dim=-1`: the axis of the group",
    ),
    _wrong(
        "student over the batch",
        "the student's softmax runs over the batch",
        kl_student_over_batch,
        GROUPS,
        "SC402",
        "`dim=-1`: the axis of the group",
    ),
    _wrong(
        "both over the batch",
        "both softmaxes run over the batch",
        kl_over_batch,
        GROUPS,
        "SC402",
        "`dim=-1`: the axis of the group",
    ),
    _wrong(
        "KL the other way round",
        "student and teacher are exchanged in the KL divergence",
        kl_turned,
        GROUPS,
        "",
        "`F.kl_div(student.log_softmax(-1), teacher.softmax(-1))`",
    ),
    _wrong(
        "KL of scores",
        "kl_div is given scores where it wants log-probabilities",
        kl_of_logits,
        GROUPS,
        "",
        "`F.kl_div(student.log_softmax(-1), teacher.softmax(-1))`",
    ),
    _wrong(
        "KL of probabilities",
        "kl_div is given the student's probabilities where it wants their logarithm: the log was left out",
        kl_of_probabilities,
        GROUPS,
        "",
        "`F.kl_div(student.log_softmax(-1), teacher.softmax(-1))`",
    ),
    *(
        _wrong(
            f"{structure.name}, beside the teacher",
            structure.says,
            through(structure.parts[0], formula),
            GROUPS,
            structure.code,
            structure.fix,
            grid,
        )
        for structure in (*CROSSED_OWN, *ORDER)
        for formula, grid in ((kl, "scale"), (cross_entropy, "scale"), (margin_mse, "none"), (score_mse, "none"))
    ),
    _wrong(
        "labels turned",
        "pairs of label 0 are pulled and pairs of label 1 pushed",
        contrastive_turned,
        GRADED,
        "",
        "`labels * d**2 + (1 - labels) * relu(margin - d)**2`",
        "margin",
    ),
)
