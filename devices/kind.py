"""The kinds of device that a map may name."""

from __future__ import annotations

from enum import Enum


class Family(Enum):
    """What a kind of device is: decides scheduling and how instances are counted."""

    CPU = "cpu"
    GPU = "gpu"
    NPU = "npu"


class DeviceEnum(Enum):
    """The 14 kinds. The value is the word used in a map: ``DEVICE_KIND_X64.value == "X64"``."""

    DEVICE_KIND_X86 = "X86"
    DEVICE_KIND_X64 = "X64"
    DEVICE_KIND_ARM = "ARM"
    DEVICE_KIND_ARM64 = "ARM64"
    DEVICE_KIND_NVIDIA = "NVIDIA"
    DEVICE_KIND_AMDGPU = "AMDGPU"
    DEVICE_KIND_INTELGPU = "INTELGPU"
    DEVICE_KIND_MALI = "MALI"
    DEVICE_KIND_ADRENO = "ADRENO"
    DEVICE_KIND_HEXAGON = "HEXAGON"
    DEVICE_KIND_MYRIAD = "MYRIAD"
    DEVICE_KIND_ARA1 = "ARA1"
    DEVICE_KIND_TPU = "TPU"
    DEVICE_KIND_CV22 = "CV22"

    @property
    def family(self) -> Family:
        """CPU, GPU or NPU.

        >>> DeviceEnum.DEVICE_KIND_MALI.family
        <Family.GPU: 'gpu'>
        """
        return _FAMILY.get(self, Family.NPU)


_FAMILY = {
    DeviceEnum.DEVICE_KIND_X86: Family.CPU,
    DeviceEnum.DEVICE_KIND_X64: Family.CPU,
    DeviceEnum.DEVICE_KIND_ARM: Family.CPU,
    DeviceEnum.DEVICE_KIND_ARM64: Family.CPU,
    DeviceEnum.DEVICE_KIND_NVIDIA: Family.GPU,
    DeviceEnum.DEVICE_KIND_AMDGPU: Family.GPU,
    DeviceEnum.DEVICE_KIND_INTELGPU: Family.GPU,
    DeviceEnum.DEVICE_KIND_MALI: Family.GPU,
    DeviceEnum.DEVICE_KIND_ADRENO: Family.GPU,
}
