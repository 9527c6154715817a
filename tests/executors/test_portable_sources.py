"""Sources that worker processes open by name instead of getting the object."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import napari_tilewise as tw
from napari_tilewise.executors.assignment import portable_source
from napari_tilewise.io.readers.open_image import open_image

if TYPE_CHECKING:
    from pathlib import Path

h5py = pytest.importorskip("h5py")
NOISE = np.random.default_rng(0).integers(0, 60000, (300, 280)).astype(">u2")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_group("plate/a1").create_dataset("x", data=NOISE, chunks=(64, 64))
    return tmp_path / "a.h5"


def test_a_dataset_in_a_group_is_opened_by_its_name(path: Path, tmp_path: Path) -> None:
    with h5py.File(path, "r") as file:
        dataset = file["plate/a1/x"]
        assert portable_source(open_image(dataset)) == f"{path}::/plate/a1/x"
        np.testing.assert_array_equal(open_image(portable_source(dataset)).data[:], NOISE)
        out = tmp_path / "a.ome.zarr"
        tw.run("filters.gaussian", dataset, out, executor="processes", workers=1, memory="3 GiB")
    np.testing.assert_array_equal(tw.open(out).data[:], tw.apply("filters.gaussian", NOISE))


def test_a_dataset_without_a_name_is_refused_with_what_works(path: Path, tmp_path: Path) -> None:
    with h5py.File(path, "r+") as file, pytest.raises(tw.TilewiseError, match="threads"):
        tw.run(
            "filters.gaussian", file["plate/a1/x"], tmp_path / "a.ome.zarr", memory="3 GiB",
            executor="processes", workers=1,
        )  # fmt: skip
