"""Eigenvalues of symmetric 3 x 3 matrices, with the bits of NumPy's LAPACK.

NumPy gives every matrix to LAPACK in double precision. The compiled function does the same sums in
the same order, many matrices at a time; whether products and sums are rounded apart depends on the
BLAS that NumPy was built with, and on the processor, which is tried out once.
"""

from __future__ import annotations

from functools import cache, partial
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.kernels.arrays import type_code
from napari_tilewise.kernels.library import available, call
from napari_tilewise.kernels.threads import in_pieces

if TYPE_CHECKING:
    from collections.abc import Sequence

TRIED = 4096
"""Matrices that tell how LAPACK rounds."""


def volume_eigenvalues(lines: Sequence[np.ndarray]) -> np.ndarray:
    """Return the eigenvalues of symmetric matrices, the largest first: shape (3, n).

    Parameters
    ----------
    lines
        The elements 00, 01, 02, 11, 12 and 22: flat arrays of one data type, float32 or float64.
    """
    result = np.empty((3, lines[0].size), lines[0].dtype)
    is_fused = _is_fused()
    solve = _by_lapack if is_fused is None else partial(_solved, is_fused=is_fused)

    def solve_piece(piece: slice) -> None:
        result[:, piece] = solve([line[piece] for line in lines])

    in_pieces(solve_piece, lines[0].size)
    return result


def _by_lapack(lines: Sequence[np.ndarray]) -> np.ndarray:
    matrices = np.empty((lines[0].size, 3, 3), lines[0].dtype)
    for line, (row, column) in zip(lines, combinations_with_replacement(range(3), 2), strict=True):
        matrices[:, row, column] = matrices[:, column, row] = line
    return np.linalg.eigvalsh(matrices)[:, ::-1].T


def _solved(lines: Sequence[np.ndarray], *, is_fused: bool) -> np.ndarray:
    """Return the eigenvalues by the compiled function, those that it does not solve by LAPACK."""
    count, dtype = lines[0].size, lines[0].dtype
    result, is_unsolved = np.empty((3, count), dtype), np.empty(count, np.bool_)
    code = type_code(dtype)
    call("volume_eigenvalues", *lines, code, count, is_fused, result, count, is_unsolved)
    unsolved = np.flatnonzero(is_unsolved)
    if unsolved.size:
        result[:, unsolved] = _by_lapack([line[unsolved] for line in lines])
    return result


@cache
def _is_fused() -> bool | None:
    """Return whether LAPACK rounds a product and a sum at once; None where it does otherwise."""
    if not available():
        return None
    rng = np.random.default_rng(0)
    lines = list(rng.normal(size=(6, TRIED)) * 10.0 ** rng.integers(-4, 4, (6, TRIED)))
    lines[2][::5] = lines[1][::7] = 0
    expected = _by_lapack(lines).tobytes()
    orders = (True, False)
    return next((o for o in orders if _solved(lines, is_fused=o).tobytes() == expected), None)
