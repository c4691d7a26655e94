"""What an op is, for whoever asks: rules and analyses ask kinds, never names.

A kind is a bit, so that `fact.kind & REDUCTION` is one question and `CAST | UNARY` another kind. `_TABLE` says which
ops are of a kind, by canonical key (`mse_loss` is `torch.nn.functional.mse_loss` and `torch.nn.MSELoss`); an op may be
of several kinds and must be of one. Nothing is built before the first question.
"""

from __future__ import annotations

from functools import cache

# ------------------------------------------------------------------ each number by itself, or with its counterpart
CAST = 1 << 0  # the same numbers elsewhere, or of another type
UNARY = 1 << 1  # a function of each number
BINARY = 1 << 3  # two operands that broadcast
ARITHMETIC = 1 << 4  # + - * / and their powers
SCALES = 1 << 5  # * and /: by a number, the same thing in another unit
SHIFTS = 1 << 6  # + and -
COMPARES = 1 << 7  # gives truth values
EQUALS = 1 << 8  # == and !=
LOGIC = 1 << 9
BOUNDS = 1 << 10  # the larger or the smaller of two: clamp, maximum, relu
MASKS = 1 << 11  # a mask says which numbers are replaced
BLENDS = 1 << 12  # more than two operands that broadcast
POSITIVE = 1 << 13  # a hinge: nothing is below a bound, or softly so
DROPS = 1 << 14  # dropout

# ------------------------------------------------------------------ along an axis
REDUCTION = 1 << 15  # takes `dim` away, or keeps it as 1
SUMS = 1 << 16
AVERAGES = 1 << 17
EXTREMES = 1 << 18  # the largest, the smallest
PICKS = 1 << 19  # says where the extreme stands
LENGTH = 1 << 20  # a norm
TRUTHS = 1 << 22  # any, all
SCAN = 1 << 23  # running totals
SORTS = 1 << 24
SOFTMAX = 1 << 25  # shares of a whole, also as logarithms
LOGARITHMIC = 1 << 26  # ... as logarithms
UNIT = 1 << 27  # vectors of length 1
STANDARDISES = 1 << 28  # layer_norm, batch_norm
WINDOWS = 1 << 29  # convolutions, pooling, padding

LOGARITHM = 1 << 84  # of each number
DEVIATION = 1 << 85  # how far numbers lie from their mean

# ------------------------------------------------------------------ axes
SWAPS = 1 << 30  # two axes change places: t, T, mT, transpose
MOVES_AXES = 1 << 31  # the same numbers, other order of axes (all that SWAPS, and permute)
RESHAPES = 1 << 32  # the numbers in memory order under other axes
ADDS_AXIS = 1 << 33
DROPS_AXIS = 1 << 34
REPEATS = 1 << 35  # copies along an axis
STRETCHES = 1 << 36  # ... without memory of their own: expand
TURNS_ROUND = 1 << 37  # flip, roll
NAMES_AXES = 1 << 38  # a text says which axes meet: einsum, rearrange

# ------------------------------------------------------------------ places
INDEXES = 1 << 39  # some of the numbers: x[...], gather, narrow
GATHERS = 1 << 40  # ... by a tensor of places
LOOKS_UP = 1 << 41  # rows of a table for places: embedding, one_hot
WRITES = 1 << 42  # numbers are put at places of a tensor
DIAGONAL = 1 << 43  # reads it
SETS_DIAGONAL = 1 << 80
TRIANGLE = 1 << 44
SUBSCRIPT = 1 << 45  # x[...]
SEARCHES = 1 << 46  # as many as there are: nonzero, unique
JOINS = 1 << 47  # along an axis that is there
STACKS = 1 << 48  # along a new one
SPLITS = 1 << 49

# ------------------------------------------------------------------ products
PRODUCT = 1 << 50  # sums over an axis that two operands share
ALL_PAIRS = 1 << 51  # each row of the one with each of the other, without being asked to
ROW_BY_ROW = 1 << 52  # a row with its counterpart
MATRIX = 1 << 53  # ranks as written: mm, bmm
DISTANCE = 1 << 54
LINALG = 1 << 55
FUSED = 1 << 79  # a product, and what is added to it
MATMUL = 1 << 81  # the last axis of the one with the last but one of the other
SIMILARITY = 1 << 82  # how alike rows are, by a name that says so
FEATURES_LAST = 1 << 83  # the last axis of the result are the features of one thing

# ------------------------------------------------------------------ losses
ELEMENTWISE_LOSS = 1 << 56
CLASS_LOSS = 1 << 57
RANKING_LOSS = 1 << 58  # two or three embeddings, or their scores, and what they should be to each other
BINARY_LOSS = 1 << 59  # of probabilities, each by itself

# ------------------------------------------------------------------ where tensors come from, and go
CREATES = 1 << 60
COUNTS = 1 << 62  # 0, 1, 2, ...
RANDOM = 1 << 63
SQUARE = 1 << 64  # ones on the diagonal
COLLECTIVE = 1 << 65
GATHERS_RANKS = 1 << 66

LEARNED = 1 << 68  # has weights, or takes them
LINEAR = 1 << 69
CHAINS = 1 << 70  # runs its members in a row
RECURRENT = 1 << 71
ATTENTION = 1 << 72
MODEL = 1 << 73  # a whole network or its tokenizer
ASKS = 1 << 74  # gives a number, a size, a truth, nothing: no tensor of the data
COMPLEX = 1 << 75  # complex numbers, spectra

# ------------------------------------------------------------------ the rank of the result, beside the first operand's
RANK_KEPT = 1 << 76
RANK_UP = 1 << 77
RANK_DOWN = 1 << 78

LOSS = ELEMENTWISE_LOSS | CLASS_LOSS | RANKING_LOSS

_TABLE: tuple[tuple[int, str], ...] = (
    (CAST, "same to float half double bfloat16 long int short char byte bool type_as conj resolve_conj Identity"),
    (UNARY, """
        abs acos acosh angle asin asinh atan atanh bitwise_not ceil clamp cos cosh deg2rad digamma erf erfc erfinv exp
        exp2 expm1 floor frac i0 imag isfinite isinf isnan isneginf isposinf isreal lgamma log log10 log1p log2
        logical_not logit neg positive rad2deg real reciprocal round rsqrt sgn sign signbit sin sinc sinh sqrt square
        tan trunc float_power pow isin log_prob entropy"""),
    (UNARY, """
        activation celu elu gelu hardshrink hardsigmoid hardswish hardtanh leaky_relu logsigmoid mish
        prelu relu relu6 rrelu selu sigmoid silu softplus softshrink softsign tanh tanhshrink threshold"""),
    (UNARY | DROPS, """
        alpha_dropout dropout dropout1d dropout2d dropout3d feature_alpha_dropout"""),
    (LOGARITHM, "log log2 log10 log1p"),
    (POSITIVE, "relu clamp softplus logsigmoid maximum"),
    (BINARY, """
        add sub mul div pow remainder fmod floor_divide float_power atan2 copysign hypot nextafter logaddexp logaddexp2
        xlogy maximum minimum fmax fmin gcd lcm eq ne lt le gt ge isclose logical_and logical_or logical_xor
        bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift rsub reflected complex"""),
    (ARITHMETIC, "add sub mul div pow float_power rsub reflected addcmul lerp"),
    (SCALES, "mul div"),
    (SHIFTS, "add sub rsub"),
    (BOUNDS, "maximum minimum fmax fmin clamp"),
    (COMPARES, "eq ne lt le gt ge isclose isin isfinite isinf isnan isneginf isposinf isreal signbit"),
    (EQUALS, "eq ne isclose"),
    (LOGIC, """
        logical_and logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor bitwise_not"""),
    (MASKS, "masked_fill masked_scatter"),
    (BLENDS, "where addcmul lerp clamp"),
    # along an axis
    (REDUCTION, """
        sum nansum mean nanmean amax amin logsumexp prod any all count_nonzero argmax argmin std var max min median
        nanmedian mode norm kthvalue quantile std_mean var_mean reduce"""),
    (SUMS, "sum nansum"),
    (AVERAGES, "mean nanmean"),
    (EXTREMES, "max min amax amin median nanmedian mode kthvalue"),
    (PICKS, "argmax argmin topk"),
    (LENGTH, "norm"),
    (DEVIATION, "std var std_mean"),
    (TRUTHS, "any all"),
    (SCAN, "cumsum cumprod cummax cummin logcumsumexp diff"),
    (SORTS, "sort argsort topk"),
    (SOFTMAX, "softmax log_softmax softmin gumbel_softmax"),
    (LOGARITHMIC, "log_softmax"),
    (UNIT, "normalize normalize_embeddings"),
    (STANDARDISES | LEARNED, "layer_norm batch_norm group_norm"),
    (STANDARDISES, "renorm"),
    (WINDOWS | LEARNED, "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d"),
    (WINDOWS, """
        avg_pool1d avg_pool2d avg_pool3d max_pool1d max_pool2d max_pool3d adaptive_avg_pool1d adaptive_avg_pool2d
        adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d pad pixel_shuffle interpolate
        grid_sample unfold glu"""),
    # axes
    (SWAPS | MOVES_AXES, "t transpose"),
    (MOVES_AXES, "permute movedim"),
    (RESHAPES, "view flatten unflatten"),
    (ADDS_AXIS, "unsqueeze atleast diag_embed"),
    (DROPS_AXIS, "squeeze"),
    (REPEATS, "repeat repeat_interleave expand broadcast_tensors meshgrid cartesian_prod combinations"),
    (STRETCHES, "expand broadcast_tensors"),
    (TURNS_ROUND, "flip fliplr roll rot90"),
    (NAMES_AXES, "einsum rearrange reduce pack unpack"),
    # places
    (SUBSCRIPT | INDEXES, "getitem"),
    (INDEXES, "select narrow masked_select take_flat gather index_select take_along_dim unbind"),
    (GATHERS, "gather index_select take_along_dim take_flat"),
    (LOOKS_UP | LEARNED, "embedding embedding_bag"),
    (LOOKS_UP, "one_hot bucketize searchsorted"),
    (WRITES, """
        scatter scatter_add scatter_reduce index_add index_fill index_put masked_scatter fill_diagonal copy fill
        clip_grad_norm"""),
    (DIAGONAL, "diagonal diag trace"),
    (SETS_DIAGONAL, "fill_diagonal diag_embed"),
    (TRIANGLE, "tril triangle_indices"),
    (SEARCHES, "nonzero unique bincount histc multinomial masked_select"),
    (JOINS, "cat hstack vstack dstack column_stack block_diag pad_sequence pack"),
    (STACKS, "stack"),
    (SPLITS, "split chunk tensor_split unbind unpack"),
    # products
    (PRODUCT, """
        matmul mm bmm mv dot inner outer linear bilinear addmm addmv addr baddbmm einsum tensordot multi_dot cdist
        pdist vecdot kron cov cos_sim dot_score euclidean_sim manhattan_sim"""),
    (ALL_PAIRS, "matmul mm inner linear cdist cos_sim dot_score euclidean_sim manhattan_sim"),
    (ROW_BY_ROW, """
        cosine_similarity pairwise_distance pairwise_cos_sim pairwise_dot_score pairwise_euclidean_sim
        pairwise_manhattan_sim pairwise_angle_sim vecdot"""),
    (MATRIX, "mm bmm mv addmm addmv addr baddbmm dot outer"),
    (MATMUL, "matmul mm bmm"),
    (SIMILARITY, """
        cos_sim dot_score euclidean_sim manhattan_sim cosine_similarity pairwise_distance pairwise_cos_sim
        pairwise_dot_score pairwise_euclidean_sim pairwise_manhattan_sim pairwise_angle_sim"""),
    (FEATURES_LAST, "linear layer_norm embedding"),
    (FUSED, "addmm addmv addr baddbmm"),
    (DISTANCE, "cdist pdist dist euclidean_sim manhattan_sim pairwise_distance"),
    (LINALG, """
        det inverse pinv cholesky eigvalsh eigvals matrix_exp matrix_power eigh eig slogdet svd decomposition solve
        matrix_norm cross cov dist"""),
    # losses
    (ELEMENTWISE_LOSS, """
        mse_loss l1_loss smooth_l1_loss huber_loss soft_margin_loss kl_div poisson_nll_loss gaussian_nll_loss
        binary_cross_entropy binary_cross_entropy_with_logits"""),
    (BINARY_LOSS, "binary_cross_entropy binary_cross_entropy_with_logits"),
    (CLASS_LOSS, "cross_entropy nll_loss"),
    (RANKING_LOSS, """
        cosine_embedding_loss margin_ranking_loss triplet_margin_loss triplet_margin_with_distance_loss
        hinge_embedding_loss multilabel_soft_margin_loss multi_margin_loss ctc_loss"""),
    # where tensors come from, and go
    (CREATES, """
        zeros ones empty full new_zeros new_ones new_empty new_full empty_strided empty_permuted zeros_like ones_like
        empty_like full_like"""),
    (CREATES, "tensor new_tensor from_numpy"),
    (CREATES | COUNTS, "arange linspace"),
    (CREATES | RANDOM, """
        rand randn randint randperm normal rand_like randn_like randint_like sample_like sample rsample"""),
    (CREATES | SQUARE, "eye"),
    (COLLECTIVE, """
        all_gather all_gather_into_tensor all_gather_module all_gather_object all_gather_tensor all_reduce
        all_to_all_single reduce_scatter_tensor accelerator_gather uneven_gather"""),
    (GATHERS_RANKS, """
        all_gather all_gather_into_tensor all_gather_module all_gather_tensor accelerator_gather uneven_gather"""),
    (LEARNED, "linear bilinear"),
    (LINEAR, "linear"),
    (CHAINS | LEARNED, "Sequential"),
    (RECURRENT | LEARNED, "RNN GRU LSTM RNNCell GRUCell LSTMCell"),
    (ATTENTION, "scaled_dot_product_attention multi_head_attention_forward"),
    (ATTENTION | LEARNED, """
        MultiheadAttention TransformerEncoderLayer TransformerDecoderLayer TransformerEncoder TransformerDecoder"""),
    (MODEL, "from_pretrained from_config encode model tokenizer"),
    (ASKS, """
        size dim numel item test environment get_rank get_world_size is_initialized broadcast_shapes array outside
        embedding_dimension get_activation wrapped container collective"""),
    (RANK_KEPT, """
        all_gather cat chunk split tensor_split narrow normalize softmax log_softmax softmin cumsum cumprod logcumsumexp
        cummax cummin diff sort argsort topk flip fliplr roll rot90 tril t transpose permute movedim gather index_select
        scatter scatter_add scatter_reduce index_fill index_add masked_scatter fill fill_diagonal copy
        linear layer_norm batch_norm group_norm dropout type_as same pad isin renorm"""),
    (RANK_UP, "unsqueeze stack embedding one_hot diag_embed"),
    (RANK_DOWN, "unbind select diagonal"),
    (COMPLEX, "fft rfft view_as_complex view_as_real complex"),
    # the long tail
    (CAST, "alias_copy cdouble cfloat chalf conj_physical detach_copy resolve_neg"),
    (UNARY, """
        airy_ai bessel_j0 bessel_j1 bessel_y0 bessel_y1 entr erfcx gammaln i0e i1 i1e log_ndtr modified_bessel_i0
        modified_bessel_i1 modified_bessel_k0 modified_bessel_k1 multigammaln mvlgamma ndtr ndtri polygamma psi
        scaled_modified_bessel_k0 scaled_modified_bessel_k1 spherical_bessel_j0 frexp zero softmax_backward_data"""),
    (BINARY, """
        and or xor chebyshev_polynomial_t chebyshev_polynomial_u chebyshev_polynomial_v chebyshev_polynomial_w gammainc
        gammaincc heaviside hermite_polynomial_h hermite_polynomial_he igamma igammac laguerre_polynomial_l ldexp
        legendre_polynomial_p rdiv rmod ror rpow rxor shifted_chebyshev_polynomial_t shifted_chebyshev_polynomial_u
        shifted_chebyshev_polynomial_v shifted_chebyshev_polynomial_w xlog1py zeta"""),
    (REDUCTION, """
        aminmax masked_amax masked_amin masked_argmax masked_argmin masked_logsumexp masked_mean masked_median
        masked_norm masked_prod masked_std masked_sum masked_var trapezoid"""),
    (SCAN, "cumulative_trapezoid"),
    (SOFTMAX, "safe_softmax"),
    (UNIT, "masked_normalize"),
    (SORTS, "msort"),
    (TURNS_ROUND, "fftshift ifftshift channel_shuffle"),
    (WRITES, """
        as_strided_scatter diagonal_scatter index_reduce put select_scatter slice_scatter
        unsafe_masked_index_put_accumulate"""),
    (RESHAPES, "as_strided pixel_unshuffle resize_as sum_to_size atleast"),
    (SETS_DIAGONAL, "diagflat"),
    (WINDOWS, "constant_pad_nd"),
    (CREATES, "window vander"),
    (STANDARDISES, "native_norm"),
    (SEARCHES, "nonzero_static unravel_index"),
    (PRODUCT | FUSED, "addbmm"),
    (LINALG, """
        cholesky_inverse geqrf householder_product linalg_parts lu lu_factor matrix_rank orgqr ormqr qr svdvals
        triangular_solve"""),
)  # fmt: skip

# The keys of layers whose class has another name than the function that does the same
_LAYERS = """
    Linear=linear LazyLinear=linear Bilinear=bilinear Embedding=embedding EmbeddingBag=embedding_bag
    ReLU=relu ReLU6=relu6 GELU=gelu SiLU=silu Mish=mish Tanh=tanh Sigmoid=sigmoid LogSigmoid=logsigmoid
    Softplus=softplus Softsign=softsign ELU=elu SELU=selu CELU=celu LeakyReLU=leaky_relu Hardtanh=hardtanh
    Hardswish=hardswish Hardsigmoid=hardsigmoid Tanhshrink=tanhshrink Hardshrink=hardshrink Softshrink=softshrink
    Threshold=threshold PReLU=prelu RReLU=rrelu GLU=glu
    Dropout=dropout Dropout1d=dropout1d Dropout2d=dropout2d Dropout3d=dropout3d AlphaDropout=alpha_dropout
    FeatureAlphaDropout=feature_alpha_dropout
    Softmax=softmax LogSoftmax=log_softmax Softmin=softmin
    BatchNorm1d=batch_norm BatchNorm2d=batch_norm BatchNorm3d=batch_norm SyncBatchNorm=batch_norm
    InstanceNorm1d=group_norm InstanceNorm2d=group_norm InstanceNorm3d=group_norm GroupNorm=group_norm
    LayerNorm=layer_norm RMSNorm=layer_norm
    Flatten=flatten Unflatten=unflatten Rearrange=rearrange Reduce=reduce
    CosineSimilarity=cosine_similarity PairwiseDistance=pairwise_distance
    DistributedDataParallel=Sequential DataParallel=Sequential
    ModuleList=container ModuleDict=container ParameterList=container
    Conv1d=conv1d Conv2d=conv2d Conv3d=conv3d ConvTranspose1d=conv_transpose1d ConvTranspose2d=conv_transpose2d
    ConvTranspose3d=conv_transpose3d
    MaxPool1d=max_pool1d MaxPool2d=max_pool2d MaxPool3d=max_pool3d AvgPool1d=avg_pool1d AvgPool2d=avg_pool2d
    AvgPool3d=avg_pool3d AdaptiveAvgPool1d=adaptive_avg_pool1d AdaptiveAvgPool2d=adaptive_avg_pool2d
    AdaptiveAvgPool3d=adaptive_avg_pool3d AdaptiveMaxPool1d=adaptive_max_pool1d
    AdaptiveMaxPool2d=adaptive_max_pool2d AdaptiveMaxPool3d=adaptive_max_pool3d
    PixelShuffle=pixel_shuffle ZeroPad2d=pad Upsample=interpolate
    MSELoss=mse_loss L1Loss=l1_loss SmoothL1Loss=smooth_l1_loss HuberLoss=huber_loss KLDivLoss=kl_div
    SoftMarginLoss=soft_margin_loss PoissonNLLLoss=poisson_nll_loss BCELoss=binary_cross_entropy
    BCEWithLogitsLoss=binary_cross_entropy_with_logits CrossEntropyLoss=cross_entropy NLLLoss=nll_loss
    CosineEmbeddingLoss=cosine_embedding_loss MarginRankingLoss=margin_ranking_loss
    TripletMarginLoss=triplet_margin_loss TripletMarginWithDistanceLoss=triplet_margin_with_distance_loss
    HingeEmbeddingLoss=hinge_embedding_loss MultiLabelSoftMarginLoss=multilabel_soft_margin_loss
    MultiMarginLoss=multi_margin_loss
    SentenceTransformer=model Transformer=model
"""


@cache
def _kinds() -> dict[str, int]:
    found: dict[str, int] = {}
    for kind, keys in _TABLE:
        for key in keys.split():
            found[key] = found.get(key, 0) | kind
    return found


@cache
def _layers() -> dict[str, str]:
    return dict(pair.split("=") for pair in _LAYERS.split())


def kind_of(key: str) -> int:
    """The kinds of an op by its canonical key, as bits; 0 for a name that no op has."""
    return _kinds().get(key, 0)


def key_of_layer(name: str) -> str:
    """The canonical key of a layer: `torch.nn.MSELoss` is "mse_loss"."""
    last = name.rpartition(".")[2]
    if name.startswith("transformers."):
        return "tokenizer" if "Tokenizer" in last else "model"
    return _layers().get(last, last)


def known_keys() -> frozenset[str]:
    """Every key that has a kind."""
    return frozenset(_kinds())
