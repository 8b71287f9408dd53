"""What a zoo is: names in order, each with a family and a function that makes the model and its inputs."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: (module, positional arguments, keyword arguments)
Made = tuple[Any, tuple[Any, ...], dict[str, Any]]
Make = Callable[[], Made]

#: the files of this zoo, in the order of the table
FAMILIES = (
    "zoo.torchvision_models",
    "zoo.detection_models",
    "zoo.timm_models",
    "zoo.language_models",
    "zoo.perception_models",
    "zoo.recurrent",
    "zoo.vision",
    "zoo.dense",
)


@dataclass(frozen=True)
class Entry:
    """One model. ``make`` may raise ImportError where the extra ``zoo`` is not installed."""

    name: str
    family: str
    make: Make


class Family:
    """The entries of one file, in the order in which they are added.

    >>> RECURRENT = Family("recurrent")
    >>> @RECURRENT.add("net.lstm")
    ... def _() -> Made: ...
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.entries: dict[str, Entry] = {}

    def add(self, name: str) -> Callable[[Make], Make]:
        """A decorator that registers the function that makes the model."""

        def register(make: Make) -> Make:
            if name in self.entries:
                raise ValueError(f"two models are named {name!r}")
            self.entries[name] = Entry(name, self.name, make)
            return make

        return register


def own_entries() -> dict[str, Entry]:
    """Every model of this zoo by name. Imports no more than torch: the libraries are imported by ``make``."""
    found: dict[str, Entry] = {}
    for name in FAMILIES:
        found.update(importlib.import_module(name).FAMILY.entries)
    return found


def foreign_entries(source: str) -> dict[str, Entry]:
    """The models of ``path/to/file.py`` or ``path/to/file.py:NAME``, a mapping ``name -> (family, make)``.

    NAME is ``Z`` where it is not given; a bare function in place of the pair has the family "". The file's folder
    is put on the import path, so that it may import its neighbours. Raises ValueError for what is no such mapping.
    """
    path_text, _, attribute = source.partition(":")
    path = Path(path_text).resolve()
    spec = importlib.util.spec_from_file_location(f"foreign_{path.stem}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ValueError(f"{path_text} is no Python file")
    sys.path.insert(0, str(path.parent))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    table = getattr(module, attribute or "Z", None)
    if not isinstance(table, Mapping):
        raise ValueError(f"{path_text} has no mapping named {attribute or 'Z'}")
    pairs = {n: v if isinstance(v, tuple) else ("", v) for n, v in table.items()}
    return {name: Entry(name, family, make) for name, (family, make) in pairs.items()}


def entries(source: str = "") -> dict[str, Entry]:
    """This zoo, or the one of ``source``."""
    return foreign_entries(source) if source else own_entries()
