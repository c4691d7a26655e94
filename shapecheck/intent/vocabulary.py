"""Which words people use for axes, and how sure each one makes us that a list of words is a shape."""

from __future__ import annotations

import re

__all__ = [
    "BATCH",
    "CONTENT",
    "DTYPES",
    "LAYOUT_LETTERS",
    "NUMERIC",
    "PLAIN",
    "SPATIAL",
    "SURE",
    "UNKNOWN",
    "WRONG",
    "axis_score",
    "words",
]


def words(text: str) -> frozenset[str]:
    """The words of a list that is kept as one string."""
    return frozenset(text.split())


# Scores. A list of words is a shape when its best word is SURE, or all of them are PLAIN or numbers.
SURE = 3  # hardly ever anything else: B, batch_size, num_heads
PLAIN = 2  # an axis in a list, an ordinary word elsewhere: batch, dim, n
NUMERIC = 1  # 768
UNKNOWN = 0  # act
CONTENT = -1  # what a tuple is made of rather than a tensor: x, label
WRONG = -3  # never an axis: True, CLS

LAYOUT_LETTERS = frozenset("BCDEFGHKLMNPQSTVW")  # of words such as BCHW

BATCH = words(
    "B N b n bs bsz mbs mbsz batch batch_size batchsize batch_sz bsize nb n_batch num_batch minibatch "
    "batch_num local_batch_size"
)

SPATIAL = words("h w t c d height width depth time")  # also what a size tuple is made of

_SURE = words(
    "bs bsz mbs mbsz bsize batchsize batch_sz nhead nheads nhid ninp ntoken ntokens seqlen seqlength nsamples "
    "hdim edim emb_dim embed_dim dmodel dhead ndim qlen klen vlen tgtlen srclen maxlen timesteps nclass "
    "nclasses nfeat nfeats nneg npos nviews hidden_dim vocab_size d_model minibatch world_size"
)

_PLAIN = words(
    "batch dim dims hidden emb embed embedding embeddings feat feats feature features channel channels ch chan "
    "heads head time frames frame length len seq sequence tokens token vocab classes views samples neg negs "
    "group groups patches patch height width h w c t l s p q k g d m n b e f v r u queries steps nodes points topk "
    "top_k packed"
)

# The first or last piece of a compound name: num_heads, seq_len, n_views, hidden_size.
_HEADS = words("n num nb nr no max min len bs bsz batch seq n1 n2 d dim size total local global")
_TAILS = words(
    "size sz dim dims len length lens num count n d b h w bs bsz heads head channels channel tokens width "
    "height hidden feats features classes patches frames steps samples negs views in out ch "
    "tiles blocks cells boxes points nodes edges queries slots experts layers objects pixels bins anchors clusters "
    "inter prototypes entities relations negatives positives candidates envs codes"
)

_CONTENT = words(
    "x y z i j a id ids idx idxs index indices label labels target targets loss losses logit logits name names "
    "text texts image images output outputs input inputs mask masks key keys value values query score scores "
    "model data sample pair triple tuple list dict start end left right top bottom min max mean std sum lr "
    "epoch step rank cx cy x1 x2 y1 y2 x0 y0 xmin ymin xmax ymax tensor array object item items row col rows "
    "cols column columns path file url type kind user anchor positive negative question answer document doc "
    "docs passage sentence word words char token_id gamma beta alpha theta sigma mu wd eps weight bias first "
    "second last"
)

_WRONG = words(
    "CLS SEP PAD MASK UNK BOS EOS TODO FIXME XXX NOTE True False None and or not is are the of for to in if "
    "else see with without no yes same as optional default e.g eg i.e ie etc cf inclusive exclusive TBD NA OK "
    "GPU CPU TPU DDP RGB BGR HSV LAB RGBA API URL ID KB MB GB TB DB SGD Adam LSTM GRU CNN RNN MLP AMP FP16 FP32 BF16 "
    "this that it its on at by from be an do don't only when then than use used using we our you your but"
)

DTYPES = words(
    "float double half long int short bool boolean uint8 int8 int16 int32 int64 float16 float32 float64 "
    "bfloat16 fp16 fp32 fp64 bf16 f32 f16 i64 i32 complex64 complex128 byte"
)

_CAPITAL = re.compile(r"[A-Z](?:[0-9]{1,2}|_[A-Za-z0-9]{1,8}|[a-z])?'?\Z")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z][a-z])")
_SHORT = re.compile(r"[a-z]{1,2}[0-9]\Z")
_PRODUCT = re.compile(r"[A-Z]*(?:HW|[BN][A-Z]|[A-Z][BN])[A-Z]*\Z")  # HW, BN, BHW: written together
_JOINED = re.compile(r"num[a-z]{3,}s\Z|[a-z]{2,}(?:dims?|size|len|length|heads)\Z")  # numheads, querylength


def axis_score(name: str) -> int:
    """How much `name` looks like the name of an axis: one of the scores above."""
    if name in _WRONG:
        return WRONG
    if name.lstrip("-").isdigit():
        return NUMERIC
    if name in _CONTENT:
        return CONTENT
    if name in _SURE:
        return SURE
    if _CAPITAL.match(name):
        return _capital_score(name)
    if name in _PLAIN:
        return PLAIN
    lower = name.lower()
    pieces = _CAMEL.sub("_", name).lower().strip("_").split("_")
    if len(pieces) > 1:
        return _compound_score(pieces)
    if _SHORT.match(name):
        return PLAIN
    if len(name) <= 4 and set(name) <= LAYOUT_LETTERS and _PRODUCT.match(name):
        return PLAIN
    if _JOINED.match(name) and not name.startswith(("re", "over", "un")):
        return PLAIN
    if name[0].isupper() and lower in _PLAIN:  # Batch, Channels
        return PLAIN
    return UNKNOWN


def _capital_score(name: str) -> int:
    letter, rest = name[0], name[1:]
    if rest[:1].islower():  # Nq, Bs, Lt are axes; In, Is, Or are English
        return CONTENT if letter in "AEIOUXYZ" else SURE
    return CONTENT if letter in "XYZ" and not rest else SURE if letter in LAYOUT_LETTERS else PLAIN


def _compound_score(pieces: list[str]) -> int:
    if pieces[-1] in ("id", "ids", "idx", "index", "path", "name", "mask", "label", "labels", "loss", "fn", "file"):
        return CONTENT
    if pieces[0] in _HEADS or pieces[-1] in _TAILS:
        return SURE
    if len(pieces[0]) == 1 and pieces[0] in _PLAIN:  # h_box
        return PLAIN
    return PLAIN if any(p in _PLAIN and len(p) > 1 for p in pieces) else UNKNOWN
