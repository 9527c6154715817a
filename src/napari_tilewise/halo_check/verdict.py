"""What a check finds of one function, in a word, in a sentence, and in numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tilewise.grid import Halo


class Verdict(StrEnum):
    """Whether what is declared of a function is right."""

    RIGHT = "right"
    LARGER = "larger than needed"
    TOO_SMALL = "too small"
    CLOSE = "close"
    GLOBAL = "depends on the whole image"
    RANDOM = "not deterministic"
    FAILS = "fails"


@dataclass(frozen=True)
class HaloFinding:
    """What a check finds of one function."""

    operation: str
    """Its key."""
    verdict: Verdict
    text: str
    """The verdict and what it rests on."""
    needed: Halo | None = None
    """The smallest halo for which tiled equals whole; None where there is none."""
    declared: Halo | None = None
    """The declared one, of the same call; None for the whole image."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """The parameters of that call that were given."""
    difference: float = 0.0
    """The largest difference between tiled and whole, relative to the largest magnitude or 1."""

    @property
    def ok(self) -> bool:
        """Whether tiled results are what the declaration promises."""
        return self.verdict in (Verdict.RIGHT, Verdict.LARGER)

    def __str__(self) -> str:
        return f"{self.operation}: {self.text}"


def pixels(halo: Halo) -> str:
    """Return a halo in short words: ``7``, ``7 × 0``, ``(3, 0) × 2``.

    Parameters
    ----------
    halo
        Pixels before and after, per axis.
    """
    texts = [str(lo) if lo == hi else f"({lo}, {hi})" for lo, hi in halo]
    return texts[0] if len(set(texts)) == 1 else " × ".join(texts)


def given(params: Mapping[str, Any]) -> str:
    """Return parameters in words, to stand behind a number.

    Parameters
    ----------
    params
        Those that were given.
    """
    told = ", ".join(
        f"{name}={f'{value:.4g}' if isinstance(value, float) else repr(value)}"
        for name, value in params.items()
    )
    return f" with {told}" if told else ""
