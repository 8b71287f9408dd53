"""CPU kernels through TVM and LLVM: one ``.so`` per distinct kernel."""
