"""What `make run` shows: steps while things start, bars while jobs run, then the results and where everything is."""

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from infra.local.sample_run import SampleRun

TRY = """. .local/env; sluice run demo.sum '{"values": [1, 2, 3]}'"""
"""What to type first."""
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

    def watch(self, run: SampleRun) -> None:
        """Take note of a change."""
        if self._console.is_terminal:
            self._draw(run)
        elif self._said.get(run.sample.kind) != run.state:
            self._said[run.sample.kind] = run.state
            self._console.print(f"    {run.sample.kind:<20} {run.state}")

    def _draw(self, run: SampleRun) -> None:
        kind, progress = run.sample.kind, run.document.get("progress") or {}
        if kind not in self._tasks:
            self._tasks[kind] = self._progress.add_task(kind, total=None, state="")
        percent = 100 if run.is_over else progress.get("percent")
        total = None if percent is None else 100
        colour = _COLOURS.get(run.state, "white")
        self._progress.update(
            self._tasks[kind], completed=percent or 0, total=total, state=f"[{colour}]{run.state}[/]"
        )


def show_results(console: Console, runs: list[SampleRun]) -> None:
    """Print a line per job, and below them what some of them made to look at."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    for run in runs:
        table.add_row(
            f"  {_mark(run)}", f"[bold]{run.sample.kind}", f"[dim]{_times(run)}", Text(_outcome(run))
        )
    console.print()
    console.print(table, soft_wrap=True)
    for run in runs:
        if run.succeeded:
            _show_more(console, run)


def first_command(offered: Collection[str]) -> str:
    """Return what to type first where these kinds are offered."""
    return TRY if "demo.sum" in offered else ". .local/env; sluice kinds"


def show_where(
    console: Console, url: str, key: str, notes: list[str], pages: str = "", first: str = TRY
) -> None:
    """Print what a person needs to go on; `pages` is a link that logs in to the dashboard, `first` what to type first."""
    rows = {
        "API": f"[link={url}]{url}[/link]",
        "docs": f"[link={url}/docs]{url}/docs[/link]",
        **({"pages": f"[link={pages}]{pages}[/link] [dim](good once, for a minute)[/]"} if pages else {}),
        "key": key,
        "logs": "make logs",
        "stop": "make down",
        "try": f"[dim]{escape(first)}",
        "more": "[dim]sluice --help; sluice open; docs/first-steps.md",
    }
    console.print()
    for name, value in rows.items():
        console.print(f"  [bold cyan]{name:<5}[/] {value}", soft_wrap=True, highlight=False)
    for note in notes:
        console.print(f"  [yellow]note[/]  {note}", soft_wrap=True, highlight=False)
    console.print()


def _show_more(console: Console, run: SampleRun) -> None:
    """Its table; and its picture, where the terminal can show one."""
    colours = console.is_terminal and not console.no_color
    for show in (run.sample.table, run.sample.picture if colours else None):
        if show is not None:
            console.print()
            console.print(show(run.document["result"]), soft_wrap=True)


def _mark(run: SampleRun) -> str:
    if run.is_held:
        return "[yellow]…[/]"
    return "[green]✔[/]" if run.succeeded else "[red]✘[/]"


def _outcome(run: SampleRun) -> str:
    if run.succeeded:
        return run.sample.describe(run.document["result"])
    if run.is_held:
        lane = run.document["lane"]
        return f"waits: the lane {lane} is paused. sluice lanes resume {lane}"
    error = run.document.get("error") or {}
    said = ": ".join(str(error[part]) for part in ("title", "detail") if error.get(part))
    return run.problem or f"{run.state}. {said}"


def _times(run: SampleRun) -> str:
    """How long it waited for a free slot and how long it ran, from the record's own clock."""
    created, started, finished = (_moment(run, name) for name in ("created_at", "started_at", "finished_at"))
    if not (created and started and finished):
        return f"{run.took_s:.2f} s"
    return (
        f"{(started - created).total_seconds() * 1000:3.0f} ms + {(finished - started).total_seconds():.2f} s"
    )


def _moment(run: SampleRun, name: str) -> datetime | None:
    text = run.document.get(name)
    return datetime.fromisoformat(text) if text else None
