"""A form's values are validated once, until they, or the number of spatial axes, change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise._napari.forms.form import FormValues
from napari_tilewise._napari.widgets import wording
from napari_tilewise.errors import TilewiseError

if TYPE_CHECKING:
    from napari_tilewise._napari.forms.form import Form
    from napari_tilewise.operations.spec.operation import Operation

_IMAGE = np.zeros((1, 1))
"""Stands for a further image, whose pixels no check needs."""


@dataclass(frozen=True)
class FormCheck:
    """The outcome of validating a form."""

    operation: Operation
    ndim: int
    values: FormValues
    """Empty if the form cannot be read."""
    error: TilewiseError | None
    """Why the values are invalid; None if they are valid."""
    description: str
    """The operation's kind, with the halo of these values, and its exactness."""


def check_form(form: Form, ndim: int, last: FormCheck | None) -> FormCheck:
    """Validate a form's values, unless they were validated before.

    Parameters
    ----------
    form
        The form.
    ndim
        Number of spatial axes.
    last
        The outcome of the last check.
    """
    op, values = form.operation, FormValues({}, {})
    invalid: TilewiseError | None = None
    try:
        values = form.read(complete=True)
        if last is not None and _is_same(last, op, ndim, values):
            return last
        op.bind({**values.params, **dict.fromkeys(values.images, _IMAGE)}, ndim)
    except TilewiseError as error:
        invalid = error
    params = {} if invalid else values.params
    description = f"{wording.kind(op, ndim, params)} {wording.exactness(op)}"
    return FormCheck(op, ndim, values, invalid, description)


def _is_same(last: FormCheck, op: Operation, ndim: int, values: FormValues) -> bool:
    return (
        last.operation is op
        and last.ndim == ndim
        and last.values.images.keys() == values.images.keys()
        and _are_equal(last.values.params, values.params)
    )


def _are_equal(params: Mapping[str, object], others: Mapping[str, object]) -> bool:
    if params.keys() != others.keys():
        return False
    for name, value in params.items():
        other = others[name]
        is_array = isinstance(value, np.ndarray) or isinstance(other, np.ndarray)
        same_type = type(value) is type(other)
        if value is not other and (is_array or not same_type or value != other):
            return False
    return True
