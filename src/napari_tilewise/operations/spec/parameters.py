"""A parameter is scikit-image's own, plus what its signature leaves unsaid: type, range, choices.

Name and default come from scikit-image's signature; a *spec* says the rest. A declaration is
written with the specs listed here, whatever module defines them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from napari_tilewise.operations.spec.array_specs import (
    FOOTPRINTS,
    AlignedImage,
    Array,
    Footprint,
    ImageOr,
    NumberOrImage,
    OtherImage,
    footprint_from,
    is_image,
)
from napari_tilewise.operations.spec.value_specs import (
    ChannelAxis,
    ChoiceSpec,
    Either,
    Flag,
    FunctionSpec,
    Names,
    Number,
    Numbers,
    Range,
    Seed,
    Spec,
    Text,
)

__all__ = [
    "FOOTPRINTS",
    "AlignedImage",
    "Array",
    "ChannelAxis",
    "ChoiceSpec",
    "Either",
    "Flag",
    "Footprint",
    "FunctionSpec",
    "ImageOr",
    "Names",
    "Number",
    "NumberOrImage",
    "Numbers",
    "OtherImage",
    "Parameter",
    "Range",
    "Seed",
    "Spec",
    "Text",
    "footprint_from",
    "is_image",
]


@dataclass(frozen=True)
class Parameter:
    """One parameter of an operation, as forms, shells, recipes and tests see it."""

    name: str
    default: Any
    """scikit-image's own default; meaningless when `required`."""
    required: bool
    spec: Spec
    doc: str
    """What it does, from scikit-image's docstring."""
