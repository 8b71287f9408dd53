"""An embedding with an LSTM over it, and two loops over time that the trace unrolls."""

from __future__ import annotations

import torch
from torch import nn


class LstmTagger(nn.Module):
    """Token ids [N,L] (int64, below 100) -> tag scores [N,L,7] and the last hidden state [1,N,32]."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(100, 24)
        self.lstm = nn.LSTM(24, 32, batch_first=True)
        self.head = nn.Linear(32, 7)

    def forward(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y, (h, _) = self.lstm(self.embed(ids))
        return self.head(y), h


class CellLoop(nn.Module):
    """[N,L,12] -> [N,L,16]: gates written by hand, one step after the other."""

    def __init__(self, cin: int = 12, width: int = 16) -> None:
        super().__init__()
        self.width = width
        self.x_gates = nn.Linear(cin, 4 * width)
        self.h_gates = nn.Linear(width, 4 * width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.zeros(x.shape[0], self.width)
        c = torch.zeros(x.shape[0], self.width)
        outputs = []
        for t in range(x.shape[1]):
            i, f, g, o = (self.x_gates(x[:, t]) + self.h_gates(h)).chunk(4, dim=1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            outputs.append(h)
        return torch.stack(outputs, dim=1)


class LstmCellLoop(nn.Module):
    """[N,L,12] -> [N,16]: an ``nn.LSTMCell`` called once per step."""

    def __init__(self, cin: int = 12, width: int = 16) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(cin, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state = None
        for step in x.unbind(1):
            state = self.cell(step, state)
        assert state is not None
        return state[0]
