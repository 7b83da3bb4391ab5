"""What `make run` shows: steps while things start, bars while jobs run, then the results and where everything is."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from infra.local.demo import Visit

_COLOURS = {
    "succeeded": "green",
    "failed": "red",
    "cancelled": "yellow",
    "no answer": "red",
    "running": "cyan",
}


class Step:
    """One line of the start; `note` is what stands beside its name when it is done."""

    note = ""


@contextmanager
def step(console: Console, name: str) -> Iterator[Step]:
    """Show a spinner while the block runs, then one line with its note and the time it took."""
    began, current = time.monotonic(), Step()
    with console.status(f"{name} …"):
        yield current
    line = Text.assemble(
        ("  ✔ ", "green"), f"{name:<9} ", (f"{time.monotonic() - began:5.1f} s  ", "dim"), current.note
    )
    console.print(line, soft_wrap=True)


class Bars:
    """A bar per job; without a terminal, a line for every change of state."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tasks: dict[str, TaskID] = {}
        self._said: dict[str, str] = {}
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✔"),
            TextColumn("{task.description:<20}"),
            BarColumn(24),
            TextColumn("{task.fields[state]:<10}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    @contextmanager
    def shown(self) -> Iterator["Bars"]:
        """Draw while the block runs."""
        with self._progress:
            yield self

    def watch(self, visit: Visit) -> None:
        """Take note of a change."""
        if self._console.is_terminal:
            self._draw(visit)
        elif self._said.get(visit.sample.kind) != visit.state:
            self._said[visit.sample.kind] = visit.state
            self._console.print(f"    {visit.sample.kind:<20} {visit.state}")

    def _draw(self, visit: Visit) -> None:
        kind, progress = visit.sample.kind, visit.document.get("progress") or {}
        if kind not in self._tasks:
            self._tasks[kind] = self._progress.add_task(kind, total=None, state="")
        percent = 100 if visit.is_over else progress.get("percent")
        total = None if percent is None else 100
        colour = _COLOURS.get(visit.state, "white")
        self._progress.update(
            self._tasks[kind], completed=percent or 0, total=total, state=f"[{colour}]{visit.state}[/]"
        )


def show_results(console: Console, visits: list[Visit]) -> None:
    """Print a line per job, and below them what some of them made to look at."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    for visit in visits:
        table.add_row(
            f"  {_mark(visit)}", f"[bold]{visit.sample.kind}", f"[dim]{_times(visit)}", Text(_told(visit))
        )
    console.print()
    console.print(table, soft_wrap=True)
    for visit in visits:
        if visit.succeeded:
            _show_more(console, visit)


def show_where(console: Console, url: str, key: str, notes: list[str]) -> None:
    """Print what a person needs to go on."""
    rows = {
        "API": f"[link={url}]{url}[/link]",
        "docs": f"[link={url}/docs]{url}/docs[/link]",
        "key": key,
        "logs": "make logs",
        "stop": "make down",
        "try": '[dim]. .local/env; curl -s $SLUICE_URL/v1/kinds -H "Authorization: Bearer $SLUICE_API_KEY"',
        "more": "[dim]. .local/env; sluice --help",
    }
    console.print()
    for name, value in rows.items():
        console.print(f"  [bold cyan]{name:<5}[/] {value}", soft_wrap=True, highlight=False)
    for note in notes:
        console.print(f"  [yellow]note[/]  {note}", soft_wrap=True, highlight=False)
    console.print()


def _show_more(console: Console, visit: Visit) -> None:
    """Its table; and its picture, where the terminal can show one."""
    colours = console.is_terminal and not console.no_color
    for show in (visit.sample.table, visit.sample.picture if colours else None):
        if show is not None:
            console.print()
            console.print(show(visit.document["result"]), soft_wrap=True)


def _mark(visit: Visit) -> str:
    return "[green]✔[/]" if visit.succeeded else "[red]✘[/]"


def _told(visit: Visit) -> str:
    if visit.succeeded:
        return visit.sample.tell(visit.document["result"])
    problem = visit.document.get("error") or {}
    said = ": ".join(str(problem[part]) for part in ("title", "detail") if problem.get(part))
    return visit.trouble or f"{visit.state}. {said}"


def _times(visit: Visit) -> str:
    """How long it waited for a free slot and how long it ran, from the record's own clock."""
    created, started, finished = (
        _moment(visit, name) for name in ("created_at", "started_at", "finished_at")
    )
    if not (created and started and finished):
        return f"{visit.took_s:.2f} s"
    return (
        f"{(started - created).total_seconds() * 1000:3.0f} ms + {(finished - started).total_seconds():.2f} s"
    )


def _moment(visit: Visit, name: str) -> datetime | None:
    text = visit.document.get(name)
    return datetime.fromisoformat(text) if text else None
