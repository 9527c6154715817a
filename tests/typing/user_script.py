"""A user's script as mypy and Pyright see it: `make types` checks the types that it asserts.

Nothing here runs; a name that loses its type, or an overload that no longer holds, fails the check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_type

import dask.array as da

import napari_tilewise as tw
from napari_tilewise.io.plain_data import Plain
from napari_tilewise.types import Array

if TYPE_CHECKING:
    import numpy as np
    import zarr
    from numpy.typing import NDArray


def images(
    plane: np.ndarray, volume: NDArray[np.uint16], lazy: da.Array, stored: zarr.Array[Any]
) -> None:
    """An ndarray gives an ndarray; what is lazy gives a dask array."""
    assert_type(tw.apply("filters.gaussian", plane, sigma=2), Array)
    assert_type(tw.apply("filters.gaussian", volume, sigma=2), Array)
    assert_type(tw.apply("filters.gaussian", lazy, axes="tyx", spatial="yx"), da.Array)
    assert_type(tw.apply("measure.label", stored, tiles=512), da.Array)


def catalogue() -> None:
    """An operation of the catalogue tells its halo."""
    operation = tw.OPERATIONS["filters.gaussian"]
    assert_type(operation, tw.Operation)
    assert_type(operation.halo(ndim=2, sigma=3), tuple[tuple[int, int], ...])


def runs(recipe: tw.Recipe, lazy: da.Array) -> None:
    """Runs and batches take what the documentation says."""
    tw.run(recipe, "slide.ome.zarr", "nuclei.ome.zarr", memory="2 GiB", overwrite=True)
    tw.run(recipe, lazy, "nuclei.ome.zarr", axes="yx")
    report = tw.batch(("filters.gaussian", {"sigma": 2}), "plates/*.tif", "out/", n_jobs=-1)
    assert_type(report.rows, list[dict[str, Plain]])
    image = tw.open("slide.ome.tif")
    assert_type(image.axes, tuple[str, ...])
