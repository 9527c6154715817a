"""A recipe as a Python script that reads as if a person wrote it, and gives the same result.

It has one statement per step. The tiled script calls the drop-in for scikit-image, or `apply` if
axes are looped over; the plain one needs only scikit-image and NumPy, and memory for the image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_tilewise import axes as _axes
from napari_tilewise.errors import InvalidRecipe
from napari_tilewise.functions.loading import MAIN_MODULES
from napari_tilewise.operations.spec.kinds import Output
from napari_tilewise.operations.spec.measuring.calibration import Calibration
from napari_tilewise.operations.spec.parameters import OtherImage
from napari_tilewise.recipe.data import to_data
from napari_tilewise.recipe.links import Link
from napari_tilewise.recipe.script.calls import (
    apply_call,
    function_call,
    needs_apply,
    plane_by_plane,
    step_code,
    user_module,
)
from napari_tilewise.recipe.script.code import Code, Group, call, lay_out, literal, one_line, wrap
from napari_tilewise.recipe.script.flow import ImageFlow
from napari_tilewise.recipe.script.frame import RESERVED, ScriptAlpha, ScriptFrame
from napari_tilewise.recipe.script.names import Variables, result_names
from napari_tilewise.recipe.step import SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.recipe.graph import StepGraph
    from napari_tilewise.recipe.step import Step
    from napari_tilewise.types import AxisNames, PathLike, SpatialAxes

_ALL = -1
"""The part of a result that is all of its images, stacked."""


def write(
    recipe: StepGraph,
    source: PathLike | None = None,
    destination: PathLike | None = None,
    *,
    plain: bool = False,
    spatial: SpatialAxes | None = None,
    axes: AxisNames | None = None,
) -> str:
    """Return the script of a recipe; see `Recipe.to_script`.

    Parameters
    ----------
    recipe
        The steps, with their links.
    source, destination
        Default paths that the script reads and writes.
    plain
        Whether the script needs only scikit-image and NumPy.
    spatial, axes
        The axes to run over and the names of the source's axes, as in a run.

    Raises
    ------
    InvalidRecipe
        If a script cannot express the recipe.
    InvalidAxes
        If the axes to run over are not among the image's.
    """
    flow, steps, statements = _statements(recipe, spatial, axes, plain=plain)
    frame = ScriptFrame(recipe, flow, source, destination, plain=plain)
    alpha = ScriptAlpha([]) if plain else steps.alpha()
    return frame.around(statements, steps.source, steps.inputs, steps.result, alpha)


def reads_alpha(recipe: StepGraph, axes: AxisNames | None) -> bool:
    """Return whether the first step takes the alpha of a picture.

    Parameters
    ----------
    recipe
        The steps, with their links.
    axes
        The names of the source's axes.
    """
    _, steps, _ = _statements(recipe, None, axes, plain=False)
    return steps.alpha().reading == "keep"


def write_cell(
    recipe: StepGraph,
    images: Mapping[str, str],
    *,
    plain: bool = False,
    axes: AxisNames | None = None,
) -> str:
    """Return a recipe as a cell of a notebook, which ends in the result.

    Parameters
    ----------
    recipe
        The steps, with their links.
    images
        The code of the source and of each input, by their names in the recipe.
    plain
        Whether the cell needs only scikit-image and NumPy.
    axes
        The names of the source's axes.

    Raises
    ------
    InvalidRecipe
        If a script cannot express the recipe.
    """
    flow, steps, statements = _statements(recipe, None, axes, plain=plain, is_cell=True)
    variables = {SOURCE: steps.source, **steps.inputs}
    code = {variables[name]: images[name] for name in variables}
    return ScriptFrame(recipe, flow, None, None, plain=plain).cell(statements, code, steps.result)


def _statements(
    recipe: StepGraph,
    spatial: SpatialAxes | None,
    axes: AxisNames | None,
    *,
    plain: bool,
    is_cell: bool = False,
) -> tuple[ImageFlow, _Steps, list[str]]:
    """Return the images of a recipe, and the statements of its steps."""
    to_data(recipe.steps, recipe.inputs, images=True)  # refuses images and functions
    recipe.output  # noqa: B018  # refuses a recipe without a running step
    for number in recipe.running:
        _check_home(number, recipe.steps[number].op)
    spatial_axes = spatial if spatial is None or isinstance(spatial, str) else tuple(spatial)
    flow = ImageFlow(recipe, _axes.parse(axes, len(axes)) if axes else None, spatial_axes)
    steps = _Steps(recipe, flow, plain=plain, is_cell=is_cell)
    return flow, steps, [line for number in recipe.running for line in steps.statements(number)]


def _check_home(number: int, operation: Operation) -> None:
    """Refuse a function that a script cannot import."""
    if user_module(operation) in MAIN_MODULES:
        raise InvalidRecipe(
            f"Step {number + 1} ({operation.name}) calls a function of the running program, which "
            "a script cannot import: move the function to a file of its own."
        )


def _as_literal(step: Step, links: Mapping[str, Link]) -> Code:
    """Return the code of a step as `Recipe` takes it: what a script needs for its pixel size."""
    if len(links) > 1:
        raise InvalidRecipe(
            f"{step.operation} moves the pixels by another image, so that a script does not know "
            "the pixel size after it: set spacing in the step that measures."
        )
    return Group("(", (literal(step.operation), literal(dict(step.parameters))), ")")


class _Steps:
    """The statements of a recipe's steps, and the variables of their results."""

    def __init__(
        self, recipe: StepGraph, flow: ImageFlow, *, plain: bool, is_cell: bool = False
    ) -> None:
        self._recipe = recipe
        self._flow = flow
        self._plain = plain
        self._is_cell = is_cell
        self._variables = Variables(RESERVED)
        self.inputs = {name: self._variables.new(name) for name in recipe.inputs}
        self.source = self._variables.new("image", "source_image")
        self._alpha = self._variables.new("alpha")
        self._results: dict[int, str] = {}
        self._parts: dict[tuple[int, int], str] = {}

    @property
    def result(self) -> str:
        """The code of the result that is written."""
        last = self._recipe.running[-1]
        work = self._flow.steps[last]
        if work.operation.result.split is None:
            return self._image(Link(last))
        if (last, _ALL) in self._parts:
            return self._parts[last, _ALL]
        axis = f", axis={work.view.front}" if work.view.front else ""
        return f"np.stack({self._results[last]}{axis})"

    def statements(self, number: int) -> Iterator[str]:
        """Yield the statements of a step: one, or plane by plane one for each result in use.

        Parameters
        ----------
        number
            Index of the step.
        """
        work = self._flow.steps[number]
        looped = work.view.plane_axes is not None
        if not looped or not (self._plain or work.operation.step.text != "{call}"):
            code = self._whole(number)
            name = self._results[number] = self._name(number)
            yield lay_out(wrap(f"{name} = ", code, ""))
            return
        for part in self._used(number) if work.several else [None]:
            code = self._by_plane(number, part)
            name = self._name(number)
            if part is None:
                self._results[number] = name
            else:
                self._parts[number, part] = name
            yield lay_out(wrap(f"{name} = ", code, ""))

    def alpha(self) -> ScriptAlpha:
        """Return what becomes of the alpha of the source, if it is a picture with one.

        Steps leave it as it is, unless they move pixels or convert them: it goes with the colours.
        """
        chain = self._chain()
        taking = [number for number in self._recipe.running if self._takes_alpha(number)]
        if taking:
            users = [n for n in self._recipe.running if self._is_on_source(n)]
            return ScriptAlpha([], "keep" if taking == users else "refuse")
        if not chain or not all(map(self._has_colours, chain)):
            return ScriptAlpha([])
        lines: list[str] = []
        images = [self.source]
        for number in chain:
            if self._flow.steps[number].operation.takes_alpha:
                lines += self._alpha_lines(images, is_first=not lines)
                moved = self._whole(number, self._alpha)
                start = f"{self._alpha} = None if {self._alpha} is None else "
                lines.append(lay_out(wrap(start, moved, "")))
                images = []
            images.append(self._results[number])
        lines += self._alpha_lines(images, is_first=not lines)
        return ScriptAlpha(lines, variable=self._alpha)

    def _alpha_lines(self, images: Sequence[str], *, is_first: bool) -> list[str]:
        """Return the line that reads the alpha, or leaves it out if results cannot have it."""
        arguments = images if len(images) > 1 else ()
        if not (is_first or arguments):
            return []
        code = call("keep_alpha", self._alpha, *arguments)
        if is_first:
            code = call("read_alpha", "args.source", *arguments)
        return [lay_out(wrap(f"{self._alpha} = ", code, ""))]

    def _chain(self) -> list[int]:
        """Return the steps from the source to the result, by their first images."""
        chain, link = [], Link(self._recipe.running[-1])
        while link.step is not None:
            chain.append(link.step)
            link = self._recipe.links[link.step][self._recipe.steps[link.step].first]
        return chain[::-1] if link.input == SOURCE else []

    def _is_on_source(self, number: int) -> bool:
        first = self._recipe.links[number][self._recipe.steps[number].first]
        return first.step is None and first.input == SOURCE

    def _takes_alpha(self, number: int) -> bool:
        """Return whether a step takes the alpha as one of the channels that it gets at once."""
        work = self._flow.steps[number]
        letters = self._axes_before(number)
        is_at_once = "c" in letters and "c" not in (work.view.looped or ())
        return work.operation.takes_alpha and is_at_once

    def _axes_before(self, number: int) -> tuple[str, ...]:
        links = self._recipe.links[number]
        return self._flow.image(links[self._recipe.steps[number].first]).axes or ()

    def _has_colours(self, number: int) -> bool:
        """Return whether a step's result may have all the channels of its image, and its axes."""
        work, letters = self._flow.steps[number], self._axes_before(number)
        is_alike = "c" in letters and work.whole.axes == letters
        return is_alike and work.whole.output is Output.IMAGE and not work.several and work.stacks

    def _name(self, number: int) -> str:
        step, results = self._recipe.steps[number], self._flow.steps[number].results
        names = (
            result_names(step.operation, results[0].output) if step.name is None else (step.name,)
        )
        return self._variables.new(*names)

    def _used(self, number: int) -> list[int]:
        """Return the parts of the step's result that are used later."""
        links = [
            link for step in self._recipe.running for link in self._recipe.links[step].values()
        ]
        parts = {link.part for link in links if link.step == number}
        if number == self._recipe.running[-1]:
            parts.add(0 if self._flow.steps[number].operation.result.split is None else _ALL)
        return sorted(parts)

    def _image(self, link: Link) -> str:
        """Return the code of a link's image."""
        if link.step is None:
            return self.source if link.input == SOURCE else self.inputs[link.input]
        if (link.step, link.part) in self._parts:
            return self._parts[link.step, link.part]
        several = self._flow.steps[link.step].several
        return self._results[link.step] + (f"[{link.part}]" if several else "")

    def _whole(self, number: int, image: str | None = None) -> Code:
        """Return the code of a step that is called once, on its image or on another."""
        work, links = self._flow.steps[number], self._recipe.links[number]
        first = self._recipe.steps[number].first
        image = image or self._image(links[first])
        further = {role: self._channels_last(number, role) for role in links if role != first}
        further |= self._pixel_size(number)
        if self._plain or not needs_apply(work):
            expression = function_call(work.operation, image, further, work.params)
        else:
            expression = apply_call(work, image, further)
        return step_code(work.operation, image, expression)

    def _pixel_size(self, number: int) -> dict[str, str]:
        """Return the argument by which a table is measured, where the recipe does not set it.

        A plain script does not know the pixel size of a file; who runs it says so.
        """
        step = self._recipe.steps[number]
        spec = self._flow.steps[number].operation.step.calibration
        if self._is_cell or not isinstance(spec, Calibration):
            return {}
        if step.parameters.get(spec.parameter) is not None:
            return {}
        if self._plain:
            return {spec.parameter: "args.spacing"}
        link = self._recipe.links[number][step.first]
        steps: list[Code] = []
        while link.step is not None:
            before = self._recipe.steps[link.step]
            if before.op.as_step().moves_pixels:
                steps.insert(0, _as_literal(before, self._recipe.links[link.step]))
            link = self._recipe.links[link.step][before.first]
        if link.input != SOURCE:
            return {}
        view = self._flow.steps[number].view
        arguments: list[Code] = ["args.source", *steps]
        if view.axes is not None:
            arguments.append(wrap("axes=", literal("".join(self._flow.source.axes or ())), ""))
        if view.spatial is not None:
            arguments.append(wrap("spatial=", literal(view.spatial), ""))
        return {spec.parameter: one_line(call("pixel_size", *arguments))}

    def _channels_last(self, number: int, role: str) -> str:
        """Return the code of a further image, its channels last where the first image has none."""
        step, links = self._recipe.steps[number], self._recipe.links[number]
        code, link = self._image(links[role]), links[role]
        if link.step is not None or isinstance(step.op.as_step().specs.get(role), OtherImage):
            return code
        axes, own = self._flow.image(links[step.first]).axes, self._flow.image(link).axes
        if axes is None or own is None or "c" in axes or "c" not in own[:-1]:
            return code
        return f"np.moveaxis({code}, {own.index('c')}, -1)"

    def _by_plane(self, number: int, part: int | None) -> Code:
        """Return the code of a step, or of one of its results, that is called for every plane."""
        work, links = self._flow.steps[number], self._recipe.links[number]
        op, first = work.operation, self._recipe.steps[number].first
        if not work.stacks:
            raise InvalidRecipe(
                f"Step {number + 1} ({op.name}) changes the axes behind "
                f"{''.join(work.view.looped or ())!r}, which is looped over: a plain script cannot "
                "do that. Move the looped axes to the front, or export the tiled script."
            )
        images = {"plane": self._image(links[first])}
        further = {}
        for role, link in links.items():
            if isinstance(op.specs.get(role), OtherImage):
                further[role] = self._image(link)  # of another size: the same for every plane
            elif role != first:
                images[role], further[role] = self._image(link), role
                if self._channels_last(number, role) != images[role]:
                    raise InvalidRecipe(
                        f"Step {number + 1} ({op.name}) takes {role} with its channels plane by "
                        "plane: a plain script cannot do that. Export the tiled script."
                    )
        further |= self._pixel_size(number)
        params = dict(work.params)
        if op.channel is not None and op.channel in params:
            params[op.channel] = work.view.channel
        expression = step_code(op, "plane", function_call(op, "plane", further, params))
        if part is not None:
            expression = (
                call("np.stack", expression) if part == _ALL else wrap("", expression, f"[{part}]")
            )
        output = work.results[0 if op.result.split is not None else part or 0].output
        return plane_by_plane(work, output, expression, list(images), list(images.values()))
