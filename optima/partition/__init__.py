"""The split: a graph whose ops carry their devices -> subgraphs that can run one after the other."""

from optima.partition.split import Split, Subgraph, Transfer, assign, partition

__all__ = ["Split", "Subgraph", "Transfer", "assign", "partition"]
