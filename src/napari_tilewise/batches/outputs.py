"""Where each item's output goes: a template of a name, sub-folders mirrored, no two alike."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from string import Formatter
from typing import TYPE_CHECKING, Any

from napari_tilewise.errors import DestinationUnwritable, InvalidParameter, did_you_mean
from napari_tilewise.io.writers import formats, values
from napari_tilewise.io.writers.staging import local_path
from napari_tilewise.operations.spec.operation import Output
from napari_tilewise.provenance.fingerprint import place

if TYPE_CHECKING:
    import os as _os
    from collections.abc import Sequence

    from napari_tilewise.batches.items import Item

IMAGE = ".ome.zarr"
"""What an image's file ends in, unless the template says otherwise."""
TABLE, VALUE = ".csv", ".json"
_TABLES = (Output.TABLE, Output.POINTS, Output.CONTOURS)
_FILES = {".parquet", *values.SUFFIXES, *(s[s.rindex(".") :] for s in formats.SUFFIXES.values())}
_FOREIGN = "\\:"
"""What a template has in no name: Windows parts folders and drives by these."""


@dataclass(frozen=True)
class ItemTarget:
    """Where an item's output goes."""

    folder: str
    """The batch's folder."""
    base: str
    """The output's path in it, with ``/``, without a suffix."""
    image: str
    """The suffix of an image."""

    def path(self, output: Output) -> Path | None:
        """Return the file for a result of some kind; a number stands in the report alone.

        Parameters
        ----------
        output
            What the result is.
        """
        if output is Output.SCALAR:
            return None
        suffix = self.image if output.is_image else TABLE if output in _TABLES else VALUE
        return Path(self.folder, f"{self.base}{suffix}")


def folder_of(destination: str | _os.PathLike[str]) -> str:
    """Return the folder that a batch writes.

    Parameters
    ----------
    destination
        Its path.

    Raises
    ------
    DestinationUnwritable
        When a file was meant, or stands there.
    """
    where = local_path(destination)
    if where.is_file() or (where.suffix.lower() in _FILES and not where.is_dir()):
        why = "is a file" if where.is_file() else "is called like a file"
        raise DestinationUnwritable(
            f"{str(destination)!r} {why}, and a batch writes a folder: give one, such as "
            f"{where.name.partition('.')[0]!r}. Numbers stand in its report.csv, tables "
            "in its table.csv; name= tells how images are called, such as '{stem}.ome.tif'."
        )
    return str(where)


def targets_of(
    items: Sequence[Item], folder: str | _os.PathLike[str], template: str, recipe: str
) -> tuple[ItemTarget, ...]:
    """Return where each item's output goes.

    Parameters
    ----------
    items
        The items.
    folder
        The batch's folder.
    template
        The name, with fields in braces; a suffix at its end is the format of images.
    recipe
        What the template's ``{recipe}`` becomes.

    Raises
    ------
    InvalidParameter
        When the template has an unknown field, or two items would write one file.
    DestinationUnwritable
        When an output would be an item's source.
    """
    where = local_path(folder)
    name, suffix = _split(template)
    taken: dict[str, Item] = {}
    sources = {os.path.normcase(path) for item in items if (path := place(item.source))}
    targets = []
    for item in items:
        base = PurePosixPath(item.folder, _filled(name, item, recipe)).as_posix()
        target = ItemTarget(str(where), base, suffix)
        key = os.path.normcase(where / base)
        if key in taken:
            raise InvalidParameter(
                f"{taken[key].input!r} and {item.input!r} would both be written to "
                f"{target.base + suffix!r}: give a name= that tells them apart, such as "
                "'{stem}_{index}'."
            )
        taken[key] = item
        if os.path.normcase(str(target.path(Output.IMAGE))) in sources:
            raise DestinationUnwritable(
                f"{item.input!r} would be written over an image that is read; sources are never "
                "written to: give another folder, or another name=."
            )
        targets.append(target)
    return tuple(targets)


def _split(template: str) -> tuple[str, str]:
    """Return a template's name and its suffix."""
    plain = re.sub(r"\{[^}]*\}", lambda field: "_" * len(field[0]), template)
    last = plain.rpartition("/")[2]
    at = len(template) - len(last) + last.find(".") if "." in last.lstrip(".") else len(template)
    return template[:at], template[at:] or IMAGE


def _filled(template: str, item: Item, recipe: str) -> str:
    known: dict[str, Any] = {"stem": item.stem, "recipe": recipe, "index": item.index}
    known = {**item.fields, **known}
    try:
        fields = list(Formatter().parse(template))
        wanted = [field for _, field, _, _ in fields if field is not None]
        for field in wanted:
            if field not in known:
                raise InvalidParameter(
                    f"name={template!r} has the unknown field {{{field}}}: expected "
                    f"{', '.join(f'{{{name}}}' for name in known)}.{did_you_mean(field, known)}"
                )
        text = template.format(**known)
    except (ValueError, IndexError) as error:
        raise InvalidParameter(
            f"name={template!r} cannot be filled in ({error}): expected such as "
            "'{stem}_{recipe}'."
        ) from error
    parts = PurePosixPath(text).parts
    # What an image is called where it stands can be a name there: only Windows forbids more.
    said = text if os.name == "nt" else "".join(literal for literal, *_ in fields)
    is_foreign = any(character in said for character in _FOREIGN)
    if not parts or ".." in parts or text.startswith("/") or is_foreign:
        raise InvalidParameter(
            f"name={template!r} gives {text!r} for {item.input!r}: expected a name within the "
            "batch's folder."
        )
    return text
