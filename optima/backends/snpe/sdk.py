"""The route by the SNPE or QAIRT SDK: where it is, the commands of its converter and quantiser, running them.

The commands follow docs.qualcomm.com 80-63442-10, "Tools" (SDK 2.39). The converters are Python scripts of the
SDK's own Python version, which ``OPTIMA_SNPE_PYTHON`` names.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from optima.backends.snpe.dlc import the_only_dlc
from optima.quantise import Scheme, calibration_files
from optima.quantise.raw import INPUT_LIST
from optima.tools import ToolMissing, run_tool

Array = np.ndarray[Any, Any]

ROOTS = ("QAIRT_SDK_ROOT", "SNPE_ROOT", "QNN_SDK_ROOT")
_BIN, _LIB, _PYTHON = "bin/x86_64-linux-clang", "lib/x86_64-linux-clang", "lib/python"
#: (converter, quantiser), the one that names SNPE first; the third pair is of SDKs before 2.20
_PAIRS = (
    ("snpe-onnx-to-dlc", "snpe-dlc-quant"),
    ("qairt-converter", "qairt-quantizer"),
    ("snpe-onnx-to-dlc", "snpe-dlc-quantize"),
)


@dataclass(frozen=True)
class Sdk:
    """An SDK on this machine: its folder, the two programs, the Python of its scripts ("" for their own)."""

    root: str
    converter: str
    quantiser: str
    python: str = ""

    @property
    def identity(self) -> str:
        """The programs' names with sha256 (hex) over both: what stands for the SDK's version in keys."""
        both = b"".join(self._program(name).read_bytes() for name in (self.converter, self.quantiser))
        return f"{self.converter} + {self.quantiser} sha256:{hashlib.sha256(both + self._notes()).hexdigest()[:32]}"

    def _notes(self) -> bytes:
        """``sdk.yaml`` holds the version of the libraries behind the programs."""
        notes = Path(self.root) / "sdk.yaml"
        return notes.read_bytes() if notes.is_file() else b""

    def _program(self, name: str) -> Path:
        return Path(self.root) / _BIN / name

    @property
    def environment(self) -> dict[str, str]:
        """What the SDK's own ``envsetup.sh`` sets."""
        root = Path(self.root)
        return {
            "PATH": f"{root / _BIN}{os.pathsep}{os.environ.get('PATH', '')}",
            "LD_LIBRARY_PATH": f"{root / _LIB}{os.pathsep}{os.environ.get('LD_LIBRARY_PATH', '')}".rstrip(os.pathsep),
            "PYTHONPATH": str(root / _PYTHON),
        }

    def command(self, name: str, *words: str) -> list[str]:
        """The argv of one of its programs; scripts are run by the Python that was named for them."""
        program = self._program(name)
        with program.open("rb") as file:
            is_script = b"python" in file.readline(200) if file.read(2) == b"#!" else False
        return [*([self.python] if self.python and is_script else []), str(program), *words]

    def convert_command(self, model: str, out: str, inputs: Mapping[str, Sequence[int]]) -> list[str]:
        """ONNX to a float ``.dlc`` whose inputs keep their order: ``.raw`` files hold what the model takes.

        ``inputs`` maps names to shapes. ``qairt-converter`` keeps the order by itself.
        """
        words = ["--input_network", model, "--output_path", out]
        if self.converter == "snpe-onnx-to-dlc":
            for name, shape in inputs.items():
                words += ["--input_layout", name, "NCHW" if len(shape) == 4 else "NONTRIVIAL"]
                words += ["--input_dtype", name, "float32"]
            words.append("--preserve_io")  # takes any number of words: it must stand last
        return self.command(self.converter, *words)

    def quantise_command(self, model: str, out: str, scheme: Scheme) -> list[str]:
        """A float ``.dlc`` to a quantised one, with ``input_list.txt``."""
        return self.command(
            self.quantiser,
            *("--input_dlc", model, "--input_list", INPUT_LIST, "--output_dlc", out),
            *("--act_bitwidth", str(scheme.activation_bits), "--weights_bitwidth", str(scheme.weight_bits)),
            *("--bias_bitwidth", "32"),
        )


def find_sdk(environment: Mapping[str, str]) -> Sdk | None:
    """The SDK that ``QAIRT_SDK_ROOT``, ``SNPE_ROOT`` or ``QNN_SDK_ROOT`` points to; None where none is set.

    Raises ToolMissing for a variable that points to a folder without the programs.
    """
    named = [(key, environment[key]) for key in ROOTS if environment.get(key)]
    for _, root in named:
        for converter, quantiser in _PAIRS:
            if all((Path(root) / _BIN / name).is_file() for name in (converter, quantiser)):
                return Sdk(root, converter, quantiser, environment.get("OPTIMA_SNPE_PYTHON", ""))
    if named:
        key, root = named[0]
        raise ToolMissing(
            f"{key} is {root}, and {_BIN} in it has no converter with its quantiser",
            hint=f"set {key} to the SDK's folder, or unset it; wanted: {' or '.join(' and '.join(p) for p in _PAIRS)}",
        )
    return None


def convert(sdk: Sdk, model: bytes, samples: Mapping[str, Array], folder: Path, timeout_s: float) -> Path:
    """ONNX to ``float/model.dlc`` in ``folder``. Raises ToolFailed."""
    (folder / "model.onnx").write_bytes(model)
    made = _fresh(folder / "float") / "model.dlc"
    shapes = {name: array.shape[1:] for name, array in samples.items()}
    argv = sdk.convert_command("model.onnx", "float/model.dlc", shapes)
    said = run_tool(argv, timeout_s=timeout_s, env=sdk.environment, folder=folder, wrote=made, called=sdk.converter)
    the_only_dlc(made.parent, argv, said, env=sdk.environment, called=sdk.converter)
    return made


def quantise_dlc(sdk: Sdk, samples: Mapping[str, Array], folder: Path, scheme: Scheme, timeout_s: float) -> bytes:
    """``float/model.dlc`` in ``folder`` to a quantised one. Raises ToolFailed unless exactly one is written."""
    _write(folder, calibration_files(samples))
    made = _fresh(folder / "quantised") / "model.dlc"
    argv = sdk.quantise_command("float/model.dlc", "quantised/model.dlc", scheme)
    said = run_tool(argv, timeout_s=timeout_s, env=sdk.environment, folder=folder, wrote=made, called=sdk.quantiser)
    return the_only_dlc(made.parent, argv, said, env=sdk.environment, called=sdk.quantiser)


def _fresh(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
