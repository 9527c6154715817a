"""A table of objects that stays beside its labels, as long as the labels stay as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from napari_tilewise.engine.result_axes import ResultAxis
from napari_tilewise.errors import (
    InvalidImage,
    InvalidParameter,
    SourceChanged,
    SourceNotFound,
    TilewiseError,
    command,
    option,
)
from napari_tilewise.functions.instances import MERGED, ONE_SIDED
from napari_tilewise.io.plain_data import to_plain
from napari_tilewise.io.readers.locations import home_path
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.readers.zarr_arrays import ome_metadata, open_node
from napari_tilewise.io.readers.zarr_folders import TABLES, is_zarr
from napari_tilewise.io.tables.anndata_groups import LABEL, read_table, write_table
from napari_tilewise.io.tables.data_frame import to_data_frame
from napari_tilewise.operations.spec.pixel_positions import UNMOVED
from napari_tilewise.pipeline.pixel_sizes import spacing_along, stated_sizes
from napari_tilewise.provenance.fingerprint import fingerprint
from napari_tilewise.provenance.record import read
from napari_tilewise.recipe import Recipe
from napari_tilewise.recipe.step import Step, record_name
from napari_tilewise.runs.plan import plan

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from napari_tilewise.io.image import Image
    from napari_tilewise.io.plain_data import MetadataDict
    from napari_tilewise.types import Array, ImageSource, MemorySize, Value

OPERATION = "measure.regionprops_table"
ALWAYS = (LABEL, "bbox", "area")
"""Properties that every table has: objects are found again, and looked at, by them."""
READ = 2**24
"""Bytes of a file that are read at a time."""
SPREAD = 3.0
"""How many times the distance between the quartiles a usual size lies beyond them at most."""


@dataclass(frozen=True, eq=False)
class LabelTable(Mapping[str, "Array"]):
    """Measurements of the objects of an image of labels: a mapping of columns by name."""

    columns: Mapping[str, Array]
    """The columns, with a number per object."""
    path: Path
    """Where the table is stored."""
    facts: MetadataDict
    """What was measured, in which units, and of which labels."""

    def __getitem__(self, name: str) -> Array:
        return self.columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def __repr__(self) -> str:
        return f"<LabelTable {str(self.path)!r}: {self.objects} objects, {len(self)} columns>"

    @property
    def objects(self) -> int:
        """Number of objects."""
        return len(self.columns[LABEL])

    @property
    def units(self) -> Mapping[str, str]:
        """The unit of each column that has one, such as ``micrometer^2``."""
        return dict(self.facts.get("units") or {})

    def to_pandas(self) -> Any:
        """Return the table as a pandas DataFrame, with the units in its `attrs`.

        Raises
        ------
        MissingExtra
            When pandas is not installed.
        """
        frame = to_data_frame(dict(self.columns))
        frame.attrs["units"] = dict(self.units)
        return frame

    def at_border(self) -> Array:
        """Return the labels of the objects that the image's border cuts, or may cut."""
        shape = self.facts["shape"]
        is_cut = np.zeros(self.objects, bool)
        for axis, length in enumerate(shape):
            is_cut |= self.columns[f"bbox-{axis}"] == 0
            is_cut |= self.columns[f"bbox-{axis + len(shape)}"] == length
        return np.asarray(self.columns[LABEL][is_cut])

    def merged(self) -> Array:
        """Return the labels of the objects that were merged where tiles meet.

        They are longer than the halo of the function that found them; see `operation`.
        """
        return np.asarray(self.facts.get(MERGED, ()), self.columns[LABEL].dtype)

    def one_sided(self) -> Array:
        """Return the labels of the objects that one of two tiles does not see where they meet."""
        return np.asarray(self.facts.get(ONE_SIDED, ()), self.columns[LABEL].dtype)

    def for_review(self, spread: float = SPREAD) -> dict[str, Array]:
        """Return the objects that deserve a look, as columns: label, reason, area and box.

        Parameters
        ----------
        spread
            See `odd_sizes`.

        Returns
        -------
        dict of Array
            A row per object, in the order of the table. Reasons are ``border``, ``merged``,
            ``one-sided`` and ``size``, joined by commas.
        """
        labels = self.columns[LABEL]
        reasons = np.full(len(labels), "", object)
        groups = {
            "border": self.at_border(),
            MERGED: self.merged(),
            ONE_SIDED: self.one_sided(),
            "size": self.odd_sizes(spread),
        }
        for reason, members in groups.items():
            chosen = np.isin(labels, members)
            reasons[chosen] += np.where(reasons[chosen] == "", reason, f", {reason}").astype(object)
        rows = np.flatnonzero(reasons != "")
        boxes = [f"bbox-{number}" for number in range(2 * len(self.facts["shape"]))]
        columns = {LABEL: labels[rows], "reason": reasons[rows].astype(str)}
        return columns | {name: self.columns[name][rows] for name in ("area", *boxes)}

    def odd_sizes(self, spread: float = SPREAD) -> Array:
        """Return the labels of the objects whose size is unusual, the most unusual first.

        Parameters
        ----------
        spread
            Sizes (the logarithms of areas or volumes) are unusual beyond so many distances between
            the quartiles.
        """
        sizes = np.log(self.columns["area"])
        if not sizes.size:
            return np.asarray(self.columns[LABEL])
        low, high = np.percentile(sizes, (25, 75))
        beyond = np.maximum(low - sizes, sizes - high)
        odd = np.flatnonzero(beyond > spread * (high - low))
        return np.asarray(self.columns[LABEL][odd[np.argsort(-beyond[odd], kind="stable")]])


def label_table(
    labels: str | os.PathLike[str],
    properties: Sequence[str] | None = None,
    *,
    name: str = "objects",
    intensity: ImageSource | None = None,
    spacing: Sequence[float] | None = None,
    memory: MemorySize | None = None,
    overwrite: bool = False,
) -> LabelTable:
    """Return measurements that stay beside their labels in an OME-Zarr.

    They are computed once, as `skimage.measure.regionprops_table` does, and stored as the AnnData
    group ``tables/NAME``. As long as the labels and the request are the same, they are read.

    Parameters
    ----------
    labels
        An OME-Zarr of labels on a disk.
    properties
        Names of properties; ``label``, ``bbox`` and ``area`` are always among them. None reads the
        stored table, whatever it holds.
    name
        The table's name.
    intensity
        The image for properties of intensities: a path, a URL or an array of the labels' shape.
    spacing
        Pixel size per axis; that of the labels, where they have units, unless given.
    memory
        Peak memory of measuring, in bytes or as text such as ``"2 GiB"``.
    overwrite
        Whether a stored table of this name that is of other labels, or another request, is
        replaced.

    Returns
    -------
    LabelTable
        A mapping of columns.

    Raises
    ------
    SourceNotFound
        When there are no labels, or no stored table to read.
    SourceChanged
        When the labels are no longer those that were measured.
    DestinationExists
        When another request's table has this name.
    InvalidImage
        When it is not an OME-Zarr of labels.
    """
    if not name or "/" in name or name[0] == ".":
        raise InvalidParameter(
            f"{option('name', name)}: expected a name of a folder that does not begin with a dot."
        )
    path = Path(home_path(labels)).absolute()
    image, digest = _checked(path), _digest(path)
    if properties is None:
        return _stored(path, name, digest)
    sizes = _spacing(image, spacing)
    request: MetadataDict = {
        "properties": list(dict.fromkeys([*ALWAYS, *properties])),
        "spacing": None if sizes is None else list(sizes),
        "intensity": None if intensity is None else fingerprint(intensity),
    }
    stored = _same(path, name, digest, request)
    if stored is not None and not overwrite:
        return stored
    columns, units = _measured(path, request, intensity, memory)
    facts: MetadataDict = {
        "labels": digest,
        "request": request,
        "shape": [int(length) for length in image.data.shape],
        "units": units,
        **_doubtful(path),
    }
    write_table(path, name, columns, facts, overwrite=overwrite)
    return _stored(path, name, digest)


def _checked(path: Path) -> Image:
    if not path.exists():
        raise SourceNotFound(f"There is nothing at {str(path)!r}; check the spelling of the path.")
    if not (path.is_dir() and is_zarr(path) and _finest(path)):
        raise InvalidImage(
            f"{str(path)!r} is not an OME-Zarr, beside whose labels a table can stay: write the "
            f"labels with {command('napari_tilewise.run', 'napari-tilewise run')} or convert to a "
            "name that ends in '.ome.zarr'."
        )
    image = open_image(path)
    if np.dtype(image.data.dtype).kind not in "iu":
        raise InvalidImage(
            f"{str(path)!r} holds {image.data.dtype}: expected labels, which are integers."
        )
    return image


def _finest(path: Path) -> str:
    """Return the path of the finest level below an OME-Zarr; empty where it is none."""
    node = open_node(str(path))
    if not isinstance(node, zarr.Group):
        return ""
    multiscales: Any = ome_metadata(node).get("multiscales")
    try:
        return str(multiscales[0]["datasets"][0]["path"])
    except (TypeError, LookupError):
        return ""


def _digest(path: Path) -> str:
    """Return a digest of every byte of the finest level, metadata included."""
    digest, root = blake2b(digest_size=16), path / _finest(path)
    for file in sorted(entry for entry in root.rglob("*") if entry.is_file()):
        digest.update(f"{file.relative_to(root).as_posix()}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as content:
            while block := content.read(READ):
                digest.update(block)
    return digest.hexdigest()


def _stored(path: Path, name: str, digest: str) -> LabelTable:
    columns, facts = read_table(path, name)
    if facts.get("labels") != digest:
        raise SourceChanged(
            f"The table {name!r} was measured on labels that have changed since, in "
            f"{str(path)!r}: measure again with properties and {option('overwrite', True)}, or "
            "bring back the labels."
        )
    return LabelTable(columns, path / TABLES / name, facts)


def _same(path: Path, name: str, digest: str, request: MetadataDict) -> LabelTable | None:
    """Return the stored table if it is of the same labels and request."""
    try:
        table = _stored(path, name, digest)
    except TilewiseError:
        return None
    return table if table.facts.get("request") == to_plain(request) else None


def _doubtful(path: Path) -> MetadataDict:
    """Return the ids of the objects that tiles did not see alike, from the record of the labels."""
    try:
        record = read(path)
        steps: Any = record["recipe"]["steps"]  # as plain data: its function may not be loaded
        name = record_name(steps[-1].get("name"), steps[-1]["operation"], len(steps) - 1)
        values: Any = record["values"]
    except (TilewiseError, KeyError, TypeError, AttributeError, IndexError):
        return {}  # labels of another origin
    entries = {key: values.get(f"{name} {key}") for key in (MERGED, ONE_SIDED)}
    return {key: ids for key, ids in entries.items() if isinstance(ids, list)}


def _spacing(image: Image, spacing: Sequence[float] | None) -> tuple[float, ...] | None:
    """Return the pixel size to measure by, as a run would; None for pixels."""
    if spacing is not None:
        return tuple(float(size) for size in spacing)
    axes = [ResultAxis(axis, UNMOVED) for axis in range(len(image.data.shape))]
    sizes = spacing_along(axes, stated_sizes(image))
    return None if sizes is None else sizes[0]


def _measured(
    path: Path, request: MetadataDict, intensity: ImageSource | None, memory: MemorySize | None
) -> tuple[dict[str, Array], dict[str, str]]:
    """Return the columns, and their units."""
    links = {} if intensity is None else {"intensity_image": "intensity"}
    params: dict[str, Value] = {"properties": tuple(request["properties"])}
    if request["spacing"] is not None:
        params["spacing"] = tuple(request["spacing"])
    recipe = Recipe([Step(OPERATION, params, inputs=links)], links.values())
    inputs = dict.fromkeys(links.values(), intensity)
    planned = plan(recipe, path, inputs=inputs, memory=memory)
    if planned.last.loops:
        raise InvalidImage(
            f"{str(path)!r} has axes beside y, x and z: expected one plane or volume of labels, as "
            "each has objects of its own. Measure them one by one with "
            f"{command('napari_tilewise.batch', 'napari-tilewise batch')}."
        )
    value, measured = planned.last.value(), planned.pipeline.measured_in
    columns = {key: np.asarray(column) for key, column in value.items()}
    return columns, {} if measured is None else measured.units(columns)
