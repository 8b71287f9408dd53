"""Recurrent networks: taggers over words with each kind of cell, cells called by hand, a speech front end."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.entry import Family, Made

FAMILY = Family("recurrent")


class Tagger(nn.Module):
    """Words to vectors, a recurrent layer, and a label from the last state of the top layer."""

    def __init__(self, kind: str, layers: int = 1, bidirectional: bool = False) -> None:
        super().__init__()
        self.words = nn.Embedding(50, 32)
        self.memory = getattr(nn, kind)(32, 48, num_layers=layers, bidirectional=bidirectional, batch_first=True)
        self.label = nn.Linear(96 if bidirectional else 48, 10)

    def forward(self, sentence: Tensor) -> Tensor:
        states, _ = self.memory(self.words(sentence))
        labels: Tensor = self.label(states[:, -1])
        return labels


class Cells(nn.Module):
    """One step of an LSTM cell followed by one of a GRU cell."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.LSTMCell(16, 32), nn.GRUCell(32, 32)

    def forward(self, x: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        hidden, cell = self.first(x, (hidden, cell))
        return self.second(hidden, hidden), cell


class SpeechCommands(nn.Module):
    """Convolutions over time, a two-layer GRU both ways, scores per frame: the shape of a keyword spotter."""

    def __init__(self) -> None:
        super().__init__()
        self.front = nn.Sequential(
            nn.Conv1d(40, 32, 5, stride=2, padding=2), nn.BatchNorm1d(32), nn.ReLU(), nn.Conv1d(32, 32, 3, padding=1)
        )
        self.memory = nn.GRU(32, 24, num_layers=2, bidirectional=True, batch_first=True)
        self.scores = nn.Linear(48, 12)

    def forward(self, mel: Tensor) -> Tensor:
        states, _ = self.memory(self.front(mel).transpose(1, 2))
        return torch.log_softmax(self.scores(states), dim=-1)


def _tagger(name: str, kind: str, layers: int = 1, bidirectional: bool = False) -> None:
    @FAMILY.add(f"own.{name}")
    def _() -> Made:
        return Tagger(kind, layers, bidirectional), (torch.randint(0, 50, (1, 12)),), {}


_tagger("lstm", "LSTM")
_tagger("gru", "GRU")
_tagger("rnn", "RNN")
_tagger("bilstm2", "LSTM", layers=2, bidirectional=True)
_tagger("bigru2", "GRU", layers=2, bidirectional=True)


@FAMILY.add("own.cells")
def _() -> Made:
    return Cells(), (torch.randn(2, 16), torch.randn(2, 32), torch.randn(2, 32)), {}


@FAMILY.add("own.speech_commands")
def _() -> Made:
    return SpeechCommands(), (torch.randn(1, 40, 60),), {}
