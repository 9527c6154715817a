"""Tables as AnnData writes them into a Zarr: ``tables/NAME`` of an OME-Zarr, a row per label.

Numbers are the matrix ``X``, their names the index of ``var``; ``obs`` has the label of each row.
That is how napari, ngio and SpatialData expect measurements beside labels; AnnData itself is not
needed. Data types are noted, so that a table that is read again has the columns it was made of.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import zarr

from napari_tilewise.engine.system.disk import writing
from napari_tilewise.engine.system.file_names import rename
from napari_tilewise.errors import DestinationExists, SourceNotFound, SourceUnreadable, option
from napari_tilewise.io.image import KEY
from napari_tilewise.io.readers.zarr_folders import TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_tilewise.io.plain_data import MetadataDict
    from napari_tilewise.types import Array

LABEL = "label"
"""The group of all tables, and the column that names a row's object."""
CHUNK = 2**20
"""Numbers in a chunk of the matrix."""


def write_table(
    labels: Path, name: str, columns: Mapping[str, Array], facts: MetadataDict, *, overwrite: bool
) -> None:
    """Write a table beside labels; it appears complete or not at all.

    Parameters
    ----------
    labels
        The OME-Zarr.
    name
        The table's name.
    columns
        Numbers, one per object; a column called ``label`` among them.
    facts
        What else is stored, as plain data.
    overwrite
        Whether a table of that name is replaced.

    Raises
    ------
    DestinationExists
        When there is one.
    """
    folder = labels / TABLES
    target, part = folder / name, folder / f".{name}.{uuid4().hex[:12]}.partial"
    if target.exists() and not overwrite:
        raise DestinationExists(
            f"{str(target)!r} exists; give another name, or {option('overwrite', True)} to "
            "replace it."
        )
    with writing(target):
        version = zarr.open_group(labels, mode="r").metadata.zarr_format
        group = zarr.open_group(folder, mode="a", zarr_format=version)
        try:
            _fill(zarr.open_group(part, mode="w", zarr_format=version), columns, facts)
            if target.exists():
                shutil.rmtree(target)
            rename(part, target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        names = group.attrs.asdict().get(TABLES)
        others = names if isinstance(names, list) else []
        group.attrs[TABLES] = [*(other for other in others if other != name), name]


def _fill(group: zarr.Group, columns: Mapping[str, Array], facts: MetadataDict) -> None:
    arrays = {key: np.asarray(column) for key, column in columns.items()}
    features = [key for key in arrays if key != LABEL]
    ids = arrays[LABEL]
    group.attrs.update(
        {
            "encoding-type": "anndata",
            "encoding-version": "0.1.0",
            "type": "feature_table",
            "region": {"path": ".."},
            "instance_key": LABEL,
            KEY: {**facts, "dtypes": {key: str(array.dtype) for key, array in arrays.items()}},
        }
    )
    shape = (len(ids), len(features))
    rows = max(1, min(len(ids), CHUNK // max(1, len(features))))
    matrix = group.create_array(
        "X", shape=shape, chunks=(rows, max(1, len(features))), dtype="float64"
    )
    matrix.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    for start in range(0, len(ids), rows):
        block = [arrays[key][start : start + rows] for key in features]
        if block:
            matrix[start : start + rows] = np.stack(block, axis=1).astype(float)
    _frame(group.create_group("obs"), [str(number) for number in ids.tolist()], {LABEL: ids})
    _frame(group.create_group("var"), features, {})
    for name in ("layers", "obsm", "obsp", "varm", "varp", "uns"):
        mapping = group.create_group(name)
        mapping.attrs.update({"encoding-type": "dict", "encoding-version": "0.1.0"})


def _frame(group: zarr.Group, index: list[str], columns: Mapping[str, Array]) -> None:
    """Write a data frame: its index as texts, its columns as arrays."""
    group.attrs.update(
        {
            "encoding-type": "dataframe",
            "encoding-version": "0.2.0",
            "_index": "_index",
            "column-order": list(columns),
        }
    )
    rows = len(index)
    texts = group.create_array("_index", shape=(rows,), chunks=(max(1, rows),), dtype=str)
    texts.attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})
    if index:
        texts[:] = np.array(index, dtype=object)
    for name, values in columns.items():
        chunks = (max(1, len(values)),)
        array = group.create_array(name, shape=values.shape, chunks=chunks, dtype=values.dtype)
        array.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        array[:] = values


def read_table(labels: Path, name: str) -> tuple[dict[str, Array], MetadataDict]:
    """Return the columns of a table beside labels, and what else is stored.

    Parameters
    ----------
    labels
        The OME-Zarr.
    name
        The table's name.

    Raises
    ------
    SourceNotFound
        When there is no such table.
    SourceUnreadable
        When it is not one that this package wrote.
    """
    path = labels / TABLES / name
    if not path.is_dir():
        others = sorted(table_names(labels))
        names = ", ".join(map(repr, others)) or "none"
        raise SourceNotFound(f"{str(labels)!r} has no table {name!r}; it has {names}.")
    try:
        group: Any = zarr.open_group(path, mode="r")
        facts = dict(group.attrs[KEY])
        features = [str(text) for text in group["var/_index"][:]]
        matrix, ids = group["X"], group[f"obs/{LABEL}"][:]
        columns = {LABEL: np.asarray(ids)}
        for number, feature in enumerate(features):
            columns[feature] = matrix[:, number].astype(facts["dtypes"][feature])
    except (KeyError, TypeError, ValueError) as error:
        raise SourceUnreadable(
            f"{str(path)!r} is not a table that napari-tilewise wrote ({error}): read it with the "
            "program that did."
        ) from error
    return {key: columns[key] for key in facts["dtypes"]}, facts


def table_names(labels: Path) -> list[str]:
    """Return the names of the tables beside labels.

    Parameters
    ----------
    labels
        The OME-Zarr.
    """
    folder = labels / TABLES
    if not folder.is_dir():
        return []
    return [entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != "."]
