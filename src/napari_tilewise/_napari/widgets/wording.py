"""An operation's kind and exactness, said in words: what a tile needs and what it promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_tilewise.errors import TilewiseError
from napari_tilewise.operations.spec.operation import Exactness, Kind, Output

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.recipe import Step

PLUGIN = "napari-tilewise"
FAINT = "#8b8f98"
"""A grey that can be read on napari's dark theme and on its light one."""

KINDS: Mapping[Kind, str] = {
    Kind.POINTWISE: "Pointwise: each pixel on its own.",
    Kind.NEIGHBOURHOOD: "Neighbourhood filter{halo}.",
    Kind.STATISTIC: "Global statistic: reads the whole image first, tile by tile{halo}.",
    Kind.CONNECTED: "Connected regions: pieces are joined across tiles{halo}.",
    Kind.GEOMETRY: "Geometry: each output tile reads its own part of the input.",
    Kind.ITERATIVE: "Iterative{halo}.",
    Kind.WHOLE: "Needs the whole image in memory at once.",
}
"""What each kind means for the user; ``{halo}`` tells the neighbours that a tile needs."""

CATEGORIES: Mapping[str, str] = {
    "filters.rank": "Rank filters",
    "color": "Colour",
    "util": "Utilities",
}
"""Names of scikit-image's modules where capitalising does not give one."""


def category(name: str) -> str:
    """Return a category's readable name: ``filters.rank`` is ``Rank filters``."""
    words = name.replace(".", " ").replace("_", " ")
    return CATEGORIES.get(name, words[:1].upper() + words[1:])


def title(op: Operation) -> str:
    """Return an operation's title as lists show it."""
    return f"{op.title} (deprecated)" if op.deprecated else op.title


def kind(op: Operation, ndim: int, params: Mapping[str, Any]) -> str:
    """Return how the operation tiles, with the halo that these parameters need.

    Parameters
    ----------
    op
        The operation.
    ndim
        Number of spatial axes.
    params
        Parameters; those left out keep their defaults.
    """
    return KINDS[op.kind].format(halo=_halo(op, ndim, params))


def _halo(op: Operation, ndim: int, params: Mapping[str, Any]) -> str:
    numbers = {k: v for k, v in params.items() if k not in {*op.images, op.channel}}
    try:
        reach = [max(pair) for pair in op.halo(ndim, **numbers)]
    except TilewiseError:
        return ""
    if not any(reach):
        return ""
    same = len(set(reach)) == 1
    amount = str(reach[0]) if same else " × ".join(map(str, reach))
    return f": needs {amount} px around each tile"


def function(op: Operation) -> str:
    """Return what a script calls the operation's function."""
    return op.name if op.adapter.digest else f"skimage.{op.name}"


def exactness(op: Operation) -> str:
    """Return what the operation promises of a tiled result."""
    whole = "the function" if op.adapter.digest else "scikit-image"
    if op.exactness is Exactness.IDENTICAL:
        return f"Result identical to {whole} on the whole image."
    if op.exactness is Exactness.CLOSE:
        return f"Result within {op.tolerance:.0e} of {whole} on the whole image."
    return f"Approximate: {op.note or f'differs from {whole} on the whole image near tiles'}"


def label(parameter: str) -> str:
    """Return a parameter's name as a form shows it."""
    return parameter.replace("_", " ")


GIVES: Mapping[Output, str] = {Output.SCALAR: "a number", Output.VALUES: "numbers"}
"""What a step gives, in words, where its name does not say it."""

LONGEST = 28
"""Characters of a value in a list, at most."""


def gives(step: Step) -> str:
    """Return what a step gives, in one word or two.

    Parameters
    ----------
    step
        The step.
    """
    output = step.op.as_step().output
    return GIVES.get(output, output.value)


def values(step: Step) -> str:
    """Return a step's parameters in short words: ``sigma 2, mode wrap``.

    Parameters
    ----------
    step
        The step.
    """
    told = [f"{label(key)} {value(item)}" for key, item in step.parameters.items()]
    return ", ".join(told)


def value(item: Any) -> str:
    """Return a parameter's value in short words.

    Parameters
    ----------
    item
        A plain value.
    """
    if isinstance(item, bool) or item is None:
        return {True: "yes", False: "no", None: "auto"}[item]
    if isinstance(item, dict) and "shape" in item:
        return " ".join(str(part) for part in item.values())
    if isinstance(item, tuple):
        text = ", ".join(map(value, item))
        item = f"({text})"
    text = str(item)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def spatial(over: str | tuple[int, ...] | None) -> str:
    """Return the axes that a step runs over, in short words; nothing where it runs over all.

    Parameters
    ----------
    over
        As a step holds them.
    """
    if over is None:
        return ""
    axes = over if isinstance(over, str) else f"axes {', '.join(map(str, over))}"
    return f"plane by plane ({axes})" if len(over) == 2 else f"volume ({axes})"
