"""One number for all that is meant."""

import torch
import torch.nn.functional as F


def first_tokens(x, hidden):
    """Row 0 is asked for by a number."""
    return x[0, hidden], x[torch.zeros(1, dtype=torch.long), hidden]


def segments(embed, ids):
    """All tokens are of segment 0."""
    kinds = torch.zeros(ids.size(1), dtype=torch.long)
    return embed(kinds.unsqueeze(0).expand(ids.size(0), -1))


def positives_first(pos, neg):
    scores = torch.cat([pos, neg], dim=1)
    labels = torch.zeros(scores.size(0), dtype=torch.long)
    return F.cross_entropy(scores, labels), (scores.argmax(dim=1) == labels).float().mean()


def one_hot(scores, target):
    wanted = torch.zeros_like(scores)
    return wanted.scatter(1, target.view(-1, 1), 1)


def of_two_domains(source, target):
    """0 and 1 are compared with each other: two kinds of rows."""
    s = torch.zeros(source.size(0), dtype=torch.long)
    t = torch.ones(target.size(0), dtype=torch.long)
    domain = torch.cat([s, t])
    return domain[:, None] == domain[None, :]


def counted(n: int):
    place = torch.zeros(n, dtype=torch.long)
    for i in range(1, n):
        place[i] = place[i - 1] + 1
    return place[:, None] == place[None, :]
