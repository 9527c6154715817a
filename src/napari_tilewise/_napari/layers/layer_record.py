"""The record of a result's layer: the recipe that made it, and the layer it was made from.

The record is plain data in the layer's metadata, which napari copies with the layer. If the pixels
were changed by hand, the recipe no longer gives them and is not used: later steps start from the
layer itself.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from math import nan
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet, ref

import zarr

from napari_tilewise._napari.layers.pixel_changes import PixelChanges
from napari_tilewise._napari.widgets import wording
from napari_tilewise._napari.widgets.panel_titles import PLUGIN
from napari_tilewise._napari.widgets.unit_text import unit_symbol
from napari_tilewise.errors import TilewiseError
from napari_tilewise.io.metadata.units import unit_name
from napari_tilewise.io.readers.zarr_arrays import array_location
from napari_tilewise.operations.spec.measuring.calibration import PixelLengths
from napari_tilewise.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from napari.layers import Layer

    from napari_tilewise.io.plain_data import Metadata, MetadataDict
    from napari_tilewise.operations.spec.measuring.calibration import MeasuredLengths
    from napari_tilewise.types import Value

_edits: WeakKeyDictionary[Layer, int] = WeakKeyDictionary()
_watched: WeakKeyDictionary[Layer, PixelChanges] = WeakKeyDictionary()
_updating: WeakSet[Layer] = WeakSet()


@dataclass(frozen=True)
class Origin:
    """Identifies a layer that a recipe starts from, even if the layer is renamed or reopened."""

    name: str
    id: str
    edits: int = 0
    """How often its pixels were changed by hand."""
    path: str | None = None
    """The file, folder or URL that it was opened from, if any."""

    @classmethod
    def of(cls, layer: Layer) -> Origin:
        """Return the origin of a layer; edits are counted from now on.

        Parameters
        ----------
        layer
            Any layer.
        """
        watch(layer)
        return cls(layer.name, str(layer.unique_id), _edits.get(layer, 0), _path(layer))

    def find(self, layers: Iterable[Layer]) -> Layer | None:
        """Return the layer, or one opened from the same path; None if there is neither.

        Parameters
        ----------
        layers
            The viewer's layers.
        """
        layers = list(layers)
        matches = [layer for layer in layers if str(layer.unique_id) == self.id]
        if self.path is not None:
            matches += [
                layer for layer in layers if _path(layer) == self.path and of(layer) is None
            ]
        return matches[0] if matches else None

    def is_unchanged(self, layer: Layer) -> bool:
        """Return whether the layer's pixels are the same as then.

        Parameters
        ----------
        layer
            Returned by `find`.
        """
        return str(layer.unique_id) != self.id or _edits.get(layer, 0) == self.edits

    def to_dict(self) -> MetadataDict:
        """Return plain data."""
        data: MetadataDict = {"name": self.name, "id": self.id}
        if self.edits:
            data["edits"] = self.edits
        if self.path is not None:
            data["path"] = self.path
        return data


@dataclass(frozen=True)
class NumberMeaning:
    """What numbers that were measured on a layer are, beside their values."""

    lengths: MeasuredLengths | None = None
    """What those that count pixels are in the layer's unit; None if none do."""
    planes: tuple[tuple[str, int], ...] = ()
    """Names and lengths of the axes along whose positions there is a value each."""


@dataclass(frozen=True)
class Record:
    """How a layer was made."""

    recipe: Recipe
    source: Origin
    """The layer that the recipe starts from."""
    inputs: Mapping[str, Origin] = field(default_factory=dict)
    """The layers of the recipe's further images, by the inputs' names."""
    spatial: tuple[int, ...] = ()
    """The axes of its image that the last step ran over."""
    part: int | None = None
    """The index of the shown result, if the last step gives several."""
    is_mask: bool = False
    """Whether the recipe gives booleans, which the layer shows as 0 and 1."""
    channels_first: bool = False
    """Whether the layer has first the channels that the recipe gives last."""
    inserted: int | None = None
    """The layer's axis of length one that the recipe's result lacks."""
    provenance: Metadata = field(default_factory=dict)

    def to_dict(self) -> MetadataDict:
        """Return plain data, as stored in the layer's metadata."""
        data: MetadataDict = {
            "recipe": self.recipe.to_dict(),
            "source": self.source.to_dict(),
            "spatial": list(self.spatial),
        }
        if self.inputs:
            data["inputs"] = {name: origin.to_dict() for name, origin in self.inputs.items()}
        for name in ("part", "inserted"):
            if getattr(self, name) is not None:
                data[name] = getattr(self, name)
        for name in ("is_mask", "channels_first"):
            if getattr(self, name):
                data[name] = True
        if self.provenance:
            data["provenance"] = dict(self.provenance)
        return data

    @classmethod
    def from_dict(cls, data: Metadata) -> Record:
        """Return the record from plain data; the inverse of `to_dict`.

        Parameters
        ----------
        data
            As stored in a layer's metadata.

        Raises
        ------
        TilewiseError
            If the recipe is invalid.
        """
        inputs = data.get("inputs", {})
        return cls(
            recipe=Recipe.from_dict(data["recipe"]),
            source=Origin(**data["source"]),
            inputs={name: Origin(**origin) for name, origin in inputs.items()},
            spatial=tuple(data.get("spatial", ())),
            part=data.get("part"),
            is_mask=data.get("is_mask", False),
            channels_first=data.get("channels_first", False),
            inserted=data.get("inserted"),
            provenance=data.get("provenance", {}),
        )

    @property
    def is_storable(self) -> bool:
        """Whether the recipe can be stored: functions and arrays, which scripts pass, cannot."""
        try:
            self.recipe.to_dict()
        except TilewiseError:
            return False
        return True

    @property
    def of_pixels(self) -> Recipe | None:
        """The recipe of the layer's pixels; None if they are the source's pixels.

        A table's layer shows the measured labels.
        """
        recipe = self.recipe
        if recipe.output.is_image:
            return recipe
        last = recipe.running[-1]
        link = recipe.links[last][recipe.steps[last].first]
        return None if link.step is None else Recipe(recipe.steps[: link.step + 1], recipe.inputs)

    @property
    def part_of_pixels(self) -> int:
        """The index of the shown result among those of `of_pixels`."""
        return (self.part or 0) if self.recipe.output.is_image else 0


def of(layer: Layer) -> Record | None:
    """Return a layer's record; None if the layer is not a result, or was changed by hand.

    Parameters
    ----------
    layer
        Any layer.
    """
    return None if problem(layer) else _read(layer)


def problem(layer: Layer) -> str:
    """Return why a layer's recipe cannot be used, in one sentence; empty if it can.

    Parameters
    ----------
    layer
        Any layer.
    """
    if "recipe" not in _metadata(layer):
        return ""
    if _metadata(layer).get("edited"):
        return (
            f"{layer.name!r} was changed by hand after it was computed: its recipe no longer "
            "gives its pixels. Operations on it start from the pixels as they are now."
        )
    try:
        _read(layer)
    except (TilewiseError, LookupError, TypeError) as error:
        return f"The recipe of {layer.name!r} cannot be read, a new one starts from it: {error}"
    return ""


def write(layer: Layer, record: Record) -> None:
    """Store a record with its layer, replacing an earlier one.

    Parameters
    ----------
    layer
        A result.
    record
        The recipe and its images.
    """
    _put(layer, {**_without_record(_metadata(layer)), **record.to_dict()})
    layer.get_source_str = partial(_tooltip, ref(layer), record)
    watch(layer)


def _tooltip(of: ref[Layer], record: Record) -> str:
    """Return the tooltip of a layer in napari's list: the steps that made it, after napari's."""
    layer, recipe = of(), record.recipe
    own = "" if layer is None else type(layer).get_source_str(layer)
    lines = [own, f"Made from {record.source.name!r}:"]
    for number, step in enumerate((recipe.steps[i] for i in recipe.running), start=1):
        lines.append(f"{number}. {wording.title(step.op)} {wording.values(step)}".rstrip())
    values = "" if layer is None else _value_text(layer, record)
    return "\n".join([*lines, values] if values else lines)


def _value_text(layer: Layer, record: Record) -> str:
    """Return what an image's values measure, if they are lengths."""
    step = record.recipe.steps[record.recipe.running[-1]]
    spec = step.op.step.calibration
    axes = [axis for axis in record.spatial or range(layer.ndim) if axis < layer.ndim]
    if not isinstance(spec, PixelLengths) or not step.op.output.is_image or not axes:
        return ""
    units = [layer.units[axis] for axis in axes]
    is_known = len(set(units)) == 1 and unit_name(str(units[0])) is not None
    spacing = [abs(float(layer.scale[axis])) if is_known else nan for axis in axes]
    column = spec.in_units(step.bound, spacing, None).columns[record.part or 0]
    if not column.power:
        return ""
    unit = unit_symbol(units[0]) if is_known else ""
    if column.to_unit == 1 and column.to_pixels != 1:
        return f"Values: {column.name} by the pixel size that was set" + (f" ({unit})" * is_known)
    size = f"; 1 px = {column.to_unit:.4g} {unit}" if is_known and column.to_unit else ""
    return f"Values: {column.name} in pixels{size}"


def store_value(
    layer: Layer, name: str, number: int, value: Value, meaning: NumberMeaning | None = None
) -> None:
    """Store numbers that were measured on a layer with it.

    Parameters
    ----------
    layer
        The measured layer.
    name
        The operation's key.
    number
        The index among the operation's results.
    value
        The measured numbers.
    meaning
        What the numbers are, beside their values.
    """
    metadata = _metadata(layer)
    meanings = {**metadata.get("meanings", {})}
    meanings[name] = {**meanings.get(name, {}), number: meaning}
    values = metadata.get("values", {})
    earlier = {key: numbers for key, numbers in values.items() if key != name}
    newest = {name: {**values.get(name, {}), number: value}}  # comes last
    _put(
        layer,
        {**metadata, "values": {**earlier, **newest}, "newest": "values", "meanings": meanings},
    )


def stored_part(layer: Layer, key: str) -> Any:
    """Return what is stored with a layer under a key; None if nothing is.

    Parameters
    ----------
    layer
        Any layer.
    key
        As passed to `store_part`.
    """
    return _metadata(layer).get(key)


def store_part(layer: Layer, key: str, data: Any) -> None:
    """Store plain data with a layer; None removes them.

    Parameters
    ----------
    layer
        Any layer.
    key
        A name that no field of a record has.
    data
        Replaces what is stored under the key.
    """
    metadata = {name: value for name, value in _metadata(layer).items() if name != key}
    _put(layer, metadata if data is None else {**metadata, key: data, "newest": key})


def edits(layer: Layer) -> int:
    """Return how often a layer's pixels were changed; they are watched from now on.

    Parameters
    ----------
    layer
        Any layer.
    """
    watch(layer)
    return _edits.get(layer, 0)


def watch(layer: Layer) -> None:
    """Count the changes of a layer's pixels from now on.

    Parameters
    ----------
    layer
        Any layer.
    """
    if layer not in _watched:
        _watched[layer] = PixelChanges(layer, _changed)


@contextmanager
def own_change(layer: Layer) -> Iterator[None]:
    """Set a layer's pixels in this context without counting that as a change by hand.

    Parameters
    ----------
    layer
        A result that is updated.
    """
    _updating.add(layer)
    try:
        yield
    finally:
        _updating.discard(layer)
        _edits[layer] = _edits.get(layer, 0) + 1


def _changed(event: Any) -> None:
    layer = event.source
    if layer in _updating:
        return
    _edits[layer] = _edits.get(layer, 0) + 1
    if "recipe" in _metadata(layer):
        _put(layer, {**_metadata(layer), "edited": True})


def _metadata(layer: Layer) -> Metadata:
    metadata = layer.metadata.get(PLUGIN, {})
    return metadata if isinstance(metadata, dict) else {}


def _put(layer: Layer, metadata: Metadata) -> None:
    """Replace our part of the metadata; copies of a layer share the old one."""
    layer.metadata = {**layer.metadata, PLUGIN: dict(metadata)}


def _without_record(metadata: Metadata) -> MetadataDict:
    measured = ("values", "meanings", "objects")
    return {key: value for key, value in metadata.items() if key in measured}


def _read(layer: Layer) -> Record | None:
    metadata = _metadata(layer)
    return Record.from_dict(metadata) if "recipe" in metadata else None


def _path(layer: Layer) -> str | None:
    """Return the path that a layer was opened from: napari's, or that of a Zarr array."""
    path = layer.source.path
    data = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    if path is None and isinstance(data, zarr.Array):
        path = array_location(data)
    return None if path is None else str(path)
