"""The code of one step: a call of scikit-image's function, of `apply`, or one for every plane."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_tilewise.functions.annotations import EnumMember
from napari_tilewise.operations.spec.docstrings import signature
from napari_tilewise.operations.spec.kinds import Output
from napari_tilewise.operations.spec.libraries import NUMPY, library_of, script_path
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
    from napari_tilewise.types import Parameters, Value

_BY_PLANE = {
    Output.SCALAR: "map_values",
    Output.POINTS: "map_points",
    Output.CONTOURS: "map_contours",
    Output.TABLE: "map_tables",
}
"""The helper that combines the results of planes, by type of result; another one for images."""


def user_module(operation: Operation) -> str | None:
    """Return the module of a user's function; None for a library's function."""
    return operation.raw_function.__module__ if operation.adapter.digest else None


def needs_apply(work: StepWork) -> bool:
    """Return whether the step needs `apply`: axes, defaults or a function no drop-in has."""
    op = work.operation
    return (
        work.view.plane_axes is not None
        or op.adapter.pick is not None
        or user_module(op) is not None
        or library_of(op.name) is NUMPY
        or any(map(callable, op.adapter.overrides.values()))
    )


def step_code(operation: Operation, image: str, expression: Code) -> Code:
    """Return the code of a step's result, such as the mask from a call that gives a threshold.

    Parameters
    ----------
    operation
        The operation as a step of a recipe.
    image
        The code of its image.
    expression
        The code of the operation's call.
    """
    start, _, end = operation.step.text.partition("{call}")
    return wrap(start.format(image=image), expression, end.format(image=image))


def function_call(
    operation: Operation, image: str, further: Mapping[str, str], params: Parameters
) -> Code:
    """Return the code of a call of scikit-image's function.

    Parameters
    ----------
    operation
        The operation as a step of a recipe.
    image
        The code of its image.
    further
        The code of further images, by argument.
    params
        The step's parameters.
    """
    default = signature(operation.raw_function)
    fixed = {**operation.adapter.fixed, **operation.step.params}
    explicit = {key: value for key, value in {**operation.adapter.overrides, **params}.items()
             if key not in fixed and not callable(value)
             # None is often no value of a keyword, but what leaves it out.
             and (value is not None or default[key].default is not None)}  # fmt: skip
    texts = {key: _argument(operation.specs[key], value) for key, value in explicit.items()}
    texts |= {key: literal(v) for key, v in fixed.items() if v != default[key].default}
    module = user_module(operation)
    function = operation.raw_function.__name__
    path = script_path(operation.name) if module is None else f"{module}.{function}"
    arguments: dict[str, Code] = {**further, **texts}
    positional = [n for n, p in default.items() if p.kind is p.POSITIONAL_ONLY and n in arguments]
    by_position = [arguments.pop(name) for name in positional]
    expression = call(path, image, *by_position, *_keywords(arguments))
    pick = operation.adapter.pick
    return expression if pick is None else wrap("", expression, f"[{pick}]")


def apply_call(work: StepWork, image: str, further: Mapping[str, str]) -> Code:
    """Return the code of a call of `napari_tilewise.apply`.

    Parameters
    ----------
    work
        The step with its view of the image.
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
    if view.plane_axes is not None:
        letters = "".join(view.axes or ())
        is_last = isinstance(view.spatial, str) and letters.endswith(view.spatial)
        if letters and (not is_last or work.whole.output is Output.TABLE):
            texts["axes"] = literal(letters)
        texts["spatial"] = literal(view.spatial)
    return call("tw.apply", literal(op.name), image, *_keywords(further), *_keywords(texts))


def plane_by_plane(
    work: StepWork, output: Output, expression: Code, names: Sequence[str], images: Sequence[str]
) -> Code:
    """Return the code that computes a result for every plane and combines the results.

    Parameters
    ----------
    work
        The step with its view of the image.
    output
        Type of the result.
    expression
        The code of the result for one plane.
    names
        Names of the planes in that code.
    images
        The code of the images that the planes belong to.
    """
    plane_axes = one_line(literal(work.view.plane_axes))
    if not output.is_image and output not in _BY_PLANE:
        planes = f"planes({plane_axes}, {', '.join(images)})"
        return Group("[", (wrap("", expression, f" for _, {', '.join(names)} in {planes}"),), "]")
    function = wrap(f"lambda {', '.join(names)}: ", expression, "")
    names_argument: list[Code] = []
    if output is Output.TABLE:
        looped = work.view.looped
        axes = f'[f"axis-{{i}}" for i in loop_axes({plane_axes}, {images[0]})]'
        names_argument.append(wrap("names=", axes if looped is None else literal(list(looped)), ""))
    return call(_BY_PLANE.get(output, "map_planes"), plane_axes, function, *images, *names_argument)


def _argument(spec: Spec, value: Value) -> Code:
    """Return the code of a parameter as the function takes it, with members of enumerations."""
    if not isinstance(spec, EnumMember) or value is None:
        return argument_code(spec, value)
    return f"{spec.members.__module__}.{spec.members.__qualname__}.{value}"


def _keywords(texts: Mapping[str, Code]) -> list[Code]:
    return [wrap(f"{key}=", text, "") for key, text in texts.items()]
