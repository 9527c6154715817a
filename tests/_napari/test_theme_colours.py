"""The colours of texts: readable in each theme of napari, and in one of high contrast."""

from __future__ import annotations

from itertools import combinations

import napari
import numpy as np
import pytest
from napari.utils.theme import get_theme
from qtpy.QtGui import QColor, QPalette
from skimage.color import rgb2lab
from tests._napari.conftest import TIMEOUT

from napari_tilewise._napari.widgets import theme_colours
from napari_tilewise._napari.widgets.theme_colours import Tone, colour

pytestmark = pytest.mark.gui

PROTANOPIA = np.array(
    [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ]
)
DEUTERANOPIA = np.array(
    [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ]
)
"""How people without red, and without green receptors see linear colours (Machado and others)."""


def linear(colour):
    """Return red, green and blue in proportion to light."""
    values = np.array(QColor(colour).getRgbF()[:3])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    """Return the contrast of two colours, as the web's guidelines define it."""
    light = sorted(linear(c) @ (0.2126, 0.7152, 0.0722) + 0.05 for c in (one, other))
    return light[1] / light[0]


def lab(colour, seen_as):
    """Return a colour in the space in which 2.3 is a difference that is just noticed."""
    light = np.clip(seen_as @ linear(colour), 0, 1)
    return rgb2lab(np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055))


@pytest.fixture
def use(viewer, monkeypatch):
    monkeypatch.setattr(napari, "current_viewer", lambda: viewer)

    def change(theme):
        viewer.theme = theme
        return get_theme(theme)

    return change


@pytest.mark.parametrize("name", ["dark", "light"])
def test_texts_are_readable_on_the_grounds_of_a_theme(use, name):
    theme = use(name)
    for tone in Tone:
        assert contrast(colour(tone), theme.background.as_hex()) >= 4.5
        assert contrast(colour(tone), theme.foreground.as_hex()) >= 4.5
        if name == "dark":
            assert contrast(colour(tone), "#000000") >= 7, "a theme of high contrast"


@pytest.mark.parametrize("colours", [theme_colours._ON_DARK, theme_colours._ON_LIGHT])
@pytest.mark.parametrize("seen_as", [np.eye(3), PROTANOPIA, DEUTERANOPIA])
def test_states_differ_for_people_who_do_not_tell_red_from_green(colours, seen_as):
    states = (Tone.RUNNING, Tone.DONE, Tone.FAILED, Tone.PAUSED)
    for one, other in combinations(states, 2):
        assert np.linalg.norm(lab(colours[one], seen_as) - lab(colours[other], seen_as)) > 10


def test_panels_follow_the_theme(use, panel, qtbot):
    ground = QPalette.ColorRole.WindowText
    for name in ("light", "dark"):
        use(name)
        qtbot.waitUntil(lambda: colour(Tone.LINK) in panel.page.text(), timeout=TIMEOUT)
        panel.kind.ensurePolished()
        assert panel.kind.palette().color(ground) == QColor(colour(Tone.FAINT))
        item = panel.chooser.list.topLevelItem(0)
        assert item.foreground(1).color() == QColor(colour(Tone.FAINT))
