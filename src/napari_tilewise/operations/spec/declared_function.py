"""The function of an operation: its parameters, checked and bound, and how it is called.

Nothing here knows of tiles, or of the image that a call is for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from napari_tilewise.errors import InvalidImage
from napari_tilewise.operations.spec import binding, docstrings
from napari_tilewise.operations.spec.adapter import DIRECT, Adapter, Function
from napari_tilewise.operations.spec.binding import BoundParameters
from napari_tilewise.operations.spec.libraries import function_path
from napari_tilewise.operations.spec.parameters import AlignedImage, ChannelAxis, Parameter
from napari_tilewise.operations.spec.substitution import run_fastest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from napari_tilewise.operations.spec.parameters import Spec
    from napari_tilewise.types import Parameters


@dataclass(frozen=True, kw_only=True, eq=False)
class Constraint:
    """A condition on several parameters, or on them and the image, as values that meet it."""

    names: tuple[str, ...]
    """The parameters that change where the condition is not met."""
    satisfy: Callable[[Parameters, np.ndarray, int], Parameters]
    """Returns values of `names` that meet the condition, from the parameters (defaults may be left
    out), the image, and a number that selects among several solutions; 0 is the usual one. Nothing
    is returned for parameters that meet it already."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DeclaredFunction:
    """A function of scikit-image, SciPy or a user, and what its parameters are."""

    name: str
    """The dotted path below `skimage`; for a function of `scipy.ndimage`, below `scipy`."""
    specs: Mapping[str, Spec] = field(default_factory=dict)
    """Parameters in order; scikit-image's signature gives their defaults."""
    adapter: Adapter = DIRECT
    constraints: tuple[Constraint, ...] = ()
    deprecated: str = ""
    """What scikit-image says to use instead; shown last."""

    @property
    def category(self) -> str:
        """The scikit-image module: ``filters.rank`` for ``filters.rank.median``."""
        return self.name.rpartition(".")[0]

    @cached_property
    def raw_function(self) -> Function:
        """The function whose signature is the operation's: scikit-image's, unless adapted."""
        return self.adapter.resolve(lambda: docstrings.resolve(self.name))

    def function(self, data: np.ndarray, /, **params: Any) -> Any:
        """Call the kernel of scikit-image's function where it gives the same, else the function."""
        if not self.has_kernel:
            return self.reference(data, **params)
        return run_fastest(function_path(self.name), self.reference, data, **params)

    @cached_property
    def has_kernel(self) -> bool:
        """Whether a kernel stands for the function itself."""
        return function_path(self.name) in self.adapter.kernels

    def reference(self, data: np.ndarray, /, **params: Any) -> Any:
        """Call scikit-image's own function with the arguments that are always fixed."""
        return self.adapter.call(self.raw_function, data, warns=bool(self.deprecated), **params)

    @cached_property
    def summary(self) -> str:
        """The first sentence of scikit-image's docstring."""
        return docstrings.summary(self.raw_function)

    @cached_property
    def parameters(self) -> Mapping[str, Parameter]:
        """The parameters by name, in order."""
        signature = docstrings.signature(self.raw_function)
        texts = docstrings.parameter_texts(self.raw_function)
        parameters = {}
        for name, spec in self.specs.items():
            default = self.adapter.overrides.get(name, signature[name].default)
            required = default is signature[name].empty
            parameters[name] = Parameter(
                name, None if required else default, required, spec, texts.get(name, "")
            )
        return parameters

    @property
    def images(self) -> tuple[str, ...]:
        """Names of the parameters that are further images."""
        return tuple(n for n, s in self.specs.items() if isinstance(s, AlignedImage))

    @property
    def channel(self) -> str | None:
        """Name of the parameter that holds the channel axis."""
        return next((n for n, s in self.specs.items() if isinstance(s, ChannelAxis)), None)

    def channel_index(self, params: Parameters, shape: tuple[int, ...]) -> int | None:
        """Return which axis of an image holds channels, as a parameter says; None: it has none.

        Parameters
        ----------
        params
            The parameters by name; the default counts where it is left out.
        shape
            The image's shape.

        Raises
        ------
        InvalidImage
            For an axis that does not exist.
        """
        spec = None if self.channel is None else self.specs[self.channel]
        if not isinstance(spec, ChannelAxis) or self.channel is None:
            return None
        axis = params.get(self.channel, self.parameters[self.channel].default)
        if axis is None:
            return None
        count = max(len(shape), spec.fewest_axes)
        if not -count <= axis < count:
            raise InvalidImage(
                f"{self.name}: {self.channel}={axis} does not exist in an image of shape "
                f"{shape}: expected an axis from {-count} to {count - 1}."
            )
        index = int(axis % count)
        return index if index < len(shape) else None

    def bind(self, params: Parameters, ndim: int | None = None) -> dict[str, Any]:
        """Return all parameters, defaults filled in and values checked.

        Raises
        ------
        UnknownParameter
            For a name that the operation does not have.
        InvalidParameter
            For a value of the wrong type or out of range, or a required one that is missing.
        """
        params = self.modern(params)
        for name in params:
            if name not in self.specs:
                raw_parameters = docstrings.signature(self.raw_function)
                raise binding.unknown_parameter(self.name, name, self.specs, raw_parameters)
        return binding.bind(self.name, self.parameters, params, ndim)

    def bound_for(self, params: Parameters, ndim: int) -> dict[str, Any]:
        """Return all parameters for an image; those that a recipe's step bound are not bound again.

        Parameters
        ----------
        params
            The parameters by name, or what `bind` made of them before.
        ndim
            The image's number of spatial axes.

        Raises
        ------
        InvalidParameter
            For a value that does not fit.
        """
        if isinstance(params, BoundParameters):
            return params.for_image(ndim)
        return self.bind(params, ndim)

    def modern(self, params: Parameters) -> dict[str, Any]:
        """Return parameters with deprecated ones replaced by those in `specs`."""
        modernize = self.adapter.modernize
        return dict(params) if modernize is None else modernize(dict(params))

    def satisfying(
        self, params: Parameters, image: np.ndarray, solution: int = 0
    ) -> dict[str, Any]:
        """Return parameters that meet all constraints, as near to the ones passed as possible.

        Parameters
        ----------
        params
            The parameters by name; one left out keeps its default if that meets the constraints.
        image
            The image that they are for.
        solution
            Selects among several values that meet a constraint.
        """
        params = dict(params)
        for constraint in self.constraints:
            params |= constraint.satisfy(params, image, solution)
        return params
