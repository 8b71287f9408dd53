"""Qualcomm's Hexagon: a subgraph as ONNX, quantised, and as a ``.dlc`` by Qualcomm's own tools."""
