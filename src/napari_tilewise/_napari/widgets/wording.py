"""The texts of the panels: titles, and an operation's kind, exactness and values."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from napari_tilewise._napari.widgets.plain_words import label, pixel_type, plain_sentences
from napari_tilewise._napari.widgets.theme_colours import Tone, colour
from napari_tilewise.errors import TilewiseError
from napari_tilewise.operations import OPERATIONS
from napari_tilewise.operations.spec.docstrings import resolve
from napari_tilewise.operations.spec.docstrings import result_names as result_names_of
from napari_tilewise.operations.spec.libraries import function_path, library_of
from napari_tilewise.operations.spec.operation import Exactness, Kind, Output

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.operations.summary import OperationSummary
    from napari_tilewise.recipe import Step
    from napari_tilewise.types import Parameters, Value

RECIPE_FILES = "Recipes (*.yaml *.yml)"
"""The filter of dialogs that ask for a recipe."""


PAGES = {
    "skimage": "https://scikit-image.org/docs/stable/api/{module}.html#{path}",
    "scipy": "https://docs.scipy.org/doc/scipy/reference/generated/{path}.html",
    "numpy": "https://numpy.org/doc/stable/reference/generated/{path}.html",
}
"""The pages of functions, by their packages."""

BREAK = "\N{ZERO WIDTH SPACE}"
"""Where a line may break."""
KINDS: Mapping[Kind, str] = {
    Kind.POINTWISE: "Pointwise: each pixel on its own.",
    Kind.NEIGHBOURHOOD: "Neighbourhood filter{halo}.",
    Kind.STATISTIC: "Global statistic: reads the whole image first, tile by tile{halo}.",
    Kind.CONNECTED: "Connected components: joined across tiles{halo}.",
    Kind.GEOMETRY: "Geometry: each output tile reads its own part of the input.",
    Kind.ITERATIVE: "Iterative{halo}.",
    Kind.WHOLE: "Needs the whole image in memory at once.",
}
"""The meaning of each kind; ``{halo}`` is the number of neighbours that a tile needs."""

CATEGORIES: Mapping[str, str] = {
    "filters.rank": "Rank filters",
    "color": "Colour",
    "util": "Utilities",
}
"""Names of scikit-image's modules that are not just capitalised."""


def category(name: str) -> str:
    """Return a category's readable name: ``filters.rank`` is ``Rank filters``."""
    text = name.replace(".", " ").replace("_", " ")
    return CATEGORIES.get(name, text[:1].upper() + text[1:])


def title(op: Operation | OperationSummary) -> str:
    """Return an operation's title as lists show it."""
    return f"{op.title} (deprecated)" if op.deprecated else op.title


def kind(op: Operation, ndim: int, params: Parameters) -> str:
    """Return how an operation tiles, with the halo of its parameters.

    Parameters
    ----------
    op
        An operation of the catalogue.
    ndim
        Number of spatial axes.
    params
        Parameters other than the defaults.
    """
    return KINDS[op.kind].format(halo=_halo(op, ndim, params))


def _halo(op: Operation, ndim: int, params: Parameters) -> str:
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


def plain_tooltip(text: str) -> str:
    """Return a text for a tooltip, where Qt would interpret names that look like markup.

    Parameters
    ----------
    text
        Any text, such as the name of a file.
    """
    return f"<qt>{html.escape(text)}</qt>" if "<" in text else text


def result_names(key: str) -> tuple[str, ...]:
    """Return the names of an operation's results as its documentation gives them; may be empty.

    Parameters
    ----------
    key
        The operation's key.
    """
    op = OPERATIONS.get(key)
    if op is None or op.adapter.digest:
        return ()
    return tuple(name.replace("_", " ") for name in result_names_of(resolve(key)))


def function(op: Operation) -> str:
    """Return the dotted name of an operation's function."""
    return op.name if op.adapter.digest else function_path(op.name)


def page(op: Operation) -> str:
    """Return the address of the page that documents an operation's function; empty for a user's.

    Parameters
    ----------
    op
        An operation of the catalogue.
    """
    if op.adapter.digest:
        return ""
    path, library = function_path(op.name), library_of(op.name)
    return PAGES[library.package].format(path=path, module=path.rpartition(".")[0])


def page_link(op: Operation) -> str:
    """Return a link to an operation's page as rich text; empty for a user's function."""
    address = page(op)
    library = library_of(op.name).title
    style = f"color: {colour(Tone.LINK)}"
    name = function(op).replace(".", f".{BREAK}")  # long ones wrap in narrow panels
    return address and f'<a style="{style}" href="{address}">{name}</a> ({library})'


def exactness(op: Operation) -> str:
    """Return how close an operation's tiled result is to the whole image's."""
    whole = "the function" if op.adapter.digest else library_of(op.name).title
    if op.exactness is Exactness.IDENTICAL:
        return f"Result identical to {whole} on the whole image."
    if op.exactness is Exactness.CLOSE:
        return f"Result within {op.tolerance:.0e} of {whole} on the whole image."
    note = plain_sentences(op.note or "") or f"differs from {whole} on the whole image near tiles"
    return f"Approximate: {note}"


def progress(done: int, total: int, unit: str = "tiles") -> str:
    """Return a progress as text: ``3 of 1,024 tiles``.

    Parameters
    ----------
    done
        Number of finished units.
    total
        Number of all units.
    unit
        The plural of the unit.
    """
    return f"{done:,} of {total:,} {unit.removesuffix('s') if total == 1 else unit}"


def count(number: int, unit: str) -> str:
    """Return a number of things: ``1,024 objects``, ``1 object``.

    Parameters
    ----------
    number
        How many.
    unit
        Their plural.
    """
    return f"{number:,} {unit.removesuffix('s') if number == 1 else unit}"


OUTPUTS: Mapping[Output, str] = {Output.SCALAR: "a number", Output.VALUES: "numbers"}
"""Kinds of results whose names are not shown as they are."""

LONGEST = 28
"""The most characters of a value in a list."""


def output_name(step: Step) -> str:
    """Return the kind of a step's result, such as ``mask``.

    Parameters
    ----------
    step
        A step of a recipe.
    """
    output = step.op.as_step().output
    return OUTPUTS.get(output, output.value)


def values(step: Step) -> str:
    """Return a step's parameters as short text: ``sigma 2, mode wrap``.

    Parameters
    ----------
    step
        A step of a recipe.
    """
    return ", ".join(f"{label(key)} {value(item)}" for key, item in step.parameters.items())


def value(item: Value) -> str:
    """Return a parameter's value as short text.

    Parameters
    ----------
    item
        A plain value, as steps have them.
    """
    if isinstance(item, bool) or item is None:
        return {True: "yes", False: "no", None: "auto"}[item]
    if isinstance(item, dict) and "shape" in item:
        return " ".join(str(part) for part in item.values())
    if isinstance(item, tuple):
        text = ", ".join(map(value, item))
        item = f"({text})"
    text = pixel_type(str(item))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def spatial(over: str | tuple[int, ...] | None) -> str:
    """Return a step's spatial axes as short text; empty for all axes.

    Parameters
    ----------
    over
        Letters or numbers, as a step has them.
    """
    if over is None:
        return ""
    axes = over if isinstance(over, str) else f"axes {', '.join(map(str, over))}"
    return f"plane by plane ({axes})" if len(over) == 2 else f"volume ({axes})"
