"""Kernels of ranks in windows, and of means and extremes beside them."""
