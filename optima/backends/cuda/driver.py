"""NVIDIA's driver by its C interface (https://docs.nvidia.com/cuda/cuda-driver-api), and nothing else.

A machine that only runs models needs no CUDA toolkit and no package: the driver brings ``libcuda.so.1``.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from ctypes import POINTER, c_char_p, c_float, c_int, c_size_t, c_uint, c_uint64, c_void_p
from functools import cache

from optima.backends.cuda.tools import DRIVER
from optima.backends.gpu_route.errors import DeviceFailed, DeviceLacks
from optima.tools import NotUsableHere

_INSTALL = "install NVIDIA's driver for the GPU; load_model(path, fallback=True) simulates one"
#: functions and what they take, in the versions that the library exports since CUDA 4
_SIGNATURES = {
    "cuInit": (c_uint,),
    "cuDeviceGetCount": (POINTER(c_int),),
    "cuDeviceGet": (POINTER(c_int), c_int),
    "cuDeviceGetName": (c_char_p, c_int, c_int),
    "cuDeviceGetAttribute": (POINTER(c_int), c_int, c_int),
    "cuDevicePrimaryCtxRetain": (POINTER(c_void_p), c_int),
    "cuCtxPushCurrent_v2": (c_void_p,),
    "cuCtxPopCurrent_v2": (POINTER(c_void_p),),
    "cuModuleLoadData": (POINTER(c_void_p), c_char_p),
    "cuModuleUnload": (c_void_p,),
    "cuModuleGetFunction": (POINTER(c_void_p), c_void_p, c_char_p),
    "cuMemAlloc_v2": (POINTER(c_uint64), c_size_t),
    "cuMemFree_v2": (c_uint64,),
    "cuMemcpyHtoDAsync_v2": (c_uint64, c_void_p, c_size_t, c_void_p),
    "cuMemcpyDtoHAsync_v2": (c_void_p, c_uint64, c_size_t, c_void_p),
    "cuStreamCreate": (POINTER(c_void_p), c_uint),
    "cuStreamDestroy_v2": (c_void_p,),
    "cuStreamSynchronize": (c_void_p,),
    "cuEventCreate": (POINTER(c_void_p), c_uint),
    "cuEventDestroy_v2": (c_void_p,),
    "cuEventRecord": (c_void_p, c_void_p),
    "cuEventElapsedTime": (POINTER(c_float), c_void_p, c_void_p),
    "cuLaunchKernel": (c_void_p, *[c_uint] * 7, c_void_p, POINTER(c_void_p), POINTER(c_void_p)),
    "cuGetErrorName": (c_int, POINTER(c_char_p)),
    "cuGetErrorString": (c_int, POINTER(c_char_p)),
}
#: CUDA_ERROR_OUT_OF_MEMORY
_OUT_OF_MEMORY = 2
_OWN = "compile for the GPU's own architecture: device_options={'NVIDIA': {'architecture': ...}}"
_OLDER = "update the driver, or compile with the older pip install nvidia-cuda-nvrtc-cu12"
#: what the driver says of code that it cannot take: CUDA_ERROR_INVALID_IMAGE, _NO_BINARY_FOR_GPU, _INVALID_PTX,
#: _JIT_COMPILER_NOT_FOUND, _UNSUPPORTED_PTX_VERSION, _JIT_COMPILATION_DISABLED
_NOT_FOR_THIS = {
    200: _OLDER,
    209: _OWN,
    218: "compile the model again",
    221: f"{_OWN}, or install the whole driver: libnvidia-ptxjitcompiler.so.1 is a part of it",
    222: f"{_OWN}, or {_OLDER}",
    223: _OWN,
}
_FORKED = "CUDA does not survive a fork"
_SPAWN = 'start the process by multiprocessing\'s "spawn", or fork before devices are looked for or models loaded'


class CudaMissing(NotUsableHere):
    """There is no NVIDIA GPU that programs can use: the driver's library is absent, or it finds no device.

    Example: ``load_model(path)`` of a model for ``"NVIDIA:0"`` in a container that was given no GPU.
    Fix: NVIDIA's driver, or ``fallback=True``.
    """


class Driver:
    """The library, initialised. Each call raises when the driver answers with an error."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library, self._process = library, os.getpid()
        for name, takes in _SIGNATURES.items():
            try:
                getattr(library, name).argtypes = takes
            except AttributeError:
                raise CudaMissing(f"NVIDIA's driver is too old: it has no {name}", hint="update the driver") from None
        status = library.cuInit(0)
        if status:
            raise CudaMissing(f"NVIDIA's driver cannot be used: {self._words(status)}", hint=_INSTALL)

    def call(self, what: str, name: str, *arguments: object) -> None:
        """Call ``name``. Raises DeviceFailed, or DeviceLacks for code that is not the device's, saying ``what``."""
        if not self.here:
            raise DeviceFailed(_FORKED, hint=_SPAWN)
        status = getattr(self._library, name)(*arguments)
        if not status:
            return
        message = f"the GPU could not {what}: {self._words(status)}"
        if status in _NOT_FOR_THIS:
            raise DeviceLacks(message, hint=_NOT_FOR_THIS[status])
        hint = "use fewer requests at a time, or a GPU with more memory" if status == _OUT_OF_MEMORY else ""
        raise DeviceFailed(message, hint=hint or "load the model again in a new process; see the driver's log (dmesg)")

    def leave(self) -> None:
        """Give the thread back the context that it had before ``cuCtxPushCurrent_v2``, whatever failed since."""
        self._library.cuCtxPopCurrent_v2(ctypes.byref(c_void_p()))

    @property
    def here(self) -> bool:
        """Whether this is the process that opened the library."""
        return self._process == os.getpid()

    def count(self) -> int:
        """How many GPUs there are."""
        return self._integer("count the GPUs", "cuDeviceGetCount")

    def device(self, index: int) -> int:
        """The handle of the n-th GPU."""
        return self._integer("open the GPU", "cuDeviceGet", index)

    def attribute(self, attribute: int, device: int) -> int:
        """A number about a GPU, by NVIDIA's number of the attribute."""
        return self._integer("describe itself", "cuDeviceGetAttribute", attribute, device)

    def device_name(self, device: int) -> str:
        """What NVIDIA calls a GPU."""
        name = ctypes.create_string_buffer(256)
        self.call("say its name", "cuDeviceGetName", name, len(name), device)
        return name.value.decode(errors="replace")

    def handle(self, what: str, name: str, *arguments: object) -> int:
        """What a function makes and returns by its first argument."""
        made = c_void_p()
        self.call(what, name, ctypes.byref(made), *arguments)
        return made.value or 0

    def microseconds(self, start: int, end: int) -> float:
        """The time between two events that have happened; CUDA's clock has steps of half a microsecond or so."""
        milliseconds = c_float()
        self.call("tell the times", "cuEventElapsedTime", ctypes.byref(milliseconds), start, end)
        return milliseconds.value * 1000

    def _integer(self, what: str, name: str, *arguments: object) -> int:
        found = c_int()
        self.call(what, name, ctypes.byref(found), *arguments)
        return found.value

    def _words(self, status: int) -> str:
        name, text = c_char_p(), c_char_p()
        self._library.cuGetErrorName(status, ctypes.byref(name))
        self._library.cuGetErrorString(status, ctypes.byref(text))
        words = [w.value.decode(errors="replace") for w in (name, text) if w.value]
        return ": ".join(words) or f"error {status}"


@cache
def driver(library: str = DRIVER) -> Driver:
    """The process's driver. Raises CudaMissing, DeviceFailed in a process that was forked from one that had it."""
    if os.getpid() in _forked:
        raise DeviceFailed(_FORKED, hint=_SPAWN)
    try:
        opened = ctypes.CDLL(library)
    except OSError as error:
        raise CudaMissing(f"NVIDIA's driver is not here: {error}", hint=_INSTALL) from None
    return Driver(opened)


#: this process, where it was forked from one that had opened the driver: nothing of CUDA works in it
_forked: set[int] = set()


def _after_fork() -> None:
    if driver.cache_info().currsize:
        _forked.add(os.getpid())
        driver.cache_clear()


os.register_at_fork(after_in_child=_after_fork)


def pointers(values: Sequence[int]) -> tuple[object, object]:
    """(an array of pointers to 64-bit values, the values): what ``cuLaunchKernel`` takes, and what it points to."""
    cells = (c_uint64 * max(1, len(values)))(*values)
    base = ctypes.addressof(cells)
    return (c_void_p * max(1, len(values)))(*(base + 8 * k for k in range(len(values)))), cells
