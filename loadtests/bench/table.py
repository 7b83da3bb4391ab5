"""The figures for people: a table on the terminal, and the same as Markdown for docs/performance.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadtests.bench.figures import Figure

COLUMNS = ("what", "median", "lowest to highest", "µs CPU", "found", "target", "")
_NUMBERS = range(1, 4)
_COLOURS = {"met": "green", "missed": "red", "": ""}

Line = tuple[str, str, str, str, str, str, str]


def show(console: Console, machine: dict[str, str], figures: list[Figure]) -> None:
    """Print where it was measured, then the table."""
    for name, words in machine.items():
        console.print(f"[dim]{name:>20}[/]  {words}", soft_wrap=True, highlight=False)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for number, name in enumerate(COLUMNS):
        table.add_column(
            name, justify="right" if number in _NUMBERS else "left", no_wrap=number not in {0, 4}
        )
    for line in _lines(figures):
        table.add_row(*line[:-1], Text(line[-1], _COLOURS[line[-1]]))
    console.print()
    console.print(table)


def markdown(machine: dict[str, str], rounds: int, figures: list[Figure]) -> str:
    """Render the same as Markdown."""
    facts = "".join(f"- {name}: {words}\n" for name, words in machine.items())
    rule = "|".join("---:" if number in _NUMBERS else "---" for number in range(len(COLUMNS)))
    rows = "\n".join(f"| {' | '.join(line)} |" for line in _lines(figures))
    return f"{facts}- rounds: {rounds}\n\n| {' | '.join(COLUMNS)} |\n|{rule}|\n{rows}\n"


def record(file: Path, name: str, text: str) -> None:
    """Put the text between the two marks of that name in a file; at its end if it has none."""
    begin, end = f"<!-- {name}: written by `make bench` -->", f"<!-- end of {name} -->"
    old = file.read_text() if file.exists() else "# Performance\n\n## Figures\n"
    block = f"{begin}\n\n{text}\n{end}"
    pattern = re.compile(f"{re.escape(begin)}.*{re.escape(end)}", re.DOTALL)
    new = pattern.sub(lambda _: block, old) if pattern.search(old) else f"{old.rstrip()}\n\n{block}\n"
    file.write_text(new)


def _lines(figures: list[Figure]) -> Iterator[Line]:
    for figure in figures:
        goals = [(goal.found(), goal.wanted(), "met" if goal.met else "missed") for goal in figure.goals]
        first, *more = goals or [("", "", "")]
        name = figure.name + (f" ({figure.bad:,} answered otherwise)" if figure.bad else "")
        yield (name, figure.text(figure.median), _range(figure), _cost(figure), *first)
        for goal in more:
            yield ("", "", "", "", *goal)


def _range(figure: Figure) -> str:
    low, high = min(figure.samples), max(figure.samples)
    return f"{low:,.{figure.digits}f} to {high:,.{figure.digits}f}" if len(figure.samples) > 1 else ""


def _cost(figure: Figure) -> str:
    return f"{sorted(figure.cpu_us)[len(figure.cpu_us) // 2]:,.1f}" if figure.cpu_us else ""
