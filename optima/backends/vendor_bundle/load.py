"""The run half of ``vendor_bundle``: ONNX Runtime on the quantised model, in place of a device that is not driven."""

from __future__ import annotations

from devices import DeviceRef
from optima.backends.base import LoadEnv, SubgraphView
from optima.backends.meta_reading import read_meta
from optima.backends.model_ports import BadBundle
from optima.backends.onnx_simulation import QdqMeta, SimulatedSubgraph, read_model, runtime_simulation


def present(device: DeviceRef) -> bool:
    """False everywhere: what the vendor's compiler wrote is for the vendor's own runtime."""
    return False


def load(view: SubgraphView, device: DeviceRef, env: LoadEnv) -> SimulatedSubgraph:
    """The quantised model on ONNX Runtime. Raises ToolMissing without it, BadBundle for files that do not fit."""
    simulation = runtime_simulation(view, read_model(view, read_meta(QdqMeta, view, BadBundle)), env)
    return SimulatedSubgraph(view, simulation)
