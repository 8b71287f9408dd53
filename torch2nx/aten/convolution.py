"""Convolutions of one to three axes, and their transposes."""

from __future__ import annotations

from torch2nx.aten.row import CannotConvert, Draft, Table, per_axis, rows


def _axes(draft: Draft) -> int:
    return len(draft.operands["weight"].shape) - 2


def _conv(draft: Draft) -> None:
    per_axis(draft, ("stride", "padding", "dilation"), _axes(draft))


def _conv_padding(draft: Draft) -> None:
    """``padding="same"`` or ``"valid"`` as numbers; text where "same" pads the two sides unequally."""
    axes = _axes(draft)
    per_axis(draft, ("stride", "dilation"), axes)
    if draft.attrs["padding"] == "valid":
        draft.attrs["padding"] = [0] * axes
        return
    if draft.attrs["padding"] != "same":
        raise CannotConvert(f"padding={draft.attrs['padding']!r}")
    kernel = draft.operands["weight"].shape[2:]
    total = [d * (k - 1) for d, k in zip(draft.attrs["dilation"], kernel, strict=True)]
    if all(t % 2 == 0 for t in total):
        draft.attrs["padding"] = [t // 2 for t in total]


def _conv_transpose(draft: Draft) -> None:
    per_axis(draft, ("stride", "padding", "output_padding", "dilation"), _axes(draft))


def _convolution(draft: Draft) -> None:
    """``aten.convolution``, which serves both directions and all ranks: the op is chosen here."""
    axes = _axes(draft)
    transposed = draft.attrs.pop("transposed")
    draft.drop("benchmark", "deterministic", "cudnn_enabled", "allow_tf32")
    draft.op = f"conv_transpose{axes}d" if transposed else f"conv{axes}d"
    if not transposed and any(draft.attrs.pop("output_padding")):
        raise CannotConvert("output_padding on a convolution that is not transposed")
    (_conv_transpose if transposed else _conv)(draft)


ROWS: Table = {
    **rows("conv1d conv2d conv3d", _conv),
    **rows("conv1d.padding conv2d.padding conv3d.padding", _conv_padding),
    **rows("conv_transpose1d conv_transpose2d.input conv_transpose3d.input", _conv_transpose),
    **rows("convolution _convolution", _convolution, op="conv2d"),
}
