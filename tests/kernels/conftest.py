"""Every comparison runs on each instruction set that is built and that this machine has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from napari_tilewise.kernels import library

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=library.levels())
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    """The instruction set that kernels use during a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library, "level", lambda: request.param)
        yield request.param
