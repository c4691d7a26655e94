"""Bugs that the linter found in public code, each shown by a small run of torch.

    python benchmarks/found.py [--page]

Each case retells in a few lines what the code at that place computes, and asserts that it is not what is meant. Prints
one line for each. `--page` prints docs/found.md.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class Case:
    """`shown` raises AssertionError where torch does not do what `wrong` says."""

    repository: str
    commit: str
    path: str
    line: int
    code: str
    wrong: str
    shown: Callable[[], None]

    @property
    def link(self) -> str:
        return f"https://github.com/{self.repository}/blob/{self.commit}/{self.path}#L{self.line}"


FOUND: list[Case] = []


def found(
    repository: str, commit: str, path: str, line: int, code: str, wrong: str
) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def keep(shown: Callable[[], None]) -> Callable[[], None]:
        FOUND.append(Case(repository, commit, path, line, code, wrong, shown))
        return shown

    return keep


def raises(run: Callable[[], object]) -> bool:
    with contextlib.suppress(RuntimeError, IndexError):
        run()
        return False
    return True


SPEECHBRAIN = ("speechbrain/speechbrain", "9c826ef3937bac885c8a6ca86c6889a30f256fb5")
CONTRASTIVESEG = ("tfzhou/ContrastiveSeg", "287e5d3069ce6d7a1517ddf98e004c00f23f8f99")
PYG = ("pyg-team/pytorch_geometric", "5c6461b2305ad068a6d61165b3c55852a11aaa41")
TORCHTUNE = ("pytorch/torchtune", "bd2a0fc7c31430972728494fa01aaeeb0ebf1ba1")
TORCHREC = ("pytorch/torchrec", "a48cef79ebc333da92af1311c04b041ee21a8e75")
LAVIS = ("salesforce/LAVIS", "506965b9c4a18c1e565bd32acaccabe0198433f7")
SBERT = ("UKPLab/sentence-transformers", "85ec64559f4414aa536eca4bf53538291e0a333f")
KORNIA = ("kornia/kornia", "b4f5a78a13891c7ac4c1cd9695941380273e981d")


@found(
    *SBERT, "sentence_transformers/losses/GISTEmbedLoss.py", 209, "SC501",
    "with gathering, the diagonal of the rows of one process against the columns of all marks other rows' columns on "
    "every process but the first",
)  # fmt: skip
def own_columns() -> None:
    rows, world, rank = 3, 2, 1
    marked = torch.eye(rows, rows * world).argmax(dim=1)  # [N]
    own = torch.arange(rows) + rank * rows  # [N]
    assert not torch.equal(marked, own)


@found(
    *SBERT, "sentence_transformers/losses/CachedGISTEmbedLoss.py", 352, "SC501",
    "the same mask in the cached loss",
)  # fmt: skip
def own_columns_cached() -> None:
    own_columns()


@found(
    "texttron/tevatron", "dd063104c81a76d6a77c845f667b46b9e5abd625", "src/tevatron/reranker/modeling.py", 61, "SC602",
    "the logits are cut by the configured batch size: a shorter last batch raises, or mixes the candidates of queries",
)  # fmt: skip
def configured_rows() -> None:
    queries, candidates, configured = 6, 2, 4
    logits = torch.arange(queries * candidates)  # [B*G]
    cut = logits.view(configured, -1)  # [4, 3]
    assert {int(i) // candidates for i in cut[0]} == {0, 1}, "one row holds candidates of two queries"
    assert raises(lambda: torch.arange(3 * candidates).view(configured, -1))


@found(
    *LAVIS, "lavis/models/blip2_models/blip2_qformer.py", 137, "SC601",
    "a batch of one on one process loses its axis, and the maximum runs over the texts",
)  # fmt: skip
def batch_of_one() -> None:
    images, texts = torch.randn(1, 32, 8), torch.randn(1, 8)  # [B, Q, D], [B, D]
    scores = (images.unsqueeze(1) @ texts.unsqueeze(-1)).squeeze()
    assert scores.shape == (32,), "[B, B, Q] is meant"


@found(
    *LAVIS, "lavis/common/annotator/uniformer/mmseg/models/losses/lovasz_loss.py", 54, "SC601",
    "one valid pixel: its index has no axis, and [C] comes out for [1, C]",
)  # fmt: skip
def one_pixel() -> None:
    valid = torch.tensor([False, True, False, False, False])
    chosen = torch.randn(5, 3)[valid.nonzero().squeeze()]  # shapecheck: ignore[SC601]
    assert chosen.shape == (3,)


@found(
    "RUCAIBox/RecBole", "7b02be5ec80a88310f2d04a27a82adfcbb5dc211",
    "recbole/model/sequential_recommender/fpmc.py", 99, "SC601",
    "one row gives a score without axes, and `cat` of those raises",
)  # fmt: skip
def one_row() -> None:
    score = torch.squeeze(torch.randn(1, 1))
    assert raises(lambda: torch.cat([score, score]))


@found(
    "facebookresearch/dinov2", "b8931f7bf91576930313be2c6d6af376033b35f0",
    "dinov2/eval/segmentation_m2f/models/losses/cross_entropy_loss.py", 123, "SC601",
    "the prediction of one image loses its batch axis too, and no longer fits its label",
)  # fmt: skip
def one_image() -> None:
    assert torch.randn(1, 1, 4, 4).squeeze().dim() != torch.zeros(1, 4, 4).dim()


@found(
    *TORCHTUNE, "torchtune/dev/grpo/loss.py", 151, "SC701",
    "a masked sum without a dim adds up the whole batch: the ratio of sequences is one number for all of them",
)  # fmt: skip
def summed_whole() -> None:
    logprobs, mask = torch.randn(4, 7), torch.ones(4, 7)  # [B*G, L]
    assert (logprobs * mask).sum(dim=None).shape == (), "[B*G] is meant"


@found(
    *TORCHTUNE, "tests/torchtune/models/llama2/scripts/compare_dora.py", 120, "SC902",
    "the output has an axis of positions that the target lacks: torch raises",
)  # fmt: skip
def target_without_positions() -> None:
    assert raises(lambda: F.mse_loss(torch.randn(2, 32, 128), torch.randn(2, 128)))


@found(
    *TORCHTUNE, "torchtune/data/_collate.py", 550, "SC201",
    "masks [B, images, T, S] are viewed as [B, T, images*S]: with two images a row of the text gets rows of one image "
    "(told at the callers, recipes/dev/generate_v2.py:171)",
)  # fmt: skip
def masks_of_images() -> None:
    masks = torch.arange(24).view(1, 2, 3, 4)  # [B, images, T, S]
    assert not torch.equal(masks.view(1, 3, -1), masks.transpose(1, 2).reshape(1, 3, -1))


@found(
    *TORCHREC, "torchrec/distributed/grouped_position_weighted.py", 61, "SC907",
    "the dummy weights are one number, not as many as the longest list: a slice of them raises",
)  # fmt: skip
def one_dummy() -> None:
    dummy = torch.tensor(5.0).fill_(1.0)
    assert raises(lambda: dummy[:3])


@found(
    *TORCHREC, "torchrec/metrics/recall_session.py", 56, "SC203",
    "rows of tasks are viewed as rows of examples: with two tasks an example meets those of another session",
)  # fmt: skip
def sessions_of_tasks() -> None:
    session = torch.tensor([[0, 0, 1], [5, 5, 6]])  # [n_task, n]
    assert not torch.equal(session.view(-1, 2), session.t())


@found(
    *PYG, "torch_geometric/nn/dense/dmon_pool.py", 150, "SC102",
    "[B] divided by [B, 1] is [B, B]: the mean mixes each graph's cluster size with every other graph's node count",
)  # fmt: skip
def every_graph() -> None:
    norms, counts = torch.tensor([2.0, 8.0]), torch.tensor([[2.0], [8.0]])  # [B], [B, 1]
    assert (norms / counts).shape == (2, 2)
    assert not torch.isclose((norms / counts).mean(), (norms / counts.squeeze(1)).mean())


@found(
    *PYG, "torch_geometric/contrib/explain/pgm_explainer.py", 297, "SC904",
    "the neighbours have one axis: joining them along dim 1 raises",
)  # fmt: skip
def no_such_axis() -> None:
    assert raises(lambda: torch.cat([torch.arange(3), torch.arange(1)], dim=1))


def _cut_without_moving(x: torch.Tensor, order: tuple[int, ...], sizes: tuple[int, ...]) -> bool:
    """Is the view of these sizes another tensor than the one whose axes are moved first?"""
    return not torch.equal(x.reshape(sizes), x.permute(order).reshape(sizes))


@found(
    *SPEECHBRAIN, "speechbrain/nnet/RNN.py", 1194, "SC201",
    "the last states [B, layers, 2*H] are viewed as [2*layers, B, H]: the states of one example go to others "
    "(the same at line 1616, in quaternion_networks/q_RNN.py and in complex_networks/c_RNN.py)",
)  # fmt: skip
def states_of_others() -> None:
    states = torch.arange(3).view(3, 1, 1).expand(3, 2, 8)  # [B, layers, 2*H]: all of one example alike
    cut = states.reshape(4, 3, 4)  # [2*layers, B, H]
    assert len(cut[:, 0].unique()) > 1, "example 0 holds states of other examples"


@found(
    *SPEECHBRAIN, "speechbrain/augment/time_domain.py", 706, "SC201",
    "[B, T, C] is viewed as [B*C, T, 1]: with two channels each new signal takes turns between them",
)  # fmt: skip
def channels_in_turn() -> None:
    assert _cut_without_moving(torch.arange(24).view(2, 6, 2), (0, 2, 1), (4, 6, 1))


@found(
    *SPEECHBRAIN, "speechbrain/processing/features.py", 824, "SC201",
    "[B, T, F, C] is viewed as [B*C, T, F]: the cosine transform runs over features of several channels and times",
)  # fmt: skip
def features_of_channels() -> None:
    assert _cut_without_moving(torch.arange(48).view(2, 3, 4, 2), (0, 3, 1, 2), (4, 3, 4))


@found(
    *SPEECHBRAIN, "speechbrain/processing/features.py", 887, "SC201",
    "the same for the deltas, [B, F, C, T] as [B*C, F, T] (and at 976 for the context)",
)  # fmt: skip
def deltas_of_channels() -> None:
    assert _cut_without_moving(torch.arange(48).view(2, 4, 2, 3), (0, 2, 1, 3), (4, 4, 3))


@found(
    *SPEECHBRAIN, "speechbrain/nnet/normalization.py", 94, "SC201",
    "[B, T, C1, C2] is viewed as [B*T, C2, C1] without a transposition: each statistic runs over several channels",
)  # fmt: skip
def statistics_of_channels() -> None:
    assert _cut_without_moving(torch.arange(36).view(2, 3, 2, 3), (0, 1, 3, 2), (6, 3, 2))


@found(
    *SPEECHBRAIN, "speechbrain/processing/NMF.py", 72, "SC201",
    "spectra [B, T, F] are turned round, then cut into rows of F: a row holds times, not frequencies",
)  # fmt: skip
def frames_of_times() -> None:
    spectra = torch.arange(24).view(2, 3, 4)  # [B, T, F]
    assert not torch.equal(spectra.permute(0, 2, 1).reshape(-1, 4), spectra.reshape(-1, 4))


@found(
    *CONTRASTIVESEG, "lib/models/modules/vit_trans_layer.py", 112, "SC201",
    "the queries [B, n, C] are viewed as [B, heads, n, C/heads]: a head gets parts of several classes",
)  # fmt: skip
def heads_of_classes() -> None:
    queries = torch.arange(24).view(1, 4, 6)  # [B, n, C]
    assert not torch.equal(queries.reshape(1, 2, 4, 3), queries.reshape(1, 4, 2, 3).transpose(1, 2))


@found(
    *CONTRASTIVESEG, "lib/loss/loss_contrast_mem.py", 134, "SC501",
    "row i and column i of anchors against a memory are not one pixel: other pairs than a row with itself are left out",
)  # fmt: skip
def diagonal_of_a_memory() -> None:
    anchors, memory = torch.randn(4, 8), torch.randn(10, 8)
    mask = torch.ones(4, 10).scatter_(1, torch.arange(4).view(-1, 1), 0)
    assert mask[0, 0] == 0
    assert not torch.equal(anchors[0], memory[0])


@found(
    *CONTRASTIVESEG, "lib/loss/aaf/losses.py", 73, "SC907",
    "what `nonzero` gives has two axes, the loss that it picks from has one: `gather` raises",
)  # fmt: skip
def index_of_two_axes() -> None:
    assert raises(lambda: torch.gather(torch.randn(6), 0, torch.ones(6).nonzero()))


@found(
    "modelscope/ms-swift", "3602360a562313afbf2ef6065fdf61f271a2c5b9", "swift/tuners/longlora/llama.py", 174, "SC201",
    "out of training the heads are turned to the front once more: [B, heads, T, d] is viewed as [B, T, heads*d], which "
    "mixes positions",
)  # fmt: skip
def heads_in_evaluation() -> None:
    out = torch.arange(24).view(1, 2, 4, 3)  # [B, heads, T, d]
    out = out.transpose(1, 2)  # what the helper gives where it has nothing to shift back
    assert not torch.equal(out.transpose(1, 2).reshape(1, 4, -1), out.reshape(1, 4, -1))


@found(
    *KORNIA, "kornia/geometry/boxes.py", 227, "SC903",
    "a tensor without axes has one element, which no view makes boxes of four",
)  # fmt: skip
def one_element() -> None:
    assert raises(lambda: torch.tensor(1.0).reshape((-1, 4)))


def page() -> str:
    lines = [
        "# Found in public code",
        "",
        "What `shapecheck lint` reported in public repositories, and what was then read and found true. Each line is",
        "shown by a small run of torch in [benchmarks/found.py](../benchmarks/found.py), which retells the place in",
        "our own words. The commits are those that were read; a later one may be mended.",
        "",
        "| place | finding | what is wrong |",
        "|---|---|---|",
    ]
    for case in FOUND:
        name = case.repository.split("/")[1]
        lines.append(f"| [{name} {case.path}:{case.line}]({case.link}) | {case.code} | {case.wrong} |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", action="store_true")
    if parser.parse_args().page:
        print(page(), end="")
        return
    for case in FOUND:
        case.shown()
        print(f"{case.repository} {case.path}:{case.line} {case.code} shown")
    print(f"{len(FOUND)} shown")


if __name__ == "__main__":
    main()
