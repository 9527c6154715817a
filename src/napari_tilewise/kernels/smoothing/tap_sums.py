"""SciPy's correlation with a small kernel of any shape, and filters that are made of one or two.

Products are added tap by tap in raster order, without those of weights that are zero, as SciPy adds
them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from skimage.filters import gabor_kernel

from napari_tilewise.kernels.arrays import MODES, contiguous, integers, type_code
from napari_tilewise.kernels.footprint_windows import filter_bands, volume_shape, volume_sizes
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import call, rounds_alike
from napari_tilewise.kernels.smoothing.edge_magnitudes import clear_outside
from napari_tilewise.kernels.smoothing.line_correlations import casts_alike
from napari_tilewise.kernels.smoothing.separable import as_floats, float_scale, is_number
from napari_tilewise.kernels.threads import in_pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_EPSILON = np.finfo(np.float64).eps
_FLOATS = (np.dtype("f4"), np.dtype("f8"))


class Taps(NamedTuple):
    """A kernel's weights that are not zero, in raster order."""

    offsets: np.ndarray
    """From the pixel that they are added up for, shape (n, 3)."""
    weights: np.ndarray
    """Shape (n,)."""

    @classmethod
    def of(cls, kernel: np.ndarray, origin: Sequence[int]) -> Taps:
        """Return the taps of a kernel that pixels are correlated with.

        Parameters
        ----------
        kernel
            Of up to three axes.
        origin
            By how much the kernel's middle lies off its centre, per axis.
        """
        volume = np.asarray(kernel, np.float64).reshape(volume_shape(kernel.shape))
        present = np.abs(volume) > _EPSILON
        middle = (*(0,) * (3 - len(origin)), *origin) + np.array(volume.shape) // 2
        offsets = np.argwhere(present) - middle
        return cls(np.ascontiguousarray(offsets, np.int64), volume[present])

    @property
    def reach(self) -> np.ndarray:
        """Pixels before and after the centre along each axis, shape (6,)."""
        low, high = -self.offsets.min(0, initial=0), self.offsets.max(0, initial=0)
        return integers([n for pair in zip(low, high, strict=True) for n in pair])


def _sums(
    image: np.ndarray, taps: Taps, mode: str = "reflect", cval: float = 0.0, scale: float = 1.0
) -> np.ndarray:
    """Return the sums of every pixel, of the image's type, or of doubles where it is scaled."""
    image = contiguous(image)
    target = np.empty(image.shape, image.dtype if scale == 1.0 else np.float64)
    numbers = (
        volume_sizes(image),
        taps.reach,
        float(scale),
        len(taps.weights),
        taps.offsets,
        taps.weights,
        MODES[mode],
        float(cval),
    )

    def sums_of_band(band: np.ndarray) -> None:
        call("correlate_taps", image, type_code(image.dtype), target, *numbers, band)

    filter_bands(sums_of_band, image)
    return target


# -- SciPy's ---------------------------------------------------------------------------------------


def _origins(origin: Any, ndim: int) -> list[int]:
    return [int(o) for o in np.broadcast_to(origin, (ndim,))]


def _fits(
    image: np.ndarray, weights: np.ndarray, origin: Any, mode: Any, cval: float = 0.0
) -> bool:
    """Return whether a kernel is one that reaches no further than the image's size."""
    if not (
        1 <= image.ndim == weights.ndim <= 3
        and image.size > 0 < weights.size
        and weights.dtype.kind in "biuf"
        and isinstance(mode, str)
        and mode in MODES
        and bool(np.isreal(cval))
        and np.ndim(origin) <= 1
        and np.size(origin) in (1, image.ndim)
        and rounds_alike()
    ):
        return False
    lengths = zip(weights.shape, _origins(origin, image.ndim), image.shape, strict=True)
    return all(0 <= k // 2 + o < k <= n for k, o, n in lengths)


def _exact(
    input: np.ndarray,
    weights: Any,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
) -> bool:
    weights = np.asarray(weights)
    return (
        output is None
        and _fits(input, weights, origin, mode, cval)
        and casts_alike(input, float(np.abs(weights.astype(np.float64)).sum()), cval)
    )


def correlate(
    input: np.ndarray,
    weights: Any,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
) -> np.ndarray:
    """Correlate with a kernel, as `scipy.ndimage.correlate` does.

    Parameters
    ----------
    input, weights, output, mode, cval, origin
        As there.
    """
    weights = np.asarray(weights)
    return _sums(input, Taps.of(weights, _origins(origin, input.ndim)), mode, cval)


def convolve(
    input: np.ndarray,
    weights: Any,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
) -> np.ndarray:
    """Convolve with a kernel, as `scipy.ndimage.convolve` does.

    Parameters
    ----------
    input, weights, output, mode, cval, origin
        As there.
    """
    weights = np.asarray(weights)
    taps = _convolving(weights, _origins(origin, input.ndim))
    return _sums(input, taps, mode, cval)


def _convolving(weights: np.ndarray, origin: Sequence[int] | None = None) -> Taps:
    """Return the taps of a kernel to convolve with: the mirrored kernel's."""
    origin = (0,) * weights.ndim if origin is None else origin
    lengths = zip(weights.shape, origin, strict=True)
    return Taps.of(np.flip(weights), [-o - (k % 2 == 0) for k, o in lengths])


CORRELATE = Kernel("scipy.ndimage.correlate", _exact, correlate)
CONVOLVE = Kernel("scipy.ndimage.convolve", _exact, convolve)


# -- scikit-image's --------------------------------------------------------------------------------

_POSITIVE = np.array([[1.0, 0.0], [0.0, -1.0]])
_NEGATIVE = np.array([[0.0, 1.0], [-1.0, 0.0]])


def _laplacian(ndim: int) -> np.ndarray:
    """Return the sum over the axes of minus the second difference."""
    kernel = np.zeros((3,) * ndim)
    centre = (1,) * ndim
    kernel[centre] = 2.0 * ndim
    for axis in range(ndim):
        for end in (0, 2):
            kernel[(*centre[:axis], end, *centre[axis + 1 :])] = -1.0
    return kernel


def _exact_for_edges(image: np.ndarray, kernel: np.ndarray, mask: Any) -> bool:
    return (
        is_number(image.dtype)
        and (mask is None or (mask.dtype == np.bool_ and mask.shape == image.shape))
        and _fits(image, kernel, 0, "reflect")
    )


def _edges(image: np.ndarray, kernel: np.ndarray, mask: Any) -> np.ndarray:
    """Return the sums of an image in floating point, 0 where they reach out of the mask."""
    image = as_floats(contiguous(image))
    result = _sums(image, _convolving(kernel), scale=float_scale(image.dtype))
    if mask is not None:
        clear_outside(result, mask)
    return result


def _exact_for_laplace(image: np.ndarray, ksize: Any = 3, mask: Any = None) -> bool:
    return (
        isinstance(ksize, int | np.integer)
        and bool(ksize >= 3)
        and 1 <= image.ndim <= 3
        and _exact_for_edges(image, _laplacian(image.ndim), mask)
    )


def laplace(image: np.ndarray, ksize: int = 3, mask: Any = None) -> np.ndarray:
    """Return the Laplacian, as `skimage.filters.laplace` does.

    Parameters
    ----------
    image, ksize, mask
        As there.
    """
    return _edges(image, _laplacian(image.ndim), mask)


def _exact_for_roberts(image: np.ndarray, mask: Any = None) -> bool:
    return _exact_for_edges(image, _POSITIVE, mask)


def _diagonal(kernel: np.ndarray) -> Callable[..., np.ndarray]:
    def run(image: np.ndarray, mask: Any = None) -> np.ndarray:
        """Return the edges along one diagonal."""
        return _edges(image, kernel, mask)

    return run


def roberts(image: np.ndarray, mask: Any = None) -> np.ndarray:
    """Return the magnitude of the edges along both diagonals, as `skimage.filters.roberts` does.

    Parameters
    ----------
    image, mask
        As there.
    """
    result, other = (_edges(image, kernel, mask) for kernel in (_POSITIVE, _NEGATIVE))
    magnitudes, others = result.reshape(-1), other.reshape(-1)

    def magnitude(piece: slice) -> None:
        sums, squares = magnitudes[piece], others[piece]
        np.square(sums, out=sums)
        np.square(squares, out=squares)
        np.add(sums, squares, out=sums)
        np.sqrt(sums, out=sums)
        sums /= np.sqrt(2)

    in_pieces(magnitude, result.size)
    return result


def _gabor_kernels(image: np.ndarray, params: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return the real and the imaginary part of the kernel for an image."""
    dtype = np.promote_types(image.dtype, np.complex64) if image.dtype in _FLOATS else np.complex128
    kernel = gabor_kernel(**params, dtype=dtype)
    return np.real(kernel), np.imag(kernel)


def _look_for_gabor(
    image: np.ndarray,
    frequency: float,
    theta: float = 0,
    bandwidth: float = 1,
    sigma_x: float | None = None,
    sigma_y: float | None = None,
    n_stds: float = 3,
    offset: float = 0,
    mode: str = "reflect",
    cval: float = 0,
) -> Callable[[], tuple[np.ndarray, np.ndarray]] | None:
    if image.ndim != 2 or image.dtype.kind not in "iuf":
        return None
    shape = {"bandwidth": bandwidth, "sigma_x": sigma_x, "sigma_y": sigma_y, "n_stds": n_stds}
    params = {"frequency": frequency, "theta": theta, "offset": offset, **shape}
    real, imaginary = kernels = _gabor_kernels(image, params)
    if not all(_exact(image, kernel, None, mode, cval) for kernel in kernels):
        return None

    def compute() -> tuple[np.ndarray, np.ndarray]:
        return (
            _sums(image, _convolving(real), mode, cval),
            _sums(image, _convolving(imaginary), mode, cval),
        )

    return compute


TAP_FILTERS = (
    Kernel("skimage.filters.laplace", _exact_for_laplace, laplace),
    Kernel("skimage.filters.roberts", _exact_for_roberts, roberts),
    Kernel("skimage.filters.roberts_pos_diag", _exact_for_roberts, _diagonal(_POSITIVE)),
    Kernel("skimage.filters.roberts_neg_diag", _exact_for_roberts, _diagonal(_NEGATIVE)),
    Kernel.looking("skimage.filters.gabor", _look_for_gabor),
)
