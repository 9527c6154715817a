"""Hypothesis profiles: a quick deterministic one, and `--hypothesis-profile=thorough`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from napari_tilewise.engine.cache import shared_cache

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMON = {
    "deadline": None,
    "print_blob": True,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
settings.register_profile("quick", max_examples=25, derandomize=True, database=None, **COMMON)
settings.register_profile("thorough", max_examples=400, **COMMON)
settings.load_profile("quick")


@pytest.fixture(autouse=True)
def forget_what_lazy_arrays_read() -> Iterator[None]:
    """Empty the cache of decoded chunks, which else fills this process with other tests' images."""
    yield
    shared_cache().clear()
