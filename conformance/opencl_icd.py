"""``python -m conformance.opencl_icd``: shows PyPI's OpenCL driver for CPUs to the loader in pyopencl's wheel.

intel-opencl-rt brings the driver and a .icd with a path that exists nowhere. The loader also reads the .icd files in
the wheel's own folder ``.libs``: one that names the driver is written there. Nothing outside this environment changes.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

_DRIVER, _PACKAGE = "libintelocl.so", "intel-opencl-rt"


def main() -> int:
    """Write the file; the exit status is 1 where a package is absent."""
    spec = importlib.util.find_spec("pyopencl")
    try:
        drivers = [Path(str(f.locate())).resolve() for f in files(_PACKAGE) or () if f.name == _DRIVER]
    except PackageNotFoundError:
        drivers = []
    if spec is None or spec.origin is None or not drivers:
        print(f"pyopencl or {_PACKAGE} is not installed", file=sys.stderr)
        return 1
    folder = Path(spec.origin).parent / ".libs"
    folder.mkdir(exist_ok=True)
    (folder / "intel-cpu.icd").write_text(f"{drivers[0]}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
