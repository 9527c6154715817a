"""Mutated input at every door is refused in a sentence, or read; `tests.fuzz` tries more."""

from __future__ import annotations

import pytest

from napari_tilewise.runs.registry import STATE
from tests.fuzz.doors import DOORS, enter
from tests.fuzz.watch import rng_of, try_door

CASES = 15


@pytest.fixture(scope="module", params=DOORS)
def samples(request, tmp_path_factory):
    """A door with its samples."""
    folder = tmp_path_factory.mktemp("fuzz")
    DOORS[request.param].prepare(folder / "samples")
    return request.param, folder / "samples"


@pytest.mark.parametrize("number", range(CASES))
def test_mutated_input_is_foreseen(samples, tmp_path, monkeypatch, number):
    door, original = samples
    monkeypatch.setenv(STATE, str(tmp_path / "state"))
    (tmp_path / "state").mkdir()
    enter(door, original, tmp_path / "case", rng_of(door, 0, number))


def test_the_command_watches_what_it_tries():
    assert list(try_door("templates", 0, range(3), 60.0)) == []
