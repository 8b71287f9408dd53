"""The oracle as a backend: a subgraph is stored as text and run op by op with torch."""
