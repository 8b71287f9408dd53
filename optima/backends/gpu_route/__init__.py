"""What backends of kernels for GPUs share: jobs, links and metas on one side, checks and borders on the other."""
