"""Where each item's output goes: a name template, sub-folders mirrored, no two the same."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from string import Formatter
from typing import TYPE_CHECKING, Any

from napari_tilewise.batches.inside import is_inside
from napari_tilewise.errors import DestinationUnwritable, InvalidParameter, did_you_mean, option
from napari_tilewise.io.writers import formats, values
from napari_tilewise.io.writers.staging import local_path
from napari_tilewise.operations.spec.operation import Output
from napari_tilewise.provenance.fingerprint import source_location

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_tilewise.batches.items import Item
    from napari_tilewise.batches.rows import ItemRow

IMAGE = ".ome.zarr"
"""Suffix of images, unless the template has another."""
TABLE, VALUE = ".csv", ".json"
_TABLES = (Output.TABLE, Output.POINTS, Output.CONTOURS)
_FILES = {".parquet", *values.SUFFIXES, *(s[s.rindex(".") :] for s in formats.SUFFIXES.values())}
_FOREIGN = "\\:"
"""Characters that a template may not have: on Windows they separate folders and drives."""
_NOT_IN_NAMES = '<>"|?*'
"""Further characters that Windows allows in no name."""


@dataclass(frozen=True)
class ItemTarget:
    """Where an item's output goes."""

    folder: str
    """The batch's folder."""
    base: str
    """Path of the output in it, with ``/``, without a suffix."""
    image_suffix: str
    """Suffix that the output has if it is an image."""
    problem: str = ""
    """Why the item has no output; empty if it may have one."""

    def path(self, output: Output) -> Path | None:
        """Return the file for a result; None for a scalar, which only the report holds.

        Parameters
        ----------
        output
            Kind of the result.
        """
        if output is Output.SCALAR:
            return None
        suffix = self.image_suffix if output.is_image else TABLE if output in _TABLES else VALUE
        return Path(self.folder, f"{self.base}{suffix}")

    def relative(self, path: Path) -> str:
        """Return a path within the batch's folder, with ``/``.

        Parameters
        ----------
        path
            An absolute path below the folder.
        """
        return path.relative_to(self.folder).as_posix()


def has_output(target: ItemTarget | None, row: ItemRow | None) -> bool:
    """Return whether the output of a row, if it names one, exists.

    Parameters
    ----------
    target
        Where the item's output goes.
    row
        The item's row in an earlier batch.
    """
    output = (row or {}).get("output")
    if output is None or target is None:
        return output is None
    return Path(target.folder, output).exists() and not is_torn(target, row)


def is_torn(target: ItemTarget | None, row: ItemRow | None) -> bool:
    """Return whether the output of a row is an empty file: a power failure cut it off.

    Small files are not forced to the disk, and none that was written is empty.

    Parameters
    ----------
    target
        Where the item's output goes.
    row
        The item's row in an earlier batch.
    """
    output = (row or {}).get("output")
    if output is None or target is None:
        return False
    path = Path(target.folder, output)
    return path.is_file() and not path.stat().st_size


def folder_of(destination: str | os.PathLike[str]) -> str:
    """Return the folder that a batch writes into.

    Parameters
    ----------
    destination
        Its path; it need not exist.

    Raises
    ------
    DestinationUnwritable
        When it is a file, or its name is that of a file.
    """
    path = local_path(destination)
    if path.is_file() or (path.suffix.lower() in _FILES and not path.is_dir()):
        problem = "is a file" if path.is_file() else "has the name of a file"
        raise DestinationUnwritable(
            f"{str(destination)!r} {problem}, and a batch writes into a folder: give a folder, "
            f"such as {path.name.partition('.')[0]!r}. Its report.csv has the numbers and its "
            f"table.csv the tables; {option('name')} sets the names of images, such as "
            "'{stem}.ome.tif'."
        )
    return str(path)


def targets_of(
    items: Sequence[Item], folder: str | os.PathLike[str], template: str, recipe: str
) -> tuple[ItemTarget, ...]:
    """Return where each item's output goes.

    Parameters
    ----------
    items
        The items.
    folder
        The batch's folder.
    template
        A name with fields in braces; a suffix at its end is the format of images.
    recipe
        Text for the field ``{recipe}``.

    Raises
    ------
    InvalidParameter
        When the template has an unknown field, or two items would write one file.
    DestinationUnwritable
        When an output would be an item's source.
    """
    root = local_path(folder)
    name, suffix = _split(template)
    first_items: dict[str, Item] = {}
    one_name = _one_name(root)
    sources = {one_name(path) for item in items if (path := source_location(item.source))}
    targets = []
    for item in items:
        filled = "" if item.problem else _filled(name, item, recipe)
        base = PurePosixPath(item.folder, filled)
        if not filled or not is_inside(base.as_posix()):
            targets.append(ItemTarget(str(root), f"item_{item.index}", suffix, _outside(base)))
            continue
        target = ItemTarget(str(root), base.as_posix(), suffix)
        key = one_name(str(root / target.base))
        if key in first_items:
            raise InvalidParameter(
                f"{first_items[key].input!r} and {item.input!r} would both be written to "
                f"{target.base + suffix!r}: give a {option('name')} that differs between them, "
                "such as '{stem}_{index}'."
            )
        first_items[key] = item
        if one_name(str(target.path(Output.IMAGE))) in sources:
            raise DestinationUnwritable(
                f"The output of {item.input!r} would replace a source, and sources are never "
                f"written to: give another folder, or another {option('name')}."
            )
        targets.append(target)
    return tuple(targets)


def _one_name(folder: Path) -> Callable[[str], str]:
    """Return what makes one text of all names of a file: some file systems know no case.

    macOS has such file systems and others, and Linux can mount either: asked is the file system, by
    the name of the nearest folder that is there.
    """
    for ancestor in (folder, *folder.parents):
        other = ancestor.with_name(ancestor.name.swapcase()) if ancestor.name else ancestor
        if other != ancestor and ancestor.exists():
            if other.exists() and ancestor.samefile(other):
                return str.casefold
            break
    return os.path.normcase


def _outside(base: PurePosixPath) -> str:
    return (
        f"Its output would be {str(base)!r}, which is not in the batch's folder; expected a name "
        f"within it: give another {option('name')}."
    )


def _split(template: str) -> tuple[str, str]:
    """Return a template's name and its suffix."""
    plain = re.sub(r"\{[^}]*\}", lambda field: "_" * len(field[0]), template)
    last = plain.rpartition("/")[2]
    has_suffix = "." in last.lstrip(".")
    end = len(template) - len(last) + last.find(".") if has_suffix else len(template)
    return template[:end], template[end:] or IMAGE


_DIGITS = 3
"""Digits of the largest width of a field."""


def _part_of_name(value: Any) -> Any:
    """Return a field as it stands in a name: a text from a file, such as a channel, has no path."""
    if not isinstance(value, str):
        return value
    forbidden = {*_FOREIGN, "/", *(_NOT_IN_NAMES if os.name == "nt" else "")}
    return "".join("_" if char in forbidden else char for char in value).lstrip(".")


def _filled(template: str, item: Item, recipe: str) -> str:
    fields_of_item = {name: _part_of_name(value) for name, value in item.fields.items()}
    values: dict[str, Any] = {**fields_of_item, "stem": item.stem, "recipe": recipe}
    values["index"] = item.index
    try:
        parts = list(Formatter().parse(template))
        for _, field, form, _ in parts:
            if any(len(width) > _DIGITS for width in re.findall(r"\d+", form or "")):
                raise ValueError(f"{{{field}:{form}}} is longer than any name")
            if field is not None and field not in values:
                raise InvalidParameter(
                    f"{option('name', template)} has the unknown field "
                    f"{{{repr(field)[1:-1]}}}: expected "
                    f"{', '.join(f'{{{name}}}' for name in values)}.{did_you_mean(field, values)}"
                )
        text = template.format(**values)
    except InvalidParameter:
        raise
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())  # it quotes the template, line breaks included
        raise InvalidParameter(
            f"{option('name', template)} cannot be filled in ({reason}): expected a name such as "
            "'{stem}_{recipe}'."
        ) from error
    fields = ("" if field is None else "_" for _, field, *_ in parts)
    without_values = "".join(map("".join, zip((part[0] for part in parts), fields, strict=True)))
    # A stem that its own file system allows is allowed there again: only Windows forbids more.
    checked = text if os.name == "nt" else "".join(literal for literal, *_ in parts)
    is_foreign = any(character in checked for character in _FOREIGN)
    if not is_inside(without_values) or is_foreign:
        raise InvalidParameter(
            f"{option('name', template)} gives {text!r} for {item.input!r}: expected a name within "
            "the batch's folder."
        )
    return text
