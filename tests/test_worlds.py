"""Ranks by custom: what names tell of arguments of which nothing else is known, and when that is taken back."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from shapecheck.findings.diagnostic import Diagnostic
from shapecheck.findings.rule import Severity
from shapecheck.ops import customs
from shapecheck.service.check import Options
from shapecheck.service.run import make_check

HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n"


def found(body: str, *, strict: bool = False) -> list[Diagnostic]:
    result = make_check(Options(Path.cwd(), strict=strict))("case.py", (HEAD + textwrap.dedent(body)).encode())
    assert not result.problems
    return list(result.diagnostics)


COSINES = """
class Agreement(nn.Module):
    def forward(self, z_a, z_b):
        z_a, z_b = F.normalize(z_a, dim=-1), F.normalize(z_b, dim=-1)
        return 1 - (z_a * z_b).sum(dim=0).mean()
"""

CROSSED = """
def nt_xent(z1, z2, temperature):
    scores = z1 @ z2 / temperature
    return F.cross_entropy(scores, torch.arange(z1.size(0)))
"""

ZEROS = """
def view_loss(z1, z2, temperature):
    scores = z1 @ z2.T / temperature
    return F.cross_entropy(scores, torch.zeros(z1.size(0), dtype=torch.long))
"""

OF_A_MODEL = """
def step(model, x):
    z1, z2 = model(x)
    z1, z2 = F.normalize(z1, dim=0), F.normalize(z2, dim=0)
    return F.cross_entropy(z1 @ z2.T, torch.arange(z1.size(0)))
"""


@pytest.mark.parametrize(
    ("body", "codes"),
    [(COSINES, ["SC402"]), (CROSSED, ["SC107"]), (ZEROS, ["SC301"]), (OF_A_MODEL, ["SC402", "SC402"])],
)
def test_a_bug_that_names_show_is_a_warning_that_says_what_it_assumes(body: str, codes: list[str]) -> None:
    told = found(body)
    assert [d.code for d in told] == codes
    assert all(d.severity is Severity.WARNING and d.message.startswith("assuming ") for d in told)
    assert found(body, strict=True) == []


@pytest.mark.parametrize(
    "body",
    [
        COSINES.replace("dim=0", "dim=-1"),
        CROSSED.replace("@ z2", "@ z2.t()"),
        ZEROS.replace("zeros(z1.size(0), dtype=torch.long)", "arange(z1.size(0))"),
        OF_A_MODEL.replace("dim=0", "dim=1"),
        # three axes are read: the name is no evidence
        "def token_loss(features):\n    return F.normalize(features, dim=0)[:, :, 0].sum()\n",
        # a list of embeddings, not one tensor
        "def loss(embeddings):\n    return sum(F.normalize(e, dim=0).sum() for e in embeddings)\n",
        "def loss(features: list[torch.Tensor]):\n    return F.normalize(features[0], dim=0).sum()\n",
        # cut into groups by the view: it has more columns than features
        "def loss(q, p):\n    b, d = q.shape\n    p = p.view(b, p.shape[1], d)\n    return (p @ q.unsqueeze(-1)).sum()\n",
        # another process's rows may be among the keys
        """
def loss(q, k):
    scores = F.normalize(q, dim=1) @ F.normalize(k, dim=1).T
    return F.cross_entropy(scores, torch.arange(len(scores)) + len(scores) * torch.distributed.get_rank())
""",
        "def loss(z1, z2):\n    z2 = gather_rows(z2)\n    return F.cross_entropy(z1 @ z2, torch.arange(len(z1)))\n",
        # what is written beats what is customary
        "def loss(self, batch):\n    features = self.net(batch)\n    pooled = features.mean(1)  # [B, 1, D]\n    return pooled\n",
        'def loss(z):\n    """z: (V, B, D)"""\n    return (z @ z.transpose(1, 2)).softmax(-1)\n',
        # attention: keys need not be as many as queries
        "def attention(query, key):\n    return (query @ key.transpose(-1, -2)).softmax(-1)\n",
    ],
)
def test_right_code_stays_silent(body: str) -> None:
    assert found(body) == []


def test_what_needs_no_custom_is_said_without_one() -> None:
    body = """
def loss(z):
    scores = z @ z.T
    return F.cross_entropy(scores, torch.zeros(scores.size(0), 1))
"""
    assert all("features" not in d.message for d in found(body))


@pytest.mark.parametrize(
    ("name", "about", "letters"),
    [
        ("z_i", "loss", ("B", "D")),
        ("image_features", "", ("B", "D")),
        ("token_embeddings", "loss", None),
        ("inputs_embeds", "", None),
        ("idx_k", "loss", None),
        ("feat_q", "loss", ("B", "D")),
        ("labels", "loss", ("B",)),
        ("labels", "", None),
        ("temperature", "", ()),
        ("q", "attention", None),
        ("x", "loss", None),
        ("x0", "loss", ("B", "D")),
    ],
)
def test_what_a_name_tells(name: str, about: str, letters: tuple[str, ...] | None) -> None:
    assert customs.rank(name, about) == letters


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("z1", "z2", True),
        ("z_i", "z_j", True),
        ("image_features", "text_features", True),
        ("anchor", "positive", True),
        ("q_reps", "p_reps", False),
        ("query", "negative_keys", False),
        ("features", "queue", False),
    ],
)
def test_whose_shapes_are_one(one: str, other: str, alike: bool) -> None:
    assert customs.are_alike(one, other) is alike


OPTIONAL = '''
class Supervised(nn.Module):
    def forward(self, features, labels=None, mask=None):
        """
        Args:
            features: hidden vectors of shape [bsz, n_views, dim].
            labels: ground truth of shape [bsz].
            mask: contrastive mask of shape [bsz, bsz].
        """
        bsz = features.shape[0]
        if labels is not None and mask is not None:
            raise ValueError("both")
        elif labels is None and mask is None:
            mask = torch.eye(bsz)
        elif labels is not None:
            labels = labels.contiguous().view(-1, 1)
            mask = torch.eq(labels, labels.T).float()
        rows = torch.cat(torch.unbind(features, dim=1), dim=0)
        logits = rows @ rows.T
        best = logits.max(dim=1, keepdim=True).values
        return (logits - best).sum()
'''


def test_what_is_written_of_an_optional_argument_does_not_say_that_it_is_given() -> None:
    assert found(OPTIONAL) == []
    assert [d.code for d in found(OPTIONAL.replace(", keepdim=True", ""))] == ["SC103"]
