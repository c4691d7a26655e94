"""`reference-trainer validate`: right losses pass, wrong ones are refused by name, what can't be called is neither."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from reference_trainer.cli import app
from reference_trainer.validation import assert_valid_loss
from reference_trainer.validation.judge import Claims, judge
from reference_trainer.validation.subject import subject_of
from reference_trainer.validation.target import CannotCall, find_target, of_object

from .zoo import (
    fifth_right,
    fifth_wrong,
    fourth_right,
    fourth_wrong,
    right,
    second_right,
    second_wrong,
    third_right,
    third_wrong,
    wrong,
)

ZOO = Path(__file__).parent / "zoo"
SENTENCE = "sentence_transformers.sentence_transformer.losses"
runner = CliRunner()


def judged(loss, init=None, mapping=None, claims=None):
    target = find_target(loss) if isinstance(loss, str) else of_object(loss)
    return judge(subject_of(target, init or {}), mapping or {}, claims or Claims())


@pytest.mark.parametrize(
    ("zoo", "name"),
    [(zoo, name) for zoo in (right, second_right, third_right, fourth_right, fifth_right) for name in zoo.ALL],
)
def test_a_right_loss_passes(zoo, name):
    judgement = judged(getattr(zoo, name))
    assert judgement.right, judgement.verdict


@pytest.mark.parametrize(
    ("zoo", "name"),
    [(zoo, name) for zoo in (wrong, second_wrong, third_wrong, fourth_wrong, fifth_wrong) for name in zoo.EXPECTED],
)
def test_a_wrong_loss_is_refused_and_named(zoo, name):
    judgement = judged(getattr(zoo, name))
    assert not judgement.right, judgement.found.sentence
    assert any(words in judgement.verdict for words in zoo.EXPECTED[name]), judgement.verdict


@pytest.mark.parametrize(("name", "reading"), [
    ("MultipleNegativesRankingLoss", "in-batch:"),
    ("MultipleNegativesSymmetricRankingLoss", "symmetric"),
    ("CachedMultipleNegativesRankingLoss", "in-batch:"),
    ("CosineSimilarityLoss", "MSE of similarities"),
    ("ContrastiveLoss", "contrastive loss of pairs"),
    ("MarginMSELoss", "margin-MSE"),
    ("TripletLoss", "hinge"),
    ("CoSENTLoss", "no definition"),
    ("BatchHardTripletLoss", "no definition"),
    ("GISTEmbedLoss", "no definition"),
    ("MSELoss", "no definition"),
])  # fmt: skip
def test_losses_of_sentence_transformers_pass_as_they_are(name, reading):
    judgement = judged(f"{SENTENCE}:{name}")
    assert judgement.right, judgement.verdict
    assert reading in judgement.found.reading


def test_vectors_that_are_no_rows_of_the_batch_are_not_called_negatives():
    def masked_siamese(anchors, targets, prototypes):
        shares = (targets.detach() @ prototypes.T / 0.1).softmax(-1)
        return -(shares * (anchors @ prototypes.T / 0.1).log_softmax(-1)).sum(-1).mean()

    with pytest.raises(CannotCall, match="prototypes, vectors that are no rows of the batch"):
        judged(masked_siamese)


@pytest.mark.parametrize(("name", "reading"), [
    ("NTXentLoss", "each positive pair"),
    ("SupConLoss", "SupCon"),
    ("TripletMarginLoss", "no definition"),
    ("MultiSimilarityLoss", "no definition"),
    ("ContrastiveLoss", "no definition"),
    ("NPairsLoss", "no definition"),
    ("ArcFaceLoss", "no definition"),
    ("IntraPairVarianceLoss", "no definition"),
])  # fmt: skip
def test_losses_of_pytorch_metric_learning_pass_as_they_are(name, reading):
    judgement = judged(f"pytorch_metric_learning.losses:{name}")
    assert judgement.right, judgement.verdict
    assert reading in judgement.found.reading


@pytest.mark.parametrize(("source", "says"), [
    ("model2 = torch.nn.Embedding(9, 24)", "two encoders embed the same text"),
    ("pass", "no loss and there are no scores"),
])  # fmt: skip
def test_what_stand_ins_cannot_tell_is_not_called_wrong(tmp_path, source, says):
    (tmp_path / "towers.py").write_text(f"""
import torch, torch.nn.functional as F

class Towers(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.one = torch.nn.Embedding(9, 24)
        {source.replace("model2", "self.two")}

    def forward(self, query, passage):
        a = self.one(query["input_ids"]).last_hidden_state[:, 0]
        if not hasattr(self, "two"):
            return None
        b = self.two(query["input_ids"]).last_hidden_state[:, 0]
        return F.cross_entropy(a @ b.T, torch.arange(len(a)))
""")
    with pytest.raises(CannotCall, match=says):
        judged(f"{tmp_path}/towers.py:Towers")


def test_a_regulariser_is_judged_as_one():
    def spread(x):
        x = torch.nn.functional.normalize(x, dim=-1)
        near = (x @ x.T).fill_diagonal_(-1).argmax(1)
        return -(x - x[near]).norm(dim=1).log().mean()

    judgement = judged(spread)
    assert judgement.right, judgement.verdict
    assert "regulariser" in judgement.found.reading


@pytest.mark.skipif(importlib.util.find_spec("open_clip") is None, reason="open_clip is not installed")
@pytest.mark.parametrize("init", [{}, {"local_loss": True}, {"local_loss": True, "gather_with_grad": True}])
def test_open_clip_passes_on_one_and_two_processes(init):
    folder = importlib.util.find_spec("open_clip").submodule_search_locations[0]
    judgement = judged(f"{folder}/loss.py:ClipLoss", init)
    assert judgement.right, judgement.verdict
    assert judgement.found.symmetric
    assert any(check.name.startswith("two processes, candidates of both") for check in judgement.checks)


def test_what_is_found_is_said():
    found = judged(right.in_batch_normalised).found
    assert (found.mode, found.normalises, found.symmetric, found.reduction) == ("in-batch", True, False, "mean")
    assert found.temperature == pytest.approx(0.02, rel=1e-6)
    assert "group after group" in found.layout
    assert judged(right.summed).found.reduction == "sum over the batch"
    assert judged(right.clip_summed_directions).found.reduction == "mean, times 2"


def test_options_only_assert_what_is_found():
    assert judged(right.preset, claims=Claims(mode="in-group", temperature=0.05, normalizes=False)).right
    for claims in (Claims(mode="in-batch"), Claims(temperature=0.1), Claims(normalizes=True), Claims(reduction="sum")):
        judgement = judged(right.preset, claims=claims)
        assert not judgement.right
        assert "was said" in judgement.verdict


def test_preset_is_another_name_of_in_group():
    assert_valid_loss(right.preset, mode="preset")
    with pytest.raises(CannotCall, match="in-batch or in-group"):
        assert_valid_loss(right.preset, mode="other")


def test_two_readings_are_both_said():
    judgement = judged(right.per_query)
    assert judgement.right
    assert "right for pairs (G=1)" in judgement.found.notes[0]


def test_dropout_is_said_and_randomness_is_not_called_wrong():
    assert "drops out at random" in " ".join(judged(right.WithDropout).found.notes)

    def noisy(q, p):
        return torch.nn.functional.cross_entropy((q + torch.randn_like(q)) @ p.T, torch.arange(len(q)))

    with pytest.raises(CannotCall, match="not deterministic"):
        judged(noisy)


FILES = {
    "old.py": """
import torch
import torch.nn.functional as F

class Loss(torch.nn.Module):
    def __init__(self, temperature=0.02):
        super().__init__()
        self.temperature = temperature

    def similarity(self, q, p):
        return torch.matmul(q, p.transpose(-2, -1))

    def forward(self, q, p):
        scores = self.similarity(q, p.view(q.size(0), p.size(0) // q.size(0), -1)) / self.temperature
        return F.cross_entropy(scores.view(q.size(0), -1), torch.zeros(q.size(0), dtype=torch.long))

def raises(q, p):
    return q @ p.missing

def without(name):
    return name

def nothing(q, p):
    return None

class Needs(torch.nn.Module):
    def __init__(self, flavour):
        super().__init__()
""",
    "new.py": """
import torch
import torch.nn.functional as F

class Loss(torch.nn.Module):
    def __init__(self, temperature=0.02):
        super().__init__()
        self.temperature = temperature

    def forward(self, q, p):
        own = p.view(q.size(0), -1, q.size(1))
        scores = torch.einsum("bd,bgd->bg", q, own) / self.temperature
        return F.cross_entropy(scores, torch.zeros(q.size(0), dtype=torch.long))

def odd(hither, yonder):
    return F.cross_entropy(yonder @ hither.T / 0.1, torch.arange(len(yonder)) * (len(hither) // len(yonder)))
""",
    "broken.py": "import torch\nimport not_there_at_all\n",
    "syntax.py": "def loss(q, p:\n",
    "pack/__init__.py": "",
    "pack/tools.py": "SCALE = 20\n",
    "pack/losses.py": "from .tools import SCALE\nimport torch\nimport torch.nn.functional as F\n\n"
    "def loss(q, p):\n    return F.cross_entropy(q @ p.T * SCALE, torch.arange(len(q)))\n",
}


@pytest.fixture
def files(tmp_path, monkeypatch):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("arguments", "code", "said"), [
    (["old.py:Loss"], 1, "behaves exactly like SC101, crossed batch: each query is scored against all groups"),
    (["new.py:Loss"], 0, "in-group: each query is contrasted with its own group alone"),
    (["old.py:Loss", "new.py:Loss"], 0, "SC101"),
    (["new.py:Loss", "old.py:Loss"], 1, "SC101"),
    (["new.py:Loss", "--init", '{"temperature": 0.1}'], 0, "divides by 0.1"),
    (["new.py:Loss", "--mode", "in-batch"], 1, "--mode in-batch was said"),
    (["new.py:odd", "--map", "yonder=queries,hither=passages"], 0, "in-batch"),
    (["pack/losses.py:loss"], 0, "divides by 0.05"),
    (["pack.losses:loss"], 0, "divides by 0.05"),
    (["old.py:raises"], 2, "raises(q=queries, p=passages) was tried, and old.py:18 `return q @ p.missing`"),
    (["old.py:nothing"], 2, "it returned None"),
    (["old.py:Needs"], 2, """Needs needs flavour: give it with --init '{"flavour": ...}'"""),
    (["old.py:missing"], 2, "old.py has no missing; it has Loss, raises"),
    (["old.py"], 2, "expected file.py:name or package.module:name; it has Loss"),
    (["gone.py:Loss"], 2, "gone.py: no such file"),
    (["gone.package:Loss"], 2, "there is no module gone"),
    (["broken.py:loss"], 2, "broken.py:2 `import not_there_at_all`: ModuleNotFoundError"),
    (["syntax.py:loss"], 2, "syntax.py:1: SyntaxError"),
    (["new.py:Loss", "--init", "{"], 2, "--init is no JSON"),
    (["new.py:Loss", "--init", '{"heat": 1}'], 2, "Loss takes no argument heat; it takes temperature"),
    (["new.py:Loss", "--map", "q"], 2, "--map wants argument=role"),
    (["new.py:Loss", "--map", "q=queries,p=nonsense"], 2, "no such role: nonsense"),
    (["new.py:Loss", "--output-format", "xml"], 2, "must be one of text, json, html"),
])  # fmt: skip
def test_command(files, arguments, code, said):
    result = runner.invoke(app, ["validate", *arguments])
    assert said in result.output, result.output
    assert result.exit_code == code, result.output


def test_json_stands_alone_on_stdout(files):
    talks = (files / "new.py").read_text(encoding="utf-8") + '\nprint("loss 9.3")\n'
    (files / "talks.py").write_text(talks, encoding="utf-8")
    result = runner.invoke(app, ["validate", "talks.py:Loss", "--no-growth", "--output-format", "json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["losses"][0]["right"] is True
    assert "loss 9.3" in result.stderr


def test_json_and_html(files):
    result = runner.invoke(
        app, ["validate", "old.py:Loss", "new.py:Loss", "--output-format", "json", "--html", "page.html"]
    )
    assert result.exit_code == 0, result.output
    before, after = json.loads(result.stdout)["losses"]
    assert (before["right"], after["right"]) == (False, True)
    assert before["diagnosis"]["code"] == "SC101"
    assert after["found"]["mode"] == "in-group"
    page = (files / "page.html").read_text(encoding="utf-8")
    for title in ("before", "after", "as it must be"):
        assert f"<text class='t' x='0' y='12'>{title}</text>" in page
    assert "the largest tensor grows as B^2.0 and G^1.0" in page  # the crossed one
    assert "the largest tensor grows as B^1.0 and G^0.9; the mode&#x27;s scores grow as B^1 and G^1" in page
    assert not list(files.glob("*.part"))


def test_assert_valid_loss():
    assert_valid_loss(right.preset, mode="preset", temperature=0.05)
    assert_valid_loss(right.passages_first)
    with pytest.raises(AssertionError, match="behaves exactly like SC301, zero target on all pairs"):
        assert_valid_loss(wrong.zero_target)


DISTRIBUTED = """
import torch
import torch.distributed as dist
import torch.distributed.nn
import torch.nn.functional as F

def gathered(x):
    return torch.cat(torch.distributed.nn.all_gather(x)) if dist.is_initialized() else x

def rank():
    return dist.get_rank() if dist.is_initialized() else 0

def right(q, p):
    stride = p.size(0) // q.size(0)
    return F.cross_entropy(q @ gathered(p).T / 0.1, (torch.arange(len(q)) + rank() * len(q)) * stride)

def without_offset(q, p):
    stride = p.size(0) // q.size(0)
    return F.cross_entropy(q @ gathered(p).T / 0.1, torch.arange(len(q)) * stride)

def joined_then_gathered(q, pos, neg):
    docs = gathered(torch.cat([pos, neg]))
    return F.cross_entropy(q @ docs.T / 0.1, torch.arange(len(q)) + rank() * len(q))

def alone(q, p):
    return F.cross_entropy(q @ p.T / 0.1, torch.arange(len(q)) * (p.size(0) // q.size(0)))
"""


@pytest.mark.parametrize(("name", "passes", "said"), [
    ("right", True, "two processes, candidates of both"),
    ("alone", True, "two processes, each with its own candidates"),
    ("without_offset", False, "the rank offset is forgotten"),
    ("joined_then_gathered", False, "neither that of the joined batch"),
])  # fmt: skip
def test_two_processes(tmp_path, name, passes, said):
    (tmp_path / "spread.py").write_text(DISTRIBUTED, encoding="utf-8")
    judgement = judged(f"{tmp_path}/spread.py:{name}")
    assert judgement.right is passes, judgement.verdict
    assert any(said in check.name or said in check.sentence for check in judgement.checks)
    assert passes or "SC303" in judgement.verdict
