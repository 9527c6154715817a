"""A file of functions, chosen in the panel: in the list, with a form, applied, and edited."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data, filters

from napari_tilewise.operations import OPERATIONS

pytestmark = pytest.mark.gui

FILE = '''
import napari_tilewise as tw
from skimage import filters


@tw.operation(halo=lambda sigma: int(4 * sigma + 0.5))
def soften(image, sigma: float = {sigma}):
    """Soften an image.

    Parameters
    ----------
    sigma : float
        How much, in pixels.
    """
    return filters.gaussian(image, sigma)
'''


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "my_softener.py"
    path.write_text(FILE.format(sigma=2.0))
    yield path
    OPERATIONS.forget("my_softener.soften")


def test_a_file_of_functions(panel, run, viewer, file):
    coins = data.coins()[:90, :120]
    source = viewer.add_image(coins)
    assert "my_softener.soften" not in panel.chooser.visible()
    panel.chooser.add_file(str(file))
    assert "my_softener.soften" in panel.chooser.visible()
    panel.chooser.search.setText("soften")
    assert panel.chooser.visible() == ["my_softener.soften"]
    made = run("my_softener.soften", source)
    np.testing.assert_array_equal(made.data, filters.gaussian(coins, 2.0))
    assert "Neighbourhood" in panel.kind.text()
    file.write_text(FILE.format(sigma=5.0))
    panel.chooser.add_file(str(file))
    assert panel.form.values()["sigma"] == 5.0
    made = run("my_softener.soften", source)
    np.testing.assert_array_equal(made.data, filters.gaussian(coins, 5.0))


def test_a_wrong_file_is_said(panel, notes, tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("import nothing_of_this_name")
    panel.chooser.add_file(str(path))
    assert "nothing_of_this_name" in notes[-1].message
    assert "broken.py" in notes[-1].message
