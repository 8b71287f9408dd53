"""Run as a script in a process of its own: sessions of onnxruntime-qnn, whose libraries keep state and may crash.

``compile <folder>`` writes ``<folder>/dlc/*.dlc`` from ``model.onnx``; ``probe <folder> <first>`` writes which of
``0.onnx``, ``1.onnx``, ... are taken, one JSON line each; ``serve <fd>`` runs a model on the emulator. The provider's
options, documented at https://onnxruntime.ai/docs/execution-providers/QNN-ExecutionProvider.html, are in
``options.json``, or come first by ``<fd>``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

#: what stands around a model's inputs and outputs and may stay on the CPU in a session that allows it
_BORDER = ("QuantizeLinear", "DequantizeLinear")
_NO_INPUT = "Having zero graph inputs is not supported"


def _session(model: bytes, options: Mapping[str, str], entries: Mapping[str, str]) -> Any:
    import onnxruntime as ort

    devices = [d for d in ort.get_ep_devices() if d.ep_name == "QNNExecutionProvider"]
    chosen = ort.SessionOptions()
    chosen.log_severity_level = 3
    for key, value in entries.items():
        chosen.add_session_config_entry(key, value)
    chosen.add_provider_for_devices(devices[:1], dict(options))
    return ort.InferenceSession(model, sess_options=chosen)


def _register() -> None:
    import onnxruntime as ort
    import onnxruntime_qnn

    ort.register_execution_provider_library("QNNExecutionProvider", onnxruntime_qnn.get_library_path())


def _dumping(options: Mapping[str, str], folder: Path) -> dict[str, str]:
    folder.mkdir(exist_ok=True)
    return {**options, "dump_qnn_ir_dlc": "1", "dump_qnn_ir_dlc_dir": str(folder)}


def compile_model(folder: Path) -> None:
    """The whole model on the device, or an error that names the nodes which are not taken."""
    options = _dumping(json.loads((folder / "options.json").read_text()), folder / "dlc")
    # From bytes: a model's path would get into the name of the graph, and the file would differ from run to run.
    _session((folder / "model.onnx").read_bytes(), options, {"session.disable_cpu_ep_fallback": "1"})


def probe(folder: Path, first: int) -> None:
    """From model ``first`` on; a line per model, so that a crash shows which one caused it."""
    options = _dumping(json.loads((folder / "options.json").read_text()), folder / "dlc")
    with (folder / "answers.jsonl").open("a") as answers:
        for number in range(first, len(list(folder.glob("*.onnx")))):
            answers.write(json.dumps([number, _left_out((folder / f"{number}.onnx").read_bytes(), options)]) + "\n")
            answers.flush()


def _left_out(model: bytes, options: Mapping[str, str]) -> str:
    """The ONNX operators of the model that the device does not take, or the compiler's own words; "" if none."""
    try:
        session = _session(model, options, {"session.record_ep_graph_assignment_info": "1"})
    except Exception as error:  # noqa: BLE001 - the compiler's refusal is the answer
        # What is left of such a model is a constant, which is no fault of its operator.
        return "" if _NO_INPUT in str(error) else str(error).splitlines()[0]
    parts = session.get_provider_graph_assignment_info()
    left = {n.op_type for part in parts if part.ep_name != "QNNExecutionProvider" for n in part.get_nodes()}
    return ", ".join(sorted(left - set(_BORDER)))


def serve(connection: Connection) -> None:
    """A request is the bytes of all inputs, float32, one after the other; so is the answer, after a first byte 1.

    First come the options (JSON) and the model; the first answer is JSON: its ports as ONNX Runtime describes them.
    An answer that begins with a byte 0 is an error's text.
    """
    import numpy as np

    options, model = json.loads(connection.recv_bytes()), connection.recv_bytes()
    try:
        session = _session(model, options, {"session.disable_cpu_ep_fallback": "1"})
    except Exception as error:  # noqa: BLE001 - the other side raises it
        connection.send_bytes(b"\0" + str(error).encode())
        return
    inputs, outputs = session.get_inputs(), [o.name for o in session.get_outputs()]
    described = {"inputs": inputs, "outputs": session.get_outputs()}
    ports = {key: [(p.name, p.shape, p.type) for p in found] for key, found in described.items()}
    connection.send_bytes(b"\1" + json.dumps(ports).encode())
    while True:
        try:
            values = np.frombuffer(connection.recv_bytes(), np.float32)
        except EOFError:
            return
        ends = np.cumsum([int(np.prod(i.shape)) for i in inputs])
        parts = np.split(values, ends[:-1])
        feeds = {i.name: part.reshape(i.shape) for i, part in zip(inputs, parts, strict=True)}
        try:
            found = session.run(outputs, feeds)
        except Exception as error:  # noqa: BLE001 - the other side raises it
            connection.send_bytes(b"\0" + str(error).encode())
            continue
        connection.send_bytes(b"\1" + b"".join(np.ascontiguousarray(f, np.float32).tobytes() for f in found))


def main(argv: Sequence[str]) -> None:
    """The script."""
    _register()
    if argv[0] == "compile":
        compile_model(Path(argv[1]))
    elif argv[0] == "probe":
        probe(Path(argv[1]), int(argv[2]))
    else:
        serve(Connection(int(argv[1])))


if __name__ == "__main__":
    main(sys.argv[1:])
