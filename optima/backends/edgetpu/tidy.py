"""A quantised model as old readers expect it: data aligned, operators by both of their numbers, lowest versions.

``ai-edge-quantizer`` writes data wherever it falls and the operators at the border by their old number alone. LiteRT
takes both; the Edge TPU's compiler is closed and of 2021, so it gets what TensorFlow's own converter wrote then.
"""

from __future__ import annotations

from typing import Any

from optima.tflite_export.flatbuffer import aligned

#: https://github.com/google-ai-edge/LiteRT/blob/main/tflite/tools/versioning/op_version.cc: of int8 to float32
_DEQUANTIZE_INT8 = 2


def tidied(model: bytes) -> bytes:
    """The same model, rewritten. Equal models give equal bytes."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    parsed = schema.ModelT.InitFromPackedBuf(model, 0)
    for code in parsed.operatorCodes:
        code.builtinCode = max(code.builtinCode, code.deprecatedBuiltinCode)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        if code.builtinCode == schema.BuiltinOperator.DEQUANTIZE:
            code.version = _DEQUANTIZE_INT8
    parsed.buffers = [_Aligned(schema, _data(buffer, model)) for buffer in parsed.buffers]
    builder = flatbuffers.Builder(len(model) + (1 << 12))
    builder.Finish(parsed.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _data(buffer: Any, model: bytes) -> bytes:
    """A buffer's bytes; large ones may lie behind the flatbuffer, where the buffer says (schema.fbs, ``offset``)."""
    if buffer.data is not None and len(buffer.data):
        return bytes(buffer.data)
    if buffer.offset > 1:  # 0 and 1 say that there is nothing
        return model[buffer.offset : buffer.offset + buffer.size]
    return b""


class _Aligned:
    """Stands for a buffer when the model is packed."""

    def __init__(self, schema: Any, data: bytes) -> None:
        self._schema = schema
        self._data = data

    def Pack(self, builder: Any) -> int:  # noqa: N802 - the generated code's name for it
        """Write the table; gives its offset."""
        offset = aligned(builder, self._data) if self._data else None
        self._schema.BufferStart(builder)
        if offset is not None:
            self._schema.BufferAddData(builder, offset)
        return int(self._schema.BufferEnd(builder))
