"""How a constant comes from PyTorch's parameters: a closed list of steps, as nested JSON lists.

    ["param", "conv1.weight"]            a parameter by its PyTorch name
    ["frozen", "folded: add_5"]          the stored value, and why it has no recipe (whole recipe only)
    ["scalar", 1e-05]                    a number; takes the dtype of what it meets
    ["cast", r, "float64"]               another dtype
    ["add" | "sub" | "mul" | "div", a, b]   with broadcasting
    ["rsqrt", r]                         1 / sqrt(r)
    ["reshape", r, [64, -1]]             row-major order kept
    ["transpose", r, [0, 2, 1]]          axes permuted
    ["pad", r, [[0, 0], [0, 8]]]         zeros before and after each axis
    ["slice", r, [[0, 64], [0, 3]]]      begin and end on each axis

``evaluate`` uses numpy only. Each arithmetic step is one IEEE operation in the dtype of its operands, so the
result is the same on every machine; a recipe that wants more precision casts to float64 and back itself.
bfloat16 travels as its uint16 bits and is only moved (reshape, transpose, pad, slice), never computed with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from devices import InternalError, UserError
from optima.graph import Graph, Tensor, TensorType, numpy_dtype

#: nested lists of the steps above
Recipe = Any
Array = np.ndarray[Any, Any]


class RecipeError(UserError):
    """A recipe that is not in the closed list of steps, or that does not fit the parameters given.

    Example: new weights without ``conv1.weight``, or with it in another shape.
    Fix: give every name that ``optima.recipe.sources`` lists, in its old shape and dtype.
    """


def param(name: str) -> Recipe:
    """The parameter ``name``: a PyTorch name, or (for ``derived_param``) a tensor's name."""
    return ["param", name]


def frozen(reason: str) -> Recipe:
    """A value that is stored as it is, with the reason why it cannot be made again."""
    return ["frozen", reason]


def sources(recipe: Recipe) -> tuple[str, ...]:
    """The names that ``recipe`` reads, each once, in order of first use."""
    if not isinstance(recipe, list | tuple) or not recipe:
        return ()
    if recipe[0] == "param":
        return (str(recipe[1]),)
    return tuple(dict.fromkeys(name for part in recipe[1:] for name in sources(part)))


def frozen_reason(recipe: Recipe) -> str | None:
    """The reason of the first frozen part, or None where everything can be made from parameters."""
    if not isinstance(recipe, list | tuple) or not recipe:
        return None
    if recipe[0] == "frozen":
        return str(recipe[1])
    return next((r for r in map(frozen_reason, recipe[1:]) if r is not None), None)


def _arithmetic(step: Callable[[Array, Array], Any]) -> Callable[..., Array]:
    def run(a: Array, b: Array) -> Array:
        # A scalar (0-d float64) must not decide the dtype of what it meets.
        if a.ndim == 0 and a.dtype == np.float64 and b.dtype.kind == "f":
            a = a.astype(b.dtype)
        if b.ndim == 0 and b.dtype == np.float64 and a.dtype.kind == "f":
            b = b.astype(a.dtype)
        if a.dtype != b.dtype or a.dtype.kind != "f":
            raise RecipeError(f"a recipe computes with {a.dtype} and {b.dtype}; both must be one float dtype")
        with np.errstate(all="ignore"):
            return np.asarray(step(a, b))

    return run


def _rsqrt(a: Array) -> Array:
    if a.dtype.kind != "f":
        raise RecipeError(f"a recipe computes with {a.dtype}; it must be a float dtype")
    with np.errstate(all="ignore"):
        return np.asarray(a.dtype.type(1) / np.sqrt(a))


def _pad(a: Array, widths: Sequence[Sequence[int]]) -> Array:
    return np.pad(a, [(int(lo), int(hi)) for lo, hi in widths])


def _slice(a: Array, ranges: Sequence[Sequence[int]]) -> Array:
    for (lo, hi), extent in zip(ranges, a.shape, strict=True):
        if not 0 <= lo <= hi <= extent:
            raise RecipeError(f"a recipe takes {lo}:{hi} of an axis of {extent}")
    return a[tuple(slice(int(lo), int(hi)) for lo, hi in ranges)]


def _cast(a: Array, dtype: str) -> Array:
    if dtype == "bfloat16":
        raise RecipeError("a recipe casts to bfloat16, which numpy cannot")
    return a.astype(numpy_dtype(dtype))


#: step -> (how many operands are recipes, function of those and of the rest)
_STEPS: Mapping[str, tuple[int, Callable[..., Array]]] = {
    "add": (2, _arithmetic(np.add)),
    "sub": (2, _arithmetic(np.subtract)),
    "mul": (2, _arithmetic(np.multiply)),
    "div": (2, _arithmetic(np.divide)),
    "rsqrt": (1, _rsqrt),
    "cast": (1, _cast),
    "reshape": (1, lambda a, shape: a.reshape([int(n) for n in shape])),
    "transpose": (1, lambda a, axes: np.transpose(a, [int(n) for n in axes])),
    "pad": (1, _pad),
    "slice": (1, _slice),
    "scalar": (0, lambda value: np.asarray(float(value), np.float64)),
}


def evaluate(recipe: Recipe, params: Mapping[str, Array]) -> Array:
    """The constant that ``recipe`` makes of ``params`` (name -> array; bfloat16 as uint16 bits), dense.

    Raises RecipeError for a name that is missing, a step that is not in the list, operands that do not fit,
    and a frozen recipe: its value is the one that was stored.
    """
    result = _evaluate(recipe, params)
    return np.ascontiguousarray(result).reshape(result.shape)


def _evaluate(recipe: Recipe, params: Mapping[str, Array]) -> Array:
    if not isinstance(recipe, list | tuple) or not recipe or not isinstance(recipe[0], str):
        raise RecipeError(f"{recipe!r:.80} is not a step of a recipe")
    step, *rest = recipe
    if step == "frozen":
        raise RecipeError(f"a frozen constant has no recipe: {rest[0] if rest else 'no reason given'}")
    if step == "param" and len(rest) == 1:
        if rest[0] not in params:
            raise RecipeError(f"the parameter {rest[0]!r} is missing", hint=f"give {rest[0]!r} its array")
        return np.asarray(params[rest[0]])
    if step not in _STEPS:
        raise RecipeError(f"{step!r} is not a step of a recipe", hint=f"the steps are {', '.join(_STEPS)}")
    count, function = _STEPS[step]
    operands = [_evaluate(part, params) for part in rest[:count]]
    try:
        return function(*operands, *rest[count:])
    except (TypeError, ValueError, KeyError) as error:
        shapes = ", ".join(str(o.shape) for o in operands)
        reason = f"the step {step} {rest[count:]} does not fit arrays of shape {shapes}: {error}"
        raise RecipeError(reason) from error


def recipe_of(tensor: Tensor) -> Recipe:
    """How this parameter comes from PyTorch's: its recipe, else its PyTorch name, else frozen."""
    if tensor.recipe is not None:
        return tensor.recipe
    return param(tensor.source) if tensor.source else frozen(f"{tensor.name} has no name in the module")


def compose(recipe: Recipe, tensors: Mapping[str, Tensor]) -> Recipe:
    """``recipe`` over tensor names, rewritten over PyTorch names.

    With a frozen tensor among its sources the whole is frozen: the stored value is all there is.
    """
    for name in sources(recipe):
        reason = frozen_reason(recipe_of(tensors[name]))
        if reason is not None:
            return frozen(reason)
    return _substitute(recipe, tensors)


def _substitute(recipe: Recipe, tensors: Mapping[str, Tensor]) -> Recipe:
    if not isinstance(recipe, list | tuple):
        return recipe
    if recipe and recipe[0] == "param":
        return recipe_of(tensors[recipe[1]])
    return [_substitute(part, tensors) for part in recipe]


def derived_param(graph: Graph, name: str, recipe: Recipe, type_: TensorType) -> Tensor:
    """A new parameter ``name`` that ``recipe`` makes of parameters of ``graph``, named by **tensor** name.

        derived_param(graph, "w.packed", ["transpose", ["param", "paramtensor_3"], [1, 0]], type_)

    Its value is the recipe's evaluation where all values are at hand, so the two cannot disagree; its recipe
    is composed with those of the parameters it reads. Raises InternalError when the result is not of
    ``type_``.
    """
    for source in sources(recipe):
        if source not in graph.tensors or not graph.tensors[source].is_param:
            raise InternalError(f"the recipe of {name!r} reads {source!r}, which is no parameter")
    return derive(graph.tensors, name, recipe, type_)


def derive(tensors: Mapping[str, Tensor], name: str, recipe: Recipe, type_: TensorType) -> Tensor:
    """``derived_param`` over a table of parameters that are not in one graph yet."""
    read = {source: tensors[source].value for source in sources(recipe)}
    arrays = {source: array for source, array in read.items() if array is not None}
    value = None
    if len(arrays) == len(read):
        value = evaluate(recipe, arrays)
        if value.shape != type_.shape or value.dtype != numpy_dtype(type_.dtype):
            raise InternalError(
                f"the recipe of {name!r} makes {value.dtype}{list(value.shape)},"
                f" not {type_.dtype}{list(type_.shape)}"
            )
    return Tensor(name, type_, is_param=True, value=value, recipe=compose(recipe, tensors))
