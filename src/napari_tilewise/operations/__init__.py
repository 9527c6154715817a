"""Declarations: what each scikit-image function is and how it tiles; NumPy in, NumPy out.

`SCIKIT_IMAGE` is explicit and ordered. Each package here is one of scikit-image's modules and lists
its declarations in `declarations.py`; what several of them need stands beside the packages.
`OPERATIONS` holds users' functions too, behind these.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from napari_tilewise.errors import UnknownOperation, did_you_mean
from napari_tilewise.operations.catalogue import Catalogue
from napari_tilewise.operations.color import declarations as color
from napari_tilewise.operations.copying import COPY
from napari_tilewise.operations.exposure import declarations as exposure
from napari_tilewise.operations.feature import declarations as feature
from napari_tilewise.operations.filters import declarations as filters
from napari_tilewise.operations.measure import declarations as measure
from napari_tilewise.operations.morphology import declarations as morphology
from napari_tilewise.operations.restoration import declarations as restoration
from napari_tilewise.operations.segmentation import declarations as segmentation
from napari_tilewise.operations.transform import declarations as transform
from napari_tilewise.operations.util import declarations as util

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tilewise.operations.spec.operation import Operation

GROUPS = (
    filters.OPERATIONS,
    exposure.OPERATIONS,
    morphology.OPERATIONS,
    measure.OPERATIONS,
    segmentation.OPERATIONS,
    restoration.OPERATIONS,
    feature.OPERATIONS,
    transform.OPERATIONS,
    color.OPERATIONS,
    util.OPERATIONS,
)

SCIKIT_IMAGE: Mapping[str, Operation] = MappingProxyType(
    {op.name: op for group in GROUPS for op in group}
)
"""scikit-image's operations, whatever users and plugins add."""

OPERATIONS = Catalogue(SCIKIT_IMAGE)

UNLISTED: Mapping[str, Operation] = MappingProxyType({COPY.name: COPY})
"""What recipes of this package's own may use and no menu shows."""


def get_operation(name: str) -> Operation:
    """Return the operation of this key, or raise `UnknownOperation` with the nearest ones."""
    try:
        return UNLISTED[name] if name in UNLISTED else OPERATIONS[name]
    except (KeyError, TypeError):
        hint = did_you_mean(str(name), OPERATIONS)
        raise UnknownOperation(
            f"There is no operation {name!r}.{hint} {_remedy(str(name))}"
            "napari_tilewise.OPERATIONS (or 'napari-tilewise list') names them all."
        ) from None


def _remedy(name: str) -> str:
    """Return how a user's function comes to be known, where a key looks like one's."""
    module, dot, _ = name.rpartition(".")
    if not dot or module in {op.category for op in SCIKIT_IMAGE.values()}:
        return ""
    file = f"{module.rpartition('.')[2]}.py"
    return (
        f"If it is a function of yours, import its module, name its file (--functions {file}, or "
        f"napari_tilewise.functions.load_file({file!r})), or install the plugin that has it. "
    )
