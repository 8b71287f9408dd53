"""The enumerations that users of the runtime see."""

from __future__ import annotations

import logging
from enum import Enum, IntEnum
from typing import Any

import numpy as np

from optima.graph import itemsize, numpy_dtype


class ElementType(Enum):
    """The dtype of a tensor's elements; the value is PyTorch's name for it."""

    FLOAT64 = "float64"
    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    INT64 = "int64"
    INT32 = "int32"
    INT16 = "int16"
    INT8 = "int8"
    UINT8 = "uint8"
    BOOL = "bool"
    COMPLEX64 = "complex64"

    @property
    def numpy(self) -> np.dtype[Any]:
        """The numpy dtype of arrays that carry it; bfloat16 travels as its uint16 bits."""
        return numpy_dtype(self.value)

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return itemsize(self.value)


class FrameworkKind(Enum):
    """The framework that a compiled model was traced from."""

    PYTORCH = "pytorch"


class LogLevel(IntEnum):
    """How much a context logs; the values are those of ``logging``."""

    DEBUG = logging.DEBUG
    INFO = logging.INFO
    WARNING = logging.WARNING
    ERROR = logging.ERROR
    OFF = logging.CRITICAL + 10
