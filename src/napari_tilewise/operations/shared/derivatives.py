"""How far derivatives of Gaussians reach, as scikit-image's `hessian_matrix` takes two in a row.

For scales of one pixel and less scikit-image asks for kernels 71 times the scale long. Their
weights are exactly 0.0 where ``exp(-x**2 / sigma**2)`` underflows, that is beyond 27.4 times the
scale (745.2 is the largest exponent a float64 holds), and a finite pixel times zero adds nothing.
Infinity times zero is NaN: such pixels, and NaN, are felt as far as the kernel goes.
"""

from __future__ import annotations

import numpy as np


def hessian_reach(sigma: float, *, long: bool | None = None) -> int:
    """Return how far finite pixels are felt.

    Parameters
    ----------
    sigma
        The scale.
    long
        Whether kernels are as long as for scales of one pixel and less; unless given, `sigma`
        tells.
    """
    underflow = int(np.sqrt(2 * 745.2) * _of_one(sigma)) + 1
    return min(kernel_reach(sigma, long=long), 2 * underflow)


def kernel_reach(sigma: float, *, long: bool | None = None) -> int:
    """Return how far the kernels go, zeros included; see `hessian_reach` for the parameters."""
    truncate = 100 if (sigma <= 1 if long is None else long) else 8
    return 2 * int(truncate * _of_one(sigma) + 0.5)


def _of_one(sigma: float) -> float:
    """Return the scale of each of the two Gaussians."""
    return float(sigma) / float(np.sqrt(2.0))
