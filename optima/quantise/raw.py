"""Representative data as the files that vendors' tools read: ``.raw`` tensors and a list of them.

The contract is SNPE's (docs.qualcomm.com 80-63442-10, "Quantizing a Model"): a ``.raw`` is the bare elements, float32,
little endian, row-major; the list has a line for each sample, ``name:=path`` for each input.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from devices import InternalError

Array = np.ndarray[Any, Any]

#: where the ``.raw`` files lie, and the list beside that folder; paths in it are relative to its own place
CALIBRATION_FOLDER, INPUT_LIST = "calib", "input_list.txt"


def calibration_files(samples: Mapping[str, Array]) -> dict[str, bytes]:
    """``calib/<sample>_<input>.raw`` for each sample and input, and ``input_list.txt``.

    ``samples`` maps each input to an array ``[samples, *shape]``. Raises InternalError for a name that the list
    cannot hold.
    """
    unfit = [name for name in samples if not re.fullmatch(r"[\w.]+", name)]
    if unfit:
        raise InternalError(f"names that a list of inputs cannot hold: {', '.join(map(repr, unfit))}")
    files: dict[str, bytes] = {}
    lines = []
    for k in range(len(next(iter(samples.values())))):
        words = []
        for name, array in samples.items():
            path = f"{CALIBRATION_FOLDER}/{k:04}_{name}.raw"
            files[path] = raw_bytes(array[k])
            words.append(f"{name}:={path}")
        lines.append(" ".join(words) + "\n")
    return {**files, INPUT_LIST: "".join(lines).encode()}


def raw_bytes(array: Array) -> bytes:
    """The elements as float32, little endian, row-major, with nothing around them."""
    return np.ascontiguousarray(array).astype("<f4").tobytes()
