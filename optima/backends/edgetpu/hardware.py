"""Whether an Edge TPU and its runtime are on this machine. Nothing of theirs is loaded to find out."""

from __future__ import annotations

import ctypes.util
from pathlib import Path

#: (vendor, product) on USB: before the runtime has loaded its firmware, and after
_USB = {("1a6e", "089a"), ("18d1", "9302")}
#: https://coral.ai/docs/edgetpu/tflite-python/#load-tensorflow-lite-and-run-an-inference
LIBRARY = "libedgetpu.so.1"


def edge_tpus(root: Path = Path("/")) -> int:
    """How many there are: on PCIe by the driver's nodes, on USB by vendor and product."""
    pcie = len(list((root / "dev").glob("apex_[0-9]*")))
    return pcie + sum(_usb_ids(folder) in _USB for folder in (root / "sys/bus/usb/devices").glob("*"))


def _usb_ids(folder: Path) -> tuple[str, ...]:
    try:
        return tuple((folder / name).read_text().strip().lower() for name in ("idVendor", "idProduct"))
    except OSError:  # an interface or a hub port, which has none
        return ()


def has_runtime() -> bool:
    """Whether the dynamic linker knows ``libedgetpu``."""
    return ctypes.util.find_library("edgetpu") is not None
