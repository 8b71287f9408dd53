"""Pooling, resizing and sampling."""

from __future__ import annotations

from collections.abc import Callable

from torch2nx.aten.row import Draft, Table, per_axis, rows


def _pool(axes: int, *names: str) -> Callable[[Draft], None]:
    def adapt(draft: Draft) -> None:
        if not draft.attrs["stride"]:
            draft.attrs["stride"] = draft.attrs["kernel_size"]
        per_axis(draft, ("kernel_size", "stride", "padding", *names), axes)

    return adapt


def _max_pool_indices(axes: int) -> Callable[[Draft], None]:
    """Without its indices it is the plain pooling."""

    def adapt(draft: Draft) -> None:
        if not draft.used(draft.outputs[1]):
            draft.op = f"max_pool{axes}d"
            draft.keep_outputs(1)
        _pool(axes, "dilation")(draft)

    return adapt


def _fractional(axes: int) -> Callable[[Draft], None]:
    def adapt(draft: Draft) -> None:
        per_axis(draft, ("kernel_size", "output_size"), axes)

    return adapt


def _adaptive(axes: int) -> Callable[[Draft], None]:
    def adapt(draft: Draft) -> None:
        per_axis(draft, ("output_size",), axes)

    return adapt


def _resize(draft: Draft) -> None:
    """The form with explicit scales per axis: a size, or factors; both where the factors do not give the size."""
    draft.operands = {"input": draft.operands["self"]}
    scales = [draft.attrs.pop(k) for k in list(draft.attrs) if k.startswith("scales")]
    extents = draft.operands["input"].shape[2:]
    if all(s is None for s in scales):
        draft.attrs["scale_factors"] = None
        return
    draft.attrs["scale_factors"] = [s or 0.0 for s in scales]
    if [int(e * (s or 0.0)) for e, s in zip(extents, scales, strict=True)] == draft.attrs["output_size"]:
        draft.attrs["output_size"] = None


_RESIZES = (
    "upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_linear1d upsample_bilinear2d "
    "upsample_trilinear3d upsample_bicubic2d _upsample_nearest_exact1d _upsample_nearest_exact2d "
    "_upsample_nearest_exact3d _upsample_bilinear2d_aa _upsample_bicubic2d_aa"
)

ROWS: Table = {
    **rows("max_pool1d", _pool(1, "dilation")),
    **rows("max_pool2d", _pool(2, "dilation")),
    **rows("max_pool3d", _pool(3, "dilation")),
    **rows("max_pool1d_with_indices", _max_pool_indices(1)),
    **rows("max_pool2d_with_indices", _max_pool_indices(2)),
    **rows("max_pool3d_with_indices", _max_pool_indices(3)),
    **rows("avg_pool1d", _pool(1)),
    **rows("avg_pool2d", _pool(2)),
    **rows("avg_pool3d", _pool(3)),
    **rows("adaptive_avg_pool1d adaptive_max_pool1d", _adaptive(1)),
    **rows("adaptive_avg_pool2d adaptive_max_pool2d", _adaptive(2)),
    **rows("adaptive_avg_pool3d adaptive_max_pool3d", _adaptive(3)),
    **rows("_adaptive_avg_pool2d", _adaptive(2), op="adaptive_avg_pool2d"),
    **rows(" ".join(f"{name}.vec" for name in _RESIZES.split())),
    **rows(_RESIZES, _resize),
    **rows("fractional_max_pool2d", _fractional(2)),
    **rows("fractional_max_pool3d", _fractional(3)),
    **rows("grid_sampler affine_grid_generator"),
    **rows("grid_sampler_2d grid_sampler_3d", op="grid_sampler"),
    **rows("pixel_shuffle pixel_unshuffle channel_shuffle"),
}
