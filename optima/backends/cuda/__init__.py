"""GPU kernels as CUDA C++: a ``.cubin`` and ``.ptx`` per launch; run through NVIDIA's driver, or simulated."""
