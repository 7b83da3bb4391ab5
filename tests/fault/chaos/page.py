"""Puts what a run found into a page of the documentation, between two marks."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path("docs/reliability.md")


def put(page: Path, mark: str, text: str) -> None:
    """Replace what stands between the marks; headings come below those of the page. Raises LookupError without marks."""
    begin, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    old = page.read_text()
    if begin not in old or end not in old:
        raise LookupError(f"{page} has no place for: {mark}")
    before, _, rest = old.partition(begin)
    lowered = re.sub(r"^#", "###", text.strip(), flags=re.MULTILINE)
    page.write_text(f"{before}{begin}\n\n{lowered}\n\n{end}{rest.partition(end)[2]}")
