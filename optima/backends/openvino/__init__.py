"""Devices that OpenVINO compiles for: MYRIAD, and Intel CPUs and GPUs on request."""
