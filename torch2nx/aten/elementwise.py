"""Unary functions, activations, arithmetic, comparisons, casts."""

from __future__ import annotations

from torch2nx.aten.row import CannotConvert, Draft, Row, Table, rows


def _relu6(draft: Draft) -> None:
    draft.attrs |= {"min_val": 0, "max_val": 6}


def _rrelu(draft: Draft) -> None:
    # In eval mode torch uses the middle of the range.
    lower, upper = float(draft.attrs["lower"]), float(draft.attrs["upper"])
    draft.require("rrelu in training mode draws random numbers", training=False)
    draft.attrs = {"negative_slope": (lower + upper) / 2}


def _cast(draft: Draft) -> None:
    result = draft.outputs[0]
    draft.operands = {"self": next(iter(draft.operands.values()))}
    draft.attrs = {"dtype": str(result.dtype).removeprefix("torch.")}


def _log_sigmoid(draft: Draft) -> None:
    draft.keep_outputs(1)


def _gelu(draft: Draft) -> None:
    if draft.attrs["approximate"] not in ("none", "tanh"):
        raise CannotConvert(f"approximate={draft.attrs['approximate']!r}")


def _default_alpha(draft: Draft) -> None:
    draft.attrs.setdefault("alpha", 1)


def _no_rounding(draft: Draft) -> None:
    draft.attrs.setdefault("rounding_mode", None)


def _no_decimals(draft: Draft) -> None:
    draft.attrs.setdefault("decimals", 0)


ROWS: Table = {
    **rows(
        "abs neg sign square sqrt rsqrt reciprocal exp exp2 expm1 log log1p log2 log10 erf tanh sigmoid "
        "sin cos tan asin acos atan sinh cosh asinh acosh atanh floor ceil trunc frac "
        "nan_to_num isnan isinf isfinite isposinf isneginf logical_not bitwise_not"
    ),
    **rows("erfc erfinv lgamma digamma i0 special_i0e special_i1 special_i1e sinc logit angle deg2rad rad2deg"),
    **rows("special_erfcx special_log_ndtr special_ndtri"),
    **rows("special_erfc", op="erfc"),
    **rows("special_erfinv", op="erfinv"),
    **rows("special_gammaln", op="lgamma"),
    **rows("special_digamma special_psi", op="digamma"),
    **rows("special_i0", op="i0"),
    **rows("special_sinc", op="sinc"),
    **rows("special_logit", op="logit"),
    **rows("signbit frexp.Tensor hardshrink softshrink glu"),
    **rows("sgn", op="sign"),
    **rows("real conj conj_physical resolve_conj resolve_neg", op="alias"),
    **rows("absolute", op="abs"),
    **rows("negative", op="neg"),
    **rows("arcsinh", op="asinh"),
    **rows("arccosh", op="acosh"),
    **rows("arctanh", op="atanh"),
    **rows("special_exp2", op="exp2"),
    **rows("special_expm1", op="expm1"),
    **rows("special_log1p", op="log1p"),
    **rows("special_round", _no_decimals, op="round"),
    **rows("arcsin", op="asin"),
    **rows("arccos", op="acos"),
    **rows("arctan", op="atan"),
    **rows("fix", op="trunc"),
    **rows("special_expit", op="sigmoid"),
    **rows("special_erf", op="erf"),
    **rows("round round.decimals", _no_decimals),
    **rows("relu hardtanh hardsigmoid hardswish leaky_relu silu elu celu selu softplus mish threshold prelu"),
    **rows("_prelu_kernel", op="prelu"),
    **rows("gelu", _gelu),
    **rows("log_sigmoid"),
    **rows("log_sigmoid_forward", _log_sigmoid, op="log_sigmoid"),
    **rows("relu6", _relu6, op="hardtanh"),
    **rows("rrelu", _rrelu, op="leaky_relu"),
    **rows("clamp clamp.Tensor clamp_min clamp_min.Tensor clamp_max clamp_max.Tensor"),
    **rows("clip clip.Tensor", op="clamp"),
    **rows("add.Tensor add.Scalar sub.Tensor sub.Scalar rsub.Tensor rsub.Scalar", _default_alpha),
    **rows("subtract.Tensor subtract.Scalar", _default_alpha, op="sub"),
    **rows("mul.Tensor mul.Scalar"),
    **rows("multiply.Tensor multiply.Scalar", op="mul"),
    **rows("div.Tensor div.Scalar div.Tensor_mode div.Scalar_mode", _no_rounding),
    **rows("divide.Tensor divide.Scalar divide.Tensor_mode divide.Scalar_mode", _no_rounding, op="div"),
    **rows("true_divide.Tensor true_divide.Scalar", _no_rounding, op="div"),
    **rows("floor_divide floor_divide.Scalar remainder.Tensor remainder.Scalar remainder.Scalar_Tensor"),
    **rows("fmod.Tensor fmod.Scalar pow.Tensor_Tensor pow.Tensor_Scalar pow.Scalar maximum minimum atan2"),
    **rows("xlogy.Tensor xlogy.Scalar_Self xlogy.Scalar_Other logaddexp logaddexp2 hypot fmax fmin heaviside"),
    **rows("special_xlogy special_xlogy.self_scalar special_xlogy.other_scalar", op="xlogy"),
    **rows("special_xlog1py special_xlog1py.self_scalar special_xlog1py.other_scalar"),
    **rows("copysign.Tensor copysign.Scalar nextafter gcd lcm"),
    **rows("bitwise_left_shift.Tensor bitwise_left_shift.Tensor_Scalar bitwise_left_shift.Scalar_Tensor"),
    **rows("bitwise_right_shift.Tensor bitwise_right_shift.Tensor_Scalar bitwise_right_shift.Scalar_Tensor"),
    **rows("__lshift__.Tensor __lshift__.Scalar", op="bitwise_left_shift"),
    **rows("__rshift__.Tensor __rshift__.Scalar", op="bitwise_right_shift"),
    **rows("max.other", op="maximum"),
    **rows("min.other", op="minimum"),
    **rows("arctan2", op="atan2"),
    **rows("addcmul addcdiv lerp.Tensor lerp.Scalar"),
    **rows("eq.Tensor eq.Scalar ne.Tensor ne.Scalar lt.Tensor lt.Scalar le.Tensor le.Scalar"),
    **rows("gt.Tensor gt.Scalar ge.Tensor ge.Scalar"),
    **rows("not_equal.Tensor not_equal.Scalar", op="ne"),
    **rows("less.Tensor less.Scalar", op="lt"),
    **rows("less_equal.Tensor less_equal.Scalar", op="le"),
    **rows("greater.Tensor greater.Scalar", op="gt"),
    **rows("greater_equal.Tensor greater_equal.Scalar", op="ge"),
    **rows("logical_and logical_or logical_xor"),
    **rows("bitwise_and.Tensor bitwise_and.Scalar bitwise_or.Tensor bitwise_or.Scalar"),
    **rows("bitwise_xor.Tensor bitwise_xor.Scalar"),
    **rows("__and__.Tensor __and__.Scalar", op="bitwise_and"),
    **rows("__or__.Tensor __or__.Scalar", op="bitwise_or"),
    **rows("__xor__.Tensor __xor__.Scalar", op="bitwise_xor"),
    **rows("where.self where.ScalarSelf where.ScalarOther where.Scalar masked_fill.Scalar masked_fill.Tensor"),
    **rows("to.dtype to.device to.dtype_layout to.other _to_copy type_as", _cast, op="to"),
    "copy.default": Row("copy"),
    "fill.Tensor": Row("fill"),
    "fill.Scalar": Row("fill"),
}
