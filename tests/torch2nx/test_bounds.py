"""Sizes known only at run time: nms gives its upper bound and the count, what keeps rows apart follows, the rest is
refused with the op, the line and the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from optima.graph import Graph
from optima.graph_io import load_graph
from tests.torch2nx.compare import convert, ops, run
from tests.torchvision_nms import nms
from torch2nx import pytree
from torch2nx.errors import ConvertError, UnsupportedOp

Rule = Callable[[Tensor, Tensor, Tensor], Any]


class Keep(nn.Module):
    """What ``rule`` makes of boxes, scores, and the indices that nms keeps."""

    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self.rule = rule

    def forward(self, boxes: Tensor, scores: Tensor) -> Any:
        return self.rule(boxes, scores, nms(boxes, scores, 0.5))


def sample(seed: int, spread: float = 20.0) -> tuple[Tensor, Tensor]:
    """Ten boxes; ``spread`` says how much they overlap, 0 that all but one are dropped."""
    torch.manual_seed(seed)
    corner, size = torch.rand(10, 2) * spread, torch.rand(10, 2) * 10 + 5
    if not spread:
        size = torch.full((10, 2), 7.0)
    return torch.cat([corner, corner + size], 1), torch.rand(10)


FOLLOWED: dict[str, Rule] = {
    "lookups": lambda b, s, k: (b[k], s[k], b.index_select(0, k), torch.gather(b, 0, k[:, None].expand(-1, 4))),
    "at most 4": lambda b, s, k: b[k[:4]] * s[k][:4, None],
    "all but one": lambda b, s, k: (b[k[:-1]], b[k][1:], s[k[1:3]]),
    "joined": lambda b, s, k: torch.cat([b[k], s[k].unsqueeze(1), k[:, None].to(b.dtype)], dim=1)[:7],
    "taken apart": lambda b, s, k: torch.stack([side + 1 for side in b[k].unbind(1)], dim=1),
    "views": lambda b, s, k: b[k].view(-1, 2, 2).transpose(1, 2).reshape(k.shape[0], 4),
    "along others": lambda b, s, k: (b[k].softmax(-1), b[k].sum(1), b[k].max(1), b[k].cumsum(1)),
    "made": lambda b, s, k: (torch.full((k.shape[0],), 3), torch.arange(k.shape[0]), torch.zeros_like(b[k])),
    "pairs": lambda b, s, k: b[k][:, None] - b[k][None],
    "products": lambda b, s, k: (F.linear(b[k], torch.ones(3, 4)), b[k] @ torch.ones(4, 2)),
    "a batch": lambda b, s, k: F.conv2d(b[k].view(-1, 1, 2, 2), torch.ones(3, 1, 1, 1)),
    "written": lambda b, s, k: b[k].add_(1).mul_(2),
    "counted": lambda b, s, k: (b[k], torch.tensor(k.shape[0])),
    "the best": lambda b, s, k: b[k][0],
}


def cut(graph: Graph, leaves: list[Tensor], counts: list[Tensor]) -> list[Tensor]:
    """What the runtime gives: outputs as long as the counts say."""
    for symbol, count in zip(graph.symbols, counts, strict=True):
        assert symbol.min <= int(count) <= symbol.max
        for name, axis in symbol.axes:
            leaves = [
                leaf.narrow(axis, 0, int(count)) if output == name else leaf
                for output, leaf in zip(graph.outputs, leaves, strict=True)
            ]
    return leaves


@pytest.mark.parametrize("name", FOLLOWED)
def test_rows_that_stay_apart_are_followed(name: str) -> None:
    model = Keep(FOLLOWED[name])
    graph = load_graph(convert(model, *sample(0)))
    tree = {"tuple": [{"leaf": i} for i in range(len(graph.results))]}
    counted = replace(graph, outputs=graph.results, out_tree=pytree.dumps(tree), symbols=())
    for seed, spread in ((0, 20.0), (1, 5.0), (2, 0.0), (3, 60.0)):
        boxes, scores = sample(seed, spread)
        wanted = tree_leaves(model(boxes, scores))
        results = list(run(counted, [boxes, scores]))
        counts = [results[graph.results.index(symbol.count)] for symbol in graph.symbols]
        leaves = cut(graph, results[: len(graph.outputs)], counts)
        for mine, theirs in zip(leaves, wanted, strict=True):
            torch.testing.assert_close(mine, theirs)


def test_the_bound_is_the_number_of_boxes_and_the_count_stands_beside() -> None:
    graph = convert(Keep(lambda b, s, k: (b[k], s[k])), *sample(0))
    assert ops(graph) == ["nms", "index", "index"]
    assert graph.nodes["nms_2"]["data"]["outputs"] == ["tensor_3", "tensor_4"]
    assert graph.graph["symbols"] == {
        "n0": {"min": 1, "max": 10, "count": "tensor_4", "axes": [["tensor_6", 0], ["tensor_8", 0]]}
    }
    assert graph.nodes["tensor_6"]["data"]["shape"] == [10, 4]


def test_a_slice_has_a_bound_and_a_count_of_its_own() -> None:
    graph = convert(Keep(lambda b, s, k: b[k[:4]]), *sample(0))
    assert ops(graph) == ["nms", "clamp", "slice", "index"]
    (symbol,) = graph.graph["symbols"].values()
    assert (symbol["min"], symbol["max"], symbol["count"]) == (1, 4, "tensor_6")


def test_boxes_that_are_one_or_none_have_no_unknown_size() -> None:
    for boxes in (0, 1):
        graph = convert(Keep(lambda b, s, k: b[k]), torch.rand(boxes, 4), torch.rand(boxes))
        assert graph.graph["symbols"] == {}


def test_a_branch_on_no_boxes_is_decided_and_on_one_is_refused() -> None:
    """torchvision's own shape rule would let torch decide the second: at least two boxes are kept."""
    assert ops(convert(Keep(lambda b, s, k: b[k] if k.numel() else b), *sample(0))) == ["nms", "index"]
    with pytest.raises(ConvertError, match="data-dependent"):
        convert(Keep(lambda b, s, k: b[k] if k.numel() > 1 else b), *sample(0))


REFUSED: list[tuple[str, Rule, str, str]] = [
    ("sum", lambda b, s, k: b[k].sum(0), "aten.sum", "mixes the boxes"),
    ("sum of all", lambda b, s, k: b[k].sum(), "aten.sum", "mixes the boxes"),
    ("cumsum", lambda b, s, k: b[k].cumsum(0) + 1, "aten.cumsum", "mixes the boxes"),
    ("topk", lambda b, s, k: s[k].topk(3)[0], "aten.topk", "mixes the boxes"),
    ("sort", lambda b, s, k: s[k].sort()[0], "aten.sort", "mixes the boxes"),
    ("flip", lambda b, s, k: b[k].flip(0), "aten.flip", "mixes the boxes"),
    ("softmax", lambda b, s, k: s[k].softmax(0), "aten.softmax", "mixes the boxes"),
    ("product", lambda b, s, k: b[k].t() @ b[k], "aten.matmul", "sums over the boxes"),
    ("squeeze", lambda b, s, k: b[k].squeeze(), "aten.squeeze", "when there is one box"),
    ("flatten", lambda b, s, k: b[k].flatten(), "", "merges the boxes"),
    ("cat", lambda b, s, k: torch.cat([b[k], b]), "aten.cat", "different unknown numbers"),
    ("last", lambda b, s, k: b[k][-1], "aten.select", "row -1"),
    ("third", lambda b, s, k: b[k][2], "aten.select", "row 2"),
    ("last three", lambda b, s, k: b[k[-3:]], "aten.slice", "constant from 0 up"),
    ("every other", lambda b, s, k: b[k[::2]], "aten.slice", "step 1"),
    ("rows of them", lambda b, s, k: b[k][torch.tensor([0, -1])], "aten.index", "looks up rows"),
    ("twice", lambda b, s, k: nms(b[k], s[k], 0.3), "torchvision.nms", "only at run time"),
    ("all of them", lambda b, s, k: b[k] + torch.ones(10, 4), "torchvision.nms", "exactly 10 boxes"),
    ("as many", lambda b, s, k: b[k] + b[nms(b, s, 0.3)], "aten.add", "two different unknown sizes"),
    ("mean", lambda b, s, k: b / k.shape[0], "aten.div", "its other is a number"),
    ("written at", lambda b, s, k: s.index_fill(0, k, 1.0), "aten.index_fill", "one by one"),
    ("a number", lambda b, s, k: (b[k], k.shape[0]), "the result", "return it as a tensor"),
    ("mask", lambda b, s, k: b[k[s[k] > 0.3]], "aten.index", "mask"),
    ("item", lambda b, s, k: b[k[0]], "aten.item", "depends on the data"),
]


@pytest.mark.parametrize(("rule", "op", "reason"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_what_mixes_rows_is_refused_with_its_line(rule: Rule, op: str, reason: str) -> None:
    with pytest.raises(UnsupportedOp) as caught:
        convert(Keep(rule), *sample(0))
    found = [p for p in caught.value.problems if p.subject.startswith(op) and reason in p.reason]
    assert found, str(caught.value)
    assert op == "the result" or ":" in found[0].where


class OfData(nn.Module):
    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(x)


DEPENDS: list[tuple[str, Callable[[Tensor], Any], str]] = [
    ("nonzero", lambda x: x[x[:, 0].nonzero()[:, 0]] * 2, "aten.nonzero.default"),
    ("mask", lambda x: x[x > 0].sin() + 1, "aten.index.Tensor"),
    ("masked_select", lambda x: torch.masked_select(x, x > 0), "aten.masked_select.default"),
    ("unique", lambda x: torch.unique(x), "aten._unique2.default"),
    ("item", lambda x: x * x.sum().item(), "aten.item.default"),
    ("guarded", lambda x: x[x > 0].view(-1, 1).expand(-1, 3).contiguous()[:5].squeeze(), "aten.index.Tensor"),
    ("in place", lambda x: x[x > 0].add_(1).clamp_(0, 1), "aten.index.Tensor"),
]


@pytest.mark.parametrize(("function", "op"), [d[1:] for d in DEPENDS], ids=[d[0] for d in DEPENDS])
def test_other_sizes_that_depend_on_data_name_the_op_that_gives_them(
    function: Callable[[Tensor], Any], op: str
) -> None:
    with pytest.raises(UnsupportedOp) as caught:
        convert(OfData(function), torch.rand(4, 5))
    assert [p.subject for p in caught.value.problems] == [op], str(caught.value)
    assert "data" in caught.value.problems[0].reason and "test_bounds.py" in caught.value.problems[0].where


def test_a_branch_on_such_a_size_is_refused_with_its_line() -> None:
    def branch(x: Tensor) -> Tensor:
        chosen = x[x > 0]
        return chosen if chosen.numel() > 2 else x

    with pytest.raises(ConvertError, match="data-dependent") as caught:
        convert(OfData(branch), torch.rand(4, 5))
    branched, chosen = caught.value.problems
    assert "chosen.numel() > 2" in branched.code
    assert (chosen.subject, chosen.code) == ("aten.index.Tensor", "chosen = x[x > 0]"), "what gave the size"
