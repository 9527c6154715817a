"""Write the pages of operations with pictures, one per module, when the site is built.

Nothing of it is committed. A picture shows an image that scikit-image ships, and what the operation
makes of it, as a step of a recipe, with the parameters that a form starts with.
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from operations import MODULES, halo, note
from skimage import color, data, feature, filters, measure, transform
from skimage.io import imsave

from napari_tilewise._napari.forms.form_values import initial_value
from napari_tilewise.axes import AxisSelection
from napari_tilewise.engine.build import StackLayout, build
from napari_tilewise.engine.control import Control
from napari_tilewise.engine.session import Session
from napari_tilewise.engine.stack_results import results_of
from napari_tilewise.errors import TilewiseError
from napari_tilewise.operations import BUILT_IN
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.kinds import Kind, Output
from napari_tilewise.operations.spec.parameters import (
    AlignedImage,
    Array,
    Footprint,
    Number,
    OtherImage,
    Parameter,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_tilewise.operations.spec.operation import Operation

SIDE = 128
"""Pixels along an axis of the images."""
SLOW_SIDE = 48
"""The same for operations whose declaration says that scikit-image's function is slow."""
DEPTH = 8
GAP = 8
"""Pixels between the image and the result."""
ZOOM = 2
THICK = 24
"""Pixels of a line of pixels across."""
LEAST = 0.02
"""Part of a mask that must differ from the rest."""
RED = (255, 40, 40)
PLAIN = str | float | int | tuple | dict
"""Values that the call on a page shows."""
INDEX = """\
# Operations in pictures

Each operation on a small image, before and after, with the parameters that a form in napari starts
with; a threshold is shown as the mask above it. How each one tiles is in
[the table of all operations](../../operations.md).
"""


class Sample(NamedTuple):
    """An image to try an operation on."""

    pixels: np.ndarray
    channel: int | None = None


# -- images that scikit-image ships ----------------------------------------------------------------


@cache
def coins() -> np.ndarray:
    """Return bright objects on a dark ground."""
    return data.coins()[60 : 60 + SIDE, 100 : 100 + SIDE]


@cache
def mask() -> np.ndarray:
    """Return the objects' pixels."""
    return coins() > filters.threshold_otsu(coins())


@cache
def labels() -> np.ndarray:
    """Return the objects, numbered."""
    return measure.label(mask())


@cache
def photo() -> np.ndarray:
    """Return an image of three channels."""
    return data.astronaut()[20 : 20 + SIDE, 140 : 140 + SIDE]


@cache
def volume() -> np.ndarray:
    """Return planes of one object that changes."""
    turned = [transform.rotate(coins(), 2 * z, preserve_range=True) for z in range(DEPTH)]
    return np.stack(turned)[:, 40:120, 40:120].astype(np.uint8)


@cache
def seeds() -> np.ndarray:
    """Return one labelled pixel per object, and one of the ground."""
    points = np.zeros(coins().shape, int)
    for region in measure.regionprops(labels()):
        if region.area > 100:
            points[tuple(int(n) for n in region.centroid)] = region.label
    points[0, 0] = labels().max() + 1
    return points


@cache
def matrices() -> np.ndarray:
    """Return the elements of a symmetric matrix per pixel, along the first axis."""
    elements = feature.hessian_matrix(coins(), sigma=2, use_gaussian_derivatives=False)
    return np.stack(elements)


@cache
def photo_with_alpha() -> np.ndarray:
    """Return an image of four channels, the last its opacity."""
    opacity = np.broadcast_to(np.linspace(0, 255, SIDE)[:, None], (SIDE, SIDE))
    return np.dstack([photo(), opacity.astype(np.uint8)])


def in_space(name: str) -> np.ndarray:
    """Return the photo in a colour space that scikit-image converts to, such as ``lab``."""
    convert = getattr(color, f"rgb2{name}", None)
    return photo() if convert is None else convert(photo())


def centre(pixels: np.ndarray, lengths: tuple[int, ...]) -> np.ndarray:
    """Return the middle of each plane."""
    starts = [max(0, n - size) // 2 for n, size in zip(pixels.shape[-2:], lengths, strict=True)]
    return pixels[(..., *(slice(a, a + n) for a, n in zip(starts, lengths, strict=True)))]


def samples(operation: Operation) -> Iterator[Sample]:
    """Yield images for an operation, those that its family is about first."""
    gray, colour = Sample(coins()), Sample(photo(), -1)
    binary, numbered = Sample(mask()), Sample(labels())
    first = {
        families.LABELS: (numbered, binary),
        families.OBJECTS: (binary, numbered),
        families.REGIONS: (numbered, binary),
        families.COLOUR: (colour,),
    }.get(operation.family, ())
    if operation.family == families.COLOUR_SPACES:
        space = in_space(operation.name.rpartition(".")[2].partition("2")[0])
        first = (Sample(space, -1),)
    if operation.family == families.TEXTURE and operation.kind is Kind.POINTWISE:
        first = (Sample(matrices()),)  # a texture is in neighbours: these pixels must hold them
    yield from first
    yield from (
        gray,
        binary,
        numbered,
        colour,
        Sample(coins() / 255),
        Sample(photo_with_alpha(), -1),
        Sample(volume()),
    )


def further(spec: AlignedImage, sample: Sample) -> np.ndarray:
    """Return a further image of the role that an operation asks for."""
    pixels = sample.pixels
    if isinstance(spec, OtherImage):
        return pixels[tuple(slice(20, 60) for _ in pixels.shape[:2])]
    if spec.role == "limit":
        return np.maximum(pixels, np.roll(pixels, 9, 0))
    if spec.like:
        return np.roll(pixels, 9, 0)
    shape = pixels.shape if sample.channel is None else pixels.shape[:-1]
    image = {"labels": labels, "seeds": seeds, "mask": mask}.get(spec.role, coins)()
    return np.broadcast_to(centre(image, shape[-2:]), shape).copy()


def argument(parameter: Parameter, sample: Sample) -> Any:
    """Return the value that a form starts with; images by their role."""
    spec, ndim = parameter.spec, sample.pixels.ndim - (sample.channel is not None)
    if parameter.required and isinstance(spec, AlignedImage):
        return further(spec, sample)
    if parameter.required and _is_point(spec):
        return _inmost(sample.pixels)
    if parameter.required and getattr(spec, "samples", ()):
        return spec.samples[0]
    if parameter.required and isinstance(spec, Footprint):
        return {"shape": "disk" if ndim == 2 else "ball", "radius": 3}
    value = initial_value(parameter, ndim)
    if value is None and parameter.required and isinstance(spec, Array):
        return np.full((3,) * (ndim if spec.ndim is None else spec.ndim), 1 / 3**ndim)
    if value is None and parameter.required and isinstance(spec, Number):
        return spec.usual[1]
    return value


def _is_point(spec: Any) -> bool:
    """Return whether a parameter takes a pixel's coordinates, which may count from the end."""
    return isinstance(spec, Number) and spec.integer and spec.per_axis and spec.minimum == -np.inf


def _inmost(pixels: np.ndarray) -> tuple[int, ...]:
    """Return the brightest pixel, the nearest to the middle of several."""
    brightest = np.argwhere(pixels == pixels.max())
    middle = np.array(pixels.shape) / 2
    return tuple(brightest[np.argmin(((brightest - middle) ** 2).sum(1))].tolist())


def _table(operation: Operation, pixels: np.ndarray) -> dict[str, Any]:
    """Return values of the image, and what each becomes, for an operation that takes such lists."""
    lists = {
        name: parameter.spec
        for name, parameter in operation.parameters.items()
        if parameter.required and isinstance(parameter.spec, Array) and parameter.spec.ndim == 1
    }
    if not any(spec.integer for spec in lists.values()):
        return {}
    levels = np.unique(pixels)
    shuffled = np.roll(levels, len(levels) // 2)
    return {name: levels if spec.integer else shuffled for name, spec in lists.items()}


def arguments(operation: Operation, sample: Sample) -> dict[str, Any]:
    """Return the parameters that differ from scikit-image's defaults, and the images."""
    values = {
        name: argument(parameter, sample)
        for name, parameter in operation.parameters.items()
        if parameter.required
    }
    values |= _table(operation, sample.pixels)
    if operation.channel is not None and sample.channel is not None:
        values[operation.channel] = sample.channel
    return operation.satisfying(values, sample.pixels)


# -- pictures --------------------------------------------------------------------------------------


class Picture(NamedTuple):
    """What an operation makes of an image."""

    sample: Sample
    values: dict[str, Any]
    output: Output
    result: np.ndarray

    @property
    def is_flat(self) -> bool:
        """Whether the result looks like nothing."""
        if self.result.size == 0:
            return True
        if np.array_equal(self.result, self.sample.pixels):
            return True
        if self.output is Output.MASK:
            if np.array_equal(self.result, self.sample.pixels != 0):
                return True
            return not LEAST < np.mean(self.result != 0) < 1 - LEAST
        return bool(np.ptp(np.nan_to_num(np.abs(self.result) * 1.0)) == 0)


def picture(operation: Operation) -> Picture | None:
    """Return the operation on the first image that it takes and that shows what it does.

    None where it makes no image of any, or where only a function of the reader's could be tried.
    """
    step = operation.as_step()
    if not (step.output.is_image or step.output is Output.POINTS):
        return None
    side = SLOW_SIDE if operation.cost.trial.length else SIDE
    flat = None
    for sample in samples(operation):
        cut = sample._replace(pixels=cropped(operation, sample, side))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of images that are not what a function is meant for
            try:
                values = arguments(step, cut)
                layout = StackLayout(AxisSelection(None, None), "auto")
                stack = build(step, cut.pixels, values, Session(None, Control()), layout)
                first = results_of(stack, eager=True)[0]
            except TilewiseError:
                continue
        drawing = Picture(cut, values, first.output, np.asarray(first.value))
        if not drawing.is_flat:
            return drawing
        flat = flat or drawing
    return flat


def cropped(operation: Operation, sample: Sample, side: int) -> np.ndarray:
    """Return an image's pixels, no more than to try the operation on, of lengths that it takes."""
    if sample.channel is not None:
        return sample.pixels[:side, :side]
    pixels = centre(sample.pixels, (side, side))
    nearest = operation.limits.nearest_shape
    return pixels if nearest is None else pixels[tuple(map(slice, nearest(pixels.shape)))]


def plane(pixels: np.ndarray, *, colour: bool) -> np.ndarray:
    """Return two axes to look at, and one for colours."""
    axes = 3 if colour else 2
    while pixels.ndim > axes:
        odd = [axis for axis, n in enumerate(pixels.shape) if n not in (SIDE, SLOW_SIDE)]
        axis = odd[0] if odd else 0
        pixels = pixels.take(pixels.shape[axis] // 2, axis)
    return pixels if pixels.ndim > 1 else np.repeat(pixels[None], THICK, 0)


def shown(pixels: np.ndarray, output: Output, *, colour: bool = False) -> np.ndarray:
    """Return pixels as red, green and blue."""
    values = plane(pixels, colour=colour)
    if colour:
        values = values[..., :3]  # opacity is not shown
    if output is Output.LABELS and values.dtype != bool:
        return (255 * color.label2rgb(values.astype(int), bg_label=0)).astype(np.uint8)
    values = np.nan_to_num(np.abs(values) if values.dtype.kind == "c" else values * 1.0)
    low, high = values.min((0, 1)), values.max((0, 1))
    if colour and low.min() >= 0 and (high.max() <= 1 or values.dtype == np.uint8):
        low, high = 0, 1
    values = (values - low) / np.maximum(np.subtract(high, low), 1e-12)
    gray = (255 * np.clip(values, 0, 1)).astype(np.uint8)
    return gray if colour else np.repeat(gray[..., None], 3, -1)


def drawn(drawing: Picture) -> np.ndarray:
    """Return the image and the result beside each other."""
    pixels, colour = drawing.sample.pixels, drawing.sample.channel is not None
    kind = Output.LABELS if pixels.dtype.kind == "i" else Output.IMAGE
    before = shown(pixels, kind, colour=colour)
    if drawing.output is Output.POINTS:
        after = before.copy()
        for row in drawing.result:
            y, x = (int(n) for n in row[pixels.ndim - 2 : pixels.ndim])
            after[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2] = RED
    else:
        still = colour and drawing.result.ndim > 2 and drawing.result.shape[-1] in (3, 4)
        after = shown(drawing.result, drawing.output, colour=still)
    height = max(len(before), len(after))
    gap = np.full((height, GAP, 3), 255, np.uint8)
    padded = [
        np.pad(i, ((0, height - len(i)), (0, 0), (0, 0)), constant_values=255)
        for i in (before, after)
    ]
    whole = np.concatenate([padded[0], gap, padded[1]], 1)
    return whole.repeat(ZOOM, 0).repeat(ZOOM, 1)


# -- pages -----------------------------------------------------------------------------------------


def cell(text: str) -> str:
    """Return a text for a table's cell."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "\\<")


def entry(operation: Operation, folder: Path) -> Iterator[str]:
    """Yield the lines of an operation, and write its picture."""
    drawing = picture(operation)
    name = operation.name
    yield f"({name})=\n## {name.rpartition('.')[2]}\n"
    if operation.deprecated:
        yield f"Deprecated: {operation.deprecated}\n"
    yield f"{cell(operation.summary)}\n"
    keywords = ""
    if drawing is not None:
        imsave(folder / f"{name}.png", drawn(drawing), check_contrast=False)
        plain = {
            k: v
            for k, v in drawing.values.items()
            if isinstance(v, str | float | int | tuple | dict)
        }
        keywords = "".join(f", {key}={value!r}" for key, value in plain.items())
        keywords += "".join(f", {key}=..." for key in drawing.values if key not in plain)
        yield f":::{{image}} {name}.png\n:alt: An image, and what {name} makes of it\n:::\n"
    yield f'```py\ntw.apply("{name}", image{keywords})\n```\n'
    facts = [operation.kind, operation.exactness, f"gives {operation.output}"]
    reach = halo(operation)
    facts += [f"halo: {reach}"] if reach != "-" else []
    yield f"{', '.join(facts)}. {note(operation)}\n"
    if operation.parameters:
        yield "| parameter | default | expected |\n|---|---|---|"
        for item in operation.parameters.values():
            default = "required" if item.required else f"`{item.default!r}`"
            yield f"| `{item.name}` | {cell(default)} | {cell(item.spec.describe())} |"
        yield ""


def write_pages(folder: Path) -> None:
    """Write a page per module, and the page that lists them.

    Parameters
    ----------
    folder
        Where; it is created.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for module in MODULES:
        operations = [op for op in BUILT_IN.values() if op.category == module]
        if not operations:
            continue
        names.append(module)
        ordered = sorted(operations, key=lambda op: (bool(op.deprecated), op.name))
        lines = [f"# {module}\n", *(line for op in ordered for line in entry(op, folder))]
        (folder / f"{module}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for operation in BUILT_IN.values():
        if operation.output.is_image and not (folder / f"{operation.name}.png").exists():
            raise LookupError(f"{operation.name} has no picture: no sample is an image for it")
    listed = "\n".join(names)
    text = f"{INDEX}\n```{{toctree}}\n:maxdepth: 1\n{listed}\n```\n"
    (folder / "index.md").write_text(text, encoding="utf-8")
