"""Running modules of the flavour "shader" through Vulkan, by the ``vulkan`` package."""
