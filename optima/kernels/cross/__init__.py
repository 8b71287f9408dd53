"""Kernels for other CPUs than the compiling machine's: finding a linker, and linking without a system of theirs."""
