"""A backend whose subgraphs wait for each other: they end only if they run at the same time."""
