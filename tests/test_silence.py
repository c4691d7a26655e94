"""Right code of kinds that were blamed once: nothing may be said of any of it, at any severity."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from shapecheck.service.check import Options
from shapecheck.service.run import make_check

HEAD = """\
import numpy as np
import torch
import torch.distributed as dist
import torch.nn as nn
import torch.nn.functional as F
from einops import rearrange, reduce, repeat
from scipy.spatial.distance import cdist
"""

RIGHT = {
    "an autograd function under other names": """
        class AllGather(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                out = [torch.zeros_like(x) for _ in range(dist.get_world_size())]
                dist.all_gather(out, x)
                return torch.cat(out)

            @staticmethod
            def backward(ctx, g):
                return g[: g.size(0) // dist.get_world_size()]

        class Loss(nn.Module):
            def __init__(self):
                super().__init__()
                self.gather = AllGather.apply

            def forward(self, a, b):
                gather = AllGather.apply
                a, b = self.gather(a), gather(b)
                s = a @ b.t()
                return F.cross_entropy(s, torch.arange(s.size(0)))
        """,
    "`(...)` is one axis": """
        def dots(x, n):
            flat = rearrange(x, "... d -> (...) d")
            u = repeat(x, "b ... -> b n (...)", n=n)
            return u[:, :, 0], flat[:, None] - flat[None]
        """,
    "a list of tensors of several sizes": """
        def chain(x, ws):
            for w in ws:
                x = x @ w
            return x

        y = chain(torch.randn(2, 8), [torch.randn(8, 4), torch.randn(4, 2)])
        assert y.shape == (2, 2)
        """,
    "entries of a dict by number": """
        def walk(x, maps):
            for step in (1, 2):
                x = maps[step] @ x
            return x

        out = walk(torch.randn(1, 64, 256), {1: torch.randn(1, 32, 64), 2: torch.randn(1, 16, 32)})
        assert out.shape == (1, 16, 256)
        """,
    "starred arguments of several ranks": """
        def two(scores, mask=None):
            b, n, d = scores.shape
            return scores if mask is None else torch.cat([scores, mask.unsqueeze(-1)], dim=2)

        def forward(*inputs):
            return two(*inputs)
        """,
    "a tuple of sizes": """
        def filled(shape):
            x = torch.zeros(shape)
            y = x.reshape(shape[1:])
            return x[:, :, 0], y[:, 0], x.view(shape)[:, 0, 0]
        """,
    "arrays and sparse matrices": """
        def arrays(frame, sparse, use):
            t = sparse.tocsr().astype(np.float32).sum(axis=1)
            c = cdist(frame, frame)
            a = np.exp(-c) if use else np.exp(-(c / c.mean()) ** 2)
            a = 0.5 * (a + a.T)
            return t[:, 0], a
        """,
    "a squeeze of a computed size": """
        class Wide(nn.Module):
            def __init__(self, dim, k):
                super().__init__()
                self.conv = nn.Conv1d(dim, 10, k)

            def forward(self, x):
                b, n, d = x.shape
                y = self.conv(x.transpose(1, 2)).squeeze(2)
                return y.unsqueeze(1) @ y.unsqueeze(2)
        """,
    "a guard in a helper": """
        def single(x):
            if x.ndim == 4:
                x = x.flatten()
            return x

        def table(store):
            rows = single(store["rows"])
            return rows[:, :2], rows[0, 2:]
        """,
    "a parameter beside its own transpose": "def f(x):\n    return 0.5 * (x + x.t())\n",
    "an index that an annotation calls an int": """
        class Loss(nn.Module):
            def __init__(self, heads, size):
                super().__init__()
                self.register_buffer("assigned", torch.ones(heads, size).long())
                self.loss = nn.CrossEntropyLoss()

            def forward(self, scores, idx: int):
                b, n = scores.shape
                return self.loss(scores, self.assigned[0][idx])
        """,
    "an empty tensor of another's shape": """
        def mask(features, lengths):
            padding = torch.BoolTensor(features.shape).fill_(False)
            for i in range(len(lengths)):
                padding[i, lengths[i]:] = True
            return padding
        """,
    "members of a result are not of one rank": """
        def predict(model, batches):
            found = [[] for _ in range(len(batches[0]))]
            for batch in batches:
                for i, part in enumerate(batch):
                    for row in part:
                        found[i].append(row)
            return [torch.stack(found[i]) for i in range(len(found))]

        def evaluate(model, batches):
            x, labels = predict(model, batches)
            norms = x.pow(2).sum(1).view(-1, 1).expand_as(x)
            return recall(x / norms, labels)

        def recall(x, labels):
            \"\"\"
            Args:
                labels: [nb_samples]
            \"\"\"
            return (labels == x.argmax(1)).float().mean()
        """,
    "comments that are code, go on, or stand over two lines": """
        def f(x, gate):
            b, n, d = x.shape
            # N, width, new_t = x.shape
            y = x.transpose(1, 2)
            z = y * 2  # (B, N) or # (B, D, N)
            v = z * 2  # (bsz, len, )
            w = x.unsqueeze(1)  # b,1, (n+2), d
            s = x.expand(b, n, d)  # B N (D)
            # gate: [b, d]
            gate = x * 1
            gate = gate.mean(1)
            return y, z, v, w, s, gate
        """,
    "a callee's way is chosen by a number that it computed: where nothing is hidden, x has all rows": """
        def restore(x, mask):
            hidden = int(mask.sum(dim=1)[0].item())
            if hidden == 0:
                return x + torch.zeros(mask.shape[0], mask.shape[1], 8)
            return torch.cat([x, torch.zeros(mask.shape[0], hidden, 8)], dim=1)

        def test_restore():
            restore(torch.randn(2, 4, 8), torch.zeros(2, 16))
        """,
    "as many elements as there are allow the unknown first axis to be 1 alone": """
        def interpolated(table):
            count, width = table.shape[1], table.shape[2]
            side = int(count**0.5)
            if side * side != count:
                raise ValueError("not square")
            return table.reshape(1, side, side, width).permute(0, 3, 1, 2)
        """,
    "what a test calls ran when the test was written; a mock gives back nothing that a gather would": """
        def pruned(layer, keep):
            setattr(layer, "weight", nn.Parameter(torch.randn(keep, keep)))
            return nn.Linear(8, 8)(torch.randn(2, keep))

        def test_pruning():
            pruned(nn.Linear(8, 8), 4)

        def test_all_gather(Mock):
            fabric = dist
            fabric.strategy = Mock(root_device="cpu")
            fabric.all_gather_object([None], torch.tensor(1))
            torch.distributed.nn.all_reduce(torch.tensor(1))
        """,
    "what a test asserts of a result held when it ran": """
        class Resize:
            def __call__(self, sample, size=4):
                put(sample, "x", torch.randn(2, size))
                return sample

        def put(where, name, value):
            where[name] = value

        def test_resize():
            result = Resize()({"x": torch.randn(2, 8)})
            assert result["x"].shape == (2, 4)
        """,
    "a helper writes into the dictionary that it was handed": """
        class Resize:
            def __call__(self, sample, size=4):
                put(sample, "x", torch.randn(2, size))
                return sample

        def put(where, name, value):
            where[name] = value

        def embed():
            sample = {"x": torch.randn(2, 8)}
            return Resize()(sample)["x"] @ torch.randn(4, 3) + sample["x"] @ torch.randn(4, 3)
        """,
    "the targets of both directions are made once, in the shape of one": """
        def both(video, text):
            b, frames, _ = video.shape
            v = F.normalize(nn.Linear(8, 4)(video[:, 0, :]), dim=-1)
            t = F.normalize(nn.Linear(8, 4)(text[:, 0, :]), dim=-1)
            to_text, to_video = v @ t.t() / 0.1, t @ v.t() / 0.1
            wanted = torch.zeros_like(to_text)
            wanted[:, :b] = torch.eye(b)
            one = -torch.sum(F.log_softmax(to_text, dim=1) * wanted, dim=1).mean()
            return one - torch.sum(F.log_softmax(to_video, dim=1) * wanted, dim=1).mean()
        """,
}


@pytest.mark.parametrize("body", RIGHT.values(), ids=RIGHT.keys())
def test_nothing_is_said(body: str) -> None:
    result = make_check(Options(Path.cwd()))("case.py", (HEAD + textwrap.dedent(body)).encode())
    assert [d.sentence for d in result.diagnostics] == []
    assert not result.problems
