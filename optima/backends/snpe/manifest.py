"""``<subgraph>.meta`` of a subgraph on HEXAGON: what the files are, who made them, how good they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devices import DeviceRef
from optima.backends.quantised import border_meta
from optima.backends.snpe.dlc import content_sha256
from optima.backends.snpe.job import Request
from optima.backends.snpe.sdk import Sdk
from optima.graph import Graph
from optima.quantise.raw import INPUT_LIST


@dataclass(frozen=True)
class Made:
    """What a job gave: the ``.dlc``, if any, and dB of signal over quantisation noise per output."""

    dlc: bytes | None
    sqnr_db: Mapping[str, float]


def subgraph_meta(
    subgraph: Graph, device: DeviceRef, request: Request, made: Made, versions: Mapping[str, str]
) -> dict[str, Any]:
    """JSON-able. ``docs/npu.md`` describes every key."""
    name, dlc = subgraph.name, made.dlc
    return {
        "format_version": 1,
        "name": name,
        "device": str(device),
        "inputs": border_meta(subgraph, subgraph.inputs),
        "outputs": border_meta(subgraph, subgraph.outputs),
        "model": f"{name}.qdq.onnx",
        "artifact": f"{name}.dlc" if dlc is not None else "",
        "format": "dlc" if dlc is not None else "onnx-qdq-bundle",
        "content_sha256": content_sha256(dlc) if dlc is not None else "",
        "producer": _producer(request, versions),
        "compiled_for_device": dlc is not None,
        "soc_model": request.soc_model,
        "htp_arch": request.htp_arch,
        "quantisation": {"scheme": str(request.scheme), "samples": len(next(iter(request.samples.values())))},
        "sqnr_db": dict(made.sqnr_db),
        "sqnr_measured_on": f"onnxruntime {versions['onnxruntime']}, CPU, the representative data",
        "simulated_by": ["onnxruntime-qnn (HTP emulation)", "onnxruntime (CPU, the QDQ model)"],
        "next_command": _next_commands(name, request, dlc is not None),
    }


def _producer(request: Request, versions: Mapping[str, str]) -> str:
    if isinstance(request.maker, Sdk):
        return f"{request.maker.converter}, {request.maker.quantiser}"
    if request.maker:
        return f"QnnIr via onnxruntime-qnn {versions['onnxruntime-qnn']}, not validated with SNPE"
    return "nothing made a .dlc: neither the SDK nor onnxruntime-qnn was used"


def _next_commands(name: str, request: Request, has_dlc: bool) -> list[str]:
    """What makes a ``.dlc`` of the bundle, or tries the ``.dlc`` that is there, where the SDK is."""
    if has_dlc:
        return [f"snpe-dlc-info -i {name}.dlc"]
    shapes = {n: a.shape[1:] for n, a in request.samples.items()}
    layouts = [
        f"--input_layout {n} {'NCHW' if len(s) == 4 else 'NONTRIVIAL'} --input_dtype {n} float32"
        for n, s in shapes.items()
    ]
    scheme = request.scheme
    return [
        f"snpe-onnx-to-dlc --input_network {name}.onnx --output_path {name}.float.dlc "
        f"{' '.join(layouts)} --preserve_io",
        f"snpe-dlc-quant --input_dlc {name}.float.dlc --input_list {INPUT_LIST} --output_dlc {name}.dlc "
        f"--act_bitwidth {scheme.activation_bits} --weights_bitwidth {scheme.weight_bits} --bias_bitwidth 32",
    ]
