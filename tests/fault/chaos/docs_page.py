"""Puts what a run found into a page of the documentation, between two marks."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path("docs/reliability.md")


def put(page: Path, mark: str, text: str) -> None:
    """Replace what stands between the marks; headings come below those of the page. Raises LookupError without marks."""
    before, _, after = _parted(page, mark)
    lowered = re.sub(r"^#", "###", text.strip(), flags=re.MULTILINE)
    page.write_text(f"{before}\n\n{lowered}\n\n{after}")


def shown(page: Path, mark: str) -> str:
    """What stands between the marks. Raises LookupError without them."""
    return _parted(page, mark)[1].strip()


def _parted(page: Path, mark: str) -> tuple[str, str, str]:
    """The page up to the first mark, what is between, and the rest from the second on."""
    begin, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    before, found, rest = page.read_text().partition(begin)
    between, closed, after = rest.partition(end)
    if not found or not closed:
        raise LookupError(f"{page} has no place for: {mark}")
    return before + begin, between, end + after
