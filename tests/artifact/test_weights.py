"""The weights file: readable by safetensors' own package, aligned, and safe against hostile headers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from devices import InternalError
from optima.artifact.errors import ArtifactError
from optima.artifact.weights import aligned_empty, pack_weights, parse_weights
from optima.backends.base import Constant
from optima.graph import numpy_dtype

DTYPES = (
    "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool",
)  # fmt: skip
SHAPES = ((), (1,), (7,), (0,), (3, 0, 2), (2, 3, 5), (64,), (1, 1, 1, 17))


def constants() -> list[Constant]:
    rng = np.random.default_rng(0)
    made = []
    for dtype in DTYPES:
        for shape in SHAPES:
            size = int(np.prod(shape)) * numpy_dtype(dtype).itemsize
            raw = rng.integers(0, 2 if dtype == "bool" else 256, size, dtype=np.uint8)
            array = raw.view(numpy_dtype(dtype)).reshape(shape)
            made.append(Constant(f"{dtype}{shape}", array, dtype, None))
    return made


def buffer_of(data: bytes) -> np.ndarray[Any, Any]:
    buffer = aligned_empty(len(data))
    buffer[:] = np.frombuffer(data, np.uint8)
    return buffer


def header_of(data: bytes) -> dict[str, Any]:
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length])


def file_of(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    length = -(-(8 + len(text)) // 64) * 64 - 8
    return length.to_bytes(8, "little") + text.ljust(length) + data


def same(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def test_every_dtype_and_shape_comes_back() -> None:
    made = constants()
    views = parse_weights(buffer_of(pack_weights(made)))
    assert set(views) == {c.key for c in made}
    for c in made:
        assert same(views[c.key], c.array), c.name
        assert not views[c.key].flags.writeable


def test_the_safetensors_package_reads_it() -> None:
    # numpy has no bfloat16, so safetensors.numpy cannot show that one
    made = [c for c in constants() if c.dtype != "bfloat16"]
    read = safetensors.numpy.load(pack_weights(made))
    for c in made:
        assert same(read[c.key], c.array), c.name
    assert all(k.startswith("pad.") for k in set(read) - {c.key for c in made})


def test_the_safetensors_package_reads_bfloat16(tmp_path: Any) -> None:
    bits = Constant("b", np.array([0x3F80, 0xC000], np.uint16), "bfloat16", None)
    path = tmp_path / "w.safetensors"
    path.write_bytes(pack_weights([bits]))
    torch = pytest.importorskip("torch")
    with safetensors.safe_open(path, "pt") as file:
        tensor = file.get_tensor(bits.key)
    assert tensor.dtype == torch.bfloat16 and tensor.tolist() == [1.0, -2.0]


def test_every_entry_starts_at_a_multiple_of_64_bytes_of_the_file_and_of_memory() -> None:
    data = pack_weights(constants())
    begin = 8 + int.from_bytes(data[:8], "little")
    for key, entry in header_of(data).items():
        if key != "__metadata__" and not key.startswith("pad."):
            assert (begin + entry["data_offsets"][0]) % 64 == 0
    assert all(v.ctypes.data % 64 == 0 for v in parse_weights(buffer_of(data)).values())


def test_bytes_depend_on_the_set_of_constants_alone() -> None:
    made = constants()
    again = [Constant("other", c.array.copy(), c.dtype, "other") for c in reversed(made)]
    assert pack_weights(made) == pack_weights(again + made)


def test_a_strided_array_is_stored_dense() -> None:
    c = Constant("t", np.arange(6, dtype=np.int32).reshape(2, 3).T, "int32", None)
    assert same(parse_weights(buffer_of(pack_weights([c])))[c.key], np.ascontiguousarray(c.array))


def test_no_constant_at_all() -> None:
    data = pack_weights([])
    assert safetensors.numpy.load(data) == {} and parse_weights(buffer_of(data)) == {}


@pytest.mark.parametrize("dtype", ["complex64", "int64"])
def test_a_constant_that_is_not_what_it_says_is_our_fault(dtype: str) -> None:
    with pytest.raises(InternalError, match="'c'"):
        pack_weights([Constant("c", np.zeros(1, np.float32), dtype, None)])


def entry(dtype: Any = "F32", shape: Any = (4,), offsets: Any = (0, 16)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


DATA = bytes(16)
HOSTILE = {
    "empty": b"",
    "short": b"\x01\x02",
    "length beyond the file": (1 << 20).to_bytes(8, "little") + b"{}",
    "length beyond all memory": b"\xff" * 8 + b"{}",
    "no JSON": file_of(b"{{{{"),
    "no object": file_of([1]),
    "deep": file_of(b"[" * 100_000),
    "not UTF-8": file_of(b'{"\xff": 1}'),
    "entry is no object": file_of({"a": 1}, DATA),
    "extra key": file_of({"a": {**entry(), "x": 1}}, DATA),
    "unknown dtype": file_of({"a": entry("F8_E4M3")}, DATA),
    "dtype is a list": file_of({"a": entry([])}, DATA),
    "negative offset": file_of({"a": entry(offsets=[-16, 0])}, DATA),
    "beyond the end": file_of({"a": entry(offsets=[0, 32], shape=[8])}, DATA),
    "reversed": file_of({"a": entry(offsets=[16, 0])}, DATA),
    "bool offset": file_of({"a": entry(offsets=[False, 16])}, DATA),
    "float shape": file_of({"a": entry(shape=[4.0])}, DATA),
    "three offsets": file_of({"a": entry(offsets=[0, 8, 16])}, DATA),
    "shape too large": file_of({"a": entry(shape=[5])}, DATA),
    "overflowing shape": file_of({"a": entry(shape=[2**62, 4, 0], offsets=[0, 0])}),
    "product wraps to the size": file_of({"a": entry(shape=[2**62 + 1, 4])}, DATA),
    "64 dimensions": file_of({"a": entry(shape=[1] * 63 + [4])}, DATA),
    "hole": file_of({"a": entry(offsets=[0, 8], shape=[2])}, DATA),
    "overlap": file_of({"a": entry(), "b": entry()}, DATA),
    "misaligned": file_of({"pad.0": entry("U8", [4], [0, 4]), "a": entry(shape=[3], offsets=[4, 16])}, DATA),
    "bytes after the end": file_of({}, DATA),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(name: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        parse_weights(buffer_of(HOSTILE[name]))
    assert caught.value.hint


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.data())
def test_damage_is_refused_or_gives_views_inside_the_buffer(data: st.DataObject) -> None:
    good = bytearray(pack_weights(constants()[:6]))
    limit = 8 + int.from_bytes(good[:8], "little")
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, limit - 1))] = data.draw(st.integers(0, 255))
    buffer = buffer_of(bytes(good[: data.draw(st.integers(0, len(good)))]))
    first = buffer.ctypes.data
    try:
        views = parse_weights(buffer)
    except ArtifactError:
        return
    for view in views.values():
        assert first <= view.ctypes.data and view.ctypes.data + view.nbytes <= first + buffer.size
