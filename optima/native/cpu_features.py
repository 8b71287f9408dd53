"""The runtime's door to ``devices.cpu_features``: what this CPU can execute."""

from devices.cpu_features import host_features, missing

__all__ = ["host_features", "missing"]
