"""`make docs`: every page is in the site and in its navigation, and a link that leads nowhere fails it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from infra.docs.__main__ import HERE, ROOT, build
from infra.docs.pages import prepare


def named(nav: Any) -> list[str]:
    """The pages of a navigation, in order."""
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [page for part in parts for page in named(part)]


def small_tree(root: Path, text: str) -> Path:
    """A tree with all pages that the navigation wants, of which one has this text."""
    for page in (ROOT / "docs").rglob("*.md"):
        copy = root / page.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(f"# {page.stem}\n")
    (root / "docs/events.md").write_text(text)
    return root


def test_every_page_has_one_place_in_the_navigation(tmp_path: Path) -> None:
    prepare(ROOT, tmp_path / "pages")
    nav = named(tomllib.loads((HERE / "zensical.toml").read_text())["project"]["nav"])
    pages = {page.name for page in (tmp_path / "pages").glob("*.md")} | {"decisions/index.md"}
    assert sorted(nav) == sorted(pages)


def test_links_out_of_the_pages_lead_to_the_repository_and_others_stay(tmp_path: Path) -> None:
    text = "[a](../README.md) [b](../tests/README.md#x) [c](README.md) [d](decisions/) [e](cost.md#y) [f](#z) [g](https://h/i)"
    root = small_tree(tmp_path / "root", text)
    (root / "tests").mkdir()
    (root / "docs/decisions/0001-what-infra-means.md").write_text(
        "# 1. Infra\n[j](../cost.md) [k](../../tests)"
    )
    prepare(root, tmp_path / "pages")
    where = "https://github.com/sluice-jobs/sluice"
    assert (tmp_path / "pages/events.md").read_text() == (
        f"[a]({where}/blob/main/README.md) [b]({where}/blob/main/tests/README.md#x) [c](index.md) [d](decisions/index.md)"
        " [e](cost.md#y) [f](#z) [g](https://h/i)"
    )
    decisions = tmp_path / "pages/decisions"
    assert (
        decisions / "0001-what-infra-means.md"
    ).read_text() == f"# 1. Infra\n[j](../cost.md) [k]({where}/tree/main/tests)"
    assert "- [1. Infra](0001-what-infra-means.md)\n" in (decisions / "index.md").read_text()


@pytest.mark.timeout(600)  # the first time it installs the renderer
def test_the_site_is_built_with_search_and_a_dark_scheme(tmp_path: Path) -> None:
    assert build(ROOT, tmp_path) == 0
    page = (tmp_path / "site/operations/index.html").read_text()
    assert 'data-md-color-scheme="slate"' in page
    assert 'data-md-component="search"' in page
    assert "dead-letter" in (tmp_path / "site/search.json").read_text()


@pytest.mark.timeout(600)  # the same
@pytest.mark.parametrize("link", ["nothing.md", "cost.md#nowhere"])
def test_a_link_that_leads_nowhere_fails_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], link: str
) -> None:
    assert build(small_tree(tmp_path / "root", f"# Events\n\n[x]({link})\n"), tmp_path / "place") != 0
    assert "does not exist" in capfd.readouterr().err
