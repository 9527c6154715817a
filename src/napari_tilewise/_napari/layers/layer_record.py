"""What a layer remembers of how it came to be: the recipe that made it, and from which layer.

All of it is plain data in the layer's metadata, which napari's own copies of a layer keep too. A
recipe that no longer tells the truth, because somebody painted on the layer, is not used any more:
what follows starts from that layer as it is now.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

from napari_tilewise._napari.widgets.wording import PLUGIN
from napari_tilewise.errors import TilewiseError
from napari_tilewise.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from napari.layers import Layer

_edits: WeakKeyDictionary[Layer, int] = WeakKeyDictionary()
_watched: WeakSet[Layer] = WeakSet()
_ours: WeakSet[Layer] = WeakSet()


@dataclass(frozen=True)
class Origin:
    """A layer that a recipe works on, so that it is found again whatever it is called by then."""

    name: str
    id: str
    edits: int = 0
    """How often its pixels had been changed by hand."""
    path: str | None = None
    """The file, folder or URL that it was opened from, where there is one."""

    @classmethod
    def of(cls, layer: Layer) -> Origin:
        """Return what tells a layer from others; its edits are counted from now on.

        Parameters
        ----------
        layer
            The layer.
        """
        watch(layer)
        return cls(layer.name, str(layer.unique_id), _edits.get(layer, 0), _path(layer))

    def find(self, layers: Iterable[Layer]) -> Layer | None:
        """Return the layer, or one opened from the same place; None where there is neither.

        Parameters
        ----------
        layers
            The viewer's.
        """
        layers = list(layers)
        same = [layer for layer in layers if str(layer.unique_id) == self.id]
        if self.path is not None:
            same += [layer for layer in layers if _path(layer) == self.path and of(layer) is None]
        return same[0] if same else None

    def is_as_it_was(self, layer: Layer) -> bool:
        """Return whether nobody changed the layer's pixels since.

        Parameters
        ----------
        layer
            What `find` returned.
        """
        return str(layer.unique_id) != self.id or _edits.get(layer, 0) == self.edits

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        found: dict[str, Any] = {"name": self.name, "id": self.id}
        if self.edits:
            found["edits"] = self.edits
        if self.path is not None:
            found["path"] = self.path
        return found


@dataclass(frozen=True)
class Record:
    """How a layer was made."""

    recipe: Recipe
    source: Origin
    """What the recipe was run on."""
    inputs: Mapping[str, Origin] = field(default_factory=dict)
    """The layers behind the recipe's inputs, by the inputs' names."""
    spatial: tuple[int, ...] = ()
    """The axes, of the image that it worked on, that the last step ran over."""
    part: int | None = None
    """Which of the last step's several results the layer shows."""
    is_mask: bool = False
    """Whether the recipe gives booleans, which the layer shows as 0 and 1."""
    channels_first: bool = False
    """Whether the recipe gives channels last, which the layer has first."""
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, as the layer's metadata hold them."""
        found: dict[str, Any] = {
            "recipe": self.recipe.to_dict(),
            "source": self.source.to_dict(),
            "spatial": list(self.spatial),
        }
        if self.inputs:
            found["inputs"] = {name: origin.to_dict() for name, origin in self.inputs.items()}
        if self.part is not None:
            found["part"] = self.part
        for name in ("is_mask", "channels_first"):
            if getattr(self, name):
                found[name] = True
        if self.provenance:
            found["provenance"] = dict(self.provenance)
        return found

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Record:
        """Return the record from plain data; the inverse of `to_dict`.

        Parameters
        ----------
        data
            What a layer's metadata hold.

        Raises
        ------
        TilewiseError
            When the recipe is none.
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
            provenance=data.get("provenance", {}),
        )

    @property
    def of_pixels(self) -> Recipe | None:
        """The recipe of the pixels that the layer shows; None where they are the source's own.

        A table's layer shows the labels that were measured.
        """
        recipe = self.recipe
        if recipe.output.is_image:
            return recipe
        last = recipe.running[-1]
        link = recipe.links[last][recipe.steps[last].first]
        return None if link.step is None else Recipe(recipe.steps[: link.step + 1], recipe.inputs)

    @property
    def part_of_pixels(self) -> int:
        """Which of several results of the last step of `of_pixels` the layer shows."""
        return (self.part or 0) if self.recipe.output.is_image else 0


def of(layer: Layer) -> Record | None:
    """Return how a layer was made; None where it was not made by an operation, or changed since.

    Parameters
    ----------
    layer
        The layer.
    """
    return None if trouble(layer) else _read(layer)


def trouble(layer: Layer) -> str:
    """Return why a layer's recipe cannot be used any more, in one sentence; else nothing.

    Parameters
    ----------
    layer
        The layer.
    """
    if "recipe" not in _held(layer):
        return ""
    if _held(layer).get("edited"):
        return (
            f"{layer.name!r} was changed by hand after it was made: no recipe gives it any more, "
            "and what follows starts from it as it is."
        )
    try:
        _read(layer)
    except (TilewiseError, LookupError, TypeError) as error:
        return f"The recipe of {layer.name!r} cannot be read, what follows starts anew: {error}"
    return ""


def write(layer: Layer, record: Record) -> None:
    """Keep a record with its layer, in the place of an earlier one.

    Parameters
    ----------
    layer
        What was made.
    record
        How.
    """
    _put(layer, {**_without_record(_held(layer)), **record.to_dict()})
    watch(layer)


def keep_value(layer: Layer, name: str, number: int, value: Any) -> None:
    """Keep numbers that were measured on a layer with it.

    Parameters
    ----------
    layer
        What was measured.
    name
        The operation's key.
    number
        Which of its results it is.
    value
        The numbers.
    """
    held = _held(layer)
    values = held.get("values", {})
    _put(layer, {**held, "values": {**values, name: {**values.get(name, {}), number: value}}})


def watch(layer: Layer) -> None:
    """Notice from now on when somebody changes a layer's pixels.

    Parameters
    ----------
    layer
        The layer.
    """
    if layer in _watched:
        return
    _watched.add(layer)
    layer.events.data.connect(_changed)
    if "paint" in layer.events.emitters:
        layer.events.paint.connect(_changed)


@contextmanager
def own_change(layer: Layer) -> Iterator[None]:
    """Change a layer's pixels to what its recipe gives: that is no change by hand.

    Parameters
    ----------
    layer
        The layer.
    """
    _ours.add(layer)
    try:
        yield
    finally:
        _ours.discard(layer)
        _edits[layer] = _edits.get(layer, 0) + 1


def _changed(event: Any) -> None:
    layer = event.source
    if layer in _ours:
        return
    _edits[layer] = _edits.get(layer, 0) + 1
    if "recipe" in _held(layer):
        _put(layer, {**_held(layer), "edited": True})


def _held(layer: Layer) -> Mapping[str, Any]:
    held = layer.metadata.get(PLUGIN, {})
    return held if isinstance(held, dict) else {}


def _put(layer: Layer, held: Mapping[str, Any]) -> None:
    """Replace our part of the metadata: copies of a layer share what it holds."""
    layer.metadata = {**layer.metadata, PLUGIN: dict(held)}


def _without_record(held: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in held.items() if key == "values"}


def _read(layer: Layer) -> Record | None:
    held = _held(layer)
    return Record.from_dict(held) if "recipe" in held else None


def _path(layer: Layer) -> str | None:
    """Return where a layer was opened from: what napari knows, or a Zarr array itself."""
    path = layer.source.path
    data = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    store = getattr(data, "store_path", None)
    if path is None and store is not None and not str(store).startswith("memory:"):
        path = str(store)
    return None if path is None else str(path)
