"""The passes of an operation on a plane: reductions, sweeps, and the runner that orders them."""
