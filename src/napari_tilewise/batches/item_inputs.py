"""Further images that differ from item to item: paths with fields, such as ``masks/{stem}.tif``."""

from __future__ import annotations

import os
from pathlib import PurePosixPath
from string import Formatter
from typing import TYPE_CHECKING, Any

from napari_tilewise.errors import InvalidParameter, SourceNotFound, did_you_mean, option
from napari_tilewise.io.cropped_image import crop_image
from napari_tilewise.io.readers.locations import home_path
from napari_tilewise.io.readers.open_image import open_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.batches.items import Item
    from napari_tilewise.types import Parameters

WHOLE = "image"
"""The field with the stem of the whole image, of which an item may be a part."""


def is_template(image: object) -> bool:
    """Return whether a further image is a path with fields in braces; a file of that name is none.

    Parameters
    ----------
    image
        A further image of a recipe.
    """
    if not isinstance(image, str | os.PathLike):
        return False
    text = os.fspath(image)
    return "{" in text and not os.path.lexists(home_path(text)) and bool(_fields(text))


def check_inputs(inputs: Parameters, items: Sequence[Item]) -> None:
    """Check the fields of all paths before anything runs.

    Parameters
    ----------
    inputs
        The further images by name.
    items
        The items; a field that only some of them have is a failure of the others.

    Raises
    ------
    InvalidParameter
        When a path has a field that no item has, or its braces do not match.
    """
    fields = set().union(*map(_values, items)) if items else set()
    for name, image in inputs.items():
        if not is_template(image):
            continue
        for field in _fields(os.fspath(image)):
            if items and field not in fields:
                raise InvalidParameter(
                    f"{option('inputs', {name: image})} has the unknown field "
                    f"{{{repr(field)[1:-1]}}}: "
                    f"expected {', '.join(f'{{{key}}}' for key in sorted(fields))}."
                    f"{did_you_mean(field, fields)}"
                )


def inputs_of(item: Item, inputs: Parameters) -> dict[str, Any]:
    """Return an item's further images: paths with their fields filled in.

    Parameters
    ----------
    item
        The item.
    inputs
        The further images by name.

    Raises
    ------
    SourceNotFound
        When the item has no such file.
    """
    return {
        name: _filled(item, name, os.fspath(image)) if is_template(image) else image
        for name, image in inputs.items()
    }


def _filled(item: Item, name: str, template: str) -> Any:
    values = _values(item)
    try:
        path = template.format(**values)
    except KeyError as error:
        raise SourceNotFound(
            f"{item.input!r} has no {{{error.args[0]}}}, which its {name!r} is named after "
            f"({template!r}): expected one of {', '.join(f'{{{key}}}' for key in sorted(values))}."
        ) from None
    if "://" not in path:
        path = os.path.abspath(home_path(path))
        if not os.path.lexists(path):
            raise SourceNotFound(
                f"{item.input!r} has no {name!r}: {path!r} does not exist. Add the file, or change "
                f"{option('inputs', {name: template})}."
            )
    if item.parts is None or WHOLE not in _fields(template):
        return path
    image = open_image(path)
    return crop_image(image, item.parts, path, path)


def _values(item: Item) -> dict[str, Any]:
    """Return the fields of an item: those of its name, and what else is fields of it."""
    source = item.source if isinstance(item.source, str) else item.stem
    return {
        **item.fields,
        "stem": item.stem,
        WHOLE: item.whole or item.stem,
        "index": item.index,
        "folder": item.folder,
        "parent": PurePosixPath(source.replace(os.sep, "/")).parent.name,
    }


def _fields(template: str) -> list[str]:
    try:
        return [field for _, field, _, _ in Formatter().parse(template) if field]
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise InvalidParameter(
            f"{template!r} cannot be filled in ({reason}): expected a path such as "
            "'masks/{stem}.tif'."
        ) from error
