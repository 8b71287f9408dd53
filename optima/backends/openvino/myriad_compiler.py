"""Run by an old interpreter (CPython 3.6 to 3.9) with openvino 2021.4.2: ONNX in, a MYRIAD blob out.

    python3.8 myriad_compiler.py subgraph.onnx subgraph.blob '{"MYRIAD_NUMBER_OF_SHAVES": "8"}'

The Inference Engine API of that release has no way to export without a stick: with a platform named, it compiles for
a mock device and then fails to find a real one. By then its cache (the property CACHE_DIR) holds the blob, behind one
line of XML.
"""

import glob
import json
import os
import sys
import tempfile

PLATFORM = "VPU_MYRIAD_2480"


def main(source: str, target: str, config: str) -> None:
    """Compile ``source``."""
    from openvino.inference_engine import IECore

    folder = tempfile.mkdtemp()
    core = IECore()
    core.set_config({"CACHE_DIR": folder}, "")
    compile_for_mock(core, core.read_network(source), json.loads(config))
    cached = glob.glob(os.path.join(folder, "*.blob"))
    if len(cached) != 1:
        sys.exit(f"the cache holds {len(cached)} blobs instead of one")
    with open(cached[0], "rb") as file:
        raw = file.read()
    with open(target, "wb") as file:
        file.write(raw[raw.index(b"\n") + 1 :])


def compile_for_mock(core, network, config) -> None:  # type: ignore[no-untyped-def]
    """Compile a network for the mock device; borders stay float32. Raises RuntimeError where it cannot be compiled."""
    for tensor in list(network.input_info.values()) + list(network.outputs.values()):
        tensor.precision = "FP32"
    try:
        core.load_network(network, "MYRIAD", dict(config, VPU_MYRIAD_PLATFORM=PLATFORM))
    except RuntimeError as error:
        if "no available devices with platform" not in str(error):
            raise


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3])
