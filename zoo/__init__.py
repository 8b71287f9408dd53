"""Real architectures with random weights, and the command that takes them through the whole pipeline: zoo.sweep."""
