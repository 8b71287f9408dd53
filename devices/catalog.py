"""One ``DeviceSpec`` per kind: data, with sources. Adding a device file for a board refines these."""

from __future__ import annotations

from devices.kind import DeviceEnum
from devices.spec import DeviceSpec, Link

_HOST = Link("host memory", 0.0, "the CPU works on host memory itself: nothing crosses a link")
_PCIE4_X16 = Link("PCIe 4.0 x16", 31.5e9, "PCI-SIG PCIe 4.0: 16 GT/s x 16 lanes x 128/130 / 8")
_PCIE3_X4 = Link("PCIe 3.0 x4", 3.94e9, "PCI-SIG PCIe 3.0: 8 GT/s x 4 lanes x 128/130 / 8")
_USB3 = Link("USB 3.0", 0.5e9, "USB 3.0: 5 Gbit/s with 8b/10b coding")
_SOC = Link("shared SoC memory", 0.0, "the device shares the CPU's DRAM; copies, if any, are the driver's")

_CPU_DTYPES = (
    "float32", "float16", "bfloat16", "float64", "int64", "int32", "int16", "int8", "uint8", "bool",
)  # fmt: skip
_GPU_DTYPES = ("float32", "float16", "int32", "uint8", "int8", "bool")
_NPU_DTYPES = ("float32", "float16", "uint8", "int8")

_SPECS = {
    spec.kind: spec
    for spec in (
        DeviceSpec(DeviceEnum.DEVICE_KIND_X64, "x86_64-linux-gnu", _CPU_DTYPES, "llvm", _HOST),
        DeviceSpec(DeviceEnum.DEVICE_KIND_X86, "i686-linux-gnu", _CPU_DTYPES, "llvm", _HOST),
        DeviceSpec(DeviceEnum.DEVICE_KIND_ARM, "armv7a-linux-gnueabihf", _CPU_DTYPES, "llvm", _HOST),
        DeviceSpec(DeviceEnum.DEVICE_KIND_ARM64, "aarch64-linux-gnu", _CPU_DTYPES, "llvm", _HOST),
        DeviceSpec(DeviceEnum.DEVICE_KIND_NVIDIA, "nvptx64-nvidia-cuda", _CPU_DTYPES, "cuda", _PCIE4_X16),
        DeviceSpec(DeviceEnum.DEVICE_KIND_AMDGPU, "spirv", _GPU_DTYPES, "spirv", _PCIE4_X16),
        DeviceSpec(DeviceEnum.DEVICE_KIND_INTELGPU, "spirv", _GPU_DTYPES, "spirv", _SOC),
        DeviceSpec(DeviceEnum.DEVICE_KIND_MALI, "spirv", _GPU_DTYPES, "spirv", _SOC),
        DeviceSpec(DeviceEnum.DEVICE_KIND_ADRENO, "spirv", _GPU_DTYPES, "spirv", _SOC),
        DeviceSpec(DeviceEnum.DEVICE_KIND_HEXAGON, "hexagon", _NPU_DTYPES, "snpe", _SOC),
        DeviceSpec(DeviceEnum.DEVICE_KIND_MYRIAD, "myriad", _NPU_DTYPES, "openvino", _USB3),
        DeviceSpec(DeviceEnum.DEVICE_KIND_ARA1, "ara1", _NPU_DTYPES, "vendor_bundle", _PCIE3_X4),
        DeviceSpec(
            # What it computes in: a float32 model is quantised for it, its borders stay float32.
            DeviceEnum.DEVICE_KIND_TPU,
            "edgetpu",
            ("int8", "uint8"),
            "edgetpu",
            _USB3,
        ),
        DeviceSpec(DeviceEnum.DEVICE_KIND_CV22, "cv22", _NPU_DTYPES, "vendor_bundle", _SOC),
    )
}


def spec_of(kind: DeviceEnum) -> DeviceSpec:
    """The specification of a kind; every kind has one.

    >>> spec_of(DeviceEnum.DEVICE_KIND_X64).backend
    'llvm'
    """
    return _SPECS[kind]
