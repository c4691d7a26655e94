"""What counts as a written shape, and what does not: one line, one case."""

from __future__ import annotations

import inspect

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shapecheck.dims import spec
from shapecheck.intent import (
    Ann,
    Asserted,
    Written,
    axis_score,
    from_annotation,
    from_assert,
    from_comment,
    from_commented_assert,
    from_docstring,
    from_phrases,
)
from shapecheck.intent.python import read_expression
from shapecheck.source.lower import parse
from shapecheck.source.program import Attr, Bind, Call, Const, Expr, Index, Name, Op, Seq, Star

# ------------------------------------------------------------------- comments

CERTAIN = {
    "B G": "B G",
    "B B*G": "B B*G",
    "B 1 Q P": "B 1 Q P",
    "B H/2 W/2 C": "B H//2 W//2 C",
    "b d": "b d",
    "[B, neg+2, D]": "B neg+2 D",
    "(batch_size, group_size)": "batch_size group_size",
    "(batch_size * group_size) x dim": "batch_size*group_size dim",
    "(2N)x(2N-1)": "2*N 2*N-1",
    "n1 x D": "n1 D",
    "N x 2 x C": "N 2 C",
    "NxK": "N K",
    "BxTxC": "B T C",
    "bsz, seq_len, hidden": "bsz seq_len hidden",
    "bs * n, d": "bs*n d",
    "B,N,C": "B N C",
    "[batch_size, num_tokens]": "batch_size num_tokens",
    "[bs, K+1]": "bs K+1",
    "[B x D]": "B D",
    "[bs x n_vars x num_patch x d_model]": "bs n_vars num_patch d_model",
    "(B x T, D)": "B*T D",
    "(2N, 2(N-1))": "2*N 2*(N-1)",
    "(batch, 50, 1)": "batch 50 1",
    "[B, vocab-size]": "B vocab_size",
    "(batch size, hidden dim)": "batch_size hidden_dim",
    "[B, act]": "B act",
    "(B, N')": "B N_prime",
    "(B, self.dim)": "B {self.dim}",
    "(B, -1)": "B _",
    "(B, T=10)": "B T",
    "(B,)": "B",
    "[B, ]": "B",
    "(batch,)": "batch",
    "[B]": "B",
    "[*, D]": "... D",
    "(..., D)": "... D",
    "[B, ...]": "B ...",
    "(*batch_dims, D)": "*batch_dims D",
    "(N, d_1, d_2, ..., d_K)": "N ...",
    "#(bsz, nb_neg+2 , seq_length)": "bsz nb_neg+2 seq_length",
    "shape: (B, D)": "B D",
    "Shape: [1, D]": "1 D",
    "shape = [B,D]": "B D",
    "shape (bsz, nb_neg, 1)": "bsz nb_neg 1",
    "tensor of shape (foo, bar)": "foo bar",
    "torch.Size([32, 128])": "32 128",
    "[b, 3, c] shape": "b 3 c",
    "-> (B, N)": "B N",
    "==> [bsz, n_heads, to_seq_len]": "bsz n_heads to_seq_len",
    "(B, D) -> (B, 1, D)": "B 1 D",
    "(bsz * k, s) -> (bsz, k, s)": "bsz k s",
    "[H, W] -> [1, H, W] (channels first)": "1 H W",
    "B,N,C -> B,C,N": "B C N",
    "T x B x C -> B x T x C": "B T C",
    "reshape: (-1, dim) -> (B, N, dim)": "B N dim",
    "(B, D) @ (D, N) -> (B, N)": "B N",
    "LND -> NLD": "N L D",
    "(B, D) = (32, 768)": "B D",
    "B L D (after pooling)": "B L D",
    "(B, D)  some prose after": "B D",
    "(B,) valid prefix lengths": "B",
    "(B,): one for each sample": "B",
    "[N, L], mean loss per patch": "N L",
    "(batch_size, 1) or None": "batch_size 1",
    "NCHW -> N(HW)C": "N H*W C",
    "-> T x B x (C x D)": "T B C*D",
    "[(bs*n_vars) x seq_len x d_model]": "bs*n_vars seq_len d_model",
    "[N, HxW, TxHxW]": "N H*W T*H*W",
    "B x 2D": "B 2*D",
    "(b, c, 1=num_cls)": "b c 1",
    "(batch, depth, 128)": "batch depth 128",
    "[B, num_steps(+1), D]": "B _ D",
    "(batch, patch_size²*3)": "batch patch_size**2*3",
    "[bs, numheads, querylength, dim/numheads]": "bs numheads querylength dim//numheads",
    "B, L, nLayers, C": "B L nLayers C",
    "(B, D, W, H) to (B, W, H, D)": "B W H D",
    "Shape: [3, H, W], dtype: float, range: [0, 1]": "3 H W",
    "[B * N]": "B*N",
    "(B * N, D) -> (B * N)": "B*N",
    "batch_size, seq_len, ...": "batch_size seq_len ...",
    "batch_size, seq_len.": "batch_size seq_len",
    "B BN Q P": "B BN Q P",
    "[B, num_*_heads, S]": "B _ S",
    "shape(batch_size, 64*32)": "batch_size 64*32",
    "[3, H, W]": "3 H W",
    "(B, T, D): position p predicts token p+1": "B T D",
    "noqa: E501  # (B, D)": "B D",
}


@pytest.mark.parametrize(("text", "axes"), CERTAIN.items())
def test_a_trailing_comment_that_is_a_shape(text: str, axes: str) -> None:
    (found,) = from_comment(text, ["x"])
    assert (found.subject, " ".join(found.axes), found.certain) == (None, axes, True)
    assert text[found.column :].startswith(found.text)


NOTHING = """
B is the batch
TODO
TODO (B, D)
noqa
type: ignore
type: ignore[arg-type]
pylint: disable=x
(see section 3)
i, j
x, y
h, w
a
batch
features
x = foo(a, b)
scores = q @ p.T  (B, N)
print(x.shape)
if B, D
1 x 1 conv
224x224
A and B
loss (mean)
[CLS] token
[SEP]
[PAD]
(optional)
(B) second case
https://host/page(B, D)
[-1, 1]
[-1, 1] -> [0, 1]
0 -> 1
BGR -> RGB
raw bytes -> PIL / (waveform, sr)
(test_file, phase) -> set of src_files
(i, j) -> (j, i)
F=2, Tt=10 -> N=20
[x,y,z,w]
(x1, y1, x2, y2)
(batch, 5/15/30)
[bsz, ] | [bsz, chunk-step]
(4,4) or (N,4,4)
shape: [hidden, inter] or [inter, hidden]
(B, D) if return_dict else (B, N, D)
(B, D) * (B, D)
([B, vocab-size], ...), after logits processor
(question, positive) pairs
(B, D) tuples
list of (B, D)
1 + nneg items of (bsz, hdim)
[B, D], [B, K]
static cache cannot have different shapes for each layer
choices=range(0,3)
last_token, mean_token, first_token
range [0, N]
[0, max_len - 1]
range: [0, 1]
axes: (0, 1)
rank0=[0], rank1=[1]
(batch, labels)
[min_std, max_std]
[height/width, batch]
2D
0-D
1 GB
(2D)
SEP CLS
Size units
(B, D) each
[B, D] for each layer; [B]
q, k, v
("B", "D")
""".strip().split("\n")


@pytest.mark.parametrize("text", NOTHING)
def test_a_comment_that_is_no_shape(text: str) -> None:
    assert from_comment(text, ["x"]) == []


@pytest.mark.parametrize(
    "text",
    [
        "N",
        "B * N",
        "(B)",
        "(batch_size)",
        "(1, 2)",
        "[9, 11, 5, 6]",
        "(h, w)",
        "(height, width)",
        "poses of the arm (num_envs, 3)",
    ],
)
def test_a_form_that_may_be_something_else_is_not_certain(text: str) -> None:
    (found,) = from_comment(text, ["x"])
    assert not found.certain


LABELLED = {
    "q: [B, D], p: [B, G, D]": [("q", "B D"), ("p", "B G D")],
    "scores: B x G": [("scores", "B G")],
    "q: B, D, p: B, G, D": [("q", "B D"), ("p", "B G D")],
    "q_vector: n1 x D, ctx_vectors: n2 x D, result n1 x n2": [
        ("q_vector", "n1 D"), ("ctx_vectors", "n2 D"), (None, "n1 n2"),
    ],
    "q, k: (B, H, S, D)": [("q", "B H S D"), ("k", "B H S D")],
    "shape of labels is (batch_size, max_cols). One per column": [("labels", "batch_size max_cols")],
    "pos_ids with shape (3, B, L)": [("pos_ids", "3 B L")],
    "doc_scores.shape = [batch, n_docs]": [("doc_scores", "batch n_docs")],
    "x: (B, D)": [(None, "B D")],
    "out: (B, D)": [(None, "B D")],
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), LABELLED.items())
def test_a_label_says_whose_shape_it_is(text: str, expected: list[tuple[str | None, str]]) -> None:
    assert [(w.subject, " ".join(w.axes)) for w in from_comment(text, ["x"]) if w.certain] == expected


def test_a_word_for_the_target_is_the_target() -> None:
    (found,) = from_comment("queries: NxC", ["q"])
    assert found.subject is None


@pytest.mark.parametrize(
    ("text", "targets", "expected"),
    [
        ("(B, D), (B, G, D)", ["q", "p"], [("q", "B D", True), ("p", "B G D", True)]),
        ("B V", ["reps", "_"], [("reps", "B V", True)]),
        ("(B, D)", ["q", "p"], [(None, "B D", False)]),
        ("q, p with shape (B, D)", ["q", "p"], [("q", "B D", True), ("p", "B D", True)]),
        ("B, N", ["B", "_"], [(None, "B N", False)]),  # sizes
        ("[N, C]", ["new_shape"], [(None, "N C", False)]),
        ("(B, D)", ["return"], [(None, "B D", True)]),
    ],
)
def test_several_targets(text: str, targets: list[str], expected: list[tuple[str | None, str, bool]]) -> None:
    assert [(w.subject, " ".join(w.axes), w.certain) for w in from_comment(text, targets)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(B, D)", [(None, "B D", False)]),  # of what follows, or of what went before?
        ("(B, D) -> (B, 1, D)", [(None, "B 1 D", True)]),
        ("create the mask\n(B, S) -> (B, 1, S, S)", [(None, "B 1 S S", False)]),
        ("x: (B, D)", [(None, "B D", True)]),
        ("x: (2, 3)", [(None, "2 3", False)]),
        ("a y: (N, C) or so\ny: (B, D)\ny: (B, N, D)", []),
        ("y: (B, D)", [("y", "B D", False)]),
        ("first\nx: (B, D)\nthen", [(None, "B D", False)]),
    ],
)
def test_a_comment_above_says_less(text: str, expected: list[tuple[str | None, str, bool]]) -> None:
    assert [(w.subject, " ".join(w.axes), w.certain) for w in from_comment(text, ["x"], above=True)] == expected


def test_a_dtype_is_kept() -> None:
    (found,) = from_comment("(B, T, C) float", ["x"])
    assert found.dtype == "float"


def test_columns_of_a_comment_of_several_lines() -> None:
    text = "first the rows\n  y: (B, D)"
    (found,) = from_comment(text, ["x"], above=True)
    assert text[found.column :] == "(B, D)"


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="BNDbnd ()[],.*x-+>=:_123/\\'#|\t\n×→é", max_size=40))
def test_any_text_gives_readable_axes_or_nothing(text: str) -> None:
    for found in from_comment(text, ["x"]):
        assert len(spec.parse(" ".join(found.axes)).axes) == len(found.axes)
        assert found.text in text


@pytest.mark.parametrize(
    "text",
    ["a*b" * 100, "a * b + " * 40, "B x " * 90, "shape - : " * 30, "(" * 300, "[(" * 100 + "B", "B, " * 120,
     "-> " * 120, "(a " * 60 + ")" * 60, "tensor of shape " * 20 + "(B, D)"],
)  # fmt: skip
def test_long_lines_are_read_to_their_end(text: str) -> None:
    for found in (*from_comment(text, ["x"]), *from_docstring("Args:\n    x: " + text).values()):
        assert found.axes


# ----------------------------------------------------------------- docstrings


def axes_of(text: str) -> dict[str, str]:
    return {name: " ".join(w.axes) for name, w in from_docstring(inspect.cleandoc(text)).items()}


def test_google_sections() -> None:
    text = """Compute.

        Args:
            q (Tensor): Query embeddings of shape [B, D].
            p: (B, G, D) passages
            mask (torch.BoolTensor of shape `(B, S)`, *optional*): which tokens
                count, 1 for yes
            labels (`torch.LongTensor`, *optional*):
                Targets, shape ``(batch_size,)``.
            size (int): The target size (size, size).
            temperature (float): divides the scores

        Returns:
            torch.Tensor: scores of shape (B, B*G).
        """
    assert axes_of(text) == {
        "q": "B D", "p": "B G D", "mask": "B S", "labels": "batch_size", "return": "B B*G",
    }  # fmt: skip
    assert from_docstring(inspect.cleandoc(text))["mask"].dtype == "bool"


def test_numpy_sections() -> None:
    text = """Compute.

    Parameters
    ----------
    q : Tensor, shape (B, D)
        The queries.
    p : Tensor
        Passages of shape (B, G, D).

    Returns
    -------
    Tensor of shape (B, G)
    """
    assert axes_of(text) == {"q": "B D", "p": "B G D", "return": "B G"}


def test_sphinx_fields() -> None:
    text = """Compute.

    :param q: (B, D) query embeddings
    :param Tensor p: shape: `(*batch_dims, d)`
    :type p: Tensor
    :return: [n1, n2] scores
    """
    assert axes_of(text) == {"q": "B D", "p": "*batch_dims d", "return": "n1 n2"}


def test_torch_shape_section() -> None:
    text = r"""Loss.

    Shape:
        - Input: :math:`(N, C)` where C is the number of classes
        - Target: :math:`(N)`, each value in 0..C
        - Output: :math:`(N, *, H_{out})`
    """
    found = axes_of(text)
    assert found["input"] == "N C"
    assert found["return"] == "N ... H_out"


def test_plain_lines() -> None:
    text = """Supervised loss.

    features: hidden vector of shape [bsz, n_views, ...].
    labels: ground truth of shape [bsz].
    """
    assert axes_of(text) == {"features": "bsz n_views ...", "labels": "bsz"}


@pytest.mark.parametrize(
    "line",
    [
        "x: (N, C) or (N, C, H)",
        "x: shape (N, C) or (C,) for one sample",
        "x: list of tensors of shape (B, D)",
        "x (List[Tensor]): each of shape (B, D)",
        "x (tuple): (B, D) embeddings",
        "x: broadcastable to shape (B, D)",
        "x: shape (B, D) if flat else (B, N, D)",
        "x: the same size as y",
        "x: the mean (optional)",
        "x: a pair (left, right)",
        "x (`torch.Tensor`): the input",
        "x (int, optional): how many",
        "x: (default: 1)",
        "loss (`torch.Tensor` of shape `(1,)`): the loss",
        "x: (1)to tensor, (2)to device",
    ],
)
def test_what_a_docstring_leaves_open(line: str) -> None:
    assert from_docstring(f"Do it.\n\nArgs:\n    {line}\n") == {}


def test_a_shape_further_down_in_an_entry() -> None:
    text = """Loss.

    Args:
        out0:
            Projections of the first views.

            Shape: (batch_size, dim)
        out1: Projections of the second views.
    """
    assert axes_of(text) == {"out0": "batch_size dim"}


def test_contradicting_entries_say_nothing() -> None:
    assert from_docstring("Args:\n    x: (B, D) one\n\nAttributes:\n    x: (B, N) other\n") == {}


def test_column_of_a_docstring_counts_in_the_cleaned_text() -> None:
    text = "Do.\n\nArgs:\n    x: (B, D) rows"
    assert text[from_docstring(text)["x"].column :].startswith("(B, D)")


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="BD x:()[],-`\n>sah pe*", max_size=80))
def test_any_docstring_is_read(text: str) -> None:
    for found in from_docstring("Args:\n    x: " + text).values():
        assert spec.parse(" ".join(found.axes)).axes


# ---------------------------------------------------------------- annotations


def from_text(code: str) -> Expr:
    expr = read_expression(code)
    assert expr is not None
    return expr


def from_file(code: str) -> Expr:
    """The same expression as it stands in a file."""
    (statement,) = parse(f"x = {code}\n".encode(), "x.py").body
    assert isinstance(statement, Bind)
    assert statement.value is not None
    return statement.value


def ann(code: str, **aliases: str) -> Ann:
    """The annotation, read alike from a string and from a file."""
    one, other = (
        from_annotation(read(code), {name: read(text) for name, text in aliases.items()})
        for read in (from_text, from_file)
    )
    assert one == other
    return one


def told(found: Ann) -> str | None:
    return None if found.written is None else " ".join(found.written.axes)


@pytest.mark.parametrize(
    ("code", "axes"),
    [
        ('Float[Tensor, "B D"]', "B D"),
        ('Float[torch.Tensor, " B"]', "B"),
        ('jaxtyping.Int64[Tensor, "*batch d"]', "*batch d"),
        ('Shaped[Tensor, "B*G {self.dim}"]', "B*G {self.dim}"),
        ('Float[Tensor, ""]', ""),
        ('Annotated[Float[Tensor, "B D"], "the queries"]', "B D"),
        ("\"Float[Tensor, 'B D']\"", "B D"),
        ('Float["Tensor", "B D"]', "B D"),
        ('Final[Float[Tensor, "B"]]', "B"),
        ('Float[Tensor, f"B {dim}"]', "B _"),
        ('TensorType["B", 3, -1, "D", float]', "B 3 _ D"),
        ('TensorType["B", ..., torch.float32]', "B ..."),
        ('TensorType["B": 4, "D"]', "B D"),
        ("Tensor", None),
        ("torch.LongTensor", None),
        ('Float[Tensor, "B+"]', None),
    ],
)
def test_a_tensor_annotation(code: str, axes: str | None) -> None:
    found = ann(code)
    assert (found.kind, told(found)) == ("tensor", axes)


def test_a_string_that_jaxtyping_refuses_is_kept() -> None:
    assert ann('Float[Tensor, "B, D"]').axes == "B, D"


def test_what_an_f_string_puts_in_is_not_certain() -> None:
    written = ann('Float[Tensor, f"B {dim}"]').written
    assert written is not None
    assert not written.certain


def test_aliases_are_followed_and_may_add_axes() -> None:
    aliases = {"Image": 'Float[Tensor, "c h w"]', "T": "torch.Tensor", "Loop": "Optional[Loop]"}
    assert told(ann("Image", **aliases)) == "c h w"
    assert told(ann('Float[Image, "b"]', **aliases)) == "b c h w"
    assert ann("T", **aliases).kind == "tensor"
    assert ann("Loop", **aliases).kind in ("optional", "other")


@pytest.mark.parametrize(
    "code",
    [
        'Optional[Float[Tensor, "B"]]',
        'Float[Tensor, "B"] | None',
        'Union[None, Float[Tensor, "B"]]',
        "\"Float[Tensor, 'B'] | None\"",
    ],
)
def test_optional(code: str) -> None:
    found = ann(code)
    assert found.kind == "optional"
    assert told(found.items[0]) == "B"


def test_containers() -> None:
    pair = ann('tuple[Float[Tensor, "B D"], int]')
    assert (pair.kind, told(pair.items[0]), pair.items[1].kind) == ("tuple", "B D", "int")
    assert [ann(c).kind for c in ("list[Tensor]", "Tuple[Tensor, ...]", "Sequence[Tensor]")] == ["list"] * 3
    batch = ann("dict[str, Tensor]")
    assert (batch.kind, [i.kind for i in batch.items]) == ("dict", ["str", "tensor"])


@pytest.mark.parametrize(
    ("code", "kind"),
    [("int", "int"), ("float", "float"), ("bool", "bool"), ("str", "str"), ("None", "none"), ("Encoder", "other"),
     ("Callable[[int], Tensor]", "other"), ("Tensor | int", "other")],
)  # fmt: skip
def test_other_kinds(code: str, kind: str) -> None:
    assert ann(code).kind == kind


# -------------------------------------------------------------------- asserts


def show(expr: Expr | None) -> str:
    match expr:
        case None:
            return "?"
        case Name(name):
            return name
        case Const(value):
            return repr(value)
        case Attr(value, name):
            return f"{show(value)}.{name}"
        case Op(op, (left, right)):
            return f"{show(left)}{op}{show(right)}"
        case Index(value, items):
            return f"{show(value)}[{','.join(show(i) for i in items if not hasattr(i, 'step'))}]"
        case Call(func, args):
            return f"{show(func)}({','.join(show(a.value) for a in args)})"
        case Star(value):
            return f"*{show(value)}"
        case Seq(_, items):
            return f"({','.join(map(show, items))})"
    raise AssertionError(expr)


def asserted(code: str) -> list[str]:
    one, other = (_lines(from_assert(read(code))) for read in (from_text, from_file))
    assert one == other
    return one


def _lines(asserts: list[Asserted]) -> list[str]:
    lines = []
    for found in asserts:
        sizes = f"like {show(found.like)}" if found.like is not None else ",".join(map(show, found.sizes))
        lines.append(f"{show(found.subject)}{'' if found.first is None else f'@{found.first}'}: {sizes}")
    return lines


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x.shape == (B, D)", ["x: B,D"]),
        ("(B, D) == x.shape", ["x: B,D"]),
        ("x.size() == torch.Size([B, 2 * D])", ["x: B,2*D"]),
        ("list(x.shape) == [B, D]", ["x: B,D"]),
        ("x.shape == ()", ["x: "]),
        ("x.ndim == 2", ["x: ?,?"]),
        ("x.dim() == 1", ["x: ?"]),
        ("2 == len(x.shape)", ["x: ?,?"]),
        ("x.shape[0] == y.shape[0]", ["x@0: y.shape[0]"]),
        ("x.size(-1) == self.dim", ["x@-1: self.dim"]),
        ("x.shape == y.shape", ["x: like y"]),
        ("x.shape[:2] == (B, S)", ["x@0: B,S"]),
        ("x.shape[-2:] == (H, W)", ["x@-2: H,W"]),
        ("x.shape[1:] == (S, D)", ["x@-2: S,D"]),
        ("x.shape[:-1] == y.shape[:-1]", []),
        ("x.shape == (*lead, D)", ["x@-1: D"]),
        ("x.ndim == 2 and x.shape[0] == B", ["x: ?,?", "x@0: B"]),
        ("self.q.shape == p.shape == (B, D)", ["self.q: like p", "p: B,D"]),
        ("x.ndim == 2 or x.ndim == 3", []),
        ("x.ndim in (2, 3)", []),
        ("x.ndim >= 2", []),
        ("not x.shape == (B, D)", []),
        ("x.shape == size", []),
        ("x.ndim == True", []),
    ],
)
def test_what_an_assertion_says(code: str, expected: list[str]) -> None:
    assert asserted(code) == expected


@pytest.mark.parametrize(
    "text",
    [
        "assert scores.shape == (B, G)",
        "first\n# assert scores.shape == (B, G), f'{x}, {y}'",
        "assert (scores.shape == (B, G))",
    ],
)
def test_an_assertion_that_was_commented_out(text: str) -> None:
    (found,) = from_commented_assert(text)
    assert (show(found.subject), [show(s) for s in found.sizes]) == ("scores", ["B", "G"])


@pytest.mark.parametrize("text", ["assert that B, G", "assert", "assert scores.shape == (B,", "we assert x.ndim == 2"])
def test_prose_is_no_assertion(text: str) -> None:
    assert from_commented_assert(text) == []


# ----------------------------------------------------------------- vocabulary


def test_words_for_axes_rank_above_words_for_things() -> None:
    sure = ["B", "N", "n1", "bs", "bsz", "batch_size", "num_x", "n_x", "emb_dim", "seq_len", "group_size", "world_size"]
    plain = ["batch", "dim", "hidden", "neg", "d"]
    things = ["label", "x", "idx", "loss", "CLS", "True"]
    assert min(map(axis_score, sure)) >= 2
    assert min(map(axis_score, plain)) >= 2
    assert max(map(axis_score, things)) < 0


def test_a_written_shape_knows_whether_its_rank_is_told() -> None:
    assert Written(None, ("...", "D"), "(..., D)").variadic
    assert not Written(None, ("B", "D"), "(B, D)").variadic


# -------------------------------------------------------------------- phrases

NAMES = ("q", "p", "n", "x", "hidden", "mask", "gold")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hidden [B, S, D], mask [B, S]", {"hidden": "B S D", "mask": "B S"}),
        ("q, p: [N, D]; gold: [N]", {"q": "N D", "p": "N D", "gold": "N"}),
        ("Scores of rows.\n\nq and p are (B, D), n (B, K, D).", {"q": "B D", "p": "B D", "n": "B K D"}),
        ("q [B, D], p [B, G, D] -> [B, G]", {"q": "B D", "p": "B G D", "return": "B G"}),
        ("`x` of shape (batch_size, dim) is normalised", {"x": "batch_size dim"}),
        ("multiplies q and p [B, D]", {"p": "B D"}),
        ("a list of x (B, D)", {}),
        ("x (N, C) or (N, C, H)", {}),
        ("x (B, D) at first, x (D, B) at the end", {}),
        ("x in [0, N]", {}),
        ("Converts the mask into a causal mask (B, 1, T, S).", {}),
        ("adds what is left to mask (B, S)", {"mask": "B S"}),
        ("the entry x[b, d]", {}),
        ("other [B, D]", {}),
    ],
)
def test_phrases_name_parameters(text: str, expected: dict[str, str]) -> None:
    assert {name: " ".join(w.axes) for name, w in from_phrases(text, NAMES).items()} == expected


def test_a_chain_in_front_of_the_word_tensor_is_its_shape() -> None:
    found = from_docstring(
        """Compares.

        Args:
            query (torch.Tensor): NxD Tensor containing the queries.
            bank (torch.Tensor): a K x D matrix of centres
            queue (torch.Tensor): a queue of 4096 tensors
            scale (float): 2 x tensor cores

        Returns:
            torch.Tensor: NxK matrix of scores.
        """
    )
    assert {name: written.axes for name, written in found.items()} == {
        "query": ("N", "D"),
        "bank": ("K", "D"),
        "return": ("N", "K"),
    }
