"""One entry per operator, one file per family. Add an operator by adding its entry to a family's ``ENTRIES``."""

from optima.ops.entry import (
    REQUIRED,
    Answer,
    Cost,
    No,
    OpEntry,
    OpView,
    Te,
    Trait,
    Yes,
    streaming_cost,
)
from optima.ops.reference import torch_op
from optima.ops.registry import DuplicateOp, all_entries, entry_of, is_registered, register

__all__ = [
    "REQUIRED",
    "Answer",
    "Cost",
    "DuplicateOp",
    "No",
    "OpEntry",
    "OpView",
    "Te",
    "Trait",
    "Yes",
    "all_entries",
    "entry_of",
    "is_registered",
    "register",
    "streaming_cost",
    "torch_op",
]
