"""Choosing among boxes: torchvision's own operators."""

from __future__ import annotations

from torch2nx.aten.row import Row, Table

#: ``torch2nx.bounds`` has given the call its second result, the count
ROWS: Table = {"torchvision.nms.default": Row("nms")}
