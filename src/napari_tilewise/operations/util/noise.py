"""`util.random_noise`: the stream of random numbers runs over the whole image, pixel by pixel.

A normal or Poisson variate consumes a varying number of random numbers, so the position in the
stream at which a tile starts is unknown: the same noise for the same seed needs the whole image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from skimage import util

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.operations.shared.common import AnyCase
from napari_tilewise.operations.shared.whole import WHOLE
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    LIGHT,
    Adapter,
    Call,
    Cost,
    Limits,
    Operation,
    ResultSpec,
)
from napari_tilewise.operations.spec.parameters import AlignedImage, Flag, Number, Seed
from napari_tilewise.operations.util.dtypes import float_dtype

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

TAKES = {
    "gaussian": ("mean", "var"),
    "localvar": ("local_vars",),
    "poisson": (),
    "salt": ("amount",),
    "pepper": ("amount",),
    "s&p": ("amount", "salt_vs_pepper"),
    "speckle": ("mean", "var"),
}
"""The keywords of every mode, which scikit-image takes as ``**kwargs``."""

KEYWORDS = ("mean", "var", "amount", "salt_vs_pepper", "local_vars")


def random_noise(
    image: np.ndarray,
    mode: str = "gaussian",
    rng: Any = None,
    clip: bool = True,
    *,
    mean: float | None = None,
    var: float | None = None,
    amount: float | None = None,
    salt_vs_pepper: float | None = None,
    local_vars: np.ndarray | None = None,
) -> np.ndarray:
    """Call scikit-image's function with those of its keywords that are not None."""
    values = (mean, var, amount, salt_vs_pepper, local_vars)
    keywords = {k: v for k, v in zip(KEYWORDS, values, strict=True) if v is not None}
    result: np.ndarray = util.random_noise(image, mode, rng, clip, **keywords)
    return result


random_noise.__doc__ = util.random_noise.__doc__


def _check(call: Call) -> None:
    keywords = TAKES[call["mode"]]
    for name in KEYWORDS:
        if call[name] is not None and name not in keywords:
            accepted = f"takes {' and '.join(keywords)}" if keywords else "takes none of these"
            raise InvalidParameter(
                f"{call.operation.name}: {name} has no effect with mode={call['mode']!r}, which "
                f"{accepted}. Remove it."
            )


def _dtype(call: Call) -> DTypeLike:
    """Return float64, the noise's dtype; salt and pepper noise keeps the image's float dtype."""
    return float_dtype(call.dtype) if "amount" in TAKES[call["mode"]] else np.float64


OPERATIONS = (
    Operation(
        name="util.random_noise",
        family=families.PIXEL_TYPES,
        adapter=Adapter(function=random_noise),
        **WHOLE,
        specs={
            "mode": AnyCase(choices=tuple(TAKES)),
            "rng": Seed(advanced=True),
            "clip": Flag(),
            "mean": Number(usual=(-0.5, 0.5), optional=True),
            "var": Number(minimum=0, usual=(0, 0.2), optional=True),
            "amount": Number(minimum=0, maximum=1, usual=(0, 1), optional=True),
            "salt_vs_pepper": Number(minimum=0, maximum=1, usual=(0, 1), optional=True),
            "local_vars": AlignedImage(role="intensity", like=True, advanced=True),
        },
        result=ResultSpec(dtype=_dtype),
        limits=Limits(check=_check),
        cost=Cost(memory=8.0, at_once=LIGHT),
        note="Needs the whole image: random numbers are drawn for all pixels in order. Without "
        "rng= the noise differs at every call, as in scikit-image.",
    ),
)
