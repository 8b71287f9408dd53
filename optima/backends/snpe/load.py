"""The run half of ``snpe``: no DSP is driven from here; a simulator runs the quantised model, and says which."""

from __future__ import annotations

import importlib.util
import os

from devices import DeviceRef, UserError
from optima.backends.base import LoadEnv, SubgraphView
from optima.backends.meta_reading import read_meta
from optima.backends.model_ports import BadBundle
from optima.backends.onnx_simulation import (
    QdqMeta,
    SimulatedSubgraph,
    Simulation,
    read_model,
    runtime_simulation,
)
from optima.backends.snpe.emulator import Emulator
from optima.backends.snpe.qnn import provider_options
from optima.tools import ToolFailed


class HexagonMeta(QdqMeta):
    """``soc_model``, ``htp_arch``: the chip that is emulated."""

    soc_model: int
    htp_arch: int


_CHOICE = "OPTIMA_HEXAGON_SIMULATOR"
_CHOICES = ("", "htp", "onnxruntime")


def present(device: DeviceRef) -> bool:
    """False everywhere: this version of Optima hands a ``.dlc`` to SNPE's own runtime and drives no DSP itself."""
    return False


def load(view: SubgraphView, device: DeviceRef, env: LoadEnv) -> SimulatedSubgraph:
    """The quantised model on the HTP emulation where onnxruntime-qnn is installed, else on ONNX Runtime.

    ``OPTIMA_HEXAGON_SIMULATOR`` is "htp" or "onnxruntime" to choose. Raises UserError for another value, ToolMissing
    without onnxruntime, BadBundle for files that do not fit, ToolFailed where the chosen emulation does not start.
    """
    choice = os.environ.get(_CHOICE, "")
    if choice not in _CHOICES:
        raise UserError(f"{_CHOICE} is {choice!r}", hint="use htp or onnxruntime, or unset it")
    meta = read_meta(HexagonMeta, view, BadBundle)
    model = read_model(view, meta)
    simulation: Simulation | None = None
    if choice == "htp" or (choice == "" and importlib.util.find_spec("onnxruntime_qnn") is not None):
        chip = provider_options(meta.soc_model, meta.htp_arch)
        try:
            simulation = Emulator(model, chip)
        except ToolFailed as error:
            if choice == "htp":
                raise ToolFailed(f"{view.name}, step 'load': {error.message}", hint=error.hint) from error
            env.log.warning("%s: no HTP emulation, ONNX Runtime simulates: %s", view.name, error.message)
    simulation = simulation or runtime_simulation(view, model, env)
    return SimulatedSubgraph(view, simulation)
