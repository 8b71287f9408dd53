"""The compile half of a backend for devices that the tests plug in and pull out: the reference's artifact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from devices import DeviceRef
from optima.backends.base import Backend, CompileOptions
from optima.backends.reference.backend import ReferenceBackend
from optima.graph import Graph
from optima.ops.entry import Answer, No
from tests.forms.load import STATE


class PluggedBackend(ReferenceBackend):
    """``STATE.refuses``: operators by kind of op that no device of a CPU kind takes."""

    name = "plugged"

    def check(
        self, graph: Graph, op_names: Sequence[str], device: DeviceRef, options: CompileOptions
    ) -> Mapping[str, Answer]:
        answers = dict(super().check(graph, op_names, device, options))
        refused = [n for n in op_names if (device.kind.value, graph.op_by_name[n].op) in STATE.refuses]
        return {**answers, **{name: No("not today") for name in refused}}


def backend() -> Backend:
    return PluggedBackend()
