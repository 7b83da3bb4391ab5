"""Put what a run found into a page of the documentation, between two marks."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path("docs/reliability.md")


def replace_section(page: Path, mark: str, text: str) -> None:
    """Replace the text between the marks; headings become lower than those of the page. Raises LookupError without marks."""
    before, _, after = _split(page, mark)
    lowered = re.sub(r"^#", "###", text.strip(), flags=re.MULTILINE)
    page.write_text(f"{before}\n\n{lowered}\n\n{after}")


def read_section(page: Path, mark: str) -> str:
    """Return the text between the marks. Raises LookupError without them."""
    return _split(page, mark)[1].strip()


def _split(page: Path, mark: str) -> tuple[str, str, str]:
    """Return the page up to the first mark, the text between, and the rest from the second mark on."""
    begin, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    before, found, rest = page.read_text().partition(begin)
    between, closed, after = rest.partition(end)
    if not found or not closed:
        raise LookupError(f"{page} has no place for: {mark}")
    return before + begin, between, end + after
