"""The code of one step: a call of scikit-image's function, of `apply`, or one for every plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_tilewise.functions.annotations import EnumMember
from napari_tilewise.operations.spec.docstrings import signature
from napari_tilewise.operations.spec.kinds import Output
from napari_tilewise.recipe.script.code import (
    Code,
    Group,
    argument_code,
    call,
    literal,
    one_line,
    wrap,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.operations.spec.parameters import Spec
    from napari_tilewise.recipe.script.flow import StepWork

_BY_PLANE = {
    Output.SCALAR: "each_value",
    Output.POINTS: "each_points",
    Output.CONTOURS: "each_contour",
    Output.TABLE: "each_table",
}
"""Which function puts together what is found in planes; another one does it for images."""


def user_module(operation: Operation) -> str | None:
    """Return the module of a user's function; None for scikit-image's."""
    module = operation.raw_function.__module__
    return None if module.partition(".")[0] == "skimage" else module


def needs_apply(work: StepWork) -> bool:
    """Return whether `apply` says what the drop-in cannot: axes, own defaults, users' functions."""
    op = work.operation
    return (
        work.view.places is not None
        or op.adapter.pick is not None
        or user_module(op) is not None
        or any(map(callable, op.adapter.overrides.values()))
    )


def step_code(operation: Operation, image: str, made: Code) -> Code:
    """Return the code of what a step makes of its operation's call.

    Parameters
    ----------
    operation
        The operation.
    image
        The code of its image.
    made
        The code of the call.
    """
    start, _, end = operation.step.text.partition("{call}")
    return wrap(start.format(image=image), made, end.format(image=image))


def function_call(
    operation: Operation, image: str, further: Mapping[str, str], params: Mapping[str, Any]
) -> Code:
    """Return the code of a call of scikit-image's function.

    Parameters
    ----------
    operation
        The operation.
    image
        The code of its image.
    further
        The code of further images, by argument.
    params
        The parameters that were given.
    """
    default = signature(operation.raw_function)
    always = {**operation.adapter.fixed, **operation.step.params}
    given = {key: value for key, value in {**operation.adapter.overrides, **params}.items()
             if key not in always and not callable(value)}  # fmt: skip
    texts = {key: _argument(operation.specs[key], value) for key, value in given.items()}
    texts |= {key: literal(v) for key, v in always.items() if v != default[key].default}
    module = user_module(operation)
    function = operation.raw_function.__name__
    path = f"ski.{operation.name}" if module is None else f"{module}.{function}"
    made = call(path, image, *_keywords(further), *_keywords(texts))
    pick = operation.adapter.pick
    return made if pick is None else wrap("", made, f"[{pick}]")


def apply_call(work: StepWork, image: str, further: Mapping[str, str]) -> Code:
    """Return the code of a call of `napari_tilewise.apply`.

    Parameters
    ----------
    work
        The step.
    image
        The code of its image.
    further
        The code of further images, by argument.
    """
    op, view = work.operation, work.view
    texts = {
        key: argument_code(op.specs[key], value)
        for key, value in {**work.params, **op.step.params}.items()
    }
    if view.places is not None:
        letters = "".join(view.axes or ())
        is_last = isinstance(view.spatial, str) and letters.endswith(view.spatial)
        if letters and (not is_last or work.whole.output is Output.TABLE):
            texts["axes"] = literal(letters)
        texts["spatial"] = literal(view.spatial)
    return call("tw.apply", literal(op.name), image, *_keywords(further), *_keywords(texts))


def plane_by_plane(
    work: StepWork, output: Output, made: Code, names: Sequence[str], images: Sequence[str]
) -> Code:
    """Return the code that makes something of every plane and puts it together.

    Parameters
    ----------
    work
        The step.
    output
        What is made.
    made
        The code that makes it.
    names
        What this code calls the planes.
    images
        The code of the images that they are planes of.
    """
    places = one_line(literal(work.view.places))
    if not output.is_image and output not in _BY_PLANE:
        planes = f"planes({places}, {', '.join(images)})"
        return Group("[", (wrap("", made, f" for _, {', '.join(names)} in {planes}"),), "]")
    function = wrap(f"lambda {', '.join(names)}: ", made, "")
    more: list[Code] = []
    if output is Output.TABLE:
        looped = work.view.looped
        axes = f'[f"axis-{{i}}" for i in looped({places}, {images[0]})]'
        more.append(wrap("names=", axes if looped is None else literal(list(looped)), ""))
    return call(_BY_PLANE.get(output, "each_plane"), places, function, *images, *more)


def _argument(spec: Spec, value: Any) -> Code:
    """Return the code of a parameter as a function itself takes it: an enumeration's member."""
    if not isinstance(spec, EnumMember) or value is None:
        return argument_code(spec, value)
    return f"{spec.members.__module__}.{spec.members.__qualname__}.{value}"


def _keywords(texts: Mapping[str, Code]) -> list[Code]:
    return [wrap(f"{key}=", text, "") for key, text in texts.items()]
