"""Take the picture of the documentation's site: four pages, light, dark and narrow.

Run by ``make screenshots`` after ``make docs``, which builds the site. Needs a browser that draws
pages without a window: Chromium, Chrome or Edge. Writes ``docs/images/site.webp``.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
SITE = HERE / "_build" / "html"
BROWSERS = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge",
)  # fmt: skip
"""Names of the browsers' commands, the first that is found is used."""
WIDTH, HEIGHT, NARROW = 1280, 1150, 400
"""Pixels of a page; a narrow one is as wide as a telephone."""
SCALE = 0.5
"""The picture's length of a page's pixel."""
GAP, GROUND = 16, (128, 128, 128)
PATIENCE = 120
"""Seconds after which a browser that draws nothing is given up."""
FRAME = """<!doctype html><body style="margin: 0">
<iframe src="{url}" style="width: {width}px; height: {height}px; border: 0"></iframe>"""
"""A page of its own width in a window that is wider: browsers refuse narrow windows."""


@dataclass(frozen=True)
class Page:
    """One page in the picture."""

    name: str
    """The file in the site."""
    width: int = WIDTH
    is_dark: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Its width and height in the picture."""
        return round(self.width * SCALE), round(HEIGHT * SCALE)


PAGES = (
    (Page("index.html"), Page("start.html", is_dark=True)),
    (Page("_generated/operations/filters.html"), Page("shell.html", NARROW)),
)
"""The rows of the picture."""


def find_browser() -> str:
    """Return the path of a browser; leave with what to install if there is none."""
    for name in BROWSERS:
        path = shutil.which(name)
        if path is not None:
            return path
    raise SystemExit(
        f"{Path(__file__).name} needs a browser, and found none of {', '.join(BROWSERS)}: install "
        "Chromium, such as with 'apt install chromium'."
    )


def drawn(browser: str, page: Page, folder: Path) -> Image.Image:
    """Return the top of a page as a browser draws it.

    Parameters
    ----------
    browser
        The browser's path.
    page
        The page.
    folder
        An empty folder for the browser's files.
    """
    frame, picture = folder / "frame.html", folder / "page.png"
    url = (SITE / page.name).resolve().as_uri()
    frame.write_text(FRAME.format(url=url, width=page.width, height=HEIGHT), encoding="utf-8")
    command = [
        browser,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--allow-file-access-from-files",
        f"--user-data-dir={folder / 'profile'}",
        f"--blink-settings=preferredColorScheme={0 if page.is_dark else 1}",
        f"--window-size={WIDTH},{HEIGHT}",
        "--virtual-time-budget=5000",  # scripts that lay out the page have run
        f"--screenshot={picture}",
        frame.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if not picture.exists():
        raise SystemExit(f"{browser} drew no page: {done.stderr.strip()[-500:]}")
    with Image.open(picture) as image:
        part = image.convert("RGB").crop((0, 0, page.width, min(HEIGHT, image.height)))
    return part.resize(page.size, Image.Resampling.LANCZOS)


def main(directory: Path) -> None:
    """Write ``site.webp``.

    Parameters
    ----------
    directory
        Where to write it.
    """
    browser = find_browser()
    missing = [page.name for row in PAGES for page in row if not (SITE / page.name).exists()]
    if missing:
        raise SystemExit(f"{missing[0]} is not built: run 'make docs' first.")
    width = max(sum(page.size[0] + GAP for page in row) for row in PAGES) + GAP
    height = sum(max(page.size[1] for page in row) + GAP for row in PAGES) + GAP
    picture, top = Image.new("RGB", (width, height), GROUND), GAP
    for row in PAGES:
        left = GAP
        for page in row:
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                picture.paste(drawn(browser, page, Path(folder)), (left, top))
            left += page.size[0] + GAP
        top += max(page.size[1] for page in row) + GAP
    path = directory / "site.webp"
    picture.save(path, quality=80, method=6)
    print(f"{path}: {picture.width} x {picture.height}, {path.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "images")
