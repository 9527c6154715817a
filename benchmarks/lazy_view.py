"""What choosing an operation costs on a huge image: apply() and views of 1024 x 1024 pixels.

A Zarr array of fill values, no disk needed. Aim: apply() under 0.1 s, any view under 0.3 s, both
within 2x of the same on 8192 x 8192.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
import zarr

import napari_tilewise as tw

VIEW = 1024
CHUNK = 1024


def measure(size: int) -> None:
    """Print the times for one size."""
    image = zarr.create_array(
        zarr.storage.MemoryStore(),
        shape=(size, size),
        chunks=(CHUNK, CHUNK),
        dtype="uint16",
        fill_value=7,
    )
    start = time.perf_counter()
    result = tw.apply("filters.gaussian", image, sigma=2)
    made = time.perf_counter() - start
    start = time.perf_counter()
    again = tw.apply("filters.gaussian", image, sigma=2)
    made_again = time.perf_counter() - start
    far = size - VIEW
    middle = size // 2 + 333
    places = [(0, 0), (far, far), (middle, middle), (middle, 17), (middle + 700, middle + 900)]
    views = []
    for y, x in places:
        start = time.perf_counter()
        np.asarray(again[y : y + VIEW, x : x + VIEW])
        views.append(time.perf_counter() - start)
    print(
        f"{size:>6} x {size:<6} apply {made * 1000:6.1f} ms (again {made_again * 1000:5.1f} ms)   "
        f"{VIEW} x {VIEW} views: median {statistics.median(views) * 1000:.0f} ms, "
        f"slowest {max(views) * 1000:.0f} ms   ({result.npartitions} tiles)"
    )


if __name__ == "__main__":
    # Imports are not the question; the first computation of dask brings distributed, too.
    np.asarray(tw.apply("filters.gaussian", zarr.zeros((64, 64)), sigma=2))
    for size in (8192, 131072, 8192, 131072):
        measure(size)
