"""Proof against PyTorch's own test suite: what OpInfo and ModuleInfo sample, compiled for X64 and compared."""
