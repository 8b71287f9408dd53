"""Every error class is importable from ``optima``, documented with an example and a fix, and survives a pickle."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path

import pytest

import optima
from devices import OptimaError, Problem
from optima.errors import CLASSES, FORMER

ROOT = Path(__file__).resolve().parent.parent


def defined() -> dict[str, str]:
    """Every class whose bases say that it is one of ours."""
    bases: dict[str, list[str]] = {}
    homes: dict[str, str] = {}
    for package in ("devices", "torch2nx", "optima"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ClassDef):
                    bases[node.name] = [ast.unparse(b) for b in node.bases]
                    parts = path.relative_to(ROOT).with_suffix("").parts
                    homes[node.name] = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    ours = {"OptimaError"}
    while True:
        more = {n for n, b in bases.items() if n not in ours and not n.startswith("_") and ours & set(b)}
        if not more:
            return {n: homes[n] for n in ours}
        ours |= more


def test_every_error_is_listed() -> None:
    assert set(defined()) == set(CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_it_is_importable_documented_and_picklable(name: str) -> None:
    cls = getattr(optima, name)
    assert issubclass(cls, OptimaError)
    if name not in ("OptimaError", "UserError", "InternalError"):
        doc = cls.__doc__ or ""
        assert "Fix" in doc or ">>>" in doc, f"{name} shows no example with its fix"
    error = cls("what", problems=[Problem("op_1", "why", "m.py:3 in f", "y = f(x)")], hint="edit this")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(again) is cls and str(again) == str(error)
    assert str(error).splitlines()[0] == "what" and "edit this" in str(error) and "y = f(x)" in str(error)


def test_former_names_stay_importable() -> None:
    for name, now in FORMER.items():
        assert getattr(optima, name) is getattr(optima.errors, name) is getattr(optima, now)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError):
        _ = optima.NoSuchThing
