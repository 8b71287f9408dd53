"""The bytes of a float TFLite model, by the package ``tflite`` (the schema's generated code) and ``flatbuffers``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from devices import UserError
from optima.graph import Graph
from optima.ops.tflite.writer import TfliteNode
from optima.tflite_export.emission import TfliteModel, emit
from optima.tflite_export.schema import ENUMERATIONS, OPTIONS, version_of
from optima.version import __version__

#: a flatbuffer's offsets hold no more; some is left for what is not data
_MOST_BYTES = 2**31 - 2**24
_SIGNATURE = "serving_default"


class TfliteMissing(UserError):
    """A device that is compiled by way of TFLite, on a machine without the ``tflite`` package.

    Example: a map with ``"TPU:0"`` where ``optima[tpu]`` is not installed.
    Fix: ``pip install '.[tpu]'`` in Optima's clone, or map those ops to ``X64``.
    """


def to_tflite(graph: Graph, *, to_be_int8: bool = False) -> bytes:
    """The graph as a float32 TFLite model with a signature; borders have their tensors' names and PyTorch's shapes.

    The bytes depend on the graph and the version of Optima alone. Raises TfliteMissing, GraphError listing the ops
    that have no TFLite form, and UserError for parameters that are not finite or more than 2 GiB of them.
    """
    return serialized(emit(graph), to_be_int8=to_be_int8)


def serialized(model: TfliteModel, *, to_be_int8: bool = False) -> bytes:
    """The model's bytes. ``to_be_int8``: operators have the versions of their int8 forms, since what quantises the
    model keeps them. Raises as ``to_tflite`` does."""
    try:
        import flatbuffers
        import tflite
    except ImportError as error:
        raise TfliteMissing(
            "this device is compiled by way of TFLite, and the package tflite is not installed",
            hint="in Optima's clone: pip install '.[tpu]'",
        ) from error
    if sum(a.nbytes for a in model.constants.values()) > _MOST_BYTES:
        raise UserError("a TFLite model holds 2 GiB at most", hint="spread the ops over several devices or indices")
    builder = flatbuffers.Builder(1 << 16)
    return _Flatbuffer(builder, tflite, model, to_be_int8).finish()


def aligned(builder: Any, data: bytes) -> int:
    """A vector of bytes that begins at a multiple of 16, as the format promises to kernels. Gives its offset."""
    builder.StartVector(1, len(data), 16)
    builder.head -= len(data)
    builder.Bytes[builder.head : builder.head + len(data)] = data
    return int(builder.EndVector())


class _Flatbuffer:
    """Builds the tables from the leaves up, as the format wants it."""

    def __init__(self, builder: Any, schema: Any, model: TfliteModel, to_be_int8: bool) -> None:
        self.builder, self.schema, self.model, self.int8 = builder, schema, model, to_be_int8
        made = [n for node in model.nodes for n in node.outputs]
        self.tensors = [*model.inputs, *model.constants, *made]
        self.number = {name: k for k, name in enumerate(self.tensors)}
        self.versions = {id(node): self._version(node) for node in model.nodes}
        self.codes = sorted({(node.op, self.versions[id(node)]) for node in model.nodes})

    def finish(self) -> bytes:
        """The whole file."""
        b, s = self.builder, self.schema
        # Buffer 0 is the empty one, which every activation names.
        blocks = [b"", *(np.ascontiguousarray(a).tobytes() for a in self.model.constants.values())]
        buffers = self._tables("Model", "Buffers", [self._buffer(data) for data in blocks])
        graphs = self._tables("Model", "Subgraphs", [self._subgraph()])
        codes = self._tables("Model", "OperatorCodes", [self._code(op, version) for op, version in self.codes])
        signatures = self._tables("Model", "SignatureDefs", [self._signature()])
        description = b.CreateString(f"optima {__version__}")
        s.ModelStart(b)
        s.ModelAddVersion(b, 3)
        s.ModelAddOperatorCodes(b, codes)
        s.ModelAddSubgraphs(b, graphs)
        s.ModelAddDescription(b, description)
        s.ModelAddBuffers(b, buffers)
        s.ModelAddSignatureDefs(b, signatures)
        b.Finish(s.ModelEnd(b), b"TFL3")
        return bytes(b.Output())

    def _tables(self, table: str, field: str, offsets: Sequence[int]) -> int:
        getattr(self.schema, f"{table}Start{field}Vector")(self.builder, len(offsets))
        for offset in reversed(offsets):
            self.builder.PrependUOffsetTRelative(offset)
        return int(self.builder.EndVector())

    def _integers(self, values: Sequence[int]) -> int:
        return int(self.builder.CreateNumpyVector(np.asarray(values, dtype=np.int32)))

    def _buffer(self, data: bytes) -> int:
        b, s = self.builder, self.schema
        offset = aligned(b, data) if data else None
        s.BufferStart(b)
        if offset is not None:
            s.BufferAddData(b, offset)
        return int(s.BufferEnd(b))

    def _subgraph(self) -> int:
        b, s, model = self.builder, self.schema, self.model
        buffer_of = {name: k + 1 for k, name in enumerate(model.constants)}
        tensors = self._tables("SubGraph", "Tensors", [self._tensor(n, buffer_of.get(n, 0)) for n in self.tensors])
        operators = self._tables("SubGraph", "Operators", [self._operator(node) for node in model.nodes])
        inputs, outputs = (self._integers([self.number[n] for n in ns]) for ns in (model.inputs, model.outputs))
        name = b.CreateString(model.name)
        s.SubGraphStart(b)
        s.SubGraphAddTensors(b, tensors)
        s.SubGraphAddInputs(b, inputs)
        s.SubGraphAddOutputs(b, outputs)
        s.SubGraphAddOperators(b, operators)
        s.SubGraphAddName(b, name)
        return int(s.SubGraphEnd(b))

    def _tensor(self, name: str, buffer: int) -> int:
        b, s = self.builder, self.schema
        whole = name in self.model.constants and self.model.constants[name].dtype == np.int32
        shape, label = self._integers(self.model.shapes[name]), b.CreateString(name)
        s.TensorStart(b)
        s.TensorAddShape(b, shape)
        s.TensorAddType(b, s.TensorType.INT32 if whole else s.TensorType.FLOAT32)
        s.TensorAddBuffer(b, buffer)
        s.TensorAddName(b, label)
        return int(s.TensorEnd(b))

    def _code(self, op: str, version: int) -> int:
        b, s = self.builder, self.schema
        number = getattr(s.BuiltinOperator, op)
        s.OperatorCodeStart(b)
        # Old readers look at the byte, of which 127 means "see the other one".
        s.OperatorCodeAddDeprecatedBuiltinCode(b, min(number, 127))
        s.OperatorCodeAddVersion(b, version)
        s.OperatorCodeAddBuiltinCode(b, number)
        return int(s.OperatorCodeEnd(b))

    def _version(self, node: TfliteNode) -> int:
        options = node.options
        sampled = bool(options.get("half_pixel_centers") or options.get("align_corners"))
        dilated = (options.get("dilation_h_factor", 1), options.get("dilation_w_factor", 1)) != (1, 1)
        axes = [len(self.model.shapes[n]) for n in node.inputs if n not in self.model.constants]
        return version_of(node.op, int8=self.int8, sampled=sampled, dilated=dilated, axes=axes)

    def _operator(self, node: TfliteNode) -> int:
        b, s = self.builder, self.schema
        inputs, outputs = (self._integers([self.number[n] for n in ns]) for ns in (node.inputs, node.outputs))
        table = OPTIONS[node.op]
        options = self._options(table, node) if table else None
        s.OperatorStart(b)
        s.OperatorAddOpcodeIndex(b, self.codes.index((node.op, self.versions[id(node)])))
        s.OperatorAddInputs(b, inputs)
        s.OperatorAddOutputs(b, outputs)
        if options is not None:
            s.OperatorAddBuiltinOptionsType(b, getattr(s.BuiltinOptions, table))
            s.OperatorAddBuiltinOptions(b, options)
        return int(s.OperatorEnd(b))

    def _options(self, table: str, node: TfliteNode) -> int:
        values: dict[str, Any] = {}
        for field, value in node.options.items():
            if field in ENUMERATIONS:
                value = getattr(getattr(self.schema, ENUMERATIONS[field]), value)
            values[field] = self._integers(value) if isinstance(value, list) else value
        getattr(self.schema, f"{table}Start")(self.builder)
        for field, value in values.items():
            camel = "".join(word.capitalize() for word in field.split("_"))
            getattr(self.schema, f"{table}Add{camel}")(self.builder, value)
        return int(getattr(self.schema, f"{table}End")(self.builder))

    def _signature(self) -> int:
        b, s, model = self.builder, self.schema, self.model
        inputs = self._tables("SignatureDef", "Inputs", [self._named(n) for n in model.inputs])
        outputs = self._tables("SignatureDef", "Outputs", [self._named(n) for n in model.outputs])
        key = b.CreateString(_SIGNATURE)
        s.SignatureDefStart(b)
        s.SignatureDefAddInputs(b, inputs)
        s.SignatureDefAddOutputs(b, outputs)
        s.SignatureDefAddSignatureKey(b, key)
        s.SignatureDefAddSubgraphIndex(b, 0)
        return int(s.SignatureDefEnd(b))

    def _named(self, name: str) -> int:
        b, s = self.builder, self.schema
        label = b.CreateString(name)
        s.TensorMapStart(b)
        s.TensorMapAddName(b, label)
        s.TensorMapAddTensorIndex(b, self.number[name])
        return int(s.TensorMapEnd(b))
