"""The commands that the pages print are commands: every word and option is taken."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.cli import main

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(r"(?:^|[\s$(;|])(?:[A-Z_]+=\S+ )*sluice ([a-z].*)")
ENDS = {";", "&", "&&", "|", ">", ")"}


def shown() -> Iterator[str]:
    """What code blocks of the pages hold, and what `make` prints."""
    for page in PAGES:
        block = ""
        for line in page.read_text().replace("\\\n", " ").splitlines():
            if line.strip().startswith("```"):
                block = "" if block else line.strip()
            elif block in ("```", "```sh") and not line.startswith(
                ("helm ", "redis-cli ")
            ):  # which know a release, a chart and a user of this name
                yield line
    yield from re.findall(r'@echo "(.*)"', (ROOT / "Makefile").read_text().replace("$(TENANT)", "demo"))


def printed() -> list[str]:
    """Every `sluice …` of these."""
    found = [match[1].split("; ")[0] for line in shown() for match in COMMAND.finditer(line)]
    return sorted(set(found))


def words_of(line: str) -> list[str]:
    """What the shell hands to the program."""
    words = shlex.split(line.rstrip(")"), comments=True)
    end = next((number for number, word in enumerate(words) if word in ENDS or word.startswith(">")), None)
    return words[:end]


def test_the_pages_print_commands() -> None:
    assert len(printed()) >= 8


@pytest.mark.parametrize("line", printed())
def test_a_command_is_taken_as_it_is_printed(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words_of(line), "--help"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("line", ["keys creates --tenant acme", "keys create --tennant acme"])
def test_what_is_no_command_would_be_noticed(line: str) -> None:
    assert main([*words_of(line), "--help"]) == 2
