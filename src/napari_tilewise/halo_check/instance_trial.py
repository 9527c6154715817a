"""The trial of a function that labels objects: whether they are those of the whole image.

Images of spots of several sizes are labelled whole and in tiles. Where the objects differ, longer
halos are tried, so that the finding can say which one is enough.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.engine.build import StackLayout, build
from napari_tilewise.engine.session import Session
from napari_tilewise.engine.stack_results import compute
from napari_tilewise.errors import TilewiseError
from napari_tilewise.functions.instances import numbered
from napari_tilewise.halo_check.verdict import HaloFinding, Verdict, format_halo
from napari_tilewise.operations.spec.kinds import Kind
from napari_tilewise.operations.spec.operation import Neighbourhood

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_tilewise.functions import UserFunction
    from napari_tilewise.grid import Halo
    from napari_tilewise.types import Array, Parameters

SIZES = (1.0, 2.0, 4.0)
"""Sizes of spots in pixels, as standard deviations of the blur that makes them."""
LENGTHS = {1: 4096, 2: 192, 3: 40}
"""Shortest lengths of images."""
HALOS = 5
"""How many halos an image is long at least, so that no tile sees all of it."""
LONGER = (2, 4)
"""How many times the declared halo is tried where it is not enough."""


@dataclass
class _Count:
    """The objects of all images, and those that tiles give otherwise."""

    images: int = 0
    objects: int = 0
    wrong: int = 0


def instance_finding(operation: UserFunction, params: Parameters, seed: int) -> HaloFinding:
    """Return whether the objects of tiles are those of the whole image.

    Parameters
    ----------
    operation
        A function that labels objects.
    params
        Values of parameters; the others keep their defaults.
    seed
        Seed of the random images.
    """
    low, high = operation.limits.ndim
    ndim = min(max(2, low), high)
    declared = None if operation.kind is Kind.WHOLE else operation.halo(ndim, **params)
    try:
        count = _compare(operation, params, declared, seed)
        needed = declared if not count.wrong else _longer(operation, params, declared, seed)
    except (TilewiseError, TypeError, RuntimeError, ValueError) as error:
        return HaloFinding(operation.name, Verdict.FAILS, f"fails: {error}", params=params)
    figures = f"({count.objects} objects in {count.images} images)"
    if not count.objects:
        verdict, text = Verdict.FAILS, f"fails: it found no object in {count.images} images"
    elif not count.wrong:
        verdict = Verdict.RIGHT
        text = f"right: {format_halo(declared)}, every object is the whole image's {figures}"
    elif needed is not None:
        verdict = Verdict.TOO_SMALL
        text = (
            f"too small: {count.wrong} objects differ from the whole image's with "
            f"{format_halo(declared)}; {format_halo(needed)} is enough {figures}"
        )
    else:
        verdict = Verdict.GLOBAL
        text = (
            f"depends on the whole image: {count.wrong} objects differ from the whole image's, and "
            f"a halo {LONGER[-1]} times as long does not help {figures}"
        )
    return HaloFinding(operation.name, verdict, text, needed, declared, params)


def _longer(
    operation: UserFunction, params: Parameters, declared: Halo | None, seed: int
) -> Halo | None:
    """Return a longer halo that is enough; None where none is."""
    for factor in LONGER if declared is not None else ():
        halo = tuple((before * factor, after * factor) for before, after in declared or ())
        if not _compare(operation, params, halo, seed).wrong:
            return halo
    return None


def _compare(operation: UserFunction, params: Parameters, halo: Halo | None, seed: int) -> _Count:
    """Compare the objects of tiles with the whole image's."""
    variant = operation
    if halo is not None:
        variant = replace(operation, neighbourhood=Neighbourhood(halo=lambda call: halo))
    count = _Count()
    low, high = operation.limits.ndim
    ndim = min(max(2, low), high)
    for image in _images(ndim, halo, seed):
        call = operation.call(image.shape, image.dtype, params)
        whole = numbered(call.function(image.copy()))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            layout = StackLayout(tiles=image.shape[0] // 3 + 1)
            tiled: Array = compute(build(variant, image, dict(params), Session(1), layout))
        count.images += 1
        count.objects += int(whole.max(initial=0))
        count.wrong += len(np.unique(whole[(whole != tiled) & (whole > 0)]))
        count.wrong += len(np.setdiff1d(tiled, whole))
    return count


def _images(ndim: int, halo: Halo | None, seed: int) -> Iterator[Array]:
    """Yield images of bright spots, of several sizes and types."""
    rng = np.random.default_rng(seed)
    longest = max((max(pair) for pair in halo or ()), default=0)
    length = max(LENGTHS.get(ndim, 16), HALOS * longest)
    for size in SIZES:
        blurred = ndi.gaussian_filter(rng.random((length,) * ndim), size)
        spread = (blurred - blurred.min()) / np.ptp(blurred)
        yield spread
        yield (spread * 255).astype(np.uint8)
