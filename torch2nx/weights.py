"""Copies of a module's weights in numpy, so that a graph stays as it is when the module is trained on."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import nn

_Array = np.ndarray[Any, Any]

#: bytes; smaller tensors are copied faster than they are handed over
_LARGE: Final = 1 << 20


class Weights:
    """Copies the large parameters and buffers of a module on a second thread, while torch traces on the first."""

    def __init__(self, module: nn.Module) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._copies: dict[Any, Future[_Array]] = {}
        for tensor in (*module.parameters(), *module.buffers()):
            if _is_plain(tensor) and tensor.nbytes >= _LARGE and _place(tensor) not in self._copies:
                self._copies[_place(tensor)] = self._thread.submit(array_of, tensor)

    def __enter__(self) -> Weights:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def take(self, tensor: torch.Tensor) -> _Array:
        """The copy of a tensor, which no later call gets too."""
        copy = self._copies.pop(_place(tensor), None) if _is_plain(tensor) else None
        return array_of(tensor) if copy is None else copy.result()


def array_of(tensor: torch.Tensor) -> _Array:
    """A dense copy in numpy; bfloat16 as its uint16 bits."""
    import torch

    dense = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    if dense.dtype == torch.bfloat16:
        dense = dense.view(torch.uint16)
    return np.array(dense.numpy(), order="C", copy=True).reshape(tuple(dense.shape))


def _is_plain(tensor: torch.Tensor) -> bool:
    """Whether it is an ordinary tensor in this machine's memory."""
    import torch

    return (
        type(tensor) in (torch.Tensor, torch.nn.Parameter)
        and tensor.device.type == "cpu"
        and tensor.layout == torch.strided
    )


def _place(tensor: torch.Tensor) -> Any:
    return (tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype)
