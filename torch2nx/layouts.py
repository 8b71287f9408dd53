"""``tf_flip``: which border tensors the user gives and gets as NHWC."""

from __future__ import annotations

from collections.abc import Sequence

import networkx as nx

from devices.errors import Problem
from torch2nx.errors import ConvertError
from torch2nx.schema import NHWC


def record_layouts(graph: nx.DiGraph, tf_flip: bool | Sequence[str]) -> None:
    """Write ``layout`` on the 4-D floating-point inputs and outputs.

    True means all of them. Names mean those arguments (``x`` also stands for its parts ``x.left.0``) and
    every output. A tensor that is both follows the rule for inputs. Raises ConvertError for a name that no
    argument has.
    """
    if not tf_flip:
        return
    inputs = graph.graph["inputs"]
    named = {n: graph.nodes[n]["data"]["argument"] for n in inputs}
    if tf_flip is not True:
        chosen = [tf_flip] if isinstance(tf_flip, str) else list(tf_flip)
        unknown = [c for c in chosen if not any(_is_part(a, c) for a in named.values())]
        if unknown:
            raise ConvertError(
                "tf_flip names arguments that the model does not have",
                problems=[Problem(str(c), "no such argument") for c in unknown],
                hint=f"the tensor arguments are {', '.join(named.values())}",
            )
        named = {n: a for n, a in named.items() if any(_is_part(a, c) for c in chosen)}
    for name in dict.fromkeys([*named, *(n for n in graph.graph["outputs"] if n not in inputs)]):
        data = graph.nodes[name]["data"]
        if len(data["shape"]) == 4 and "float" in data["dtype"]:
            data["layout"] = NHWC


def _is_part(argument: str, chosen: str) -> bool:
    return argument == chosen or argument.startswith(f"{chosen}.")
