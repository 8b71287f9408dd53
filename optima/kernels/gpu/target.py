"""What GPU kernels are scheduled for: the limits that every device of the four kinds keeps to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class GpuTarget:
    """The limits of one workgroup, and how many workgroups a dispatch may have along one axis.

    ``threads``: invocations of a workgroup. ``shared_bytes``: shared memory of a workgroup, 16 KiB being what Vulkan
    1.1 guarantees. ``groups``: workgroups along one axis of a dispatch, guaranteed by Vulkan too.
    """

    threads: int = 256
    shared_bytes: int = 16_384
    groups: int = 65_535

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form; ``from_dict`` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> GpuTarget:
        """The target that ``to_dict`` gave."""
        return cls(**data)

    def tvm_target(self) -> Any:
        """This GPU as a ``tvm.target.Target``: its kind is OpenCL, whatever the text is printed as.

        Only TVM's scheduling and lowering see it. One thread per warp: no barrier is left out.
        """
        import tvm

        return tvm.target.Target(
            {
                "kind": "opencl",
                "max_num_threads": self.threads,
                "max_threads_per_block": self.threads,
                "max_shared_memory_per_block": self.shared_bytes,
                "thread_warp_size": 1,
            }
        )
