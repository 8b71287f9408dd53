"""What ``device_options={"TPU": {...}}`` may hold."""

from __future__ import annotations

from pydantic import Field

from optima.backends.device_options import MOST_SECONDS, DeviceOptions


class TpuOptions(DeviceOptions):
    """``min_runtime_version``: the oldest Edge TPU runtime to compile for, 0 for the compiler's default.

    ``search_delegate``: let the compiler look for the longest part that it can map when it cannot map all.
    ``timeout_s``: seconds that the compiler may take, 0 for its own default (180). ``min_sqnr_db``: refuse a
    quantised model of which an output lies below this ratio to the float model's; -200 for none. By default the error
    must not be larger than the signal.
    """

    min_runtime_version: int = Field(0, ge=0)
    search_delegate: bool = False
    timeout_s: int = Field(0, ge=0, le=MOST_SECONDS)
    min_sqnr_db: float = Field(0.0, ge=-200, lt=200)
