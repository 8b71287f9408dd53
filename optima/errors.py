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
    "CudaNeeded": "optima.ops.reference",
    "RecipeError": "optima.recipe",
    "AllocationError": "optima.allocation",
    "UnsupportedPlacement": "optima.allocation",
    "NotUsableHere": "optima.tools",
    "ToolMissing": "optima.tools",
    "ToolFailed": "optima.tools",
    "OnnxMissing": "optima.onnx_export.model",
    "TfliteMissing": "optima.tflite_export.flatbuffer",
    "CalibrationError": "optima.calibration",
    "QuantisationError": "optima.quantise.qdq",
    "DeviceOptionError": "optima.backends.device_options",
    "BadBundle": "optima.backends.model_ports",
    "CommandTemplateError": "optima.backends.vendor_bundle.template",
    "UnknownCpu": "optima.kernels.target",
    "LinkError": "optima.kernels.errors",
    "NativeLibraryMissing": "optima.native.errors",
    "KernelRefused": "optima.native.errors",
    "KernelFailed": "optima.native.errors",
    "UnknownBackend": "optima.backends",
    "BadSubgraph": "optima.backends.kernel_route.checking",
    "LitertMissing": "optima.backends.edgetpu.runner",
    "NotCompiledForTpu": "optima.backends.edgetpu.load",
    "NothingRuns": "optima.backends.null.load",
    "BlobRefused": "optima.backends.openvino.load",
    "TorchMissing": "optima.backends.reference.load",
    "Unprintable": "optima.kernels.gpu.launches",
    "BadSpirv": "optima.backends.spirv.words",
    "VulkanMissing": "optima.backends.spirv.errors",
    "OpenClMissing": "optima.backends.spirv.errors",
    "CudaMissing": "optima.backends.cuda.driver",
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
    "SubgraphFailed": "optima.runtime.errors",
    "WrongCpu": "optima.runtime.errors",
    "ExtensionError": "optima.runtime.errors",
    "OptionError": "optima.arguments",
    "SampleError": "optima.samples",
    "VerifyError": "optima.verification",
    "JobError": "optima.cli",
}
#: names of before -> the class that took their place
FORMER = {"CpuOptionError": "DeviceOptionError", "SpirvOptionError": "DeviceOptionError"}


def load(name: str) -> Any:
    """The class of that name. Raises KeyError for a name that is neither in ``CLASSES`` nor in ``FORMER``."""
    name = FORMER.get(name, name)
    return getattr(importlib.import_module(CLASSES[name]), name)


def __getattr__(name: str) -> Any:
    if name in CLASSES or name in FORMER:
        return load(name)
    raise AttributeError(f"module 'optima.errors' has no attribute {name!r}")
