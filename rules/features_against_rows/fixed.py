"""The same products with the operand turned round."""

import torch
import torch.nn.functional as F
from torch import nn


class Momentum(nn.Module):
    def __init__(self, query_encoder, key_encoder):
        super().__init__()
        self.query_encoder, self.key_encoder = query_encoder, key_encoder

    def forward(self, x1, x2):
        q = F.normalize(self.query_encoder(x1), dim=1)
        k = F.normalize(self.key_encoder(x2), dim=1)
        return torch.einsum("nc,mc->nm", [q, k]) / 0.2



def cosines(a, b):
    a = a / a.norm(dim=-1, keepdim=True)
    b = b / b.norm(dim=-1, keepdim=True).clamp(min=1e-8)
    return 20 * a @ b.T


def zero_shot(model, loader, classes):
    with torch.no_grad():
        weights = []
        for prompts in classes:
            told = model.encode_text(prompts)
            told = F.normalize(told, dim=-1).mean(dim=0)
            weights.append(told / told.norm(dim=-1, keepdim=True))
        weights = torch.stack(weights, dim=0)  # [C, D]
        for images, _target in loader:
            seen = model.encode_image(images)
            seen = seen / seen.norm(dim=-1, keepdim=True)
            yield (seen @ weights.T).argmax(dim=-1)


def ranks(model, images, texts):
    image_rows, text_rows = [], []
    for batch in images:
        image_rows.append(F.normalize(model.vision(batch), dim=-1))
    for batch in texts:
        text_rows.append(F.normalize(model.text(batch), dim=-1))
    return torch.cat(image_rows) @ torch.cat(text_rows).T


def score(q_reps, p_reps):
    return torch.matmul(q_reps, p_reps.T)


class SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)

    def forward(self, x):
        B, N, C = x.shape
        qkv = self.qkv(x).reshape(B, N, 3, self.heads, C // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        share = (q @ k.mT).softmax(dim=-1)
        return (share @ v).transpose(1, 2).reshape(B, N, C)


class CrossAttention(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x, context):
        B, N, C = x.shape
        M = context.shape[1]
        q = self.q(x).view(B, N, self.heads, C // self.heads).transpose(1, 2)
        k = self.k(context).view(B, M, self.heads, C // self.heads).transpose(1, 2)
        v = self.v(context).view(B, M, self.heads, C // self.heads).transpose(1, 2)
        share = torch.matmul(q, k.mT).softmax(dim=-1)
        return (share @ v).transpose(1, 2).reshape(B, N, C)
