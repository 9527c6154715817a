"""`skimage.measure`, properties of regions: sums over the tiles first, then each object's values.

A reduction sums what every object's box, area, centroid and intensities follow from. Other
properties are measured by scikit-image's own code on objects that are read, each in its own box.
The whole image is never needed, but a whole object is for those.

Sums and a table's columns that outgrow their share of memory are files. What `regionprops` returns
stays in memory: about 2 kB and the pixels of each region.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.operations.measure.object_windows import (
    object_pixels,
    read_objects,
    region_properties,
)
from napari_tilewise.operations.measure.property_units import REGION_UNITS
from napari_tilewise.operations.measure.region_sums import (
    IN_UNITS,
    RegionSums,
    reduce_region_sums,
    sums_intensity,
)
from napari_tilewise.operations.measure.region_table import table_plan
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    IN_MEMORY,
    AsStep,
    AtOnce,
    Call,
    Cost,
    Kind,
    Limits,
    Neighbourhood,
    OnDisk,
    Operation,
    Output,
    Plan,
    ResultSpec,
    Value,
)
from napari_tilewise.operations.spec.parameters import (
    AlignedImage,
    Flag,
    FunctionSpec,
    Names,
    Number,
    Spec,
    Text,
)

PROPERTIES = tuple(reach("measure._regionprops", "COL_DTYPES")) + tuple(
    reach("measure._regionprops", "PROPS")
)


def _regionprops(call: Call) -> Plan:
    sums: RegionSums = yield reduce_region_sums()
    labels, boxes = np.asarray(sums.labels), np.asarray(sums.boxes)
    if len(labels) == 0:
        return Value([])
    parts = yield from read_objects(
        call, labels, boxes, lambda block, objects: object_pixels(call, block, objects, keep=True)
    )
    regions: list[Any] = [None] * len(labels)
    for indices, pixels in parts:
        for index, region in zip(indices, region_properties(call, pixels), strict=True):
            regions[index] = region
    return Value(regions)


def _check(call: Call) -> None:
    offset = call.params.get("offset")
    if offset is not None and np.ndim(offset) == 0:
        raise InvalidParameter(
            f"{call.operation.name}: offset={offset!r}: expected {call.ndim} integers, one per "
            "spatial axis."
        )


def _area_and_mean(image: np.ndarray, intensity: np.ndarray) -> tuple[float, float]:
    """Return two numbers: a sample of a user-defined property for property tests."""
    return float(image.sum()), float(intensity[image].mean())


def _rows(image: np.ndarray) -> np.ndarray:
    """Return one number per row: a sample of a property whose length varies."""
    return np.asarray(image.reshape(len(image), -1).sum(axis=1))


def _pixels(image: np.ndarray) -> int:
    """Return the number of pixels: a sample of a user-defined property for property tests."""
    return int(image.sum())


SHARED: dict[str, Any] = {
    "kind": Kind.CONNECTED,
    "limits": Limits(ndim=(2, 3), dtypes="ui", check=_check),
    "cost": Cost(memory=4.0),
}

AT_ONCE = AtOnce(function=IN_MEMORY, counted=True)


def _reads_objects(call: Call) -> bool:
    """Return whether some columns do not follow from sums, which are faster than the function."""
    aliases = reach("measure._regionprops", "PROPS")
    is_in_units = call["spacing"] is not None and bool(np.any(np.not_equal(call["spacing"], 1)))
    summed = {"label", "bbox", "num_pixels", *IN_UNITS}
    if not is_in_units:
        summed.add("centroid")
    if sums_intensity(call):
        summed |= {"intensity_mean", "intensity_min", "intensity_max"}
    names = {aliases.get(name, name) for name in call["properties"]}
    return bool(call["extra_properties"]) or not names <= summed


TABLE_AT_ONCE = AT_ONCE._replace(function=2**22, passes=2**20, when=_reads_objects)


SPECS: dict[str, Spec] = {
    "intensity_image": AlignedImage(role="intensity"),
    "cache": Flag(advanced=True),
    "extra_properties": FunctionSpec(
        several=True,
        optional=True,
        advanced=True,
        samples=((_pixels,), (_rows, _pixels), (_area_and_mean,)),
    ),
    "spacing": Number(
        pixel_size=True,
        minimum=0,
        exclusive=True,
        per_axis=True,
        optional=True,
        usual=(1, 3),
        advanced=True,
    ),
}

OPERATIONS = (
    Operation(
        name="measure.regionprops",
        family=families.REGIONS,
        specs={
            **SPECS,
            "offset": Number(
                integer=True, per_axis=True, optional=True, usual=(-5, 50), advanced=True
            ),
        },
        result=ResultSpec(output=Output.VALUES, shape=lambda call: None),
        plan_of=_regionprops,
        **{**SHARED, "cost": replace(SHARED["cost"], at_once=AT_ONCE)},
        note="Each region holds the pixels of its bounding box, because its properties are "
        "computed when they are accessed: the result takes as much memory as these boxes together. "
        "regionprops_table holds only its columns.",
    ),
    Operation(
        name="measure.regionprops_table",
        family=families.REGIONS,
        specs={
            "intensity_image": SPECS["intensity_image"],
            "properties": Names(names=PROPERTIES, usual=("label", "area", "centroid", "bbox")),
            "cache": SPECS["cache"],
            "separator": Text(advanced=True),
            "extra_properties": SPECS["extra_properties"],
            "spacing": SPECS["spacing"],
        },
        result=ResultSpec(output=Output.TABLE, shape=lambda call: None),
        step=AsStep(calibration=REGION_UNITS),
        plan_of=table_plan,
        neighbourhood=Neighbourhood(reads_again=_reads_objects),
        **{
            **SHARED,
            "cost": replace(SHARED["cost"], numbers=OnDisk(), at_once=TABLE_AT_ONCE),
        },
        note="An object larger than a tile is read whole while it is measured. Layers and "
        "files are measured in their units, unless spacing is set; arrays in pixels.",
    ),
)
