"""GPU kernels as SPIR-V: one ``.spv`` per launch, for Vulkan; run through the ``vulkan`` package."""
