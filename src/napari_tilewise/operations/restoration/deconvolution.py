"""`skimage.restoration`, deconvolution: Richardson-Lucy by tiles, Wiener on whole images.

An iteration of Richardson-Lucy convolves twice with the point spread function, so the halo is half
its width times the number of convolutions. SciPy convolves with small kernels directly, which gives
the same bits on any part of the image, and with others by Fourier transforms, whose rounding
depends on the array's size. The choice follows from the whole image's shape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import signal

from napari_tilewise.operations.shared.common import as_float
from napari_tilewise.operations.shared.whole import WHOLE, whole
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.keyword_specs import Keywords
from napari_tilewise.operations.spec.operation import (
    Accuracy,
    Block,
    Call,
    Cost,
    HaloLike,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    Output,
    Part,
    Plan,
    Reduce,
    ResultSpec,
    Tiles,
    Trial,
)
from napari_tilewise.operations.spec.parameters import Array, Flag, Number, Seed

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from napari_tilewise.operations.spec.passes import Passes

# -- Richardson-Lucy -------------------------------------------------------------------------------


def _lucy_halo(call: Call) -> HaloLike:
    return [2 * call["num_iter"] * (n // 2) for n in call["psf"].shape]


def _method(call: Call) -> str:
    """Return SciPy's method for the whole image, "direct" or "fft"."""
    image = np.broadcast_to(np.zeros((), as_float(call)), call.shape)
    psf = call["psf"].astype(as_float(call))
    return str(signal.choose_conv_method(image, psf, mode="same"))


def _lucy(call: Call) -> Plan:
    method = _method(call)
    if method == "fft" and not (yield from _has_bounded_rounding(call)):
        return (yield from whole(call))
    return Tiles(lambda block: _deconvolve(block.data, call, method), halo=_lucy_halo(call))


def _has_bounded_rounding(call: Call) -> Passes[bool]:
    """Return whether rounding errors stay small: an odd kernel, no negative or infinite values.

    With an even kernel the second convolution is not the first one's mirror image, and with
    negative values the blurred estimate may vanish at pixels where the image does not: the quotient
    then amplifies rounding errors without bound. A NaN spreads to all of a Fourier transform.
    """
    psf = call["psf"]
    if any(n % 2 == 0 for n in psf.shape) or not (np.isfinite(psf).all() and psf.min() >= 0):
        return False

    def is_finite_and_positive(block: Block) -> bool:
        return bool(block.data.min() >= 0 and block.data.max() < np.inf)

    is_tame: bool = yield Reduce(
        is_finite_and_positive, lambda a, b: a and b, description="sign of the image"
    )
    return is_tame


def _deconvolve(image: np.ndarray, call: Call, method: str) -> np.ndarray:
    """Run `richardson_lucy` with the convolution method of the whole image."""
    dtype = as_float(call)
    image = image.astype(dtype, copy=False)
    psf = call["psf"].astype(dtype, copy=False)
    epsilon = call["filter_epsilon"]
    estimate = np.full(image.shape, 0.5, dtype=dtype)
    for _ in range(call["num_iter"]):
        blurred = signal.convolve(estimate, psf, mode="same", method=method) + 1e-12
        relative = image / blurred
        if epsilon:
            relative = np.where(blurred < epsilon, 0, relative)
        estimate *= signal.convolve(relative, np.flip(psf), mode="same", method=method)
    if call["clip"]:
        estimate[estimate > 1] = 1
        estimate[estimate < -1] = -1
    return estimate


# -- Wiener ----------------------------------------------------------------------------------------


def _dtype(call: Call) -> DTypeLike:
    real = np.dtype(as_float(call))
    return real if call["is_real"] else np.result_type(real, np.complex64)


def _parts(call: Call) -> tuple[Part, ...]:
    return Part(Output.IMAGE, _dtype(call), call.shape), Part(Output.VALUES)


PSF = Array(usual=(0, 1))
REGULARISATION = Array(optional=True, usual=(-1, 1), advanced=True)
REAL = Flag(advanced=True)
CLIP = Flag(advanced=True)

OPERATIONS = (
    Operation(
        name="restoration.richardson_lucy",
        title="Richardson-Lucy deconvolution",
        family=families.DENOISING,
        kind=Kind.ITERATIVE,
        # Bit for bit if SciPy convolves directly. A Fourier transform of N pixels has an error of
        # about log2(N) units in the last place of the largest value, and a different one for a
        # tile. Without negative values the effect on an estimate u at a pixel p is bounded: its
        # share u(p) psf(q - p) is part of every blurred value that divides it, so u changes by less
        # than the error times the sum of the quotients; and an iteration maps relative changes e to
        # e - P e, with P an average over neighbours with eigenvalues from 0 to 1, so that they add
        # up but are not amplified. A thousand iterations of ten units each: 2e-12, and 1e-3 in
        # single precision. (A blurred value that equals filter_epsilon to the last bit may be
        # rounded to either side.)
        accuracy=Accuracy(tolerance=1e-10, single=1e-3),
        specs={
            "psf": PSF,
            "num_iter": Number(minimum=0, integer=True, usual=(1, 12)),
            "clip": CLIP,
            "filter_epsilon": Number(minimum=0, optional=True, usual=(1e-6, 0.1), advanced=True),
        },
        neighbourhood=Neighbourhood(halo=_lucy_halo),
        result=ResultSpec(dtype=as_float),
        plan_of=_lucy,
        cost=Cost(memory=16.0),
        note="With an even kernel or negative values, Fourier transforms (SciPy's choice for all "
        "but small kernels) have no bound on rounding errors: the whole image is then read at "
        "once.",
    ),
    Operation(
        name="restoration.wiener",
        title="Wiener deconvolution",
        family=families.DENOISING,
        **WHOLE,
        specs={
            "psf": PSF,
            "balance": Number(usual=(0.05, 2)),
            "reg": REGULARISATION,
            "is_real": REAL,
            "clip": CLIP,
        },
        result=ResultSpec(dtype=_dtype),
        cost=Cost(memory=16.0),
        note="Needs the whole image: in a Fourier transform every pixel depends on every other "
        "one.",
    ),
    Operation(
        name="restoration.unsupervised_wiener",
        title="Unsupervised Wiener deconvolution",
        family=families.DENOISING,
        **WHOLE,
        specs={
            "psf": PSF,
            "reg": REGULARISATION,
            "user_params": Keywords(
                samples=({}, {"max_num_iter": 40}, {"threshold": 0.01, "burnin": 5}),
                advanced=True,
            ),
            "is_real": REAL,
            "clip": CLIP,
            "rng": Seed(advanced=True),
        },
        result=ResultSpec(dtype=_dtype, parts=_parts),
        limits=Limits(ndim=(2, 2)),
        cost=Cost(trial=Trial(length=24), memory=30.0),
        note="Needs the whole image: in a Fourier transform every pixel depends on every other "
        "one. Returns the image and the Gibbs sampler's chains. The result is random: set "
        "rng to "
        "reproduce it.",
    ),
)
