"""The one guarded place where scikit-image's private functions are reached.

Each is needed to pin a global number that the public function would take from its own array. When
a scikit-image release moves or renames one, the error says so and names the release in use.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import version
from typing import Any

from napari_tilewise.errors import MissingExtra


@cache
def reach(module: str, name: str) -> Any:
    """Return a private object of scikit-image, such as ``reach("measure._regionprops", "PROPS")``.

    Raises
    ------
    MissingExtra
        When this release of scikit-image has no such object.
    """
    try:
        return getattr(import_module(f"skimage.{module}"), name)
    except (ImportError, AttributeError) as error:
        raise MissingExtra(
            f"skimage.{module}.{name} does not exist in scikit-image {version('scikit-image')}: "
            "expected scikit-image 0.26. Install that release, or a newer napari-tilewise."
        ) from error
