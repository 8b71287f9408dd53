"""Hand-written networks over vectors, rays, tables, sound and graphs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.entry import Family, Made

FAMILY = Family("dense")


class Dlrm(nn.Module):
    """Recommendation (Naumov et al., 2019): bags of categories, their dot products, a small network on top."""

    pairs: Tensor

    def __init__(self, tables: int = 3, width: int = 16) -> None:
        super().__init__()
        self.bags = nn.ModuleList(nn.EmbeddingBag(100, width, mode="sum") for _ in range(tables))
        self.bottom = nn.Sequential(nn.Linear(13, width), nn.ReLU())
        pairs = torch.tril_indices(tables + 1, tables + 1, offset=-1)
        self.register_buffer("pairs", pairs)
        self.top = nn.Sequential(
            nn.Linear(width + pairs.shape[1], 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid()
        )

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        dense = self.bottom(numbers)
        vectors = torch.stack([dense, *(bag(categories[i]) for i, bag in enumerate(self.bags))], 1)
        products = torch.bmm(vectors, vectors.transpose(1, 2))
        chosen: Tensor = self.top(torch.cat([dense, products[:, self.pairs[0], self.pairs[1]]], 1))
        return chosen


class Nerf(nn.Module):
    """Colour along rays (Mildenhall et al., 2020): waves of positions, a network, light absorbed step by step."""

    def __init__(self, octaves: int = 10, steps: int = 16) -> None:
        super().__init__()
        self.octaves, self.steps = octaves, steps
        self.field = nn.Sequential(nn.Linear(3 + 6 * octaves, 64), nn.ReLU(), nn.Linear(64, 4))

    def forward(self, origins: Tensor, directions: Tensor) -> Tensor:
        depths = torch.linspace(2.0, 6.0, self.steps)
        points = origins[:, None] + depths[:, None] * directions[:, None]
        waves = [points]
        for octave in range(self.octaves):
            waves += [torch.sin(points * 2**octave), torch.cos(points * 2**octave)]
        colour, density = self.field(torch.cat(waves, -1)).split([3, 1], -1)
        opacity = 1 - torch.exp(-F.softplus(density[..., 0]) * (4.0 / self.steps))
        clear = torch.cat([torch.ones_like(opacity[:, :1]), 1 - opacity + 1e-10], 1)
        reaching = torch.cumprod(clear, 1)[:, :-1]
        return ((opacity * reaching)[..., None] * torch.sigmoid(colour)).sum(1)


class MelNet(nn.Module):
    """Sound to a mel spectrogram in decibels to a convolution: the front of a speech recogniser."""

    window: Tensor
    bank: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(64))
        self.register_buffer("bank", torch.rand(33, 16))
        self.conv = nn.Conv1d(16, 8, 3, padding="same")

    def forward(self, sound: Tensor) -> Tensor:
        spectrum = torch.stft(sound, 64, 32, window=self.window, return_complex=True)
        mel = torch.log10((spectrum.abs().square().transpose(1, 2) @ self.bank).clamp(min=1e-10))
        features: Tensor = self.conv((mel - mel.amax((1, 2), keepdim=True)).transpose(1, 2))
        return features


class Decide(nn.Module):
    """What stands behind a classifier: the best, their order, masks, sums along the order, spreads, products."""

    def forward(self, scores: Tensor) -> tuple[Tensor, ...]:
        best, where = scores.topk(3, dim=-1)
        ordered, _ = scores.softmax(-1).sort(dim=-1, descending=True)
        return (
            best, where, scores.argmax(-1), ordered.cumsum(-1) > 0.5, torch.where(scores > 0, scores, 0),
            scores.max(1).values, scores.gather(1, where), scores.masked_fill(scores < 0, -1.0),
            F.one_hot(where[:, 0], 10), scores.std(1), scores.var(1), scores.norm(dim=1),
            torch.einsum("bi,bj->bij", scores, scores),
        )  # fmt: skip


class HalfMlp(nn.Module):
    """Two layers in float16, float32 at both ends."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.second(F.gelu(self.first(x.half()), approximate="tanh"))
        return answer.float()


class GraphNet(nn.Module):
    """Two rounds of message passing over given edges, summed at their ends, and a mean over all nodes."""

    def __init__(self) -> None:
        super().__init__()
        self.message, self.update, self.label = nn.Linear(24, 16), nn.GRUCell(16, 12), nn.Linear(12, 5)

    def forward(self, nodes: Tensor, edges: Tensor) -> Tensor:
        for _ in range(2):
            pairs = torch.cat([nodes[edges[0]], nodes[edges[1]]], 1)
            arriving = torch.zeros(nodes.shape[0], 16).index_add(0, edges[1], F.relu(self.message(pairs)))
            nodes = self.update(arriving, nodes)
        labels: Tensor = self.label(nodes.mean(0))
        return labels


class TemporalNet(nn.Module):
    """Causal dilated convolutions with weight norm, as forecasting and audio networks stack them."""

    def __init__(self) -> None:
        super().__init__()
        norm = torch.nn.utils.parametrizations.weight_norm
        self.layers = nn.ModuleList(norm(nn.Conv1d(8, 8, 3, dilation=2**i)) for i in range(4))
        self.out = nn.Linear(8, 3)

    def forward(self, series: Tensor) -> Tensor:
        for i, layer in enumerate(self.layers):
            series = series + F.elu(layer(F.pad(series, (2 * 2**i, 0))))
        forecast: Tensor = self.out(series[..., -1])
        return forecast


@FAMILY.add("own.mlp")
def _() -> Made:
    layers = (nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Dropout(), nn.Linear(64, 10), nn.LogSoftmax(-1))
    return nn.Sequential(*layers), (torch.randn(1, 1, 28, 28),), {}


@FAMILY.add("own.nn_transformer")
def _() -> Made:
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    return nn.TransformerEncoder(layer, 2), (torch.randn(2, 10, 32),), {}


@FAMILY.add("own.nn_transformer_encdec")
def _() -> Made:
    model = nn.Transformer(32, 4, 1, 1, 64, batch_first=True)
    return model, (torch.randn(2, 10, 32), torch.randn(2, 7, 32)), {}


@FAMILY.add("own.dlrm")
def _() -> Made:
    return Dlrm(), (torch.randn(2, 13), torch.randint(0, 100, (3, 2, 4))), {}


@FAMILY.add("own.nerf")
def _() -> Made:
    return Nerf(), (torch.randn(8, 3), torch.randn(8, 3)), {}


@FAMILY.add("own.stft_mel")
def _() -> Made:
    return MelNet(), (torch.randn(1, 1024),), {}


@FAMILY.add("own.misc_post")
def _() -> Made:
    return Decide(), (torch.randn(4, 10),), {}


@FAMILY.add("own.fp16_mlp")
def _() -> Made:
    return HalfMlp().half(), (torch.randn(2, 8),), {}


@FAMILY.add("own.graph_net")
def _() -> Made:
    return GraphNet(), (torch.randn(7, 12), torch.randint(0, 7, (2, 20))), {}


@FAMILY.add("own.temporal_net")
def _() -> Made:
    return TemporalNet(), (torch.randn(2, 8, 30),), {}
