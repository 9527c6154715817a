"""scikit-image's own page on parallel processing, with napari-tilewise.

The page (*Parallel image processing*) has three parts, and so has this: Otsu's threshold of all
images of a folder; a pipeline of one's own, total-variation denoising followed by the histogram of
oriented gradients, on windows of the Hubble deep field, serial and parallel; and the same through
dask. Every part checks that parallel results are those of the plain loop, and prints times.

    python examples/user_document.py [--rows 1000] [--dask]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from skimage import color, data, filters, io, util
from skimage.feature import hog
from skimage.restoration import denoise_tv_chambolle

import napari_tilewise as tw

WIDTH = 20
"""Rows of a window. The page has 10, which today's `hog` refuses with cells of 16 pixels."""


def threshold(image: np.ndarray) -> float:
    """Return Otsu's threshold of a colour image: the page's function, as it is."""
    return filters.threshold_otsu(color.rgb2gray(image))


def task(image: np.ndarray) -> np.ndarray:
    """Apply some functions and return an image: the page's function (`multichannel` is gone)."""
    image = denoise_tv_chambolle(image, weight=0.1, channel_axis=-1)
    _, hog_image = hog(
        color.rgb2gray(image),
        orientations=8,
        pixels_per_cell=(16, 16),
        cells_per_block=(1, 1),
        visualize=True,
    )
    return hog_image


def thresholds_of_a_folder(folder: Path) -> list[float]:
    """Part 1: the images are loaded inside the tasks, and one that is broken costs one row."""
    for name in ("astronaut", "chelsea", "coffee", "hubble_deep_field"):
        io.imsave(folder / f"{name}.png", getattr(data, name)()[:256, :256])
    (folder / "broken.png").write_bytes(b"no picture")
    report = tw.batch(threshold, folder / "*.png")
    for row in report.rows:
        print(f"  {row['item']}: {row.get('result', row['error'])}")
    print(f"  {report}")
    return [row["result"] for row in report.rows if row["status"] == "done"]


def windows_of_hubble(rows: int, **options: Any) -> tuple[np.ndarray, float]:
    """Part 2: windows that slide over an image, as `view_as_windows` makes them."""
    hubble = data.hubble_deep_field()[:rows]
    started = time.perf_counter()
    report = tw.batch(task, hubble, window=(WIDTH, None, None), step=(WIDTH, 1, 1), **options)
    return report.stack, time.perf_counter() - started


def classic_loop(rows: int) -> tuple[np.ndarray, float]:
    """Return what the page's loop gives, and its seconds."""
    hubble = data.hubble_deep_field()[:rows]
    pics = util.view_as_windows(hubble, (WIDTH, *hubble.shape[1:]), step=WIDTH)
    started = time.perf_counter()
    result = np.stack([task(image[0][0]) for image in pics])
    return result, time.perf_counter() - started


def main(argv: list[str] | None = None) -> None:
    """Run the page."""
    parser = argparse.ArgumentParser(description="scikit-image's page on parallel processing")
    parser.add_argument("--rows", type=int, default=872, help="rows of the Hubble deep field")
    parser.add_argument("--dask", action="store_true", help="start a cluster on this machine too")
    args = parser.parse_args(argv)

    print("Otsu's threshold of the images of a folder:")
    with tempfile.TemporaryDirectory() as folder:
        thresholds_of_a_folder(Path(folder))

    print(f"Denoising and oriented gradients on windows of {WIDTH} rows:")
    expected, seconds = classic_loop(args.rows)
    print(f"  classic loop: {seconds:.2f} s for {len(expected)} windows")
    for backend in ("serial", "auto", *(["dask"] if args.dask else [])):
        image, seconds = windows_of_hubble(args.rows, backend=backend)
        np.testing.assert_array_equal(image, expected)
        print(f"  tw.batch, backend={backend!r}: {seconds:.2f} s, the same")


if __name__ == "__main__":
    main()
