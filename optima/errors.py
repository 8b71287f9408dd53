"""Every error of Optima under one name: ``optima.errors.KernelCompileError``, or ``optima.KernelCompileError``.

``OptimaError`` is the root; ``UserError`` is the caller's to mend and carries a hint; ``InternalError`` is ours.
Classes live in the room that raises them and load on first use.
"""

from __future__ import annotations

import importlib
from typing import Any

#: class name -> module that defines it
CLASSES = {
    "OptimaError": "devices.errors",
    "UserError": "devices.errors",
    "InternalError": "devices.errors",
    "MalformedDevice": "devices.ref",
    "ConvertError": "torch2nx.errors",
    "UnsupportedOp": "torch2nx.errors",
    "GraphError": "torch2nx.errors",
    "UnsafePickle": "torch2nx.errors",
    "ArgumentsError": "torch2nx.errors",
    "PlotError": "torch2nx.errors",
    "DuplicateOp": "optima.ops.registry",
    "RegisterError": "torch2nx.errors",
    "ComputeError": "optima.kernels.compute",
    "UnknownOp": "optima.graph_io",
    "RecipeError": "optima.recipe",
    "AllocationError": "optima.allocation",
    "UnsupportedPlacement": "optima.allocation",
    "ToolMissing": "optima.tools",
    "ToolFailed": "optima.tools",
    "OnnxMissing": "optima.onnx_export.model",
    "TfliteMissing": "optima.tflite_export.flatbuffer",
    "CalibrationError": "optima.calibration",
    "QuantisationError": "optima.quantise.qdq",
    "DeviceOptionError": "optima.backends.device_options",
    "BadBundle": "optima.backends.onnx_simulation",
    "CommandTemplateError": "optima.backends.vendor_bundle.template",
    "UnknownCpu": "optima.kernels.target",
    "CpuOptionError": "optima.kernels.cpu_kinds",
    "LinkError": "optima.kernels.errors",
    "NativeLibraryMissing": "optima.native.errors",
    "KernelRefused": "optima.native.errors",
    "KernelFailed": "optima.native.errors",
    "UnknownBackend": "optima.backends",
    "BadSubgraph": "optima.backends.llvm.buffers",
    "LitertMissing": "optima.backends.edgetpu.runner",
    "NotCompiledForTpu": "optima.backends.edgetpu.load",
    "NothingRuns": "optima.backends.null.load",
    "BlobRefused": "optima.backends.openvino.load",
    "TorchMissing": "optima.backends.reference.load",
    "Unprintable": "optima.kernels.gpu.launches",
    "SpirvOptionError": "optima.backends.spirv.options",
    "BadSpirv": "optima.backends.spirv.words",
    "CudaMissing": "optima.backends.cuda.driver",
    "VulkanMissing": "optima.backends.spirv.devices_here",
    "DeviceLacks": "optima.backends.gpu_route.errors",
    "DeviceFailed": "optima.backends.gpu_route.errors",
    "KernelCompileError": "optima.jobs.errors",
    "WorkerStartError": "optima.jobs.errors",
    "CacheSizeError": "optima.jobs.errors",
    "ArtifactError": "optima.artifact.errors",
    "OutputFolderError": "optima.artifact.errors",
    "ModuleNameError": "optima.artifact.errors",
    "TargetBusyError": "optima.artifact.errors",
    "InputError": "optima.runtime.errors",
    "RequestError": "optima.runtime.errors",
    "UnknownTensor": "optima.runtime.errors",
    "DeviceAbsent": "optima.runtime.errors",
    "WrongCpu": "optima.runtime.errors",
    "ExtensionError": "optima.runtime.errors",
    "OptionError": "optima.arguments",
    "SampleError": "optima.samples",
    "VerifyError": "optima.verification",
    "JobError": "optima.cli",
}


def load(name: str) -> Any:
    """The class of that name. Raises KeyError for a name that is not in ``CLASSES``."""
    return getattr(importlib.import_module(CLASSES[name]), name)


def __getattr__(name: str) -> Any:
    if name in CLASSES:
        return load(name)
    raise AttributeError(f"module 'optima.errors' has no attribute {name!r}")
