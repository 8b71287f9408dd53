"""Fused group -> TE -> schedule -> object code. ``lower`` and ``build`` are the way in; TVM is imported lazily."""
