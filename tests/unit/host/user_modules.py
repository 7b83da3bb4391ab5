"""Modules as users write them, for tests that load them."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

HEAD = """
from pydantic import BaseModel
from sluice.handler import handler

class Given(BaseModel):
    pass
"""
ONE = (
    HEAD
    + """
@handler("one.kind", aliases=("old.kind",))
async def one(given: Given) -> Given:
    return given
"""
)


def write(folder: Path, name: str, text: str) -> str:
    """Write a module of this dotted name, and return the name."""
    file = folder.joinpath(*name.split(".")).with_suffix(".py")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(dedent(text))
    return name
