"""Every link of a page leads: to a file that is there, to a heading that it has, or off the site.

Other sites' pages are asked for once a week, where there is a network (`.github/workflows`).
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    page
    for folder in (".", "docs", "docs/gallery", "changelog.d", "findings", "benchmarks", "examples")
    for page in (ROOT / folder).glob("*.md")
)
CODE = re.compile(r"^(`{3,}|~{3,}).*?^\1|`[^`\n]+`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?[^)]*\)")
OUTSIDE = re.compile(r"https?://[^\s)>\"'`]*")
SITE = re.compile(
    r"https://(?:github\.com|raw\.githubusercontent\.com)/napari-tilewise/.*?/main/(.*)"
)
BUILT = "_generated/"
"""Pages that only the site has."""


@cache
def text_of(page: Path) -> str:
    return CODE.sub(lambda code: "" if code[1] else code[0], page.read_text(encoding="utf-8"))


@cache
def anchors(page: Path) -> set[str]:
    """Return what links may name in a page: headings, as GitHub and MyST spell them."""
    names: dict[str, int] = {}
    result = set(re.findall(r"^\(([\w-]+)\)=$|<a (?:id|name)=\"([\w-]+)\"", text_of(page), re.M))
    anchors = {name for pair in result for name in pair if name}
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", text_of(page), re.M):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        count = names.get(slug, 0)
        names[slug] = count + 1
        anchors.add(f"{slug}-{count}" if count else slug)
    return anchors


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(text_of(page)):
        if link.startswith(("http:", "https:", "mailto:")):
            continue
        name, _, anchor = link.partition("#")
        if name.startswith(BUILT):
            continue
        target = page if not name else page.parent / name
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), (link, sorted(anchors(target)))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_addresses_are_addresses(page: Path) -> None:
    for address in OUTSIDE.findall(text_of(page)):
        parts = urlsplit(address.rstrip(".,;:"))
        assert parts.hostname, address
        assert re.fullmatch(r"[\w.-]+\.\w{2,}|localhost|127\.0\.0\.1", parts.hostname), address
        if (own := SITE.fullmatch(parts.geturl())) is not None:
            assert (ROOT / own[1].partition("#")[0]).exists(), address


def test_a_missing_heading_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text("# One `thing`, twice\n## Two\n## Two\n```\n# no heading\n```\n")
    assert anchors(page) == {"one-thing-twice", "two", "two-1"}
    page = tmp_path / "b.md"
    page.write_text("[x](a.md#three)")
    with pytest.raises(AssertionError, match="three"):
        test_links_lead_somewhere(page)
