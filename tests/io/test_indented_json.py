"""Indented JSON has the text that Python's own module writes."""

from __future__ import annotations

import json
from enum import IntEnum
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_tilewise.io.indented_json import indented

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
DATA = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


class _Number(IntEnum):
    ONE = 1


@given(DATA)
def test_the_text_is_that_of_json(value: Any) -> None:
    assert indented(value) == json.dumps(value, indent=2)


@pytest.mark.parametrize(
    "value",
    [(1, (), [], {}), {1: "a", None: [2]}, {"a": {True: {}}}, [np.float64(0.1)], [_Number.ONE]],
)
def test_other_values_are_json_s_too(value: Any) -> None:
    assert indented(value) == json.dumps(value, indent=2)


def test_what_json_does_not_hold_is_refused() -> None:
    with pytest.raises(TypeError):
        indented({"a": [object()]})
