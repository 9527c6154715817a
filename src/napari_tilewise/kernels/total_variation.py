"""Total variation denoising: Chambolle's iteration in one sweep over the image per step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.kernels.arrays import contiguous, integers, type_code
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import call
from napari_tilewise.kernels.smoothing.separable import as_floats, is_number

if TYPE_CHECKING:
    from collections.abc import Sequence

_FLOATS = (np.dtype("f4"), np.dtype("f8"))


class VariationIteration:
    """The state of the iteration on one image of two or three axes.

    Parameters
    ----------
    image
        float32 or float64.
    weight
        Of the variation against fidelity, above 0.
    """

    def __init__(self, image: np.ndarray, weight: float) -> None:
        self._image = contiguous(image)
        self._dual = np.zeros((image.ndim, *image.shape), image.dtype)
        tau = 1.0 / (2.0 * image.ndim)
        shape = image.shape if image.ndim == 3 else (image.shape[0], 1, image.shape[1])
        self._fixed = (image.ndim, integers(shape), tau, tau / weight)
        self.shape = image.shape
        self.count = 0
        """Iterations done."""

    def step(self, count: int = 1, **arrays: np.ndarray | None) -> None:
        """Do some iterations.

        Parameters
        ----------
        count
            How many.
        **arrays
            What to write: `squares` and `norms` of the last iteration and `result`, the denoised
            image before it, each an array like the image; `core` and `sums` as in `energies`.
        """
        names = ("squares", "norms", "core", "sums", "result")
        code = type_code(self._image.dtype)
        span = self.count, self.count + count
        outputs = (arrays.get(name) for name in names)
        call("variation", self._image, code, self._dual, *self._fixed, *span, *outputs)
        self.count += count

    def energies(self, count: int, core: Sequence[slice]) -> tuple[np.ndarray, bool]:
        """Do iterations, and return what their energies are made of.

        Parameters
        ----------
        count
            How many.
        core
            The part of the image to sum over.

        Returns
        -------
        sums
            Shape (count, 2): the squared divergence and the norm of the gradient, summed in double
            precision in no particular order.
        flat
            Whether all gradients are zero at the start; only the first call knows.
        """
        bounds = [
            part.indices(size)[:2] for part, size in zip(core, self._image.shape, strict=True)
        ]
        if len(bounds) == 2:
            bounds.insert(1, (0, 1))
        sums = np.zeros((count, 3))
        self.step(count, core=integers([n for pair in bounds for n in pair]), sums=sums)
        return sums[:, :2], not sums[0, 2]

    def image(self) -> np.ndarray:
        """Return the denoised image after the iterations done, and one more divergence."""
        result = np.empty_like(self._image)
        self.step(0, result=result)
        return result


def _exact(
    image: np.ndarray,
    weight: float = 0.1,
    eps: float = 2.0e-4,
    max_num_iter: int = 200,
    *,
    channel_axis: int | None = None,
) -> bool:
    ndim = image.ndim - (channel_axis is not None)
    return (
        is_number(image.dtype)
        and ndim in (2, 3)
        and image.size > 0
        # Python's numbers take the image's precision, NumPy's would raise it.
        and type(weight) in (int, float)
        and type(eps) in (int, float)
        and weight > 0
        and max_num_iter >= 1
    )


def denoise_tv_chambolle(
    image: np.ndarray,
    weight: float = 0.1,
    eps: float = 2.0e-4,
    max_num_iter: int = 200,
    *,
    channel_axis: int | None = None,
) -> np.ndarray:
    """Denoise by total variation, as `skimage.restoration.denoise_tv_chambolle` does.

    Parameters
    ----------
    image, weight, eps, max_num_iter, channel_axis
        As there.
    """
    image = as_floats(image, unchanged=_FLOATS)
    if channel_axis is None:
        return _denoised(contiguous(image), weight, eps, max_num_iter)
    channels = np.moveaxis(image, channel_axis, 0)
    result = np.zeros_like(image)
    for target, channel in zip(np.moveaxis(result, channel_axis, 0), channels, strict=True):
        target[...] = _denoised(contiguous(channel), weight, eps, max_num_iter)
    return result


def _denoised(image: np.ndarray, weight: float, eps: float, most: int) -> np.ndarray:
    iteration = VariationIteration(image, weight)
    if eps == 0:
        iteration.step(most - 1)
        return iteration.image()
    squares, norms = np.empty_like(image), np.empty_like(image)
    first: Any = None
    previous: Any = None
    result = np.empty_like(image)
    while iteration.count < most:
        iteration.step(squares=squares, norms=norms, result=result)
        energy = squares.sum()  # NumPy's own order of summation
        energy += weight * norms.sum()
        energy /= float(image.size)
        if first is None:
            first = previous = energy
        elif np.abs(previous - energy) < eps * first:
            break
        else:
            previous = energy
    return result


DENOISE_TV_CHAMBOLLE = Kernel(
    "skimage.restoration.denoise_tv_chambolle", _exact, denoise_tv_chambolle
)
