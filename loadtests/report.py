"""What a run leaves: a table for people, a JSON file for programs, and the verdict as the exit status."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from locust.env import Environment
from locust.event import Events
from rich.console import Console
from rich.table import Table

from loadtests import config
from loadtests.verdict import JOB, Row, breaches, polls_per_job

WIDTH = 120
MOST_ERRORS = 10


def install(events: Events) -> None:
    """Judge the run when Locust quits."""
    events.quitting.add_listener(_judge)  # type: ignore[no-untyped-call]  # locust has no types here


def _judge(environment: Environment, **_: Any) -> None:
    rows = _rows(environment)
    found = breaches(rows, _wanted(environment), _exceptions(environment))
    _show(Console(highlight=False, width=WIDTH), rows, found + _errors(environment))
    _write(environment, rows, found)
    environment.process_exit_code = 1 if found else 0


def _rows(environment: Environment) -> list[Row]:
    entries = sorted(environment.stats.entries.values(), key=lambda entry: (entry.method == JOB, entry.name))
    return [
        Row(
            entry.method, entry.name, entry.num_requests, entry.num_failures,
            *(float(entry.get_response_time_percentile(share)) for share in (0.5, 0.95, 0.99)),
        )
        for entry in entries if entry.num_requests
    ]  # fmt: skip


def _wanted(environment: Environment) -> list[str]:
    return [name for user in environment.user_classes for name in getattr(user, "rows", ())]


def _exceptions(environment: Environment) -> list[str]:
    """Return what a user's own code raised, which no row shows."""
    raised = environment.runner.exceptions.values() if environment.runner else ()
    return [f"{each['count']} times {each['msg']}" for each in raised]


def _errors(environment: Environment) -> list[str]:
    """Return the errors of the rows, the most frequent first."""
    errors = sorted(environment.stats.errors.values(), key=lambda each: -each.occurrences)
    return [f"{each.occurrences} times {each.name}: {each.error}" for each in errors[:MOST_ERRORS]]


def _show(console: Console, rows: list[Row], wrong: list[str]) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("what", "count", "errors", "p50 ms", "p95 ms", "p99 ms"):
        table.add_column(name, justify="left" if name == "what" else "right")
    for row in rows:
        times = (f"{value:,.0f}" for value in row[4:])
        table.add_row(f"{row.method} {row.name}", f"{row.asked:,}", f"{row.errors:,}", *times)
    console.print(table)
    for line in wrong:
        console.print(f"✘ {line}", style="red", markup=False, soft_wrap=True)
    if not wrong:
        console.print("✔ as it should be", style="green")


def _write(environment: Environment, rows: list[Row], found: list[str]) -> None:
    """Write one file for each run, named after its end, so that no run overwrites another's figures."""
    ended = datetime.now(UTC)
    start = datetime.fromtimestamp(environment.stats.start_time, UTC)
    report = {
        "started_at": start.isoformat(),
        "ended_at": ended.isoformat(),
        "polls_per_job": polls_per_job(rows),
        "rows": [row._asdict() for row in rows],
        "breaches": found,
        "errors": _errors(environment),
    }
    directory = config.report_directory()
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{ended:%Y%m%dT%H%M%S.%f}.json").write_text(json.dumps(report, indent=1))
