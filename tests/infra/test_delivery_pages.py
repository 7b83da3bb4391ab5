"""Pages about delivery and cost say what the workflows do, and reckon right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DELIVERY = (ROOT / "docs/delivery.md").read_text()
COST = (ROOT / "docs/cost.md").read_text()
RELEASE = (ROOT / ".github/workflows/release.yml").read_text()
CI = (ROOT / ".github/workflows/ci.yml").read_text()
ITEM = re.compile(r"^\| .+ \| ([\d.]+) \xd7 ([\d.]+) \| ([\d.]+) \|$", re.MULTILINE)
SUM = re.compile(r"^\| \*\*together\*\* \| \| \*\*([\d.]+)\*\* \|$", re.MULTILINE)


def bills() -> list[tuple[list[tuple[float, ...]], float]]:
    """Each table of cost.md that has a sum: how many, at which price, what that comes to; and the sum."""
    found, start = [], 0
    for total in SUM.finditer(COST):
        items = [tuple(map(float, row)) for row in ITEM.findall(COST[start : total.start()])]
        found.append((items, float(total[1])))
        start = total.end()
    return found


def test_every_bill_is_reckoned_right() -> None:
    assert len(bills()) == 3
    for items, total in bills():
        assert all(many * price == pytest.approx(comes_to, abs=0.006) for many, price, comes_to in items)
        assert sum(comes_to for *_, comes_to in items) == pytest.approx(total, abs=0.006)


def test_every_price_of_a_bill_is_in_the_list_of_prices() -> None:
    section = COST.split("\n## Prices\n", 1)[1].split("\n## ", 1)[0]
    listed = {float(price) for price in re.findall(r"\| ([\d.]+) \|$", section, re.MULTILINE)}
    assert {price for items, _ in bills() for _, price, _ in items} <= listed


def test_the_steps_to_half_are_the_difference() -> None:
    saved = [float(row) for row in re.findall(r"^\| [^|]+ \| ([\d.]+) \| [^|]+ \|$", COST, re.MULTILINE)]
    (usual, half, _) = (total for _, total in bills())
    assert usual - sum(saved) + 0.58 == pytest.approx(half, abs=0.006)
    assert half < 800 / 2


def test_the_cost_page_uses_the_figures_of_the_performance_page() -> None:
    measured = (ROOT / "docs/performance.md").read_text()
    assert "| processor time per job: all together | 391 µs |" in measured
    assert "| memory at rest: api | 69 MiB |" in measured
    assert "| memory at rest: consumer | 60 MiB |" in measured
    assert re.search(r"read from Redis each time \| [\d,]+ /s \| [^|]+ \| 47\.3 \|", measured)
    assert "| jobs finished, 64 connections | 4,264 /s |" in measured
    assert "| bytes of write-ahead log a job | 1,558 |" in measured


def test_what_a_reader_verifies_with_is_what_the_release_verified_with() -> None:
    block = DELIVERY.split("## Verify what you run", 1)[1].split("```", 2)[1]
    told = set(re.findall(r"(?<= )--[a-z-]+", block)) - {"--format"}
    assert told
    assert told <= set(re.findall(r"(?<= )--[a-z-]+", RELEASE))
    assert re.findall(r"--predicate-type (\S+)", block) == re.findall(r"--predicate-type (\S+)", RELEASE)
    assert "build.yml@refs/tags/" in block


def test_the_page_has_every_workflow_and_every_row_of_versions() -> None:
    told = set(re.findall(r"^\| `([a-z]+)` \|", DELIVERY, re.MULTILINE))
    files = {path.stem for path in (ROOT / ".github/workflows").glob("*.yml")}
    assert told == files - {"build"}, "which release.yml calls"
    rows = re.findall(r'python: "(\S+)"\n +postgres: "(\d+)"\n +servers: RabbitMQ (\S+), (.+)', CI)
    assert len(rows) == 4
    assert [row for row in rows if f"| {' | '.join(row)} |" not in DELIVERY] == []


@pytest.mark.parametrize("name", ["delivery", "cost", "testing"])
def test_every_word_of_make_on_the_page_is_in_the_makefile(name: str) -> None:
    known = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    told = set(
        re.findall(
            r"\bmake ([a-z][a-z0-9-]+)\b(?=[ `]|$)", (ROOT / f"docs/{name}.md").read_text(), re.MULTILINE
        )
    )
    assert told
    assert told <= known


def test_every_folder_of_tests_is_on_the_page() -> None:
    page = (ROOT / "docs/testing.md").read_text()
    named = re.findall(r"`(tests/[\w/.]+|loadtests)`", page)
    assert [place for place in named if not (ROOT / place).exists()] == []
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name[0] != "_"}
    assert folders - {"support"} == {place.split("/")[1] for place in named if place.startswith("tests/")}
