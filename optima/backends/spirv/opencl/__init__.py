"""Running modules of the flavour "kernel" through OpenCL, by the ``pyopencl`` package."""
