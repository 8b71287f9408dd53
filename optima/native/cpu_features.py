"""The runtime's door to ``devices.cpu_features``: what this CPU can execute."""

from devices.cpu_features import host_features, missing, process_machine

__all__ = ["host_features", "missing", "process_machine"]
