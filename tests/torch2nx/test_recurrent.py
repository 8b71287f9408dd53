"""Recurrent modules: one op each, nothing random in eval mode, packed sequences refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.torch2nx.compare import only_op, ops, same_as_eager
from torch2nx.converter import Torch2GraphConverter
from torch2nx.errors import ConvertError, UnsupportedOp

SEQUENCE = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("lstm", nn.LSTM(3, 4, 2, dropout=0.5, proj_size=2)),
        ("gru", nn.GRU(3, 4, 2, dropout=0.5, bidirectional=True)),
        ("rnn_tanh", nn.RNN(3, 4)),
        ("rnn_relu", nn.RNN(3, 4, nonlinearity="relu", batch_first=True)),
    ],
)
def test_a_layer_is_one_op_without_dropout(name: str, module: nn.Module) -> None:
    graph = same_as_eager(module.eval(), SEQUENCE)
    assert ops(graph) == [name]
    assert only_op(graph, name)["attrs"]["dropout"] == 0.0


def test_a_sequence_without_a_batch_gets_one() -> None:
    graph = same_as_eager(nn.GRU(3, 4).eval(), SEQUENCE[:, 0])
    assert ops(graph) == ["unsqueeze", "gru", "squeeze", "squeeze"]


@pytest.mark.parametrize(
    ("name", "module"),
    [("lstm_cell", nn.LSTMCell(3, 4)), ("gru_cell", nn.GRUCell(3, 4, bias=False)), ("rnn_tanh_cell", nn.RNNCell(3, 4))],
)
def test_a_cell_is_one_op(name: str, module: nn.Module) -> None:
    assert ops(same_as_eager(module, SEQUENCE[0])) == [name]


class Drops(nn.Module):
    """Dropout between layers that eval mode does not turn off."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.GRU(3, 4, 2)

    def forward(self, x: Tensor) -> Tensor:
        weights = [getattr(self.layers, name) for name in self.layers._flat_weights_names]
        return torch.gru(x, torch.zeros(2, 2, 4), weights, True, 2, 0.5, True, False, False)[0]


class Packed(nn.Module):
    """A batch of sequences of several lengths."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.GRU(3, 4)

    def forward(self, x: Tensor, h: Tensor | None = None) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 3]))
        return nn.utils.rnn.pad_packed_sequence(self.layers(packed, h)[0])[0]


def test_dropout_that_stays_on_is_refused() -> None:
    with pytest.raises(UnsupportedOp, match="dropout between its layers is random"):
        Torch2GraphConverter().convert(model=Drops().eval(), fake_torch_data=[SEQUENCE])


@pytest.mark.parametrize("args", [(SEQUENCE,), (SEQUENCE, torch.zeros(1, 2, 4))], ids=["", "h"])
def test_packed_sequences_are_refused(args: tuple[Tensor, ...]) -> None:
    with pytest.raises(ConvertError, match="a packed sequence's shape depends on its lengths") as caught:
        Torch2GraphConverter().convert(model=Packed().eval(), fake_torch_data=list(args))
    assert "padded batch" in caught.value.hint
    assert "test_recurrent.py" in caught.value.problems[0].where
