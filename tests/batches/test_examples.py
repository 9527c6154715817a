"""The user's document runs, and gives what its loops give."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from skimage import color, data, filters

EXAMPLE = Path(__file__).parents[2] / "examples" / "user_document.py"


@pytest.fixture(scope="module")
def example() -> Any:
    spec = spec_from_file_location("user_document", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_thresholds(example: Any, tmp_path: Path) -> None:
    images = [data.astronaut(), data.chelsea(), data.coffee(), data.hubble_deep_field()]
    expected = [filters.threshold_otsu(color.rgb2gray(image[:256, :256])) for image in images]
    assert example.thresholds_of_a_folder(tmp_path) == expected


def test_the_page_runs(example: Any, capsys: pytest.CaptureFixture[str]) -> None:
    example.main(["--rows", "80"])
    said = capsys.readouterr().out
    assert "4 done, 1 failed, 0 skipped" in said
    assert said.count("the same") == 2
