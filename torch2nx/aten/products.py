"""Products by axis, distances, diagonals."""

from __future__ import annotations

from torch2nx.aten.row import Draft, Table, rows


def _cross(draft: Draft) -> None:
    """``cross`` without a ``dim`` goes along the first axis of extent 3."""
    if draft.attrs.get("dim") is None:
        draft.attrs["dim"] = list(draft.operands["self"].shape).index(3)


def _ordered_dims(draft: Draft) -> None:
    """``linalg_diagonal`` in the terms of ``diagonal``."""
    draft.rename(A="self")


def _by_groups(draft: Draft) -> None:
    """The transformers library's own operator for a mixture of experts, in the terms of torch's."""
    draft.rename(input="self", weight="mat2")


ROWS: Table = {
    **rows("einsum tensordot inner bilinear vdot addbmm"),
    **rows("outer kron addr linalg_cross linalg_vecdot trace diag_embed"),
    **rows("ger", op="outer"),
    **rows("cross", _cross, op="linalg_cross"),
    **rows("linalg_diagonal", _ordered_dims, op="diagonal"),
    **rows("cdist pdist pairwise_distance cosine_similarity"),
    **rows("linalg_matmul", op="matmul"),
    **rows("_grouped_mm"),
    **rows("transformers.grouped_mm_fallback.default", _by_groups, op="_grouped_mm"),
}
