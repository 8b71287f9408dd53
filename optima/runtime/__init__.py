"""Load and run compiled models. Needs numpy, pydantic and Optima's native library; neither torch nor tvm.

import optima.runtime as rt
model = rt.Context().load_model("outputs/Net")
y = model(x)

request = model.create_request()
request.set_inputs({"x": x})
request.infer()
if not request.wait(timeout=100):  # milliseconds; True means that the time ran out
    (y,) = request.get_outputs()
"""

from devices import DeviceEnum as DeviceKind
from devices import DeviceRef, InternalError, OptimaError, UserError
from optima.arguments import OptionError
from optima.artifact.errors import ArtifactError
from optima.native import KernelFailed, KernelRefused, NativeLibraryMissing
from optima.runtime.context import Context
from optima.runtime.enums import ElementType, FrameworkKind, LogLevel
from optima.runtime.errors import (
    DeviceAbsent,
    ExtensionError,
    InputError,
    RequestError,
    SubgraphFailed,
    UnknownTensor,
    WrongCpu,
)
from optima.runtime.model import Model, SubgraphInfo
from optima.runtime.profile import KernelProfile, ProfileData, SubgraphProfile, TransferProfile
from optima.runtime.request import InferRequest
from optima.runtime.tensors import Tensor, TensorInfo

__all__ = [
    "ArtifactError",
    "Context",
    "DeviceAbsent",
    "DeviceKind",
    "DeviceRef",
    "ElementType",
    "ExtensionError",
    "FrameworkKind",
    "InferRequest",
    "InputError",
    "InternalError",
    "KernelFailed",
    "KernelProfile",
    "KernelRefused",
    "LogLevel",
    "Model",
    "NativeLibraryMissing",
    "OptimaError",
    "OptionError",
    "ProfileData",
    "RequestError",
    "SubgraphFailed",
    "SubgraphInfo",
    "SubgraphProfile",
    "Tensor",
    "TransferProfile",
    "TensorInfo",
    "UnknownTensor",
    "UserError",
    "WrongCpu",
]
