"""Map files: what is JSON is read with nothing lost, what is not is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from optima.allocation import AllocationError, RawMap, read_map
from optima.allocation.read import JsonObject


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "map.json"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_entries_keep_file_order_and_duplicates(tmp_path: Path) -> None:
    text = '{\n "b_2": "X64:0",\n "a_1": ["X64:1"],\n "b_2":"X64:1", "c_3": {"c_3": 1}\n}'
    raw = read_map(written(tmp_path, text))
    assert raw == RawMap(
        (("b_2", "X64:0"), ("a_1", ["X64:1"]), ("b_2", "X64:1"), ("c_3", JsonObject((("c_3", 1),)))),
        "map.json",
        {"b_2": (2, 4)},
    )


def test_line_numbers_are_left_out_where_the_text_spells_a_key_otherwise(tmp_path: Path) -> None:
    raw = read_map(written(tmp_path, '{"a_1": 1, "\\u0061_1": 2}'))
    assert [key for key, _ in raw.entries] == ["a_1", "a_1"]
    assert raw.lines == {}


def test_empty_object_and_byte_order_mark(tmp_path: Path) -> None:
    assert read_map(written(tmp_path, "{}")).entries == ()
    assert read_map(written(tmp_path, b'\xef\xbb\xbf{"a_1": "X64:0"}')).entries == (("a_1", "X64:0"),)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("", "map.json is not JSON: the file is empty"),
        (" \n ", "the file is empty"),
        ('{"a_1": "X64:0",\n "b_2": }', r"line 2, column 9"),
        ('{"a_1": "X64:0",}', "is not JSON"),
        ("{'a_1': 'X64:0'}", "line 1, column 2"),
        ('{"a_1": "X64:0"} {}', "Extra data"),
        ("[1]", "must hold one JSON object"),
        ('"X64:0"', "must hold one JSON object"),
        ("null", "must hold one JSON object"),
        ('{"a_1": ' + "[" * 100_000, "nested too deeply"),
        ('{"a_1": ' + "9" * 5000 + "}", "cannot|not JSON that can be read"),
        (b'{"a_1": "X64:\xff"}', "not UTF-8 text: byte 13 is 0xff"),
        ('{"a_1": "X64:0"}'.encode("utf-16"), "not UTF-8"),
    ],
)
def test_what_is_no_map(tmp_path: Path, content: str | bytes, match: str) -> None:
    with pytest.raises(AllocationError, match=match) as caught:
        read_map(written(tmp_path, content))
    assert caught.value.hint


def test_the_offending_line_is_shown(tmp_path: Path) -> None:
    with pytest.raises(AllocationError) as caught:
        read_map(written(tmp_path, '{\n  "a_1": "X64:0"\n  "b_2": "X64:1"\n}'))
    assert '"b_2": "X64:1"' in str(caught.value)


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AllocationError, match="nowhere.json") as caught:
        read_map(tmp_path / "nowhere.json")
    assert "get_onedevice_allocator" in caught.value.hint
    with pytest.raises(AllocationError, match="folder"):
        read_map(tmp_path)
    with pytest.raises(AllocationError, match="cannot be read"):
        read_map("a\0b")
    with pytest.raises(AllocationError, match="cannot be read"):
        read_map(written(tmp_path, "{}") / "below")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_map("~/map.json").entries == ()
