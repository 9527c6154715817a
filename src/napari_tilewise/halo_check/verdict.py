"""The finding of a check for one function: a verdict, a sentence and numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_tilewise.grid import Halo
    from napari_tilewise.types import Parameters


class Verdict(StrEnum):
    """Whether the declaration of a function is right."""

    RIGHT = "right"
    LARGER = "larger than needed"
    TOO_SMALL = "too small"
    CLOSE = "close"
    GLOBAL = "depends on the whole image"
    RANDOM = "not deterministic"
    FAILS = "fails"


@dataclass(frozen=True)
class HaloFinding:
    """The finding of a check for one function."""

    operation: str
    """The key of the operation."""
    verdict: Verdict
    text: str
    """The verdict and the figures that it is based on, as a sentence."""
    needed: Halo | None = None
    """The smallest halo for which tiled equals whole; None if there is none."""
    declared: Halo | None = None
    """The declared halo for the same parameters; None for the whole image."""
    params: Parameters = field(default_factory=dict)
    """The parameters of the call that are not defaults."""
    difference: float = 0.0
    """The largest difference between tiled and whole, relative to the largest magnitude or 1."""

    @property
    def ok(self) -> bool:
        """Whether tiled results are what the declaration promises."""
        return self.verdict in (Verdict.RIGHT, Verdict.LARGER)

    def __str__(self) -> str:
        return f"{self.operation}: {self.text}"


def format_halo(halo: Halo | None) -> str:
    """Return a halo as a short text: ``7``, ``7 × 0``, ``(3, 0) × 2``, ``the whole image``.

    Parameters
    ----------
    halo
        Pixels before and after, per axis; None for the whole image.
    """
    if halo is None:
        return "the whole image"
    texts = [str(lo) if lo == hi else f"({lo}, {hi})" for lo, hi in halo]
    return texts[0] if len(set(texts)) == 1 else " × ".join(texts)


def format_parameters(params: Parameters) -> str:
    """Return parameters as a text that follows a number: `` with size=3``.

    Parameters
    ----------
    params
        The parameters that are not defaults, by name; empty for none.
    """
    items = ", ".join(
        f"{name}={f'{value:.4g}' if isinstance(value, float) else repr(value)}"
        for name, value in params.items()
    )
    return f" with {items}" if items else ""
