"""Norms that run over axis 0 rightly."""

import torch
import torch.nn.functional as F
from torch import nn


class Momentum(nn.Module):
    def __init__(self, width: int, slots: int):
        super().__init__()
        self.register_buffer("queue", F.normalize(torch.randn(width, slots), dim=0))

    def forward(self, q):
        batch, width = q.shape
        bank = F.normalize(self.queue.clone(), dim=0)
        return torch.matmul(F.normalize(q, dim=1), bank)


def cross_correlation(a, b):
    n, width = a.shape
    rows, dim = b.shape
    a, b = F.normalize(a, dim=0), F.normalize(b, dim=0)
    return a.t() @ b


def standardised(z):
    return (z - z.mean(dim=0)) / z.std(dim=0)


def both_directions(image, text):
    sim = image @ text.t()
    return F.log_softmax(sim, dim=0).diagonal().mean() + F.log_softmax(sim, dim=1).diagonal().mean()


def mixed(stack, weights):
    """One weight for each layer, for all examples."""
    layers, batch, width = stack.shape
    (count,) = weights.shape
    share = torch.softmax(weights, dim=0)
    return (share.view(-1, 1, 1) * stack).sum(dim=0)


def likelihood(logits, labels):
    batch, classes = logits.shape
    return F.nll_loss(F.log_softmax(logits, dim=1), labels)


def images(logits, labels):
    batch, classes, height, width = logits.shape
    return F.nll_loss(F.log_softmax(logits, dim=1), labels)


def columns_too(scores, chosen):
    """scores [batch, batch]"""
    return torch.softmax(scores, dim=0) + torch.softmax(scores, dim=1)


def bag(scores, instances):
    """scores (N, 1), instances (N, D): the N instances of one bag share one weight"""
    weights = torch.softmax(scores, dim=0)
    return (weights * instances).sum(dim=0)


def over_examples(scores, hidden):
    """scores [B, K], hidden [B, D]: K weighted means of the batch"""
    shares = scores.softmax(dim=0)
    return shares.t() @ hidden


def slots(q, k, v):
    """q (B, N, D), k (B, S, D), v (B, S, D): slots compete for each place"""
    weights = (q @ k.transpose(-1, -2)).softmax(dim=1)
    weights = weights / weights.sum(dim=-1, keepdim=True)
    return weights @ v


def spread(views: list[Float[Tensor, "N D"]]) -> Tensor:
    total = torch.zeros(())
    for z in [F.normalize(v, dim=0) for v in views]:
        gram = z.T @ z if z.size(0) > z.size(1) else z @ z.T  # the smaller of the two: one norm
        total = total + torch.linalg.norm(gram)
    return total


def covariance_of_unit_rows(z):
    unit = F.normalize(z, dim=1)
    return unit.T @ unit / unit.size(0)


def pooled_places(weights, maps):
    """weights [B, K, L]; maps [B, D, L]"""
    unit = F.normalize(maps, dim=1)
    return torch.bmm(weights, unit.transpose(1, 2))


def alike_places(maps):
    """maps [B, D, L]"""
    unit = maps / maps.norm(dim=1, keepdim=True)
    return unit.transpose(1, 2) @ unit


def parts_of_rows(features, count):
    features = F.normalize(features, dim=1)
    return torch.mm(features[:count], features[count:].t())


def columns_alike(weights):
    """weights (D, K)"""
    return F.cosine_similarity(weights, weights.roll(1, dims=1), dim=0)


def soft_labels(scores, wanted):
    """scores, wanted (B, V, T)"""
    own = -(F.log_softmax(scores, dim=1) * wanted).sum(1)
    return own, -(F.log_softmax(scores[:, :, :-1], dim=-1) * wanted[:, :, 1:]).sum(dim=-1)


def decorrelated(model, x, y):
    a, b = F.normalize(model(x), dim=0), F.normalize(model(y), dim=0)
    return a.T @ b


def one_text(encode, score, text):
    return score(F.normalize(encode(text), dim=-1))


def gram_of_columns(a, b):
    a, b = F.normalize(a, dim=0), F.normalize(b, dim=0)
    return torch.einsum("nd,ne->de", a, b)


def weights_of_rows(scores, values):
    share = scores.softmax(dim=0)
    return torch.einsum("nk,nd->kd", share, values)


class Centroids(nn.Module):
    """Prototypes that move to the weighted mean of the batch."""

    def __init__(self, encoder, width: int, count: int):
        super().__init__()
        self.encoder = encoder
        self.centres = nn.Parameter(torch.randn(count, width))

    def forward(self, texts):
        x = self.encoder(texts)
        share = F.softmax(x @ self.centres.t(), dim=0)
        return share.t() @ x

    def usage(self, texts):
        scores = self.encoder(texts) @ self.centres.t()
        return F.softmax(scores, dim=0), F.softmax(scores, dim=1)


def class_means(net, head, x, y):
    features = net(x)
    logits = head(features)
    weights = F.softmax(logits, dim=0)
    return F.cross_entropy(logits, y), weights.t() @ features


def both_streams(x, classify, detect):
    """Each region's share of a class, and each class's share of a region."""
    return (F.softmax(classify(x), dim=1) * F.softmax(detect(x), dim=0)).sum(0)


def inverted(images, texts, labels):
    scores = images @ texts.t()
    return F.cross_entropy(scores, labels), F.softmax(scores, dim=0).argmax(dim=1)


def cross_correlated(model, x, y):
    """The columns are compared, in letters and in a product of any rank."""
    a, b = F.normalize(model(x), dim=0), F.normalize(model(y), dim=0)
    return torch.einsum("nc,nd->cd", [a, b])


class Keeper(nn.Module):
    """Columns of a queue."""

    def __init__(self, width: int, size: int):
        super().__init__()
        self.register_buffer("queue", F.normalize(torch.randn(width, size), dim=0))
        self.classes = nn.Parameter(torch.randn(width, size))

    def forward(self, x):
        return x @ F.normalize(self.classes, dim=0)


def first_of(model, image):
    """One example's features."""
    features = model(image)[0]
    return F.normalize(features, dim=0)
