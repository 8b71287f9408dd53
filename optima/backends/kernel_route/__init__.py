"""What the backends of kernels share: lowering to fused groups, the memory plan, and the plan's check at load."""
