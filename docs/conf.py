"""How Sphinx builds the site: `make docs`; a warning is an error."""

from __future__ import annotations

import inspect
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import typer.main
from typer.cli import get_docs_for_click

import napari_tilewise
from napari_tilewise.cli import app

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
GENERATED = HERE / "_generated"

import operation_pages  # noqa: E402 - a module of this folder

project = "napari-tilewise"
author = "napari-tilewise developers"
project_copyright = author
release = version = napari_tilewise.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "gallery/*.rst"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nitpicky = False


def is_reachable(url: str) -> bool:
    """Return whether a page's server has an address: none has without a network."""
    try:
        return bool(socket.getaddrinfo(urlsplit(url).hostname, 443))
    except OSError:
        return False


# Other projects' objects are linked where a network allows it.
PROJECTS = {
    "python": ("https://docs.python.org/3", None),
    "numpy": ("https://numpy.org/doc/stable", None),
    "skimage": ("https://scikit-image.org/docs/stable", None),
    "dask": ("https://docs.dask.org/en/stable", None),
}
intersphinx_mapping = {name: page for name, page in PROJECTS.items() if is_reachable(page[0])}
intersphinx_timeout = 10

autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

html_theme = "pydata_sphinx_theme"
html_title = "napari-tilewise"
html_theme_options = {
    "github_url": "https://github.com/napari-tilewise/napari-tilewise",
    "navigation_with_keys": False,
    "show_toc_level": 2,
}
html_copy_source = False

sphinx_gallery_conf = {
    "examples_dirs": str(HERE / "gallery"),
    "gallery_dirs": "_generated/gallery",
    "filename_pattern": r"plot_",
    "remove_config_comments": True,
    "download_all_examples": False,
    "show_memory": False,
    "plot_gallery": True,
    "abort_on_example_error": True,
}


def write_command_line() -> None:
    """Write the page of the shell's commands from the commands themselves."""
    GENERATED.mkdir(exist_ok=True)
    command = typer.main.get_command(app)
    for each in command.commands.values():  # otherwise cut after 45 characters
        each.short_help = (each.help or "").partition("\n\n")[0]
    context = typer.Context(command, info_name="napari-tilewise")
    text = get_docs_for_click(obj=command, ctx=context, name="napari-tilewise", title="Commands")
    (GENERATED / "command_line.md").write_text(inspect.cleandoc(text) + "\n", encoding="utf-8")


write_command_line()
operation_pages.write_pages(GENERATED / "operations")
