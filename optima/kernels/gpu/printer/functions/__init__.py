"""Float32 functions that kernels call by their C names, written out where the languages' own promise too little.

Vulkan lets ``sin`` be off by 2**-11, ``atan`` by 4096 ulp, and leaves ``tanh`` of large numbers, ``pow`` of negative
ones and most answers at infinities open; OpenCL promises more, and each driver answers in its own way. Each text here
is plain arithmetic, the same in GLSL and OpenCL C. The words that differ are macros, which a dialect puts in front
(``Kernel.functions``): ``BITS`` and ``FLOAT`` (a float's bits and back), ``INT``, ``UINT``, ``REAL`` (conversions) and
``ABS``. Polynomials are those of S. L. Moshier's Cephes library (single precision: ``expf.c``, ``logf.c``, ``sinf.c``,
``asinf.c``, ``atanf.c``, ``exp2f.c``, netlib.org/cephes).
"""

from __future__ import annotations

from collections.abc import Set

from optima.kernels.gpu.printer.functions.exponential import FUNCTIONS as _EXPONENTIAL
from optima.kernels.gpu.printer.functions.hyperbolic import FUNCTIONS as _HYPERBOLIC
from optima.kernels.gpu.printer.functions.power import FUNCTIONS as _POWER
from optima.kernels.gpu.printer.functions.trigonometric import FUNCTIONS as _TRIGONOMETRIC

#: C name, or a name of ours -> the text
TEXTS = {**_EXPONENTIAL, **_TRIGONOMETRIC, **_HYPERBOLIC, **_POWER}


def texts_for(names: Set[str]) -> str:
    """The texts of ``names`` and of all that they call, each behind what it calls; "" for none."""
    ordered: dict[str, None] = {}

    def add(name: str) -> None:
        for inner in TEXTS[name].calls:
            add(inner)
        ordered[name] = None

    for name in sorted(names):
        add(name)
    return "".join(f"{TEXTS[name].text}\n" for name in ordered)
