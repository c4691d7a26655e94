"""SC402: numbers of one example normalised over the batch."""

import torch
import torch.nn.functional as F
from torch import nn


# run: likelihood(logits=[B, C], labels=ints(C, B)); differ: B=3, C=5
def likelihood(logits, labels):
    batch, classes = logits.shape
    scores = F.log_softmax(logits, dim=0)  # expect: SC402
    return F.nll_loss(scores, labels.view(batch))


# run: retrieve(q=[B, D], p=[N, D]); differ: B=3, N=4, D=5
def retrieve(q, p):
    batch, width = q.shape
    count, width = p.shape
    q = F.normalize(q, dim=0)  # expect: SC402
    return torch.matmul(q, F.normalize(p, dim=-1).t())


class Attention(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.query = nn.Linear(width, width)

    def forward(self, hidden):
        batch, length, width = hidden.shape
        scores = torch.bmm(self.query(hidden), hidden.transpose(1, 2))
        weights = torch.softmax(scores, dim=0)  # expect: SC402
        return torch.bmm(weights, hidden)


# run: pooled(scores=[B, S], hidden=[B, S, D]); differ: B=3, S=4, D=5
def pooled(scores, hidden):
    batch, length = scores.shape
    b, s, d = hidden.shape
    weights = F.softmax(scores, dim=0)  # expect: SC402
    return (weights.unsqueeze(-1) * hidden).sum(dim=1)


class Voter(nn.Module):
    def __init__(self, width: int, classes: int):
        super().__init__()
        self.head = nn.Linear(width, classes)
        self.log_probs = nn.LogSoftmax(dim=0)
        self.criterion = nn.NLLLoss()

    def forward(self, x, y):
        rows, width = x.shape
        scores = self.log_probs(self.head(x))  # expect: SC402
        return self.criterion(scores, y)


# run: similar(z=[N, D]); differ: N=3, D=5
def similar(z):
    n, width = z.shape
    unit = torch.nn.functional.normalize(z, p=2.0, dim=0)  # expect: SC402
    return unit @ unit.T


def distilled(student, teacher):
    """student, teacher: [batch, candidates]"""
    wanted = F.softmax(teacher, dim=0)  # expect: SC402
    scores = student.log_softmax(0)  # expect: SC402
    return F.kl_div(scores, wanted, reduction="batchmean")


class Choice(nn.Module):
    def __init__(self):
        super().__init__()
        self.share = nn.Softmax(dim=0)

    def forward(self, queries, documents):
        """queries (B, D), documents (B, G, D)"""
        scores = torch.einsum("bd,bgd->bg", queries, documents)
        return self.share(scores)  # expect: SC402


def heads(q, k, v):
    """q, k, v (B, H, S, D)"""
    weights = (q @ k.transpose(-1, -2)).softmax(dim=1)  # expect: SC402
    return weights @ v


# run: gallery(features=[N, D]); differ: N=6, D=5
def gallery(features):
    count = features.size(0) // 2
    features = torch.nn.functional.normalize(features, dim=0)  # expect: SC402
    return torch.mm(features[:count], features[count:].t())


# run: two_views(z1=[N, D], z2=[N, D]); differ: N=6, D=5
def two_views(z1, z2):
    z1 = F.normalize(z1, dim=0)  # expect: SC402
    z2 = F.normalize(z2, dim=0)  # expect: SC402
    both = torch.cat([z1, z2])
    return both @ both.t()


# run: scaled(tokens=[B, T, D]); differ: B=2, T=3, D=4
def scaled(tokens):
    b, t, d = tokens.shape
    unit = tokens / tokens.norm(dim=1, keepdim=True)  # expect: SC402
    return unit @ unit.transpose(1, 2)


class FlatAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.share = nn.Softmax(dim=0)

    def forward(self, query, context):
        """query (B, Q, D), context (B, S, D)"""
        b, q, d = query.shape
        s = context.size(1)
        scores = torch.bmm(query, context.transpose(1, 2)).view(b * q, s)
        weights = self.share(scores).view(b, q, s)  # expect: SC402
        return torch.bmm(weights, context)


class Nodes(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return F.log_softmax(self.layer(x), dim=0)  # expect: SC402


def on_training_nodes(x, y, chosen: torch.BoolTensor, layer):
    rows = torch.arange(100)
    out = Nodes(layer)(x)
    return F.nll_loss(out[rows], y[rows])


# run: agreement(queries=[B, D], answers=[B, D]); differ: B=3, D=4
def agreement(queries, answers):
    """queries, answers (B, D)"""
    return F.cosine_similarity(queries, answers, dim=0)  # expect: SC402


# run: soft_labels(scores=[B, T, V], wanted=[B, T, V]); differ: B=2, T=3, V=4
def soft_labels(scores, wanted):
    shifted = scores[:, :-1, :].contiguous()
    return -torch.sum(F.log_softmax(shifted, dim=1) * wanted[:, 1:, :], dim=-1)  # expect: SC402


def train(model, head, loader, criterion):
    for x, label in loader:
        features = F.normalize(model(x), dim=0)  # expect: SC402
        projected = F.normalize(head(features), dim=0)  # expect: SC402
        criterion(projected.unsqueeze(1), label)


# run: in_letters(a=[B, D], b=[N, D]); differ: B=3, N=4, D=5
def in_letters(a, b):
    a = F.normalize(a, dim=0)  # expect: SC402
    b = F.normalize(b, dim=1)
    return torch.einsum("nd,md->nm", a, b)


# run: values_in_letters(scores=[B, S], values=[S, D]); differ: B=3, S=4, D=5
def values_in_letters(scores, values):
    share = scores.softmax(dim=0)  # expect: SC402
    return torch.einsum("bs,sd->bd", share, values)


class Selective(nn.Module):
    """Branches compete for each channel."""

    def __init__(self, width: int, kernels=(1, 3)):
        super().__init__()
        self.branches = nn.ModuleList([nn.Linear(width, width) for _ in kernels])
        self.share = nn.Softmax(dim=1)

    def forward(self, x):
        bs, width = x.shape
        outs = torch.stack([branch(x) for branch in self.branches], dim=0).view(-1, bs, width)
        weights = self.share(outs * 2)  # expect: SC402
        return (weights * outs).sum(0)


def semi_supervised(model, x, y, weak, strong, bar):
    logits = model(torch.cat((x, weak, strong)))
    known = logits[: x.shape[0]]
    soft, hard = logits[x.shape[0] :].chunk(2)
    shares = torch.softmax(soft.detach() / 0.5, dim=0)  # expect: SC402
    best, label = shares.max(dim=-1)
    unsure = F.cross_entropy(hard, label, reduction="none") * best.ge(bar)
    return F.cross_entropy(known, y) + unsure.mean()


def taught(student, teacher, x, heat):
    s, t = student(x), teacher(x)
    wanted = F.softmax(t / heat, dim=0)  # expect: SC402
    return nn.KLDivLoss(reduction="batchmean")(F.log_softmax(s / heat, dim=1), wanted)


class Heads(nn.Module):
    def __init__(self, width: int, classes: int, count: int):
        super().__init__()
        self.heads = nn.ModuleList([nn.Linear(width, classes) for _ in range(count)])

    def forward(self, x):
        n, _width = x.shape
        return torch.stack([head(x) for head in self.heads])


def headed(model: Heads, x, labels):
    scores = model(x)
    wanted = F.one_hot(labels, scores.size(-1)).float()
    log_p = F.log_softmax(scores / 0.1, dim=1)  # expect: SC402
    return -(wanted * log_p).sum(dim=1).mean()


class Prototypes(nn.Module):
    def __init__(self, encoder, width: int, count: int):
        super().__init__()
        self.encoder = encoder
        self.centres = nn.Parameter(torch.randn(count, width))

    def forward(self, texts):
        x = F.normalize(self.encoder(texts), dim=1)
        far = torch.cdist(x, self.centres)
        share = torch.softmax(-far, dim=0)  # expect: SC402
        return (share * far).sum(0).mean()


class Codes(nn.Module):
    def __init__(self, net, count: int, width: int):
        super().__init__()
        self.net = net
        self.book = nn.Embedding(count, width)

    def forward(self, images):
        scores = torch.einsum("bd,kd->bk", self.net(images), self.book.weight)
        return F.log_softmax(scores, 0)  # expect: SC402


# run: row_cosines(a=[B, D], b=[B, D]); differ: B=3, D=4
def row_cosines(a, b):
    """a, b (B, D)"""
    d = F.normalize(b, p=2, dim=1)  # [B, D]
    return 1 - (F.normalize(a, dim=1) * d).sum(0).mean()  # expect: SC402


class Clusters(nn.Module):
    def __init__(self, encoder, width: int, count: int):
        super().__init__()
        self.encoder = encoder
        self.middle = nn.Parameter(torch.zeros(count, width))
        self.head = nn.Linear(width, count, bias=False)

    def forward(self, x):
        z = self.encoder(x)
        far = (z.unsqueeze(1) - self.middle.unsqueeze(0)).pow(2).sum(-1)
        return F.softmax(-far, dim=0)  # expect: SC402

    def entropy(self, x):
        shares = F.softmax(self.head(self.encoder(x)) / 0.1, dim=0)  # expect: SC402
        return -(shares * torch.log(shares + 1e-8)).sum(dim=1).mean()


def fit(encoder, proxies, loader):
    """proxies: (K, D)"""
    for x, _y in loader:
        scores = F.normalize(encoder(x), dim=1) @ F.normalize(proxies, dim=1).T
        yield (scores.softmax(0) * scores).mean()  # expect: SC402


def sharpened(model, x, unlabelled, y):
    known, open_ = torch.split(model(torch.cat([x, unlabelled])), [len(x), len(unlabelled)])
    shares = torch.softmax(open_, dim=0)  # expect: SC402
    return F.cross_entropy(known, y), shares**2 / (shares**2).sum(1, keepdim=True)


class Towers(nn.Module):
    def __init__(self, backbone, width: int):
        super().__init__()
        self.backbone = backbone
        self.proj = nn.Linear(width, 64)

    def forward(self, images):
        hidden = self.backbone(images)
        return F.normalize(self.proj(hidden[:, 0, :]), dim=0)  # expect: SC402

    def momentum(self, images, keys):
        q = self.backbone(images)[0]
        q = F.normalize(q, dim=0)  # expect: SC402
        return torch.einsum("nc,nc->n", [q, keys])


def sentence_embeddings(model, batch, normalize: bool):
    hidden = model(**batch)["last_hidden_state"]
    emb = hidden.sum(dim=1) / batch["attention_mask"].sum(dim=1)[..., None]
    if normalize:
        emb = F.normalize(emb, dim=0)  # expect: SC402
    return emb
