"""What other libraries offer too, at comparable parameters: an operation of ours, and theirs."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from _cases import photograph
from scipy import ndimage as ndi
from skimage import morphology

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


class Comparison(NamedTuple):
    """An operation of ours, and what peers have in its place."""

    name: str
    label: str
    image: np.ndarray
    params: dict[str, Any]
    peers: Mapping[str, Callable[[Any, np.ndarray], Any]]
    """By peer, a function of its module and the image."""


def _vips(method: str, *args: Any, **params: Any) -> Callable[[Any, np.ndarray], Any]:
    def run(vips: Any, image: np.ndarray) -> Any:
        return getattr(vips.Image.new_from_array(image), method)(*args, **params).numpy()

    return run


def _itk(name: str, *args: Any, **params: Any) -> Callable[[Any, np.ndarray], Any]:
    def run(itk: Any, image: np.ndarray) -> Any:
        result = getattr(itk, name)(itk.GetImageFromArray(image), *args, **params)
        return itk.GetArrayFromImage(result)

    return run


def _dask(module: str, name: str, *args: Any, **params: Any) -> Callable[[Any, np.ndarray], Any]:
    def run(_: Any, image: np.ndarray) -> Any:
        import dask.array as da

        function = getattr(importlib.import_module(f"dask_image.{module}"), name)
        result = function(da.from_array(image, chunks=1024), *args, **params)
        return (result[0] if isinstance(result, tuple) else result).compute()

    return run


def _morphology(operation: str, footprint: np.ndarray) -> Callable[[Any, np.ndarray], Any]:
    def run(cv2: Any, image: np.ndarray) -> Any:
        return cv2.morphologyEx(image, getattr(cv2, f"MORPH_{operation}"), footprint)

    return run


def _median(length: int) -> Callable[[Any, np.ndarray], Any]:
    return lambda cv2, image: cv2.medianBlur(image, length)


def _hysteresis(itk: Any, image: np.ndarray) -> Any:
    result = itk.DoubleThreshold(itk.GetImageFromArray(image), 0.4, 0.7, 9.0, 9.0)
    return itk.GetArrayFromImage(result)


def _otsu(cv2: Any, image: np.ndarray) -> Any:
    return cv2.threshold(image, 0, 255, cv2.THRESH_OTSU)[0]


# -- the rest of what they offer -------------------------------------------------------------------


def _cv(name: str, *args: Any, **params: Any) -> Callable[[Any, np.ndarray], Any]:
    """Return a call of a function of OpenCV; a text that begins with ``cv.`` is a constant."""

    def run(cv2: Any, image: np.ndarray) -> Any:
        values = [getattr(cv2, a.removeprefix("cv.")) if isinstance(a, str) else a for a in args]
        return getattr(cv2, name)(image, *values, **params)

    return run


def _threshold(name: str) -> Callable[[Any, np.ndarray], Any]:
    """Return a threshold of SimpleITK, from as many bins as bytes have levels."""

    def run(itk: Any, image: np.ndarray) -> Any:
        method = getattr(itk, f"{name}ThresholdImageFilter")()
        method.SetNumberOfHistogramBins(256)
        method.Execute(itk.GetImageFromArray(image))
        return method.GetThreshold()

    return run


def _itk_mask(name: str, *args: Any) -> Callable[[Any, np.ndarray], Any]:
    return lambda itk, image: _itk(name, *args)(itk, image.view(np.uint8))


def _watershed(seeds: np.ndarray) -> Callable[[Any, np.ndarray], Any]:
    def run(itk: Any, image: np.ndarray) -> Any:
        images = map(itk.GetImageFromArray, (image, seeds))
        return itk.GetArrayFromImage(itk.MorphologicalWatershedFromMarkers(*images, False))

    return run


def _reconstruction(mask: np.ndarray) -> Callable[[Any, np.ndarray], Any]:
    def run(itk: Any, image: np.ndarray) -> Any:
        images = map(itk.GetImageFromArray, (image, mask))
        return itk.GetArrayFromImage(itk.ReconstructionByDilation(*images, True))

    return run


def _shapes(itk: Any, labels: np.ndarray) -> Any:
    method = itk.LabelShapeStatisticsImageFilter()
    method.ComputePerimeterOff()
    method.Execute(itk.GetImageFromArray(labels))
    return [
        (method.GetNumberOfPixels(k), method.GetCentroid(k), method.GetBoundingBox(k))
        for k in method.GetLabels()
    ]


def _sums(labels: np.ndarray) -> Callable[[Any, np.ndarray], Any]:
    def run(itk: Any, image: np.ndarray) -> Any:
        method = itk.LabelStatisticsImageFilter()
        method.UseHistogramsOff()
        method.Execute(*map(itk.GetImageFromArray, (image, labels)))
        return [method.GetMean(k) for k in method.GetLabels()]

    return run


def _dask_affine(_: Any, image: np.ndarray) -> Any:
    import dask.array as da
    from dask_image import ndinterp

    matrix = da.from_array(image, chunks=1024), TURNED
    return ndinterp.affine_transform(*matrix, order=1).compute()


def _itk_turned(itk: Any, image: np.ndarray) -> Any:
    pixels, transform = itk.GetImageFromArray(image), itk.AffineTransform(2)
    transform.SetMatrix(TURNED.ravel())
    return itk.GetArrayFromImage(itk.Resample(pixels, pixels, transform, itk.sitkLinear))


def _cv_turned(cv2: Any, image: np.ndarray) -> Any:
    return cv2.warpAffine(image, np.hstack([TURNED, [[0], [0]]]), image.shape[::-1])


def _clahe(cv2: Any, image: np.ndarray) -> Any:
    return cv2.createCLAHE(2.0, (8, 8)).apply(image)


TURNED = np.array([[0.9, 0.1], [-0.1, 0.9]])


def _neighbourhoods(u1: np.ndarray, f4: np.ndarray) -> Iterator[Comparison]:
    """Yield filters of grey images."""
    box = {"size": 5}
    for name, method, itk in (
        ("uniform_filter", "uniform_filter", _itk("Mean", [2, 2])),
        ("maximum_filter", "maximum_filter", _itk("GrayscaleDilate", [2, 2], 3)),
        ("minimum_filter", "minimum_filter", _itk("GrayscaleErode", [2, 2], 3)),
    ):
        peers = {"SimpleITK": itk, "dask-image": _dask("ndfilters", method, 5)}
        if name == "uniform_filter":
            peers["OpenCV"] = _cv("blur", (5, 5))
        for label, image in (("uint8 5x5", u1), ("float32 5x5", f4)):
            yield Comparison(f"ndimage.{name}", label, image, box, peers)
    peers = {
        "SimpleITK": _itk("Rank", 0.25, [2, 2], 3),
        "libvips": _vips("rank", 5, 5, 6),
        "dask-image": _dask("ndfilters", "percentile_filter", 25, 5),
    }
    params = {"percentile": 25, "size": 5}
    yield Comparison("ndimage.percentile_filter", "uint8 5x5", u1, params, peers)
    for name, itk in (
        ("gaussian_laplace", "LaplacianRecursiveGaussian"),
        ("gaussian_gradient_magnitude", "GradientMagnitudeRecursiveGaussian"),
    ):
        peers = {"SimpleITK": _itk(itk, 2.0), "dask-image": _dask("ndfilters", name, 2)}
        yield Comparison(f"ndimage.{name}", "float32 sigma 2", f4, {"sigma": 2}, peers)
    peers = {
        "SimpleITK": _itk("Laplacian"),
        "OpenCV": _cv("Laplacian", -1),
        "dask-image": _dask("ndfilters", "laplace"),
    }
    yield Comparison("ndimage.laplace", "float32", f4, {}, peers)
    for name in ("sobel", "prewitt"):
        peers = {"dask-image": _dask("ndfilters", name)}
        if name == "sobel":
            peers["OpenCV"] = _cv("Sobel", -1, 1, 0)
        yield Comparison(f"ndimage.{name}", "float32", f4, {}, peers)
    weights = np.random.default_rng(0).random((5, 5)).astype(np.float32)
    peers = {
        "libvips": lambda vips, image: (
            vips.Image.new_from_array(image)
            .conv(vips.Image.new_from_array(weights), precision="float")
            .numpy()
        ),
        "OpenCV": _cv("filter2D", -1, weights),
        "SimpleITK": lambda itk, image: itk.GetArrayFromImage(
            itk.Convolution(*map(itk.GetImageFromArray, (image, weights)))
        ),
        "dask-image": _dask("ndfilters", "correlate", weights),
    }
    yield Comparison("ndimage.correlate", "float32 5x5", f4, {"weights": weights}, peers)
    peers = {
        "OpenCV": _cv("adaptiveThreshold", 255, "cv.ADAPTIVE_THRESH_MEAN_C", 0, 35, 0),
        "dask-image": _dask("ndfilters", "threshold_local", 35, method="mean"),
    }
    params = {"block_size": 35, "method": "mean"}
    yield Comparison("filters.threshold_local", "uint8 mean 35", u1, params, peers)
    part = f4[: len(f4) // 2, : len(f4) // 2]
    peers = {
        "SimpleITK": _itk("CannyEdgeDetection", 0.1, 0.2, [4.0] * 2),
        "libvips": _vips("canny", sigma=2),
    }
    params = {"sigma": 2, "low_threshold": 0.1, "high_threshold": 0.2}
    yield Comparison("feature.canny", "float32 sigma 2", part, params, peers)
    yield Comparison("exposure.equalize_hist", "uint8", u1, {}, {
        "OpenCV": _cv("equalizeHist"), "libvips": _vips("hist_equal"),
    })  # fmt: skip
    yield Comparison("exposure.equalize_adapthist", "uint8", u1, {}, {"OpenCV": _clahe})
    part = u1[: len(u1) // 4, : len(u1) // 4]
    peers = {"OpenCV": _cv("fastNlMeansDenoising", None, 20, 7, 23)}
    params = {"patch_size": 7, "patch_distance": 11, "h": 0.1}
    yield Comparison("restoration.denoise_nl_means", "uint8", part, params, peers)


def _shaped(u1: np.ndarray, f4: np.ndarray, mask: np.ndarray) -> Iterator[Comparison]:
    """Yield morphology, labels and what is measured of them."""
    ball = {"footprint": morphology.disk(3)}
    for name, itk in (
        ("erosion", "Erode"), ("dilation", "Dilate"),
        ("opening", "MorphologicalOpening"), ("closing", "MorphologicalClosing"),
    ):  # fmt: skip
        peers = {
            "SimpleITK": _itk_mask(f"Binary{itk}", [3, 3], 1),
            "dask-image": _dask("ndmorph", f"binary_{name}", ball["footprint"]),
        }
        yield Comparison(f"morphology.{name}", "mask disk 3", mask, ball, peers)
    footprint = {"footprint": morphology.disk(7)}
    peers = {"SimpleITK": _itk("WhiteTopHat", [7, 7], 1)}
    yield Comparison("morphology.white_tophat", "uint8 disk 7", u1, footprint, peers)
    peers = {"SimpleITK": _itk("GrayscaleMorphologicalClosing", [7, 7], 1)}
    yield Comparison("morphology.closing", "uint8 disk 7", u1, footprint, peers)
    peers = {"SimpleITK": _itk_mask("BinaryFillhole")}
    yield Comparison("ndimage.binary_fill_holes", "mask", mask, {}, peers)
    peers = {
        "SimpleITK": _itk_mask("SignedMaurerDistanceMap", False, False, False),
        "OpenCV": lambda cv2, image: cv2.distanceTransform(
            image.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
        ),
    }
    yield Comparison("ndimage.distance_transform_edt", "mask", mask, {}, peers)
    yield Comparison("morphology.skeletonize", "mask", mask, {}, {
        "SimpleITK": _itk_mask("BinaryThinning"),
    })  # fmt: skip
    yield Comparison("morphology.local_maxima", "uint8", u1, {}, {
        "SimpleITK": _itk("RegionalMaxima", 0, 1, True),
    })  # fmt: skip
    half = f4[: len(f4) // 2, : len(f4) // 2]
    seeds = ndi.label(morphology.local_minima(ndi.gaussian_filter(half, 3)))[0]
    peers = {"SimpleITK": _watershed(seeds)}
    yield Comparison("segmentation.watershed", "float32", half, {"markers": seeds}, peers)
    peers = {"SimpleITK": _reconstruction(half)}
    yield Comparison(
        "morphology.reconstruction", "float32", half - np.float32(0.1), {"mask": half}, peers
    )
    labels = ndi.label(mask)[0].astype(np.int32)
    params: dict[str, Any] = {"properties": ("label", "area", "centroid", "bbox")}
    peers = {"SimpleITK": _shapes}
    yield Comparison("measure.regionprops_table", "int32", labels, params, peers)
    params = {"labels": labels, "index": np.arange(1, labels.max() + 1)}
    peers = {"SimpleITK": _sums(labels)}  # dask-image goes through the image for each label
    yield Comparison("ndimage.mean", "float32 labels", f4, params, peers)


def _values(u1: np.ndarray, f4: np.ndarray) -> Iterator[Comparison]:
    """Yield thresholds, geometry and what is done to each pixel."""
    for name in ("Otsu", "Li", "Yen", "Triangle", "IsoData"):
        peers = {"SimpleITK": _threshold(name)} | ({"OpenCV": _otsu} if name == "Otsu" else {})
        yield Comparison(f"filters.threshold_{name.lower()}", "uint8", u1, {}, peers)
    peers = {"SimpleITK": _itk_turned, "OpenCV": _cv_turned, "dask-image": _dask_affine}
    params: dict[str, Any] = {"matrix": TURNED, "order": 1}
    yield Comparison("ndimage.affine_transform", "float32 linear", f4, params, peers)
    peers = {"OpenCV": _cv("pyrDown"), "libvips": _vips("resize", 0.5)}
    yield Comparison("transform.pyramid_reduce", "float32", f4, {}, peers)
    peers = {
        "libvips": _vips("shrink", 4, 4),
        "SimpleITK": _itk("BinShrink", [4, 4]),
        "OpenCV": _cv("resize", None, fx=0.25, fy=0.25, interpolation=3),
    }
    yield Comparison("transform.downscale_local_mean", "float32 4", f4, {"factors": 4}, peers)
    yield Comparison("transform.integral_image", "uint8", u1, {}, {"OpenCV": _cv("integral")})
    rgb = np.stack([u1, u1.T, u1[::-1]], -1)
    for name, code in (("rgb2gray", "cv.COLOR_RGB2GRAY"), ("rgb2lab", "cv.COLOR_RGB2LAB")):
        peers = {"OpenCV": _cv("cvtColor", code)}
        image = rgb if name == "rgb2gray" else (rgb / 255).astype(np.float32)
        yield Comparison(f"color.{name}", f"RGB {image.dtype}", image, {}, peers)
    peers = {"OpenCV": _cv("bitwise_not"), "libvips": _vips("invert")}
    yield Comparison("util.invert", "uint8", u1, {}, peers)
    template = f4[40:72, 50:82].copy()
    peers = {"OpenCV": _cv("matchTemplate", template, "cv.TM_CCOEFF_NORMED")}
    part = f4[: len(f4) // 2, : len(f4) // 2]
    yield Comparison("feature.match_template", "float32 32", part, {"template": template}, peers)


def comparisons(size: int) -> Iterator[Comparison]:
    """Yield what is compared, on planes of a length."""
    u1 = photograph(size)
    u2, f4 = u1.astype(np.uint16) * 257, (u1 / 255).astype(np.float32)
    mask = ndi.gaussian_filter(f4, 2) > 0.45
    disk, box = morphology.disk(7), np.ones((5, 5), np.uint8)
    for label, image in (("uint8", u1), ("uint16", u2), ("float32", f4)):
        for sigma in (2, 5):
            peers = {
                "libvips": _vips("gaussblur", sigma, precision="float"),
                "OpenCV": lambda cv2, image, sigma=sigma: cv2.GaussianBlur(image, (0, 0), sigma),
                "SimpleITK": _itk("DiscreteGaussian", sigma**2),
                "dask-image": _dask("ndfilters", "gaussian_filter", sigma),
            }
            title = f"{label} sigma {sigma}"
            yield Comparison("filters.gaussian", title, image, {"sigma": sigma}, peers)
    for label, image in (("uint8", u1), ("uint16", u2)):
        for length in (3, 5):
            peers = {
                "libvips": _vips("median", length),
                "OpenCV": _median(length),
                "SimpleITK": _itk("Median", [length // 2] * 2),
                "dask-image": _dask("ndfilters", "median_filter", length),
            }
            params = {"footprint": np.ones((length, length))}
            yield Comparison("filters.median", f"{label} {length}x{length}", image, params, peers)
    peers = {
        "libvips": _vips("median", 15),
        "OpenCV": _median(15),
        "SimpleITK": _itk("Median", [7, 7]),
    }
    params = {"footprint": np.ones((15, 15))}
    yield Comparison("filters.median", "uint8 15x15", u1, params, peers)
    for label, image in (("uint8", u1), ("float32", f4)):
        for title, footprint in (("5x5", box), ("disk 7", disk)):
            for name, operation in (("erosion", "ERODE"), ("opening", "OPEN")):
                peers = {"OpenCV": _morphology(operation, footprint)}
                if name == "erosion" and title == "5x5":
                    peers["libvips"] = _vips("rank", 5, 5, 0)
                    peers["SimpleITK"] = _itk("GrayscaleErode", [2, 2], 3)
                if name == "erosion" and title == "disk 7":
                    peers["SimpleITK"] = _itk("GrayscaleErode", [7, 7], 1)
                params = {"footprint": footprint}
                yield Comparison(f"morphology.{name}", f"{label} {title}", image, params, peers)
    yield Comparison(
        "filters.sobel", "float32", f4, {}, {"dask-image": _dask("ndfilters", "sobel")}
    )
    peers = {"SimpleITK": _hysteresis}
    params = {"low": 0.4, "high": 0.7}
    yield Comparison("filters.apply_hysteresis_threshold", "float32", f4, params, peers)
    bytes_of_mask = mask.view(np.uint8)
    peers = {
        "OpenCV": lambda cv2, image: cv2.connectedComponents(image)[1],
        "SimpleITK": _itk("ConnectedComponent", True),
        "dask-image": _dask("ndmeasure", "label"),
    }
    yield Comparison("measure.label", "mask", bytes_of_mask, {}, peers)
    part = f4[: size // 4, : size // 4]
    peers = {
        "OpenCV": lambda cv2, image: cv2.bilateralFilter(image, 13, 0.1, 2),
        "SimpleITK": _itk("Bilateral", 2, 0.1),
    }
    params = {"sigma_color": 0.1, "sigma_spatial": 2}
    yield Comparison("restoration.denoise_bilateral", "float32", part, params, peers)
    peers = {"OpenCV": lambda cv2, image: cv2.resize(image, None, fx=0.5, fy=0.5)}
    params = {"scale": 0.5, "anti_aliasing": False}
    yield Comparison("transform.rescale", "float32", f4, params, peers)
    yield from _neighbourhoods(u1, f4)
    yield from _shaped(u1, f4, mask)
    yield from _values(u1, f4)
