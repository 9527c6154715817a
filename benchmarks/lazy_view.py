"""What choosing an operation costs on a huge image: apply() and views of 1024 x 1024 pixels.

A Zarr array of fill values, no disk needed. Aim: apply() under 0.1 s, any view under 0.3 s, both
within 2x of the same on 8192 x 8192. An operation on a dask expression of a lazy result costs the
same at 1,024 and 262,144 chunks, at its first view and after; so does pickling it once it was used.
"""

from __future__ import annotations

import pickle
import statistics
import time

import numpy as np
import zarr

import napari_tilewise as tw

VIEW = 1024
CHUNK = 1024
SMALL_CHUNK = 256


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
    delay = time.perf_counter() - start
    start = time.perf_counter()
    again = tw.apply("filters.gaussian", image, sigma=2)
    delay_again = time.perf_counter() - start
    far = size - VIEW
    middle = size // 2 + 333
    places = [(0, 0), (far, far), (middle, middle), (middle, 17), (middle + 700, middle + 900)]
    views = []
    for y, x in places:
        start = time.perf_counter()
        np.asarray(again[y : y + VIEW, x : x + VIEW])
        views.append(time.perf_counter() - start)
    print(
        f"{size:>6} x {size:<6} apply {delay * 1000:6.1f} ms "
        f"(again {delay_again * 1000:5.1f} ms)   "
        f"{VIEW} x {VIEW} views: median {statistics.median(views) * 1000:.0f} ms, "
        f"slowest {max(views) * 1000:.0f} ms   ({result.npartitions} tiles)"
    )


def measure_expression(count: int) -> None:
    """Print the times of an operation on an expression of a lazy result, in small chunks."""
    size = round(count**0.5) * SMALL_CHUNK
    image = zarr.create_array(
        zarr.storage.MemoryStore(),
        shape=(size, size),
        chunks=(SMALL_CHUNK, SMALL_CHUNK),
        dtype="uint16",
        fill_value=7,
    )
    start = time.perf_counter()
    mask = tw.apply("filters.gaussian", image, sigma=1, tiles=SMALL_CHUNK) > 0.5
    result = tw.apply("filters.median", mask, tiles=SMALL_CHUNK)
    delay = time.perf_counter() - start
    views = []
    for corner in (0, size - SMALL_CHUNK, size // 2, size // 3):
        start = time.perf_counter()
        np.asarray(result[corner : corner + SMALL_CHUNK, corner : corner + SMALL_CHUNK])
        views.append(time.perf_counter() - start)
    start = time.perf_counter()
    nbytes = len(pickle.dumps(result))
    pickled = time.perf_counter() - start
    print(
        f"median(gaussian > 0.5), {count:>6} chunks: apply {delay * 1000:4.1f} ms   views: first "
        f"{views[0] * 1000:.0f} ms, later {statistics.median(views[1:]) * 1000:.0f} ms   pickled "
        f"{pickled * 1000:.1f} ms, {nbytes} bytes"
    )


if __name__ == "__main__":
    # Imports are not the question; the first computation of dask brings distributed, too.
    np.asarray(tw.apply("filters.gaussian", zarr.zeros((64, 64)), sigma=2))
    for size in (8192, 131072, 8192, 131072):
        measure(size)
    for count in (1024, 65536, 262144):
        measure_expression(count)
