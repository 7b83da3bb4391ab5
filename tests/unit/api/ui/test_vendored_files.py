"""Files of others that the pages load are what was fetched."""

from __future__ import annotations

from hashlib import sha256

from api.ui.rendering import STATIC, TEMPLATES
from infra.vendor import HTMX, LUCIDE, SUMS, TARGET


def test_vendored_files_are_those_that_were_fetched() -> None:
    assert TARGET == STATIC / "vendor"
    first, *lines = (TARGET / SUMS).read_text().splitlines()
    assert first == f"# {HTMX}, {LUCIDE}"
    known = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    found = {
        path.name: sha256(path.read_bytes()).hexdigest() for path in TARGET.iterdir() if path.name != SUMS
    }
    assert found == known
    assert {"htmx.LICENSE", "lucide.LICENSE"} <= found.keys()


def test_what_a_browser_loads_stays_small() -> None:
    assert (STATIC / "sluice.css").stat().st_size < 20_000
    assert sum(path.stat().st_size for path in STATIC.rglob("*.js")) < 110_000


def test_no_template_leaves_anything_unescaped_or_inline() -> None:
    for path in TEMPLATES.iterdir():
        text = path.read_text()
        for word in ("|safe", "| safe", "autoescape", " style=", " onclick", "hx-on", "<script>"):
            assert word not in text, (path, word)
