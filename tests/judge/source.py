"""Brings scikit-image's own tests, which are in its source release only, and their data."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

CACHE = Path(__file__).parents[2] / ".judge"

# pip asks a source release for its metadata before it hands it over, for which scikit-image would
# be configured with a compiler. A build backend of the same name, which knows the answer, is put
# in the path instead: only pip then knows where releases come from.
BACKEND = """
from pathlib import Path

def prepare_metadata_for_build_wheel(directory, config_settings=None):
    folder = Path(directory, "scikit_image-{version}.dist-info")
    folder.mkdir()
    text = "Metadata-Version: 2.1\\nName: scikit-image\\nVersion: {version}\\n"
    (folder / "METADATA").write_text(text)
    return folder.name
"""


class Unavailable(Exception):
    """The source release cannot be had: no network, or an index without it."""


def bring() -> Path:
    """Return the folder of the tests of the installed scikit-image, downloaded when missing.

    It holds `cases` (the tests), `pyproject.toml` (their configuration) and `data`.
    """
    release = version("scikit-image")
    folder = CACHE / release
    if folder.is_dir():
        return folder
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        unpacked = _unpack(_download(release, Path(name)), Path(name))
        made = Path(name, "made")
        # Not under their own name, `skimage`, as pytest would take them for the package.
        shutil.move(unpacked / "tests" / "skimage", made / "cases")
        shutil.move(unpacked / "pyproject.toml", made)
        shutil.move(unpacked / "src" / "skimage" / "data", made / "data" / release / "data")
        made.rename(folder)
    return folder


def _download(release: str, folder: Path) -> Path:
    backend = folder / "backend"
    backend.mkdir()
    (backend / "mesonpy.py").write_text(BACKEND.format(version=release))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", f"scikit-image=={release}"),
            *("--no-deps", "--no-binary", "scikit-image", "--no-build-isolation"),
            *("--quiet", "--no-input", "--dest", folder),
        ],
        env={**os.environ, "PYTHONPATH": str(backend)},
        capture_output=True,
        text=True,
        check=False,
    )
    found = list(folder.glob("scikit_image-*.tar.gz"))
    if done.returncode or not found:
        raise Unavailable(
            f"The source release of scikit-image {release}, which holds its tests, cannot be "
            f"downloaded: {done.stderr.strip()[-500:]}"
        )
    return found[0]


def _unpack(archive: Path, folder: Path) -> Path:
    wanted = ("tests/skimage/", "src/skimage/data/", "pyproject.toml")
    top = archive.name.removesuffix(".tar.gz")
    with tarfile.open(archive) as tar:
        members = [m for m in tar if m.name.startswith(tuple(f"{top}/{w}" for w in wanted))]
        tar.extractall(folder, members, filter="data")
    (folder / "made" / "data" / version("scikit-image")).mkdir(parents=True)
    return folder / top
