"""Fused group -> TE -> GPU schedule -> device-side TensorIR -> shader text. ``source`` is the way in."""
