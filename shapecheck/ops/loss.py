"""Losses: which shapes they need, and what `reduction` leaves. The `nn` classes are the functions, settings stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shapecheck.dims import NEVER
from shapecheck.engine.values import Axis, Layer, Partial, Shape, Tensor, Value
from shapecheck.ops.axes import as_tensor, flag, is_none, put, rank_crash, require, same_axis, same_shape, take, text
from shapecheck.ops.kit import Kit, OpFunction, layer, op
from shapecheck.ops.pointwise import fits_into


def reduction_of(given: Any, reduce: Any = None, size_average: Any = None) -> str | None:
    """ "mean", "sum" or "none"; None when it is not known. `reduce` and `size_average` are torch's old spellings."""
    if not is_none(reduce) or not is_none(size_average):
        keep = True if is_none(reduce) else flag(reduce)
        mean = True if is_none(size_average) else flag(size_average)
        if keep is None or (keep and mean is None):
            return None
        return "none" if not keep else "mean" if mean else "sum"
    return text(given)


def finished(shape: Shape, reduction: str | None) -> Tensor:
    """The loss after its reduction."""
    if reduction in ("mean", "sum", "batchmean"):
        return Tensor((), "float")
    return Tensor(shape if reduction == "none" else Partial(), "float")


# ------------------------------------------------------------- element by element

_BROADCASTING = {
    "mse_loss": "input, target, size_average=None, reduce=None, reduction='mean', weight=None",
    "l1_loss": "input, target, size_average=None, reduce=None, reduction='mean', weight=None",
    "smooth_l1_loss": "input, target, size_average=None, reduce=None, reduction='mean', beta=1.0",
    "huber_loss": "input, target, reduction='mean', delta=1.0, weight=None",
    "kl_div": "input, target, size_average=None, reduce=None, reduction='mean', log_target=False",
    "soft_margin_loss": "input, target, size_average=None, reduce=None, reduction='mean'",
    "poisson_nll_loss": "input, target, log_input=True, full=False, size_average=None, eps=1e-08, reduce=None, "
    "reduction='mean'",
}
_EQUAL = {
    "binary_cross_entropy": "input, target, weight=None, size_average=None, reduce=None, reduction='mean'",
    "binary_cross_entropy_with_logits": "input, target, weight=None, size_average=None, reduce=None, "
    "reduction='mean', pos_weight=None",
}
_REDUCTION = "size_average=None, reduce=None, reduction='mean'"


def _elementwise(name: str) -> OpFunction:
    def run(kit: Kit, input: Value, target: Value, *args: Any, **more: Any) -> Value:
        settings = _settings(name, args, more)
        reduction = reduction_of(settings.get("reduction"), settings.get("reduce"), settings.get("size_average"))
        return elementwise(kit, name, as_tensor(input), as_tensor(target), reduction, settings.get("weight"))

    return run


def _settings(name: str, args: Sequence[Any], more: dict[str, Any]) -> dict[str, Any]:
    listed = {**_BROADCASTING, **_EQUAL}[name]
    names = [part.partition("=")[0].strip() for part in listed.split(",")][2:]
    return {**dict(zip(names, args)), **more}


def elementwise(kit: Kit, name: str, a: Tensor, b: Tensor, reduction: str | None, weight: Any = None) -> Tensor:
    if name in _EQUAL:
        shape = same_shape(kit, "target", name, (a, b), a.shape, b.shape)
    elif name == "soft_margin_loss":  # computed in place of the input
        fits_into(kit, name, a, b)
        shape = a.shape
    else:
        shape = kit.broadcast(name, a, b)
    if not is_none(weight) and isinstance(weight, Tensor):
        kit.broadcast(name, Tensor(shape), weight)
    return finished(shape, reduction)


def _register_elementwise() -> None:
    for name, parameters in {**_BROADCASTING, **_EQUAL}.items():
        op(f"torch.nn.functional.{name}", name=name, parameters=parameters)(_elementwise(name))
    for public, (name, constructor) in {
        "MSELoss": ("mse_loss", _REDUCTION),
        "L1Loss": ("l1_loss", _REDUCTION),
        "SmoothL1Loss": ("smooth_l1_loss", _REDUCTION + ", beta=1.0"),
        "HuberLoss": ("huber_loss", "reduction='mean', delta=1.0"),
        "KLDivLoss": ("kl_div", _REDUCTION + ", log_target=False"),
        "SoftMarginLoss": ("soft_margin_loss", _REDUCTION),
        "PoissonNLLLoss": ("poisson_nll_loss", "log_input=True, full=False, size_average=None, eps=1e-08, reduce=None, "
                           "reduction='mean'"),
        "BCELoss": ("binary_cross_entropy", "weight=None, " + _REDUCTION),
        "BCEWithLogitsLoss": ("binary_cross_entropy_with_logits", "weight=None, " + _REDUCTION + ", pos_weight=None"),
    }.items():  # fmt: skip

        def call(kit: Kit, layer: Layer, input: Value, target: Value, _name: str = name) -> Value:
            return elementwise(kit, _name, as_tensor(input), as_tensor(target), stored(layer), layer.arg("weight"))

        for module in ("torch.nn", "torch.nn.modules.loss"):
            layer(f"{module}.{public}({constructor})")(_hide(call))


def _hide(function: Any) -> OpFunction:
    def call(kit: Kit, layer: Layer, input: Value, target: Value) -> Value:
        return function(kit, layer, input, target)  # type: ignore[no-any-return]

    return call


def stored(layer: Layer) -> str | None:
    return reduction_of(layer.arg("reduction"), layer.arg("reduce"), layer.arg("size_average"))


_register_elementwise()


# ------------------------------------------------------------------- by class


@op("torch.nn.functional.cross_entropy")
def cross_entropy(
    kit: Kit, input: Value, target: Value, weight: Value | None = None, size_average: Any = None,
    ignore_index: Any = -100, reduce: Any = None, reduction: Any = "mean", label_smoothing: Any = 0.0,
) -> Value:  # fmt: skip
    """`[C]` with `[]`, `[N, C, ...]` with `[N, ...]` of class indices, or with `[N, C, ...]` of probabilities."""
    how = reduction_of(reduction, reduce, size_average)
    return finished(classes(kit, "cross_entropy", as_tensor(input), as_tensor(target), weight), how)


@op("torch.nn.functional.nll_loss")
def nll_loss(
    kit: Kit, input: Value, target: Value, weight: Value | None = None, size_average: Any = None,
    ignore_index: Any = -100, reduce: Any = None, reduction: Any = "mean",
) -> Value:  # fmt: skip
    how = reduction_of(reduction, reduce, size_average)
    return finished(classes(kit, "nll_loss", as_tensor(input), as_tensor(target), weight), how)


@layer("torch.nn.CrossEntropyLoss(weight=None, size_average=None, ignore_index=-100, reduce=None, reduction='mean', "
       "label_smoothing=0.0)")  # fmt: skip
def cross_entropy_layer(kit: Kit, layer: Layer, input: Value, target: Value) -> Value:
    shape = classes(kit, "cross_entropy", as_tensor(input), as_tensor(target), layer.arg("weight"))
    return finished(shape, stored(layer))


@layer("torch.nn.NLLLoss(weight=None, size_average=None, ignore_index=-100, reduce=None, reduction='mean')")
def nll_loss_layer(kit: Kit, layer: Layer, input: Value, target: Value) -> Value:
    shape = classes(kit, "nll_loss", as_tensor(input), as_tensor(target), layer.arg("weight"))
    return finished(shape, stored(layer))


def classes(kit: Kit, name: str, scores: Tensor, target: Tensor, weight: Any) -> Shape:
    """The unreduced shape of a loss over classes: the scores without their class axis."""
    if scores.rank is None and target.rank is not None and target.dtype == "int":
        scores = kit.rank(scores, target.rank + 1)  # class indices have one axis less
    rows, labels = scores.axes, target.axes
    if rows is None:
        return _unknown_scores(kit, scores, target)
    if not rows or (name == "nll_loss" and len(rows) > 4 and labels is None):
        rank_crash(kit, name, (scores, target), 0, 1, f"{name} needs an axis of classes")
        return Partial()
    place = 0 if len(rows) == 1 else 1
    if isinstance(weight, Tensor) and weight.axes is not None and len(weight.axes) == 1:
        require(
            kit, "target", name, (scores, weight), rows[place].size, weight.axes[0].size, "one weight for each class"
        )
    without = (*rows[:place], *rows[place + 1 :])
    if labels is None:
        _learn_target(kit, name, scores, target, without)
        return without
    if len(labels) == len(rows):
        if name != "cross_entropy":
            rank_crash(kit, name, (scores, target), len(rows), len(labels), "the target has an axis too many")
            return without
        if target.dtype == "int":
            text = f"class indices need rank {len(without)}, probabilities a float dtype"
            kit.crash("rank", name, (scores, target), len(without), len(labels), NEVER, text)
            return without
        for a, b in zip(rows, labels):  # class probabilities
            require(kit, "target", name, (scores, target), a.size, b.size, "probabilities have the shape of the scores")
        return without
    if len(labels) != len(without):
        text = f"scores of rank {len(rows)} need class indices of rank {len(without)}, not {len(labels)}"
        kit.crash("rank", name, (scores, target), len(rows), len(labels), NEVER, text)
        return without
    result = []
    for a, b in zip(without, labels):
        require(kit, "target", name, (scores, target), a.size, b.size, "one label for each row of scores")
        result.append(same_axis(kit, a, b))
    return tuple(result)


def _learn_target(kit: Kit, name: str, scores: Tensor, target: Tensor, without: tuple[Axis, ...]) -> None:
    """Integer labels of unknown shape are known by the scores; others may be probabilities."""
    if target.dtype == "int":
        same_shape(kit, "target", name, (scores, target), without, target.shape)


def _unknown_scores(kit: Kit, scores: Tensor, target: Tensor) -> Shape:
    if target.dtype == "int" and target.axes is not None:
        return target.axes
    return Partial()


@op("torch.nn.functional.gaussian_nll_loss")
def gaussian_nll_loss(
    kit: Kit, input: Value, target: Value, var: Value, full: Any = False, eps: Any = 1e-6, reduction: Any = "mean"
) -> Value:
    return finished(as_tensor(input).shape, reduction_of(reduction))


# --------------------------------------------------------------- rows and pairs


@op("torch.nn.functional.cosine_embedding_loss")
def cosine_embedding_loss(
    kit: Kit, input1: Value, input2: Value, target: Value, margin: Any = 0, size_average: Any = None,
    reduce: Any = None, reduction: Any = "mean",
) -> Value:  # fmt: skip
    """`[N, D]`, `[N, D]`, `[N]` (or `[D]`, `[D]`, `[]`): one value for each row."""
    shape = _cosine_rows(kit, as_tensor(input1), as_tensor(input2), as_tensor(target))
    return finished(shape, reduction_of(reduction, reduce, size_average))


@layer("torch.nn.CosineEmbeddingLoss(margin=0.0, size_average=None, reduce=None, reduction='mean')")
def cosine_embedding_layer(kit: Kit, layer: Layer, input1: Value, input2: Value, target: Value) -> Value:
    return finished(_cosine_rows(kit, as_tensor(input1), as_tensor(input2), as_tensor(target)), stored(layer))


def _cosine_rows(kit: Kit, a: Tensor, b: Tensor, target: Tensor) -> Shape:
    name = "cosine_embedding_loss"
    if target.rank is None or a.rank is None or b.rank is None:
        return Partial()
    if target.rank > 1 or a.rank != target.rank + 1 or b.rank != target.rank + 1:
        kit.crash("rank", name, (a, b, target), a.rank, target.rank, NEVER,
                  f"ranks {a.rank}, {b.rank} and target {target.rank}: two [N, D] and [N] are needed")  # fmt: skip
        return Partial()
    rows = kit.broadcast(name, a, b)
    if isinstance(rows, Partial):
        return Partial()
    return kit.broadcast(name, Tensor(rows[:-1]), target)


@op("torch.nn.functional.margin_ranking_loss")
def margin_ranking_loss(
    kit: Kit, input1: Value, input2: Value, target: Value, margin: Any = 0, size_average: Any = None,
    reduce: Any = None, reduction: Any = "mean",
) -> Value:  # fmt: skip
    how = reduction_of(reduction, reduce, size_average)
    return finished(_ranking(kit, as_tensor(input1), as_tensor(input2), as_tensor(target)), how)


@layer("torch.nn.MarginRankingLoss(margin=0.0, size_average=None, reduce=None, reduction='mean')")
def margin_ranking_layer(kit: Kit, layer: Layer, input1: Value, input2: Value, target: Value) -> Value:
    return finished(_ranking(kit, as_tensor(input1), as_tensor(input2), as_tensor(target)), stored(layer))


def _ranking(kit: Kit, a: Tensor, b: Tensor, target: Tensor) -> Shape:
    ranks = {t.rank for t in (a, b, target)}
    if len(ranks) > 1 and None not in ranks:
        kit.crash("rank", "margin_ranking_loss", (a, b, target), a.rank, target.rank, NEVER, "all need one rank")
        return Partial()
    return kit.broadcast("margin_ranking_loss", a, b, target)


@op("torch.nn.functional.triplet_margin_loss")
def triplet_margin_loss(
    kit: Kit, anchor: Value, positive: Value, negative: Value, margin: Any = 1.0, p: Any = 2, eps: Any = 1e-6,
    swap: Any = False, size_average: Any = None, reduce: Any = None, reduction: Any = "mean",
) -> Value:  # fmt: skip
    how = reduction_of(reduction, reduce, size_average)
    return finished(_triplets(kit, as_tensor(anchor), as_tensor(positive), as_tensor(negative)), how)


@op("torch.nn.functional.triplet_margin_with_distance_loss")
def triplet_margin_with_distance_loss(
    kit: Kit, anchor: Value, positive: Value, negative: Value, *, distance_function: Any = None, margin: Any = 1.0,
    swap: Any = False, reduction: Any = "mean",
) -> Value:  # fmt: skip
    how = reduction_of(reduction)
    if not is_none(distance_function):
        return finished(Partial(), how)
    return finished(_triplets(kit, as_tensor(anchor), as_tensor(positive), as_tensor(negative)), how)


@layer(
    "torch.nn.TripletMarginLoss(margin=1.0, p=2.0, eps=1e-06, swap=False, size_average=None, reduce=None, "
    "reduction='mean')",
)
def triplet_layer(kit: Kit, layer: Layer, anchor: Value, positive: Value, negative: Value) -> Value:
    return finished(_triplets(kit, as_tensor(anchor), as_tensor(positive), as_tensor(negative)), stored(layer))


@layer("torch.nn.TripletMarginWithDistanceLoss(*, distance_function=None, margin=1.0, swap=False, reduction='mean')")
def triplet_distance_layer(kit: Kit, layer: Layer, anchor: Value, positive: Value, negative: Value) -> Value:
    if not is_none(layer.arg("distance_function")):
        return finished(Partial(), stored(layer))
    return finished(_triplets(kit, as_tensor(anchor), as_tensor(positive), as_tensor(negative)), stored(layer))


def _triplets(kit: Kit, a: Tensor, p: Tensor, n: Tensor) -> Shape:
    """All of one rank; broadcast, then the last axis is summed: `[N, D]` gives `[N]`."""
    ranks = {t.rank for t in (a, p, n)}
    if len(ranks) > 1 and None not in ranks:
        kit.crash("rank", "triplet_margin_loss", (a, p, n), a.rank, p.rank, NEVER, "all need one rank")
        return Partial()
    near, far = kit.broadcast("triplet_margin_loss", a, p), kit.broadcast("triplet_margin_loss", a, n)
    shape = kit.broadcast("triplet_margin_loss", Tensor(near), Tensor(far))
    if isinstance(shape, Partial):
        return Partial(shape.head, shape.tail[:-1]) if shape.tail else Partial()
    return shape[:-1]


@op("torch.nn.functional.hinge_embedding_loss")
def hinge_embedding_loss(
    kit: Kit, input: Value, target: Value, margin: Any = 1.0, size_average: Any = None, reduce: Any = None,
    reduction: Any = "mean",
) -> Value:  # fmt: skip
    shape = kit.broadcast("hinge_embedding_loss", as_tensor(input), as_tensor(target))
    return finished(shape, reduction_of(reduction, reduce, size_average))


@layer("torch.nn.HingeEmbeddingLoss(margin=1.0, size_average=None, reduce=None, reduction='mean')")
def hinge_layer(kit: Kit, layer: Layer, input: Value, target: Value) -> Value:
    shape = kit.broadcast("hinge_embedding_loss", as_tensor(input), as_tensor(target))
    return finished(shape, stored(layer))


@op("torch.nn.functional.multilabel_soft_margin_loss")
def multilabel_soft_margin_loss(
    kit: Kit, input: Value, target: Value, weight: Value | None = None, size_average: Any = None, reduce: Any = None,
    reduction: Any = "mean",
) -> Value:  # fmt: skip
    shape = kit.broadcast("multilabel_soft_margin_loss", as_tensor(input), as_tensor(target))
    how = reduction_of(reduction, reduce, size_average)
    return finished(_without_classes(shape, as_tensor(input)), how)


@layer("torch.nn.MultiLabelSoftMarginLoss(weight=None, size_average=None, reduce=None, reduction='mean')")
def multilabel_soft_margin_layer(kit: Kit, layer: Layer, input: Value, target: Value) -> Value:
    shape = kit.broadcast("multilabel_soft_margin_loss", as_tensor(input), as_tensor(target))
    return finished(_without_classes(shape, as_tensor(input)), stored(layer))


def _without_classes(shape: Shape, scores: Tensor) -> Shape:
    """The class axis is the last one of the scores, also where the target has more axes."""
    if isinstance(shape, Partial) or not scores.rank:
        return Partial()
    return put(shape, scores.rank - 1)


@op("torch.nn.functional.multi_margin_loss")
def multi_margin_loss(
    kit: Kit, input: Value, target: Value, p: Any = 1, margin: Any = 1.0, weight: Value | None = None,
    size_average: Any = None, reduce: Any = None, reduction: Any = "mean",
) -> Value:  # fmt: skip
    how = reduction_of(reduction, reduce, size_average)
    return finished(_multi_margin(kit, as_tensor(input), as_tensor(target)), how)


@layer("torch.nn.MultiMarginLoss(p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction='mean')")
def multi_margin_layer(kit: Kit, layer: Layer, input: Value, target: Value) -> Value:
    return finished(_multi_margin(kit, as_tensor(input), as_tensor(target)), stored(layer))


def _multi_margin(kit: Kit, scores: Tensor, target: Tensor) -> Shape:
    """`[N, C]` with `[N]`, or `[C]` with one label."""
    name = "multi_margin_loss"
    if scores.rank is not None and target.rank is not None and scores.rank not in (1, 2):
        rank_crash(kit, name, (scores, target), scores.rank, 2, "scores need rank 1 or 2")
        return Partial()
    labels = take(target.shape, 0)
    if scores.axes and labels is not None and target.rank == 1:
        rows = scores.axes[0].size if len(scores.axes) == 2 else 1
        require(kit, "target", name, (scores, target), rows, labels.size)
    elif scores.rank == 2 and target.rank is not None:
        rank_crash(kit, name, (scores, target), target.rank, 1, "the target needs one label for each row")
    return target.shape if target.rank is not None else Partial()


@op("torch.nn.functional.ctc_loss")
def ctc_loss(
    kit: Kit, log_probs: Value, targets: Value, input_lengths: Value, target_lengths: Value, blank: Any = 0,
    reduction: Any = "mean", zero_infinity: Any = False,
) -> Value:  # fmt: skip
    lengths = as_tensor(input_lengths)
    return finished(lengths.shape, reduction_of(reduction))
