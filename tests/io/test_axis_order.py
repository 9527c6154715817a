"""Parts of an image, and its axes in another order, lie where their pixels do."""

from dataclasses import replace

import numpy as np
from skimage import filters

import napari_tilewise as tw
from napari_tilewise.io.axis_order import align_axes
from napari_tilewise.io.cropped_image import crop_image
from napari_tilewise.io.image import bare
from napari_tilewise.io.readers.open_image import open_image

PIXELS = np.arange(4 * 6 * 5).reshape(4, 6, 5)


def test_scale_and_position_follow_the_pixels():
    image = replace(
        bare(PIXELS, "a", "array", "zyx"),
        scale=(3.0, 2.0, 0.5),
        units=("meter", "inch", None),
        level_positions=((10.0, 20.0, 30.0),),
    )
    part = crop_image(image, [2, (1, 5), None], "part", "a.tif")
    assert (part.axes, part.scale, part.units) == (("y", "x"), (2.0, 0.5), ("inch", None))
    assert part.translate == (22.0, 30.0)
    turned = align_axes(image, bare(PIXELS, "b", "array", "xzy"), "xzy")
    assert (turned.axes, turned.scale) == (("x", "z", "y"), (0.5, 3.0, 2.0))
    assert turned.translate == (30.0, 10.0, 20.0)
    np.testing.assert_array_equal(turned.data, PIXELS.transpose(2, 0, 1))


def test_a_tensorstore_that_begins_elsewhere_begins_at_0() -> None:
    pixels = np.arange(12 * 9).reshape(12, 9)

    class Type:
        numpy_dtype = pixels.dtype

    class Domain:
        origin = (10, -2)

    class Store:
        shape, dtype, domain = pixels.shape, Type(), Domain()

        def __getitem__(self, region: tuple[slice, ...]) -> np.ndarray:
            rows, columns = region
            assert rows.start >= 10
            return pixels[rows.start - 10 : rows.stop - 10, columns.start + 2 : columns.stop + 2]

    store = Store()
    data = open_image(store).data
    np.testing.assert_array_equal(data[2:5, 3:9], pixels[2:5, 3:9])
    np.testing.assert_array_equal(data[:, :], pixels)
    lazy = tw.apply("filters.gaussian", store, tiles=4)
    np.testing.assert_array_equal(lazy, filters.gaussian(pixels))
    assert lazy.name == tw.apply("filters.gaussian", store, tiles=4).name
    masked = tw.apply("filters.sobel", pixels, mask=store)
    np.testing.assert_array_equal(masked, filters.sobel(pixels, mask=pixels))
