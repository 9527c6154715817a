"""A run over the planes of a stack that lies in chunks gives what each plane alone gives."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr

import napari_tilewise as tw
from napari_tilewise.operations.spec.operation import Output
from tests.executors.test_worker_pools import by_threads, recipe_of
from tests.operations.test_declarations import sample
from tests.strategies import cropped
from tests.test_exact import assert_same

if TYPE_CHECKING:
    from pathlib import Path

LENGTH = 48
MOST = 4
"""Operations of a sort that are tried: how planes are taken and put together is the same."""


def of_each_sort() -> list[str]:
    """Return a few operations of each kind and output, with channels or without, with masks."""
    seen: Counter[Any] = Counter()
    chosen = []
    for op in tw.OPERATIONS.values():
        channel = op.channel is not None and op.parameters[op.channel].default is not None
        sort = (op.kind, op.output, channel, bool(op.images), op.plan_of is None)
        seen[sort] += 1
        if seen[sort] <= MOST:
            chosen.append(op.name)
    return chosen


def stack_of(name: str) -> tuple[np.ndarray, str]:
    """Return two images that an operation takes, and the axes of one."""
    op, image = tw.OPERATIONS[name], sample(name, "uint8")
    image = cropped(tw.OPERATIONS[name], image, LENGTH)
    has_channels = op.channel is not None and op.parameters[op.channel].default is not None
    axes = "yxc" if has_channels else "zyx"[-image.ndim :]
    return np.stack([image, image[::-1]]), axes


def of_plane(found: Any, number: int, output: Output) -> Any:
    """Return what was found in one plane: rows of several have its number in front."""
    if output is Output.TABLE:
        rows = found["t"] == number
        return {name: column[rows] for name, column in found.items() if name != "t"}
    if output is Output.CONTOURS:
        return [rows[:, 1:] for rows in found if rows[0, 0] == number]
    return found[found[:, 0] == number][:, 1:] if output is Output.POINTS else found[number]


@pytest.mark.parametrize("name", of_each_sort())
def test_planes_of_a_stack(name: str, tmp_path: Path) -> None:
    stack, axes = stack_of(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        recipe = recipe_of(name, stack[0])
        try:
            expected = [by_threads(recipe, plane) for plane in stack]
        except tw.TilewiseError:
            stack = stack > stack.mean()  # what takes nothing but masks
            recipe = recipe_of(name, stack[0])
            expected = [by_threads(recipe, stack[0])] * 2
            stack[1] = stack[0]  # some take but one mask's like
        chunks = (1, *[20] * (stack.ndim - 1))
        array = zarr.create_array(tmp_path / "a.zarr", data=stack, chunks=chunks)
        how = {"axes": "t" + axes, "spatial": axes.replace("c", "")}
        part = tw.plan(recipe, array, **how).last.part
        path = tmp_path / ("made.npy" if part.output.is_image else "made.json")
        result = tw.run(recipe, array, path, **how)
    actual = np.load(path) if part.output.is_image else result.value
    for number, wanted in enumerate(expected):
        one = of_plane(actual, number, part.output)
        if part.output is Output.TABLE:
            wanted = {name: np.asarray(column) for name, column in wanted.items()}
        assert_same(recipe.steps[0].op, one, wanted, stack[0], recipe.steps[0].parameters)
