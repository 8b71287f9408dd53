"""How much noise quantising has added: the signal-to-quantisation-noise ratio of each output, in decibels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from devices import Problem
from optima.quantise.qdq import QuantisationError

Array = np.ndarray[Any, Any]

#: what stands for "no noise at all" (and, negative, for noise where there should be nothing)
MOST_DB = 200.0


def sqnr_db(wanted: Array, got: Array) -> float:
    """``10 log10(sum of wanted^2 / sum of (wanted - got)^2)``, in float64, from -200 to 200 dB.

    What is not finite, such as an output that nobody wrote, is all noise.
    """
    exact = wanted.astype(np.float64)
    signal, noise = float(np.square(exact).sum()), float(np.square(exact - got).sum())
    if not math.isfinite(noise):
        return -MOST_DB
    if noise == 0.0:
        return MOST_DB
    if signal == 0.0:
        return -MOST_DB
    return max(-MOST_DB, min(MOST_DB, 10.0 * math.log10(signal / noise)))


def sqnr_of_outputs(model: bytes, quantised: bytes, samples: Mapping[str, Array]) -> dict[str, float]:
    """For each output of the float model: the ratio of its QDQ form over all samples, to a hundredth of a dB.

    ``samples`` maps each input to an array ``[samples, *shape]``. Both run on ONNX Runtime's CPU provider.
    Raises QuantisationError for an output that is not finite.
    """
    exact, simulated = _session(model), _session(quantised)
    names = [o.name for o in exact.get_outputs()]
    wanted, got = _run(exact, names, samples), _run(simulated, names, samples)
    problems = [
        Problem(name, f"is not finite {where}")
        for name in names
        for where, values in (("on the representative data", wanted), ("after quantising", got))
        if not np.isfinite(values[name]).all()
    ]
    if problems:
        raise QuantisationError("outputs are not finite", problems=problems, hint="leave out the samples that cause it")
    return {name: round(sqnr_db(wanted[name], got[name]), 2) for name in names}


def refuse_noise(found: Mapping[str, float], least_db: float) -> None:
    """Raise QuantisationError, naming every output whose ratio is below ``least_db``."""
    bad = [Problem(name, f"has {db:.1f} dB") for name, db in found.items() if db < least_db]
    if bad:
        raise QuantisationError(
            f"quantising leaves too much noise: a signal-to-noise ratio below {least_db:g} dB",
            problems=bad,
            hint="pass activation_bits=16 or a lower min_sqnr_db in device_options, give more typical samples, "
            "or map these ops to a device that computes in floating point",
        )


def _session(model: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _run(session: Any, names: list[str], samples: Mapping[str, Array]) -> dict[str, Array]:
    count = len(next(iter(samples.values())))
    rows = [session.run(names, {n: np.asarray(a[k]) for n, a in samples.items()}) for k in range(count)]
    return {name: np.stack([row[i] for row in rows]) for i, name in enumerate(names)}
