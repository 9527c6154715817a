"""The images that an output's record names: where they are now, and whether they may be read.

A record is data that anybody may have written. What lies behind a URL or outside the output's own
folder is read only if the user allows it, and is named before.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from napari_tilewise.errors import SourceNotFound, TilewiseError, option
from napari_tilewise.io.cropped_image import crop_image
from napari_tilewise.io.readers.locations import file_of
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.provenance.fingerprint import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari_tilewise.engine.views.cropped import AxisPart
    from napari_tilewise.io.image import Image
    from napari_tilewise.io.plain_data import Metadata, MetadataDict
    from napari_tilewise.types import PathLike

Announce: TypeAlias = "Callable[[str], None]"
"""Takes a sentence that says what is read."""
_RUN_ENTRIES = ("axes", "spatial")
"""The arguments of a run that a record may set."""
_DEEPEST = 8
"""Most images of which one is a part of the next."""


class NotRepeatable(TilewiseError, ValueError):
    """An output's record lacks something that it takes to compute the output again."""


class OutsideFolder(TilewiseError, PermissionError):
    """A record names an image outside its own folder, and the user did not allow to read it."""


@dataclass(frozen=True)
class RecordedImage:
    """One image that a record names."""

    role: str
    """Its name in messages."""
    description: Metadata
    """Its description in the record; of a part, that of the whole image."""
    parts: tuple[tuple[AxisPart, ...], ...]
    """The part of each axis, of the image or of the part before; the outermost first."""
    locations: tuple[str, ...]
    """Where it may be: a URL, or the existing ones of several paths."""
    outside: tuple[str, ...]
    """Those of the locations that are behind a URL or outside the output's folder."""

    @classmethod
    def of(cls, description: Metadata, role: str, output: str, *, allow_outside: bool) -> Self:
        """Return an image; no file is read, and none outside is looked for unless allowed.

        Parameters
        ----------
        description
            Its description in the record.
        role
            Its name in messages.
        output
            Path or URL of the output.
        allow_outside
            Whether the user allows images outside the output's folder.
        """
        parts: list[tuple[AxisPart, ...]] = []
        whole = description
        while "part_of" in whole:
            parts.append(_part(whole, role, output))
            whole = checked_entry(whole, "part_of", Mapping, output)
            if len(parts) > _DEEPEST:
                raise _wrong(output, f"its {role} is a part of a part of too many images")
        if whole.get("kind") == "array":
            raise _wrong(
                output,
                f"its {role} was an array in memory ({whole.get('type')} of shape "
                f"{_shape_text(whole)}), which no record holds. Save the array to a file and run "
                "the recipe on that",
            )
        locations = _locations(whole, role, output, allow_outside=allow_outside)
        outside = tuple(path for path in locations if _is_outside(path, output))
        return cls(role, whole, tuple(reversed(parts)), locations, outside)

    def open(self) -> tuple[PathLike | Image, list[str]]:
        """Return the image, and notes if it has moved or changed."""
        before = self.description.get("fingerprint")
        location = self.locations[0]
        if len(self.locations) > 1:  # the one that has not changed
            unchanged = (path for path in self.locations if fingerprint(path) == before)
            location = next(unchanged, location)
        recorded, notes = self.description["location"], []
        if location != recorded:
            notes.append(f"The {self.role} {recorded!r} was found at {location!r}.")
        if before is not None and before != (now := fingerprint(location)):
            notes.append(
                f"The {self.role} {location!r} has changed: its fingerprint was {before}, is {now}."
            )
        level = self.description.get("level", 0)
        image: PathLike | Image = open_image(location, level=level) if level else location
        for parts in self.parts:
            whole = open_image(image)
            _check_part(parts, whole, self.role)
            image = crop_image(whole, parts, whole.name, None)
        return image, notes


def recorded_images(
    record: Metadata, output: str, *, allow_outside: bool, announce: Announce
) -> tuple[RecordedImage, dict[str, RecordedImage]]:
    """Return the source and the inputs that a record names; what is outside is announced.

    Parameters
    ----------
    record
        The record.
    output
        Path or URL of the output.
    allow_outside
        Whether the user allows images outside the output's folder.
    announce
        Takes a sentence for each image outside, before anything is read.

    Raises
    ------
    OutsideFolder
        When an image is outside, and that is not allowed.
    NotRepeatable, SourceNotFound
        When the record does not say where an image is, or it is gone.
    """
    roles = {"source": checked_entry(record, "source", Mapping, output)}
    inputs = checked_entry(record, "inputs", Mapping, output)
    for name in inputs:
        roles[f"input {name!r}"] = checked_entry(inputs, name, Mapping, output)
    source, *others = (
        RecordedImage.of(description, role, output, allow_outside=allow_outside)
        for role, description in roles.items()
    )
    images = (source, *others)
    if any(image.outside for image in images) and not allow_outside:
        raise OutsideFolder(
            f"The record of {output!r} names images outside its own folder: {_listed(images)}. "
            f"Anybody may have written it: if they are yours, give {option('allow_outside', True)}."
        )
    for image in images:
        for location in image.outside:
            announce(f"The {image.role} is read from {location!r}, outside the output's folder.")
    return source, dict(zip(inputs, others, strict=True))


def run_options(record: Metadata, output: str) -> tuple[MetadataDict, list[str]]:
    """Return the arguments of a run that a record may set, and notes on others.

    Parameters
    ----------
    record
        The record.
    output
        Path or URL of the output.
    """
    entries = checked_entry(record, "run", Mapping, output)
    options = {name: entries[name] for name in _RUN_ENTRIES if name in entries}
    for name, value in options.items():
        items = value if isinstance(value, list) else [value]
        if not all(isinstance(item, str) or type(item) is int for item in items):
            raise _wrong(output, f"its {name!r} is {_short(value)}; expected letters or numbers")
    ignored = [name for name in entries if name not in _RUN_ENTRIES]
    if not ignored:
        return options, []
    return options, [f"The record cannot set {', '.join(map(repr, ignored))}, so it is ignored."]


def checked_entry(data: Metadata, name: str, kind: type, output: str) -> Any:
    """Return an entry of a record; raise `NotRepeatable` if it is missing or of another type.

    Parameters
    ----------
    data
        The record, or a part of it.
    name
        The entry's name.
    kind
        Its type.
    output
        Path or URL of the output.
    """
    value = data.get(name)
    if not isinstance(value, kind):
        problem = f"is {_short(value)}" if name in data else "is missing"
        expected = "a text" if kind is str else "a list" if kind is list else "a mapping"
        raise _wrong(output, f"its entry {name!r} {problem}; expected {expected}")
    return value


def _locations(
    description: Metadata, role: str, output: str, *, allow_outside: bool
) -> tuple[str, ...]:
    """Return the URL of an image, or where it exists: where it was, or moved with the output."""
    recorded = checked_entry(description, "location", str, output)
    level, before = description.get("level", 0), description.get("fingerprint")
    if not _is_path(recorded) or type(level) is not int or not isinstance(before, str | None):
        raise _wrong(output, f"its {role} has an odd location, level or fingerprint")
    if "://" in recorded:
        return (recorded,)
    folder = os.path.dirname(output)
    relative = [description.get("from_output"), os.path.basename(recorded)]
    if "://" in output:
        relative = []
    moved = [
        os.path.normpath(os.path.join(folder, path))
        for path in relative
        if isinstance(path, str) and path and _is_path(path)
    ]
    candidates = list(dict.fromkeys([recorded, *moved]))
    outside = [] if allow_outside else [path for path in candidates if _is_outside(path, output)]
    existing = [
        path for path in candidates if path not in outside and os.path.exists(file_of(path))
    ]
    if not existing and not outside:
        others = f" or at {', '.join(map(repr, candidates[1:]))}" if candidates[1:] else ""
        raise SourceNotFound(
            f"The {role} of {output!r} is gone: there is nothing at {recorded!r}{others}. Put it "
            "back, or next to the output."
        )
    return tuple(existing or outside[:1])


def _is_path(text: str) -> bool:
    """Return whether a text can be a path of this system."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _is_outside(location: str, output: str) -> bool:
    """Return whether an image is behind a URL, or not in the folder of the output."""
    if "://" in location or "://" in output:
        return True
    folder = os.path.realpath(os.path.dirname(output))
    path = os.path.realpath(file_of(location))
    return os.path.commonpath([folder, path]) != folder


def _listed(images: Iterable[RecordedImage]) -> str:
    return ", ".join(
        f"the {image.role} {location!r}" for image in images for location in image.outside
    )


def _part(description: Metadata, role: str, output: str) -> tuple[AxisPart, ...]:
    """Return the part of each axis: a position, a start and a stop, or None for all."""
    parts: list[AxisPart] = []
    for part in checked_entry(description, "part", list, output):
        if isinstance(part, list) and len(part) == 2 and all(type(n) is int for n in part):
            parts.append((part[0], part[1]))
        elif part is None or type(part) is int:
            parts.append(part)
        else:
            raise _wrong(output, f"its {role} has the part {_short(part)} of an axis")
    return tuple(parts)


def _check_part(parts: tuple[AxisPart, ...], image: Image, role: str) -> None:
    shape = tuple(image.data.shape)
    spans = ((part, part + 1) if isinstance(part, int) else part for part in parts)
    if len(parts) != len(shape) or not all(
        span is None or 0 <= span[0] < span[1] <= length
        for span, length in zip(spans, shape, strict=True)
    ):
        raise NotRepeatable(f"The {role} has the shape {shape}, which has no part {parts}.")


def _shape_text(description: Metadata) -> str:
    shape = description.get("shape")
    return str(tuple(shape)) if isinstance(shape, list) else _short(shape)


def _wrong(output: str, problem: str) -> NotRepeatable:
    return NotRepeatable(f"{output!r} cannot be computed again from its record: {problem}.")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


_SHOWN = 120
"""Characters of a value that a message shows."""
