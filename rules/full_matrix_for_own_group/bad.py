"""The whole matrix of scores, of which each query reads its own group."""

import torch
from torch import nn


# run: by_index(q=[B, D], p=[B*G, D]); equal: B=3, G=4, D=5
def by_index(q, p):
    batch, dim = q.shape
    group = p.size(0) // batch
    scores = q @ p.view(batch * group, dim).T  # expect: SC801
    rows = torch.arange(batch)
    own = [scores[rows, rows * group + i] for i in range(group)]
    return torch.stack(own, dim=1)


# run: by_gather(q=[B, D], p=[B*G, D], group=G); equal: B=3, G=4, D=5
def by_gather(q, p, group: int):
    batch, dim = q.shape
    p = p.view(batch * group, dim)
    scores = torch.matmul(q, p.transpose(0, 1)) / 0.02  # expect: SC801
    index = (torch.arange(batch) * group).unsqueeze(1) + torch.arange(group)
    return scores.gather(1, index)


# run: diagonal(q=[B, D], p=[B, D]); equal: B=3, D=5
def diagonal(q, p):
    batch, dim = q.shape
    assert p.shape == (batch, dim)
    return (q @ p.T).diagonal()  # expect: SC801


# run: positives(q=[B, D], p=[B, D]); equal: B=3, D=5
def positives(q, p):
    """
    Args:
        q: (batch, dim)
        p: (batch, dim)
    """
    scores = torch.mm(q, p.t())  # expect: SC801
    return torch.diag(scores) * 20


# run: first_of_group(q=[B, D], p=[B*G, D], group=G); equal: B=3, G=4, D=5
def first_of_group(q, p, group: int):
    batch, dim = q.shape
    p = p.view(batch * group, dim)
    scores = torch.inner(q, p)  # expect: SC801
    return scores[torch.arange(batch), torch.arange(batch) * group]


class Local(nn.Module):
    """All scores are handed to a method that picks."""

    def similarity(self, q, p):
        return torch.matmul(q, p.transpose(-2, -1))

    def pick(self, q, p, scores):
        group = p.size(0) // q.size(0)
        starts = torch.arange(q.size(0), device=q.device) * group
        own = []
        for i in range(group):
            own.append(scores[torch.arange(q.size(0), device=q.device), starts + i])
        return torch.stack(own, dim=1)

    def forward(self, query, passage):
        """
        Args:
            query: (batch, dim)
            passage: (batch * group, dim)
        """
        scores = self.similarity(query, passage)  # expect: SC801
        return self.pick(query, passage, scores)
