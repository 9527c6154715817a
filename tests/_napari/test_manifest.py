"""The committed manifest is the generated one, and starting napari imports nothing else of us."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import npe2
import pytest

from napari_tilewise import OPERATIONS
from napari_tilewise._napari.manifest import commands, menus, samples, write_manifest
from napari_tilewise.operations.spec.families import Family


def test_committed_manifest_is_the_generated_one():
    assert write_manifest.PATH.read_text(encoding="utf-8") == write_manifest.text(), (
        "run: make manifest"
    )


def test_the_copy_at_the_root_is_the_manifest():
    copy = Path(__file__).parents[2] / "napari.yaml"
    assert not copy.is_symlink()  # a link becomes a text file in clones on Windows
    assert copy.read_bytes() == write_manifest.PATH.read_bytes(), "run: make manifest"


def test_every_operation_has_one_command_in_one_menu_of_bearable_length():
    made = write_manifest.manifest(OPERATIONS.values())["contributions"]
    ids = [command["id"] for command in made["commands"]]
    others = len(write_manifest.PANELS) + len(samples.SAMPLES) + 1
    assert len(ids) == len(set(ids)) == len(OPERATIONS) + others
    entries = [e["command"] for items in made["menus"].values() for e in items if "command" in e]
    entries.remove(write_manifest.COMPUTE["id"])
    assert sorted(entries) == sorted(set(ids) & set(map(write_manifest.command_id, OPERATIONS)))
    assert all(len(items) <= menus.LONGEST for items in made["menus"].values())
    ours = [items for menu, items in made["menus"].items() if menu.startswith("napari/")]
    assert [len(items) for items in ours] == [1] * len(ours)  # one line in each menu of napari's
    known = {submenu["id"] for submenu in made["submenus"]}
    used = [e["submenu"] for items in made["menus"].values() for e in items if "submenu" in e]
    assert sorted(used) == sorted(known)


def test_a_long_category_is_split():
    class Op:
        category, output, apply_result, deprecated = "filters", "image", None, ""
        family = Family("filter", "Smoothing and frequency")

        def __init__(self, number):
            self.name = f"filters.f{number}"
            self.title = f"F{number:02}"

    parts = list(menus.submenus([Op(number) for number in range(45)]))
    assert [len(part.operations) for part in parts] == [15, 15, 15]
    assert len({part.id for part in parts}) == 3
    assert parts[0].label == "Smoothing and frequency, F to F"


@pytest.mark.gui
def test_manifest_is_valid_and_every_command_resolves():
    from napari._app_model.constants._menus import is_menu_contributable

    found = npe2.PluginManifest.from_file(write_manifest.PATH)
    found.validate_imports()
    assert found.name == found.display_name == "napari-tilewise"
    assert all(is_menu_contributable(menu) for menu in found.contributions.menus)
    with pytest.raises(AttributeError):
        getattr(commands, "no_such_operation")  # noqa: B009


STARTED = """
import sys
import napari
from npe2 import PluginManager
viewer = napari.Viewer(show=False)
viewer.window.layers_menu.aboutToShow.emit()
assert "napari-tilewise" in set(PluginManager.instance().iter_manifests.__self__._manifests)
app = __import__("napari._app_model", fromlist=["get_app_model"]).get_app_model()
assert "napari-tilewise.filters_gaussian" in app.commands
print(sorted(name for name in sys.modules if name.startswith("napari_tilewise")))
viewer.close()
"""


@pytest.mark.gui
def test_starting_napari_imports_nothing_of_the_plugin():
    done = subprocess.run(
        [sys.executable, "-c", STARTED], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == "[]"


@pytest.mark.gui
def test_command_opens_the_one_panel_on_its_operation(make_napari_viewer_proxy):
    viewer = make_napari_viewer_proxy()
    keys = [next(iter(OPERATIONS)), list(OPERATIONS)[-1]]
    panels = []
    for key in keys:
        getattr(commands, write_manifest.attribute(key))(viewer)
        panels.append(viewer.window.dock_widgets["Operations (napari-tilewise)"])
        panels[-1] = getattr(panels[-1], "__wrapped__", panels[-1])
        assert panels[-1].operation.name == key
    assert panels[0] is panels[1]
