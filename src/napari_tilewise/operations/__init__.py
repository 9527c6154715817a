"""Declarations: what each function is and how it tiles; NumPy in, NumPy out.

Each package here is one of scikit-image's modules, or `scipy.ndimage`; `MODULES` lists the modules
that declare its operations, and is the only place to change where one is added (`make index` then
writes `index.py`). `OPERATIONS` holds users' functions too, behind the libraries'.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from napari_tilewise.errors import UnknownOperation, command, did_you_mean
from napari_tilewise.operations.catalogue import Catalogue
from napari_tilewise.operations.copying import COPY
from napari_tilewise.operations.index import INDEX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.types import AnyFunction

MODULES: Mapping[str, tuple[str, ...]] = {
    "filters": (
        "smoothing",
        "local_thresholds",
        "thresholds",
        "hysteresis",
        "edges",
        "ridges",
        "convolution",
        "frequency",
        "rank_order",
        "rank",
        "windowed_histogram",
    ),
    "exposure": (
        "adjusting",
        "matching",
        "intensity_histogram",
        "contrast",
    ),
    "morphology": (
        "footprints",
        "isotropic",
        "small_objects",
        "spaced_objects",
        "extrema",
        "reconstruction",
        "flood",
        "skeleton",
        "hulls",
        "max_tree",
    ),
    "measure": (
        "labelling",
        "regionprops",
        "block",
        "contours",
        "marching",
        "perimeter",
        "moments",
        "blur",
        "coloc",
        "profile",
    ),
    "segmentation": (
        "boundaries",
        "watershed",
        "relabel",
        "superpixels",
        "level_sets",
        "chan_vese",
        "seeded_flood",
    ),
    "restoration": (
        "denoising",
        "invariant",
        "inpainting",
        "deconvolution",
        "wavelets",
    ),
    "feature": (
        "canny",
        "tensors",
        "corners",
        "hog",
        "patterns",
        "peaks",
        "blobs",
        "points",
        "templates",
        "textures",
        "daisy",
    ),
    "transform": (
        "resize",
        "downscale",
        "local_mean",
        "pyramids",
        "warps",
        "integral",
        "hough",
        "radon",
    ),
    "color": (
        "gray",
        "color_spaces",
        "label2rgb",
    ),
    "util": (
        "inversion",
        "dtypes",
        "cropping",
        "noise",
    ),
    "ndimage": (
        "linear_filters",
        "order_filters",
        "grey_filters",
        "binary_filters",
        "nd_labels",
        "distance",
        "label_statistics",
        "quantiles",
        "projections",
        "arithmetic",
        "resampling",
        "sampled_coordinates",
    ),
}
"""The libraries' modules, and in each the modules here that declare its operations, in order."""


class LibraryOperations(Mapping[str, "Operation"]):
    """The libraries' operations by key; each is imported with its own module when it is asked for.

    Keys and order come from `INDEX`, which is generated, so that a run of one operation does not
    import all others.
    """

    def __getitem__(self, key: str) -> Operation:
        """Return the operation of this key."""
        return self._of_module(INDEX[key])[key]

    def __contains__(self, key: object) -> bool:
        return key in INDEX

    def __iter__(self) -> Iterator[str]:
        return iter(INDEX)

    def __len__(self) -> int:
        return len(INDEX)

    @staticmethod
    @cache
    def _of_module(module: str) -> dict[str, Operation]:
        return {op.name: op for op in import_module(f"{__name__}.{module}").OPERATIONS}


def declared() -> Iterator[tuple[str, str]]:
    """Yield the key of every operation and the module that declares it, all imported."""
    for family, modules in MODULES.items():
        for module in modules:
            for operation in import_module(f"{__name__}.{family}.{module}").OPERATIONS:
                yield operation.name, f"{family}.{module}"


BUILT_IN: Mapping[str, Operation] = LibraryOperations()
"""The libraries' operations, whatever users and plugins add."""

OPERATIONS = Catalogue(BUILT_IN)

UNLISTED: Mapping[str, Operation] = MappingProxyType({COPY.name: COPY})
"""What recipes of this package's own may use and no menu shows."""


def get_operation(name: str | AnyFunction) -> Operation:
    """Return the operation of this key, or raise `UnknownOperation` with the nearest ones.

    A function that `operation` decorates stands for its key.
    """
    if callable(name):
        return _operation_of(name)
    try:
        return UNLISTED[name] if name in UNLISTED else OPERATIONS[name]
    except (KeyError, TypeError):
        hint = did_you_mean(str(name), OPERATIONS)
        raise UnknownOperation(
            f"There is no operation {name!r}.{hint} {_remedy(str(name))}"
            f"{command('napari_tilewise.OPERATIONS', 'napari-tilewise list')} names them all."
        ) from None


def _operation_of(function: AnyFunction) -> Operation:
    """Return the operation that a user's function was declared as."""
    for operation in OPERATIONS.users():
        if operation.raw_function is function:
            return operation
    name = getattr(function, "__qualname__", repr(function))
    raise UnknownOperation(
        f"The function {name} is not an operation: put @operation(halo=...) above it "
        "(napari_tilewise.operation), or give the key of an operation, such as 'filters.gaussian'."
    )


def _remedy(name: str) -> str:
    """Return how a user's function comes to be known, where a key looks like one's."""
    module, dot, _ = name.rpartition(".")
    if not all(map(str.isidentifier, name.split("."))):
        return ""
    if not dot or module in {key.rpartition(".")[0] for key in BUILT_IN}:
        return ""
    file = f"{module.rpartition('.')[2]}.py"
    load = command(
        f"import its module, load its file (napari_tilewise.functions.load_file({file!r}))",
        f"name its file (--functions {file})",
    )
    return f"If it is a function of yours, {load}, or install the plugin that has it. "
