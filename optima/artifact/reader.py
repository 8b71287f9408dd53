"""Reads a model folder and checks every byte of it before anything uses it.

Needs numpy and pydantic: neither torch, nor TVM, nor networkx. Nothing read here is executed; what is handed
out are the bytes whose hashes were compared, not files that could change afterwards.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from devices import Problem
from optima.artifact.errors import COMPILE_AGAIN, ArtifactError
from optima.artifact.manifest import MODEL_META, REPORT, WEIGHTS, FormMeta, ModelMeta, SubgraphMeta
from optima.artifact.manifest_reading import parse_meta
from optima.artifact.tree import Tree
from optima.artifact.weights import Array, parse_weights
from optima.backends.base import SubgraphView, why_not_a_path
from optima.graph import TensorType

#: how often reading starts over because a compile replaced the folder meanwhile
_ATTEMPTS = 20


@dataclass(frozen=True, eq=False)
class LoadedArtifact:
    """A model folder in memory, every byte checked. ``digest`` is the sha256 (hex) of its ``model.meta``."""

    path: Path
    meta: ModelMeta
    digest: str
    files: Mapping[str, bytes]
    weights: Mapping[str, Array]

    @property
    def constants(self) -> dict[str, Array]:
        """Tensors that are constants of the whole model (an output that no input reaches), by tensor name."""
        return {name: self._constant(key, MODEL_META) for name, key in self.meta.constants.items()}

    def subgraph_view(self, index: int, form: FormMeta | None = None) -> SubgraphView:
        """What the ``load`` of subgraph ``index``'s backend gets, in its first form or another of its forms.

        ``files`` go by name within the form's folder. Raises ArtifactError when its ``<subgraph>.meta`` is not JSON or
        names a constant that is not there.
        """
        part = self.meta.subgraphs[index]
        form = form or part
        meta = self._json(form.meta_path)
        prefix = f"{form.folder}/"
        inner = tuple(f"{other.folder}/" for other in part.forms if other.folder.startswith(prefix))
        files = {
            path.removeprefix(prefix): data
            for path, data in self.files.items()
            if path.startswith(prefix) and not path.startswith(inner) and path != form.meta_path
        }
        return SubgraphView(
            name=part.name,
            meta=meta,
            files=files,
            constants=self._constants(meta.get("constants", []), form.meta_path),
            inputs=part.inputs,
            outputs=part.outputs,
            types=self._types(part),
        )

    def _types(self, part: SubgraphMeta) -> dict[str, TensorType]:
        tensors = self.meta.tensors
        names = [name for name in (*part.inputs, *part.outputs) if name in tensors]
        return {name: TensorType(tensors[name].shape, tensors[name].dtype) for name in names}

    def _json(self, path: str) -> dict[str, Any]:
        try:
            value = json.loads(self.files[path])
        except (ValueError, RecursionError) as error:
            raise ArtifactError(f"{self.path / path} is not JSON: {error}", hint=COMPILE_AGAIN) from None
        if not isinstance(value, dict):
            raise ArtifactError(f"{self.path / path} is not a JSON object", hint=COMPILE_AGAIN)
        return value

    def _constants(self, listed: Any, path: str) -> dict[str, Array]:
        try:
            return {str(c["name"]): self._constant(str(c["key"]), path) for c in listed}
        except (TypeError, KeyError):
            raise ArtifactError(
                f"{self.path / path}: 'constants' is not a list of names and keys", hint=COMPILE_AGAIN
            ) from None

    def _constant(self, key: str, path: str) -> Array:
        if key not in self.weights:
            raise ArtifactError(
                f"{self.path / path} names constant {key[:80]!r}, which {WEIGHTS} lacks", hint=COMPILE_AGAIN
            )
        return self.weights[key]


def read_model(path: str | os.PathLike[str], digest: str | None = None) -> LoadedArtifact:
    """Read and verify a model folder (``~`` expands).

    ``digest``: the sha256 (hex) that ``model.meta`` must have, which ties the folder to its maker. Raises
    ArtifactError: absent, cut off, of a newer format or another kernel ABI, another digest, or with files
    that are missing, changed, not in the manifest or links; all such files in one error. ``report.json``
    alone is not checked (and not read).
    """
    root = Path(os.path.abspath(os.path.expanduser(os.fspath(path))))
    for _ in range(_ATTEMPTS):
        try:
            tree = Tree.scan(root)
        except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
            raise _absent(root, error) from error
        try:
            return _read(tree, digest)
        except ArtifactError:
            if tree.in_place:
                raise
        except OSError as error:
            if tree.in_place:
                raise _absent(root, error) from error
        finally:
            tree.close()
        # A compile replaced the folder while it was being read: read the new one.
    raise ArtifactError(f"{root} is replaced again and again", hint="load it when the compiles are done")


def digest_of(path: str | os.PathLike[str]) -> str:
    """The digest of a model folder, for ``read_model(path, digest=...)`` elsewhere. Verifies it first."""
    return read_model(path).digest


def _absent(root: Path, error: OSError | ValueError) -> ArtifactError:
    reason = getattr(error, "strerror", None) or str(error)
    message = f"{root} cannot be read as a model folder: {reason.lower()}"
    if isinstance(error, FileNotFoundError) and not os.path.lexists(root):
        message = f"there is no model folder {root}"
    return ArtifactError(message, hint="give the folder that optimize() returned: <output>/<Model>")


def _read(tree: Tree, digest: str | None) -> LoadedArtifact:
    root = tree.root
    if MODEL_META not in tree.sizes:
        raise ArtifactError(
            f"{root} holds no {MODEL_META}", hint="give the folder that optimize() returned: <output>/<Model>"
        )
    raw = tree.read(MODEL_META).tobytes()
    found = hashlib.sha256(raw).hexdigest()
    if digest is not None and digest.lower() != found:
        raise ArtifactError(
            f"{root} is not the model that was asked for: its {MODEL_META} has sha256 {found}",
            problems=[Problem("digest", f"asked for {digest}")],
            hint="load the folder that this digest was taken from, or ask its maker for the new digest",
        )
    meta = parse_meta(raw, root / MODEL_META)
    buffers = _verified(tree, meta)
    weights = parse_weights(buffers.pop(WEIGHTS)) if WEIGHTS in buffers else {}
    files = {path: buffer.tobytes() for path, buffer in buffers.items()}
    return LoadedArtifact(root, meta, found, MappingProxyType(files), MappingProxyType(weights))


def _verified(tree: Tree, meta: ModelMeta) -> dict[str, np.ndarray[Any, Any]]:
    """The bytes of every listed file, or one error with all that is wrong."""
    problems = list(tree.problems)
    listed = {file.path for file in meta.files}
    problems += [
        Problem(path, f"is not in {MODEL_META}")
        for path in tree.sizes
        if path not in listed and path not in (MODEL_META, REPORT)
    ]
    linked = {problem.subject for problem in tree.problems}
    buffers: dict[str, np.ndarray[Any, Any]] = {}
    for file in meta.files:
        reason = ""
        size = tree.sizes.get(file.path)
        if why_not_a_path(file.path):
            reason = f"leads out of the folder: the path {why_not_a_path(file.path)}"
        elif size is None:
            reason = "" if file.path in linked else "is missing"
        elif size != file.size:
            reason = f"has {size} bytes instead of {file.size}"
        else:
            buffers[file.path] = data = tree.read(file.path)
            if hashlib.sha256(data.data).hexdigest() != file.sha256:
                reason = "was changed: its sha256 is another"
        if reason:
            problems.append(Problem(file.path, reason))
    if problems:
        raise ArtifactError(f"{tree.root} is not as its maker left it", problems=problems, hint=COMPILE_AGAIN)
    return buffers
