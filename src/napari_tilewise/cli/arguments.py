"""Parses arguments of the commands: recipes, parameters, inputs and lengths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_tilewise import errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_tilewise.recipe import Recipe


def parse_recipe(
    name: str, assignments: Sequence[str], inputs: Sequence[str] = (), *, dtype: str | None = None
) -> tuple[Recipe, dict[str, str]]:
    """Return a recipe from an operation's name or a file, and the paths of its inputs.

    Parameters
    ----------
    name
        An operation's name or the path of a recipe.
    assignments
        Parameters of the operation as ``name=value``, values as YAML; those of further images, such
        as masks, are paths, and become inputs.
    inputs
        Further images of the operation or the recipe as ``name=path``.
    dtype
        Data type that the result is converted to.

    Raises
    ------
    TilewiseError
        When the operation, the recipe, a parameter or a value is invalid.
    """
    from napari_tilewise.recipe import with_data_type

    recipe, paths = _parse_recipe(name, assignments, inputs)
    return recipe if dtype is None else with_data_type(recipe, dtype), paths


def _parse_recipe(
    name: str, assignments: Sequence[str], inputs: Sequence[str]
) -> tuple[Recipe, dict[str, str]]:
    from napari_tilewise.operations import get_operation
    from napari_tilewise.recipe import SUFFIXES, Recipe, Step

    params, paths = parse_params(assignments), parse_inputs(inputs)
    if not name.lower().endswith(SUFFIXES):
        images = get_operation(name).images
        _check_images(name, images, paths)
        for image in images:
            if isinstance(params.get(image), str):
                if image in paths:
                    raise errors.InvalidParameter(
                        f"{image} is given twice, with -p and with -i: give it once."
                    )
                paths[image] = params.pop(image)
        step = Step(name, params, inputs={image: image for image in paths})
        return Recipe([step], inputs=list(paths)), paths
    if params:
        raise errors.InvalidParameter(
            f"-p {assignments[0]} does not go with the recipe {name!r}: a recipe has its own "
            "parameters. Change them in the file."
        )
    return Recipe.load(name), paths


def _check_images(name: str, images: Sequence[str], paths: Mapping[str, str]) -> None:
    """Refuse the path of an image that an operation does not take."""
    for image in paths:
        if image not in images:
            expected = f"expected one of {', '.join(images)}" if images else "it takes only SRC"
            hint = errors.did_you_mean(image, images)
            raise errors.InvalidParameter(
                f"-i {image}=...: {name} has no further image {image!r}; {expected}.{hint}"
            )


def parse_params(assignments: Sequence[str]) -> dict[str, Any]:
    """Return parameters, their values parsed as YAML.

    Parameters
    ----------
    assignments
        Texts such as ``sigma=3``.

    Raises
    ------
    InvalidParameter
        When a text has another form, or a name comes twice.
    """
    from napari_tilewise.recipe.file import parse_value

    texts = _split("-p", assignments, "name=value, such as -p sigma=3")
    return {
        name: None if value.strip() == "None" else parse_value(value)
        for name, value in texts.items()
    }


def parse_inputs(assignments: Sequence[str]) -> dict[str, str]:
    """Return the paths of a recipe's inputs.

    Parameters
    ----------
    assignments
        Texts such as ``markers=seeds.ome.zarr``.

    Raises
    ------
    InvalidParameter
        When a text has another form, or a name comes twice.
    """
    inputs = _split("--input", assignments, "name=path, such as --input markers=seeds.ome.zarr")
    for name, path in inputs.items():
        if not path:
            raise errors.InvalidParameter(f"--input {name}=: a path is missing after the name.")
    return inputs


def _split(option: str, assignments: Sequence[str], form: str) -> dict[str, str]:
    """Split each text at its first equals sign."""
    values: dict[str, str] = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not (equals and name):
            raise errors.InvalidParameter(f"{option} {text}: expected {option} {form}.")
        if name in values:
            raise errors.InvalidParameter(f"{option} {name}=... occurs twice: give it once.")
        values[name] = value
    return values


def parse_lengths(option: str, text: str | None) -> int | list[int | None] | None:
    """Return one length, or one per axis; a colon stands for the whole axis.

    Parameters
    ----------
    option
        Name of the option, for the message.
    text
        The text, such as ``256`` or ``16,:,3``; None gives None.

    Raises
    ------
    InvalidParameter
        When a part is not an integer.
    """
    if text is None:
        return None
    try:
        lengths = [None if part == ":" else int(part) for part in text.split(",")]
    except ValueError:
        raise errors.InvalidParameter(
            f"--{option} {text}: expected integers, such as 256 or 16,:,3."
        ) from None
    return lengths[0] if len(lengths) == 1 and lengths[0] is not None else lengths
