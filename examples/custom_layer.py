"""Operators of your own: defined with torch.library, registered with Optima, compiled like any other.

``snake`` is an elementwise activation (Ziyin et al. 2020, "Neural Networks Fail to Learn Periodic Functions"),
``row_norm`` a reduction with two results. ``python -m examples.custom_layer`` traces, compiles, runs and compares.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import optima
from devices import DeviceEnum
from optima.manager import Manager
from optima.ops import OpEntry, OpView, Te, Trait, register, torch_op
from torch2nx.converter import Torch2GraphConverter


@torch.library.custom_op("examples::snake", mutates_args=())
def snake(x: Tensor, alpha: float = 1.0) -> Tensor:
    """``x + sin(alpha x)^2 / alpha``, any shape, float."""
    return x + torch.sin(alpha * x) ** 2 / alpha


@snake.register_fake
def _snake_shape(x: Tensor, alpha: float = 1.0) -> Tensor:
    return torch.empty_like(x)


# The other style: a schema, an implementation and a shape rule of their own.
LIBRARY = torch.library.Library("examples", "FRAGMENT")
LIBRARY.define("row_norm(Tensor x, Tensor? scale=None) -> (Tensor, Tensor)")


def _row_norm(x: Tensor, scale: Tensor | None = None) -> tuple[Tensor, Tensor]:
    norm = x.square().sum(-1).sqrt()
    rows = x / norm.unsqueeze(-1)
    return (rows if scale is None else rows * scale), norm


def _row_norm_shape(x: Tensor, scale: Tensor | None = None) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), x.new_empty(x.shape[:-1])


LIBRARY.impl("row_norm", _row_norm, "CPU")
torch.library.register_fake("examples::row_norm", _row_norm_shape, lib=LIBRARY)


def _snake_te(view: OpView, tensors: Any) -> list[Any]:
    from tvm import te

    x, alpha = tensors["x"], view.attrs["alpha"]

    def element(*index: Any) -> Any:
        wave = te.sin(x(*index) * alpha)
        return x(*index) + wave * wave / alpha

    return [te.compute(x.shape, element, name="snake")]


def _row_norm_te(view: OpView, tensors: Any) -> list[Any]:
    from tvm import te

    x, scale = tensors["x"], tensors.get("scale")
    k = te.reduce_axis((0, int(x.shape[-1])), name="k")
    squares = te.compute(x.shape[:-1], lambda *i: te.sum(x(*i, k) * x(*i, k), axis=k), name="squares")
    norm = te.compute(x.shape[:-1], lambda *i: te.sqrt(squares(*i)), name="norm")

    def row(*index: Any) -> Any:
        value = x(*index) / norm(*index[:-1])
        return value if scale is None else value * scale(index[-1])

    return [te.compute(x.shape, row, name="rows"), norm]


def _float32_only(view: OpView) -> str | None:
    dtypes = {t.dtype for t in view.operands.values()} - {"float32"}
    return f"{view.op} takes float32, not {', '.join(sorted(dtypes))}" if dtypes else None


def _row_norm_refuse(view: OpView) -> str | None:
    scale = view.operands.get("scale")
    if scale is not None and scale.shape != view.first.shape[-1:]:
        return "row_norm takes a scale with one number per column"
    return _float32_only(view)


register(
    OpEntry(
        name="snake",
        source="examples::snake",
        operands=("x",),
        attrs={"alpha": 1.0},
        reference=torch_op("examples::snake"),
        traits=frozenset({Trait.ELEMENTWISE}),
        te=Te(_snake_te, _float32_only),
    )
)
register(
    OpEntry(
        name="row_norm",
        source="examples::row_norm",
        operands=("x", "scale?"),
        reference=torch_op("examples::row_norm"),
        traits=frozenset({Trait.REDUCTION}),
        te=Te(_row_norm_te, _row_norm_refuse),
    )
)


class Net(nn.Module):
    """Two linear layers around both operators."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(16, 32)
        self.second = nn.Linear(32, 4)
        self.scale = nn.Parameter(torch.linspace(0.5, 1.5, 32))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[n, 16] to [n, 4], and the norms [n]."""
        rows, norms = torch.ops.examples.row_norm(snake(self.first(x), 0.5), self.scale)
        return self.second(rows), norms


def main() -> int:
    """Compile the network and compare it with PyTorch; the exit status is 0 if they are equal."""
    torch.manual_seed(0)
    model, sample = Net().eval(), torch.randn(8, 16)
    with tempfile.TemporaryDirectory() as folder:
        graph = Torch2GraphConverter().convert(model=model, fake_torch_data=[sample])
        names = [n for n, data in graph.nodes(data="data") if data["kind"] == "OpNode"]
        table = Path(folder, "map.json")
        table.write_text(json.dumps(dict.fromkeys(names, "X64:0")))
        compiled = Manager().optimize("Net", [DeviceEnum.DEVICE_KIND_X64], graph, folder, table)
        print(compiled)
        report = optima.verify(model, compiled.path, [(sample,)], tolerance=1e-5)
        print(report)
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
