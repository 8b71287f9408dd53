"""Weights repacked for the blocked operators, as recipes: a compiled model can be given new weights."""

from __future__ import annotations

from dataclasses import dataclass, field

from optima.graph import Graph, Tensor, TensorType
from optima.recipe import Recipe, derived_param, param


def ceil_div(a: int, b: int) -> int:
    """a / b, rounded up."""
    return -(-a // b)


def _padded(recipe: Recipe, shape: tuple[int, ...], wanted: tuple[int, ...]) -> Recipe:
    if shape == wanted:
        return recipe
    return ["pad", recipe, [[0, w - s] for s, w in zip(shape, wanted, strict=True)]]


@dataclass
class WeightPacker:
    """Makes each packed form once, however many ops share the parameter. ``made`` collects the new tensors."""

    graph: Graph
    block: int
    made: dict[str, Tensor] = field(default_factory=dict)

    def _derive(self, source: str, form: str, recipe: Recipe, shape: tuple[int, ...]) -> str:
        name = f"{source}.{form}"
        if name not in self.made:
            kind = TensorType(shape, self.graph.type_of(source).dtype)
            self.made[name] = derived_param(self.graph, name, recipe, kind)
        return name

    def conv(self, weight: str) -> str:
        """``[CO, CI, KH, KW]`` -> ``[COb, CIb, KH, KW, b, b]``."""
        shape, b = self.graph.type_of(weight).shape, self.block
        co, ci, kh, kw = shape
        ob, ib = ceil_div(co, b), ceil_div(ci, b)
        padded = _padded(param(weight), shape, (ob * b, ib * b, kh, kw))
        parts = ["reshape", padded, [ob, b, ib, b, kh, kw]]
        recipe = ["transpose", parts, [0, 2, 4, 5, 3, 1]]
        return self._derive(weight, f"conv{b}", recipe, (ob, ib, kh, kw, b, b))

    def conv_from_dense(self, weight: str) -> str:
        """``[CO, CI, KH, KW]`` -> ``[COb, KH, KW, CI, b]``, for an input of few channels that stays dense."""
        shape, b = self.graph.type_of(weight).shape, self.block
        co, ci, kh, kw = shape
        ob = ceil_div(co, b)
        parts = ["reshape", _padded(param(weight), shape, (ob * b, ci, kh, kw)), [ob, b, ci, kh, kw]]
        recipe = ["transpose", parts, [0, 3, 4, 2, 1]]
        return self._derive(weight, f"conv_dense{b}", recipe, (ob, kh, kw, ci, b))

    def depthwise(self, weight: str) -> str:
        """``[C, 1, KH, KW]`` -> ``[Cb, KH, KW, b]``."""
        shape, b = self.graph.type_of(weight).shape, self.block
        c, _, kh, kw = shape
        cb = ceil_div(c, b)
        parts = ["reshape", _padded(param(weight), shape, (cb * b, 1, kh, kw)), [cb, b, kh, kw]]
        return self._derive(weight, f"depthwise{b}", ["transpose", parts, [0, 2, 3, 1]], (cb, kh, kw, b))

    def bias(self, bias: str) -> str:
        """``[C]`` -> ``[Cb * b]``, zeros behind C."""
        shape = self.graph.type_of(bias).shape
        wanted = (ceil_div(shape[0], self.block) * self.block,)
        if shape == wanted:
            return bias
        return self._derive(bias, f"bias{self.block}", _padded(param(bias), shape, wanted), wanted)

    def per_channel(self, value: str, channels: int) -> str:
        """A parameter of one number per channel (``[C]``, ``[C,1,1]``, ``[1,C,1,1]``) -> ``[Cb, 1, 1, b]``."""
        b = self.block
        cb = ceil_div(channels, b)
        flat = ["reshape", param(value), [channels]]
        parts = ["reshape", _padded(flat, (channels,), (cb * b,)), [cb, 1, 1, b]]
        return self._derive(value, f"channel{b}", parts, (cb, 1, 1, b))

    def linear(self, weight: str) -> str:
        """``[N, K]`` -> ``[ceil(N/nb), K, nb]`` with nb two blocks."""
        (n, k), nb = self.graph.type_of(weight).shape, 2 * self.block
        packs = ceil_div(n, nb)
        parts = ["reshape", _padded(param(weight), (n, k), (packs * nb, k)), [packs, nb, k]]
        return self._derive(weight, f"linear{nb}", ["transpose", parts, [0, 2, 1]], (packs, k, nb))
