"""The data type of an output: one more step, which scikit-image has for each type.

These steps rescale intensities from the range of one type to that of the other, and refuse what
they cannot rescale, such as a float image beyond -1 to 1. Nothing wraps around.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from napari_tilewise.errors import InvalidImage, InvalidParameter, did_you_mean, option
from napari_tilewise.operations.spec.kinds import Output

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tilewise.recipe.recipe import Recipe

CONVERSIONS: Mapping[str, str] = MappingProxyType(
    {
        "uint8": "util.img_as_ubyte",
        "uint16": "util.img_as_uint",
        "int16": "util.img_as_int",
        "float32": "util.img_as_float32",
        "float64": "util.img_as_float64",
        "bool": "util.img_as_bool",
    }
)
"""The operation that converts to each data type."""


def conversion_to(dtype: object) -> str:
    """Return the operation that converts to a data type.

    Parameters
    ----------
    dtype
        Its name, such as ``"uint8"``.

    Raises
    ------
    InvalidParameter
        When there is none.
    """
    if isinstance(dtype, str) and dtype in CONVERSIONS:
        return CONVERSIONS[dtype]
    raise InvalidParameter(
        f"{option('dtype', dtype)}: expected one of {', '.join(CONVERSIONS)}."
        f"{did_you_mean(str(dtype), CONVERSIONS)}"
    )


def with_data_type(recipe: Recipe, dtype: str) -> Recipe:
    """Return a recipe that ends with a conversion to a data type.

    Parameters
    ----------
    recipe
        The recipe.
    dtype
        Name of the data type, such as ``"uint8"``.

    Raises
    ------
    InvalidParameter
        When there is no conversion to this type.
    InvalidImage
        When the result is not an image of intensities: labels are numbers of objects, which a
        conversion would change.
    """
    conversion = conversion_to(dtype)
    if recipe.output not in (Output.IMAGE, Output.MASK):
        raise InvalidImage(
            f"{option('dtype', dtype)}: the result is {recipe.output}, whose numbers would no "
            "longer be the same; expected an image of intensities or a mask: omit it."
        )
    return recipe.inserted(len(recipe.steps), conversion)
