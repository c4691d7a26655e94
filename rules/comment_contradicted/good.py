"""Comments that are kept, comments that tell no shape of this value, and shapes that nobody knows."""

import torch
import torch.nn.functional as F
from torch import Tensor


def kept(q: Tensor, p: Tensor) -> Tensor:
    B, G, D = p.shape
    scores = torch.einsum("bd,bgd->bg", q, p)  # B G
    flat = scores.view(-1)  # [B*G]
    table = flat.view(B, G)  # (batch_size, group_size)
    return table.softmax(dim=-1)  # (B, G)


def an_example(x: Tensor) -> Tensor:
    B, D = x.shape
    y = F.normalize(x.view(B, D), dim=-1)  # [32, 768]
    counts = y.sum(dim=1)  # [4, 1, ...]
    y = y + counts[:, None]
    return y


def values_and_cases(x: Tensor, flag: bool) -> Tensor:
    B, D = x.shape
    mask = x.view(B, D) > 0  # (0, 1)
    y = x.mean(dim=1, keepdim=flag)  # (B,) or (B, 1)
    return y * mask.sum(1, keepdim=True)


def two_ways(x: Tensor, keep: bool) -> Tensor:
    B, D = x.shape
    y = x.view(B, D)
    if not keep:
        y = y.sum(dim=1)
    z = y.sigmoid()  # (B,)
    return z


def of_the_step_before(labels: Tensor, q: Tensor, p: Tensor) -> Tensor:
    B, D = q.shape
    targets = torch.arange(B)
    # (B, N)
    scores = q @ p.view(-1, D).T
    # (B,)
    picked = scores.logsumexp(dim=1, keepdim=True)
    return picked + targets[:, None]


def above_its_own(q: Tensor, p: Tensor) -> Tensor:
    B, D = q.shape
    # Shape: [B, D]
    q = F.normalize(q.view(B, D), dim=-1)
    # pair all of them, shape: (B, B)
    sims = q @ q.T
    # the loss needs logits of shape (B, B)
    target = torch.arange(B)
    # features, shape: (B, D)
    mean = q.mean(dim=1)
    return F.cross_entropy(sims, target) + mean.sum()


def of_the_value_before(mask: Tensor, x: Tensor) -> Tensor:
    B, N = x.shape
    # mask has shape (B, N)
    mask = (~mask.view(B, N)).unsqueeze(1).expand(B, N, N)
    return mask


def symbols_of_ones_own(features: Tensor, group_size: int) -> Tensor:
    n = features.size(0) // group_size
    groups = features.view(n, group_size, -1)  # (batch_size, group, dim)
    return groups.mean(dim=1)  # (batch_size, dim)


def unknown_rank(model, batch) -> Tensor:
    logits = model(**batch).logits  # (B, C)
    losses = F.cross_entropy(logits, batch["labels"], reduction="none")  # (B,)
    return losses


def pairwise(x: Tensor, y: Tensor) -> Tensor:
    """Squared distances.

    Args:
        x: Tensor of shape (N, D)
        y: Tensor of shape (M, D)

    Returns:
        Tensor of shape (N, M)
    """
    return (x[:, None] - y[None]).pow(2).sum(-1)


def test_of_the_refusal(case) -> None:
    with case.assertRaises(ValueError):
        pairwise(torch.zeros(4, 3, 8), torch.zeros(4, 8))


class Scale(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))


def test_of_what_others_do_to_it(prepare) -> None:
    model = Scale()
    prepare(model)
    assert model.weight.shape == (1,)
    setattr(model, "weight", torch.zeros(3, 4))
    product = model.weight @ torch.zeros(4)  # (3,)
    assert product.shape == (3,)


def resampled(table: Tensor, new: int = 16) -> Tensor:
    T = 4
    table = table.reshape(1, 8, 8, 32, T).flatten(0, 2).permute(1, 0, 2)
    table = F.interpolate(table, size=new, mode="linear")
    return table.permute(2, 1, 0)  # T, N, C


def layer(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    """One layer.

    Args:
        hidden: Tensor of shape (B, S, H)
        attention_mask: Tensor of shape (B, 1, T, S)
    """
    return hidden + attention_mask.mean()


def stack(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    """All layers.

    Args:
        hidden: Tensor of shape (B, S, H)
        attention_mask: Tensor of shape (B, S)
    """
    return layer(layer(hidden, attention_mask), attention_mask)


def spectrum(image: Tensor) -> Tensor:
    """The half that is needed.

    Args:
        image: Tensor of shape (C, H, W)

    Returns:
        Tensor of shape (C, H, W)
    """
    return torch.fft.rfft2(image)


def test_spectrum() -> None:
    half = spectrum(torch.rand(3, 32, 32))
    assert half.shape == (3, 32, 17)


class Recommender(torch.nn.Module):
    def predict_all(self, users: Tensor) -> Tensor:
        """Scores of every item.

        Returns:
            torch.Tensor: scores, shape: [number_of_users * number_of_items]
        """
        raise NotImplementedError

    def embed(self, fields: Tensor) -> list[Tensor]:
        """Embeds each field.

        Args:
            fields (torch.LongTensor): shape of [batch_size, seq_len]
        """
        found = []
        for field in fields:
            mask = (field != 0).float()  # [batch_size, seq_len]
            found.append(mask.sum(dim=1))
        return found


class Factors(Recommender):
    def __init__(self, users: int, items: int, width: int) -> None:
        super().__init__()
        self.of_users = torch.nn.Embedding(users, width)
        self.of_items = torch.nn.Embedding(items, width)

    def predict_all(self, users: Tensor) -> Tensor:
        (batch,) = users.shape
        return self.of_users(users) @ self.of_items.weight.T

    def scores_of(self, users: Tensor) -> Tensor:
        """Scores of every item.

        Returns:
            torch.Tensor: shape: [n_users * n_items]
        """
        (batch,) = users.shape
        return self.of_users(users) @ self.of_items.weight.T


def encoded(texts: list[str], model) -> Tensor:
    """Encodes.

    Returns:
        Tensor of shape (num_texts, dim)
    """
    if not texts:
        return torch.empty(0)
    return model(texts)


def clipped(ratios, advantages):
    """Commas part the axes here, and x multiplies."""
    ratios = ratios.view(-1, ratios.size(-1))  # [B x G, L]
    advantages = advantages.view(-1)  # [B x G]
    return ratios * advantages[:, None]  # [B x G, L]


def all_rotations(views):
    images = torch.stack(views, 1)  # Nx4xCxHxW
    n, r, c, h, w = images.shape
    return images.view(n * r, c, h, w)  # (4N)xCxHxW
