"""Run by an old interpreter, as ``myriad_compiler.py`` is: which operators the MYRIAD compiler takes.

    python3.8 myriad_support.py answers.json whole.onnx op_0.onnx op_1.onnx ...

``answers.json`` becomes a list of reasons, "" for an operator that is taken: as long as there are operators, or empty
where all of ``whole.onnx`` is taken. The plugin's own query says no to some nodes that it rewrites and then takes (a
division, a grouped convolution): where it does, the operator is compiled by itself, for a mock device. Of 771 operator
cases the query took 479, all of which were compiled; of the other 292, 120 were (2026-11-22).
"""

import json
import sys

from myriad_compiler import compile_for_mock  # type: ignore[import-not-found]


def main(target: str, whole: str, *operators: str) -> None:
    """Write the answers."""
    from openvino.inference_engine import IECore

    core = IECore()
    taken = _untaken(core, whole) == ""
    answers = [] if taken else [_reason(core, path) for path in operators]
    with open(target, "w") as file:
        json.dump(answers, file)


def _reason(core, path: str) -> str:  # type: ignore[no-untyped-def]
    untaken = _untaken(core, path)
    if untaken:
        try:
            compile_for_mock(core, core.read_network(path), {})
        except RuntimeError:
            return untaken
    return ""


def _untaken(core, path: str) -> str:  # type: ignore[no-untyped-def]
    """What the query does not take, or why the model cannot be read; "" for nothing."""
    import ngraph  # type: ignore[import-not-found]

    try:
        network = core.read_network(path)
        taken = core.query_network(network, "MYRIAD")
    except RuntimeError as error:
        return str(error).strip().splitlines()[-1][:200]
    nodes = ngraph.function_from_cnn(network).get_ordered_ops()
    kinds = {node.get_type_name() for node in nodes if node.get_friendly_name() not in taken}
    return ", ".join(sorted(kinds - {"Parameter", "Result", "Constant"}))


if __name__ == "__main__":
    main(*sys.argv[1:])
