"""The check of users' functions tells a right halo from every wrong one, by measuring alone."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage as ndi

import napari_tilewise as tw
from napari_tilewise import errors
from napari_tilewise.cli import main
from napari_tilewise.halo_check import Verdict, check, findings
from napari_tilewise.operations import OPERATIONS

EXAMPLE = Path(__file__).parents[2] / "examples" / "my_ops.py"


@pytest.fixture
def checked():
    """Declare a function, check it, and leave the catalogue as it was."""
    before = {op.name for op in OPERATIONS.users()}

    def declare(function, parameters=None, **options):
        function.__name__ = "function"
        tw.operation(**options)(function)
        (finding,) = check(function, parameters=parameters)
        assert finding.operation == "test_check.function"
        assert str(finding).startswith("test_check.function: ")
        return finding

    yield declare
    OPERATIONS.forget(*({op.name for op in OPERATIONS.users()} - before))
    sys.modules.pop("my_ops", None)


def mean(image, size: int = 5):
    return ndi.convolve(image.astype(float), np.ones((size, size)) / size**2)


def highest(image):
    return ndi.maximum_filter(image, 15)


def grown(image, mask: np.ndarray):
    return np.where(ndi.binary_dilation(mask, iterations=3), image, 0)


def smooth(image, sigma: float | tuple[float, ...] = 1.0):
    return ndi.gaussian_filter(image.astype(float), sigma)


def radius(sigma):
    if isinstance(sigma, tuple):
        return [int(4 * s + 0.5) for s in sigma]
    return int(4 * sigma + 0.5)


RIGHT = [
    (lambda image, by=2.0: image * by, {}, 0),
    (highest, {"halo": 7}, 7),
    (lambda image: ndi.maximum_filter(image, (3, 9)), {"halo": (1, 4)}, (1, 4)),
    (mean, {"halo": lambda size: (((size - 1) // 2, size // 2),) * 2}, 2),
    (smooth, {"halo": radius}, 4),
    (grown, {"halo": 3}, 3),
    (lambda image: ndi.median_filter(image, 5), {"halo": 2}, 2),
    (lambda image: image[::-1, ::-1].copy()[::-1, ::-1], {}, 0),
    (lambda image: ndi.maximum_filter(image, 3), {"halo": 1, "ndim": 3}, 1),
    (lambda image: ndi.maximum_filter1d(image, 41), {"halo": 20, "ndim": 1}, 20),
]


@pytest.mark.parametrize(("function", "options", "needed"), RIGHT)
def test_right(checked, function, options, needed):
    finding = checked(function, **options)
    assert finding.verdict is Verdict.RIGHT, finding
    assert finding.ok
    ndim = len(finding.needed)
    each = needed if isinstance(needed, tuple) else (needed,) * ndim
    assert finding.needed == tuple((n, n) for n in each)
    assert "right: " in str(finding)


@pytest.mark.parametrize("declared", [0, 3, 6])
def test_too_small(checked, declared):
    finding = checked(highest, halo=declared)
    assert finding.verdict is Verdict.TOO_SMALL
    assert not finding.ok
    assert finding.needed == ((7, 7), (7, 7))
    assert f"too small: needs 7, declares {declared}" in str(finding)


def test_too_small_for_some_parameters_only(checked):
    finding = checked(mean, halo=lambda size: 2)
    assert finding.verdict is Verdict.TOO_SMALL
    size = finding.params["size"]
    assert size > 5
    assert f"with size={size}" in str(finding)
    assert checked(mean, halo=lambda size: 2, parameters={"size": 5}).ok


@pytest.mark.parametrize("halo", [12, (7, 8), None])
def test_larger_than_needed(checked, halo):
    finding = checked(highest, halo=halo)
    assert finding.verdict is Verdict.LARGER
    assert finding.ok
    assert finding.needed == ((7, 7), (7, 7))
    declared = {12: "12", (7, 8): "7 × 8", None: "the whole image"}[halo]
    assert f"larger than needed: {declared}, 7 is enough" in str(finding)


GLOBAL = [
    lambda image: image / (float(image.max()) + 1),
    lambda image: image > image.mean(),
    lambda image: ndi.label(image > 0.6 * image.max())[0],
    lambda image: np.cumsum(image, axis=1),
    lambda image: image + np.indices(image.shape)[0],
    lambda image: np.fft.ifft2(np.fft.fft2(image)[::1] * (np.indices(image.shape)[0] < 5)).real,
]


@pytest.mark.parametrize("function", GLOBAL)
def test_global(checked, function):
    finding = checked(function, halo=7)
    assert finding.verdict is Verdict.GLOBAL, finding
    assert not finding.ok
    assert finding.needed is None
    assert "no halo up to" in str(finding)
    assert checked(function, halo=None).verdict is Verdict.RIGHT


def test_not_deterministic(checked):
    numbers = itertools.count()
    finding = checked(lambda image: image + float(next(numbers)), halo=3)
    assert finding.verdict is Verdict.RANDOM
    assert not finding.ok


def test_close(checked):
    def running(image):
        return ndi.uniform_filter(image.astype(float), 15)  # sums as it goes along

    finding = checked(running, halo=7)
    assert finding.verdict is Verdict.CLOSE
    assert not finding.ok
    assert 0 < finding.difference < 1e-12
    assert "declare tolerance=" in str(finding)
    assert checked(running, halo=7, tolerance=1e-12).verdict is Verdict.RIGHT
    assert checked(running, halo=5, tolerance=1e-12).verdict is Verdict.TOO_SMALL


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda image: [][0], "IndexError"),
        (lambda image: image[1:], "returned an array of shape"),
        (
            lambda image: image.astype(np.float32 if image[0, 0] > image.mean() else float),
            "float32",
        ),
        (lambda image: image.astype("float32") / (image.max() or 1), "float32"),
        (lambda image: image if image.shape[0] > 60 else 1 / 0, "ZeroDivisionError"),
    ],
)
def test_functions_that_fail(checked, function, says):
    for halo in (3, None):
        finding = checked(function, halo=halo, dtype=float)
        if finding.verdict is Verdict.GLOBAL:
            continue  # tiles were never made
        assert finding.verdict is Verdict.FAILS, finding
        assert says in str(finding)
        assert not finding.ok


def test_types_that_a_function_does_not_take_are_left_out(checked):
    def negative(image):
        if image.dtype != np.float32:
            raise TypeError("float32 only")
        return -image

    assert checked(negative, dtype="same").verdict is Verdict.RIGHT


def test_what_nobody_can_draw_must_be_held(checked):
    def shifted(image, word: str):
        return image + len(word)

    with pytest.raises(errors.InvalidParameter, match="-p word=VALUE"):
        checked(shifted)
    assert checked(shifted, parameters={"word": "abc"}).ok
    with pytest.raises(errors.UnknownParameter, match="Did you mean 'word'"):
        checked(shifted, parameters={"wort": "abc", "word": "a"})


def test_only_users_functions_are_checked():
    with pytest.raises(errors.InvalidFunction, match="not a user's function"):
        check("filters.gaussian")


def test_a_file_is_checked_function_by_function(checked):
    assert [f.operation for f in findings(EXAMPLE)] == [
        "my_ops.flatten", "my_ops.between", "my_ops.normalize",
    ]  # fmt: skip
    assert [f.verdict for f in check(str(EXAMPLE), operation="between")] == [Verdict.RIGHT]


def test_the_shell(checked, tmp_path, capfd):
    path = tmp_path / "my_ops.py"
    text = (
        "from scipy import ndimage as ndi\nimport napari_tilewise as tw\n\n\n"
        "@tw.operation(halo={halo})\ndef highest(image, size=15):\n"
        "    return ndi.maximum_filter(image, size)\n\n\n"
        "@tw.operation\ndef same(image):\n    return image\n"
    )
    arguments = ["-p", "size=15", "--operation", "highest"]
    for halo, code, says in ((7, 0, "right: 7"), (3, 1, "too small: needs 7, declares 3"),
                             (12, 0, "larger than needed: 12, 7 is enough")):  # fmt: skip
        path.write_text(text.format(halo=halo))
        assert main(["check", str(path), *arguments]) == code
        assert f"my_ops.highest: {says}" in capfd.readouterr().out
    assert main(["check", str(path), "--operation", "same"]) == 0
    assert capfd.readouterr().out.startswith("my_ops.same: right: 0")
    assert main(["check", str(path), "--operation", "sane"]) == 2
    assert "Did you mean 'my_ops.same'" in capfd.readouterr().err
    assert main(["check", str(tmp_path / "gone.py")]) == 1


def spots(image):
    return ndi.label(image > 0.7 * image.max())[0]


def local_spots(image):
    return ndi.label(image > (150 if image.dtype == np.uint8 else 0.6))[0]


def test_instances_are_compared_with_the_whole_images(checked):
    depends = checked(spots, output="instances", halo=20)
    assert depends.verdict is Verdict.GLOBAL
    assert "objects differ from the whole image's" in depends.text
    right = checked(local_spots, output="instances", halo=40)
    assert right.verdict is Verdict.RIGHT
    assert "every object is the whole image's" in right.text
