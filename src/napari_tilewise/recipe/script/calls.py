"""The code of one step: a call of scikit-image's function, of `apply`, or one for every plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_tilewise.functions.annotations import Member
from napari_tilewise.operations.spec.docstrings import signature
from napari_tilewise.operations.spec.kinds import Output
from napari_tilewise.recipe.script.code import (
    Code,
    Group,
    argument,
    around,
    call,
    literal,
    one_line,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.operations.spec.parameters import Spec
    from napari_tilewise.recipe.script.flow import Working

_BY_PLANE = {
    Output.SCALAR: "each_value",
    Output.POINTS: "each_points",
    Output.CONTOURS: "each_contour",
    Output.TABLE: "each_table",
}
"""Which function puts together what is found in planes; another one does it for images."""


def home(operation: Operation) -> str | None:
    """Return the module of a user's function; None for scikit-image's."""
    module = operation.raw_function.__module__
    return None if module.partition(".")[0] == "skimage" else module


def is_applied(work: Working) -> bool:
    """Return whether `apply` says what the drop-in cannot: axes, own defaults, users' functions."""
    op = work.operation
    return (
        work.view.places is not None
        or op.adapter.pick is not None
        or home(op) is not None
        or any(map(callable, op.adapter.overrides.values()))
    )


def as_step(operation: Operation, image: str, made: Code) -> Code:
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
    return around(start.format(image=image), made, end.format(image=image))


def called(
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
    module = home(operation)
    function = operation.raw_function.__name__
    path = f"ski.{operation.name}" if module is None else f"{module}.{function}"
    made = call(path, image, *_keywords(further), *_keywords(texts))
    return (
        made if operation.adapter.pick is None else around("", made, f"[{operation.adapter.pick}]")
    )


def applied(work: Working, image: str, further: Mapping[str, str]) -> Code:
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
        key: argument(op.specs[key], v) for key, v in {**work.params, **op.step.params}.items()
    }
    if view.places is not None:
        letters = "".join(view.axes or ())
        is_last = isinstance(view.spatial, str) and letters.endswith(view.spatial)
        if letters and (not is_last or work.whole.output is Output.TABLE):
            texts["axes"] = literal(letters)
        texts["spatial"] = literal(view.spatial)
    return call("tw.apply", literal(op.name), image, *_keywords(further), *_keywords(texts))


def for_each_plane(
    work: Working, output: Output, made: Code, names: Sequence[str], images: Sequence[str]
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
        return Group("[", (around("", made, f" for _, {', '.join(names)} in {planes}"),), "]")
    function = around(f"lambda {', '.join(names)}: ", made, "")
    more: list[Code] = []
    if output is Output.TABLE:
        looped = work.view.looped
        axes = f'[f"axis-{{i}}" for i in looped({places}, {images[0]})]'
        more.append(around("names=", axes if looped is None else literal(list(looped)), ""))
    return call(_BY_PLANE.get(output, "each_plane"), places, function, *images, *more)


def _argument(spec: Spec, value: Any) -> Code:
    """Return the code of a parameter as a function itself takes it: an enumeration's member."""
    if not isinstance(spec, Member) or value is None:
        return argument(spec, value)
    return f"{spec.members.__module__}.{spec.members.__qualname__}.{value}"


def _keywords(texts: Mapping[str, Code]) -> list[Code]:
    return [around(f"{key}=", text, "") for key, text in texts.items()]
