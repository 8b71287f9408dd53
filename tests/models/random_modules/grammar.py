"""All rules with their weights, and the case that a seed draws from them."""

from __future__ import annotations

from collections.abc import Callable

from tests.models.random_modules.maker import Maker
from tests.models.random_modules.normalising import batch_norm, norm, softmax
from tests.models.random_modules.pointwise import activation, pair, with_constant
from tests.models.random_modules.products import attention, embedding, linear, matmul, reduce
from tests.models.random_modules.programs import Case
from tests.models.random_modules.shapes import cat, expand, pad, part, stack, view
from tests.models.random_modules.shrinking import without_dead
from tests.models.random_modules.spatial import conv, conv_transpose, pool, residual, squeeze_excite, upsample

GRAMMAR: dict[str, tuple[float, Callable[[Maker], None]]] = {
    "activation": (4, activation),
    "attention": (0.7, attention),
    "batch_norm": (1.5, batch_norm),
    "cat": (2, cat),
    "constant": (2.5, with_constant),
    "conv": (7, conv),
    "conv_transpose": (1, conv_transpose),
    "embedding": (0.3, embedding),
    "expand": (0.4, expand),
    "linear": (1.5, linear),
    "matmul": (1, matmul),
    "norm": (1.2, norm),
    "pad": (0.8, pad),
    "pair": (4, pair),
    "part": (2, part),
    "pool": (3, pool),
    "reduce": (1.5, reduce),
    "residual": (1.5, residual),
    "softmax": (0.8, softmax),
    "squeeze_excite": (1, squeeze_excite),
    "stack": (0.5, stack),
    "upsample": (1, upsample),
    "view": (2, view),
}


def make(seed: int) -> Case:
    """The case of a seed."""
    m = Maker(seed)
    want = m.rng.randint(3, 12)
    names = sorted(GRAMMAR)
    weights = [GRAMMAR[n][0] for n in names]
    for _ in range(8 * want):
        if len(m.steps) >= want:
            break
        (name,) = m.rng.choices(names, weights)
        GRAMMAR[name][1](m)
    n = len(m.inputs)
    last = len(m.values) - 1
    extra = [i for i in range(n, last) if m.rng.random() < 0.12]
    read = {r for s in m.steps for r in s.reads}
    loose = [i for i in range(n, last) if i not in read and m.rng.random() < 0.7]
    return without_dead(Case(tuple(m.inputs), tuple(m.steps), tuple(sorted({*extra, *loose, last}))))
