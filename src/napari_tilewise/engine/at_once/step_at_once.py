"""A step of a recipe on a small image: what a call of its operation does there, it does too.

A threshold's step is the mask that its number makes, which is recorded. Items of a batch share the
processors, so that kernels use one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.engine.at_once.prepared_calls import computed_as_before
from napari_tilewise.engine.at_once.whole_image import computed_at_once
from napari_tilewise.engine.images.single_axes import may_drop
from napari_tilewise.operations import get_operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tilewise.operations.spec.operation import Call, Part
    from napari_tilewise.types import Array, Value


def image_of_step(
    call: Call, pixels: Array, images: Mapping[str, Array], part: Part
) -> tuple[Array, Value] | None:
    """Return the image that a step makes, and its number; None where its passes are to.

    Parameters
    ----------
    call
        The bound operation, without channels.
    pixels
        The image, contiguous.
    images
        The further images by parameter name.
    part
        What the result is: the only one, an image.
    """
    if call.operation.adapter.digest:  # a user's, whose passes know it
        return None
    operation, mask_of = get_operation(call.operation.name), None
    if call.operation.is_step:
        mask_of = operation.step.apply
        if mask_of is None or operation.output.is_image:
            return None
    elif operation is not call.operation:
        return None
    if may_drop(operation, pixels):
        return None
    params = {**call.params, **images}
    result = computed_as_before(operation.name, pixels, params)
    if result is None:
        result = computed_at_once(operation, pixels, params, is_alone=False)
    if result is None:
        return None
    image = result[0] if mask_of is None else mask_of(pixels, result[0])
    if type(image) is not np.ndarray or image.shape != part.shape or image.dtype != part.dtype:
        return None
    return np.ascontiguousarray(image), None if mask_of is None else result[0]
