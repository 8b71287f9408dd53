"""PyTorch to networkx: the only package that traces. ``from torch2nx import converter`` imports torch."""
