"""What is written, and what is customary, against what is proven: severities, sentences, fixes, `--strict`."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from shapecheck.engine import reveal
from shapecheck.findings.diagnostic import Diagnostic
from shapecheck.findings.rule import Severity
from shapecheck.service.check import Options
from shapecheck.service.run import make_check
from shapecheck.source.imports import Project
from shapecheck.source.lower import Unreadable, parse

HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n"


def found(body: str, *, strict: bool = False) -> list[Diagnostic]:
    check = make_check(Options(Path.cwd(), strict=strict))
    result = check("case.py", (HEAD + textwrap.dedent(body)).encode())
    assert not result.problems
    return list(result.diagnostics)


KEEPDIM = '''
def centred(x):
    """
    Args:
        x: features of shape (B, N, D)
    """
    return x - x.mean(dim=1)
'''


def test_what_rests_on_a_docstring_is_a_warning_that_says_so() -> None:
    (only,) = found(KEEPDIM)
    assert only.code == "SC103"
    assert only.severity is Severity.WARNING
    assert only.message.startswith('assuming x is "(B, N, D)", as the docstring says: ')
    assert any("docstring" in note.message for note in only.notes)
    assert only.fix is not None
    assert not only.fix.safe


def test_strict_leaves_out_what_rests_on_an_assumption() -> None:
    assert found(KEEPDIM, strict=True) == []


PROVEN = """
def centred(x):
    b, n, d = x.shape
    return x - x.mean(dim=1)
"""


@pytest.mark.parametrize("strict", [False, True])
def test_what_the_code_itself_tells_stays_an_error(strict: bool) -> None:
    (only,) = found(PROVEN, strict=strict)
    assert (only.code, only.severity) == ("SC103", Severity.ERROR)
    assert "assuming" not in only.message


def test_an_annotation_is_no_assumption() -> None:
    (only,) = found("""
        from jaxtyping import Float
        from torch import Tensor
        def centred(x: Float[Tensor, "B N D"]):
            return x - x.mean(dim=1)
    """)
    assert only.severity is Severity.ERROR


def test_a_custom_is_named() -> None:
    (only,) = found("""
        def grades(encoder, batch, grades):
            hidden = encoder(**batch).last_hidden_state
            return hidden / hidden.norm(dim=1)
    """)
    assert only.severity is Severity.WARNING
    assert only.message.startswith("assuming last_hidden_state has 3 axes")


SILENT = {
    "an index of more axes refutes the docstring": '''
        def pick(scores, user, item):
            """
            Args:
                scores (Tensor): shape (N,)
            """
            scores[user, item] = 1
            return scores / scores.sum(dim=1, keepdim=True)
        ''',
    "t() refutes the docstring": '''
        def same(ids, table):
            """
            Args:
                ids: Tensor (N x 1)
            """
            col = ids.unsqueeze(1)
            hits = (col == col.t()).float().sum(1)
            table = table.view(hits.size(0), 5)
            return table.sum(1) / hits
        ''',
    "an unknown caller's argument is not what the callee's docstring says": '''
        def helper(x):
            """
            Args:
                x: (B, C, H, W)
            """
            return x * 2
        def caller(x):
            y = helper(x)
            return x[:, 0] - x.mean(dim=1), y.flatten(1) - x.flatten(1).mean(dim=0)
        ''',
    "what is written of a result is not known by those who call": '''
        def doubt(logits):
            """
            Returns:
                Tensor: shape (boxes, 1, height, width)
            """
            return -torch.abs(logits)
        def hard(logits, k):
            scores = doubt(logits)
            index = scores[:, 0, :].topk(k, dim=1)[1]
            return index - index.max(dim=1).values.view(-1, 1)
        ''',
    ".T of something with three axes": "def f(x):\n    return x.T[:, :, 0]\n",
    "an output with another rank than encoders give": """
        def f(model, batch):
            return model(**batch).text_embeds.unsqueeze(1)[:, :, :, 0]
        """,
    "two texts contradict each other, and no code tells": '''
        def embed(tokens):
            """
            Args:
                tokens: shape [batch_size, fields]
            """
            return tokens * 2
        def forward(batch, names):
            columns = torch.cat([batch[n] for n in names], dim=1)  # [batch_size, fields, 2]
            return embed(columns)
        ''',
}


@pytest.mark.parametrize("body", SILENT.values(), ids=SILENT.keys())
def test_nothing_is_said(body: str) -> None:
    assert [str(d.sentence) for d in found(body)] == []


def test_reveal_says_what_a_shape_rests_on() -> None:
    program = parse((HEAD + KEEPDIM.replace("return x - x", "y = x")).encode(), "case.py")
    shown = {n: why for row in reveal(program, Project(parse, (Unreadable,))).values() for n, _, why in row}
    assert any('assuming x is "(B, N, D)"' in line for line in shown["y"])


def test_a_comment_that_later_code_refutes_is_out_of_date() -> None:
    (only,) = found("""
        def f(x):
            b, n, d = x.shape
            y = x * 2  # (b, n)
            return y[:, :, 0]
    """)
    assert (only.code, only.severity) == ("SC701", Severity.INFO)
    assert "out of date" in only.message
    assert only.fix is not None
    assert [edit.content for edit in only.fix.edits] == ["(b, n, d)"]


def test_the_comment_above_is_corrected_where_it_stands() -> None:
    (only,) = found("""
        def f(x):
            b, n, d = x.shape
            # y: [b, n]
            y = x.exp()
            return y.permute(2, 1, 0)
    """)
    assert only.fix is not None
    (edit,) = only.fix.edits
    assert (edit.span.start.row, edit.content) == (7, "[b, n, d]")


def test_a_comment_that_the_code_could_live_with_stays_a_warning() -> None:
    (only,) = found("""
        def f(x):
            b, n, d = x.shape
            y = x * 2  # (b, n)
            return y
    """)
    assert (only.code, only.severity, only.fix) == ("SC701", Severity.WARNING, None)
