"""Memory and files that grow are distinguished from those that fluctuate."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.fault.chaos.resource_samples import Sample, look, trends, watch, write


def life(name: str, pid: int, grows: float = 0.0, files: int = 0, until: int = 360) -> list[Sample]:
    """Sample an hour of a process: so many MiB more in ten minutes, and so many more files at the end."""
    return [
        Sample(at * 10.0, name, pid, 70 + (at % 3) + grows * at / 60, 30 + (at % 2) + files * (at >= 300))
        for at in range(until)
    ]


def test_what_only_moves_is_level() -> None:
    (trend,) = trends(life("api-0", 7))
    assert trend.level
    assert (trend.first_files, trend.last_files) == (30, 30)
    assert trend.growth == pytest.approx(0, abs=0.05)


def test_what_grows_is_not() -> None:
    (memory,) = trends(life("api-0", 7, grows=1.5))
    assert memory.growth == pytest.approx(1.5, abs=0.1)
    assert not memory.level
    (files,) = trends(life("api-0", 7, files=9))
    assert not files.level


def test_files_of_clients_that_wait_are_no_growth() -> None:
    busy = [each._replace(files=each.files + 200 * (each.at_s % 100 != 0)) for each in life("api-0", 7)]
    quiet = [each for each in life("api-0", 7) if each.at_s < 2_900]
    (trend,) = trends([*quiet, *busy[len(quiet) :]])
    assert trend.level


def test_only_what_lived_all_the_time_is_judged() -> None:
    younger = [each._replace(pid=9) for each in life("api-1", 9) if each.at_s > 2_000]
    found = trends([*life("api-1", 8, until=200), *younger, *life("consumer-0", 3)])
    assert [trend.name for trend in found] == ["consumer-0"]


async def test_this_process_is_watched_and_written_down(tmp_path: Path) -> None:
    seen: list[Sample] = []
    task = asyncio.create_task(watch(lambda: {"this": os.getpid(), "nobody": 2**22}, seen, every_s=0.01))
    while len(seen) < 2:  # noqa: ASYNC110  a list tells nobody
        await asyncio.sleep(0.005)
    task.cancel()
    assert {each.name for each in seen} == {"this"}
    assert seen[0].mib > 5
    assert seen[0].files > 2
    write(seen, tmp_path / "samples.csv")
    assert (tmp_path / "samples.csv").read_text().splitlines()[0] == "at_s,name,pid,mib,files"
    assert look("nobody", 2**22, 0.0) is None
