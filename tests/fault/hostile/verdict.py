"""What was otherwise than it should be."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from tests.fault.hostile.case import Case, Ending
from tests.fault.hostile.traffic import Innocent


class Seen(NamedTuple):
    """How a job ended, as the record tells it."""

    state: str
    attempt: int
    fence: int
    error: dict[str, Any]
    result: dict[str, Any]

    def __str__(self) -> str:
        told = (
            [self.error.get(each, "") for each in ("type", "title", "detail")]
            if self.error
            else [self.result]
        )
        words = " ".join(str(each) for each in told)[:160]
        return f"{self.state}, attempt {self.attempt}, claim {self.fence}: {words}"


LOST = Seen("lost", 0, 0, {}, {})


class Wrong(NamedTuple):
    """Something that is not as it should be."""

    what: str
    should: str
    did: str


def seen(row: Mapping[str, Any]) -> Seen:
    """Read a row of the record."""
    error, result = (orjson.loads(row[each] or b"{}") for each in ("error", "result"))
    return Seen(row["state"], row["attempt"], row["fence"], error, result)


def judge_hostile(case: Case, found: Seen) -> Iterator[Wrong]:
    """Compare the end of a hostile job with those that are right."""
    if not any(fits(ending, found) for ending in case.endings):
        yield Wrong(case.name, " or ".join(map(describe, case.endings)), str(found))


def fits(ending: Ending, found: Seen) -> bool:
    """Tell whether a job ended in this way."""
    words = f"{found.error.get('title')} {found.error.get('detail')}"
    return (
        found.state == ending.state
        and found.error.get("type", "") == ending.error
        and re.search(ending.words, words, re.DOTALL) is not None
        and ending.value in (None, found.result.get("value"))
        and found.attempt <= ending.attempts
    )


def describe(ending: Ending) -> str:
    """Say for people how a job should have ended."""
    more = [ending.error, ending.words, "" if ending.value is None else repr(ending.value)]
    return " ".join([ending.state, *filter(None, more)])


def judge_innocent(job: Innocent, found: Seen, surroundings: Mapping[str, Any]) -> Iterator[Wrong]:
    """Compare the end of an innocent job, and what it saw, with what it would be alone."""
    if (found.state, found.attempt, found.result.get("number")) != ("succeeded", 1, job.number):
        yield Wrong(job.kind, "succeeded, attempt 1", str(found))
    for name, value in found.result.get("surroundings", {}).items():
        if value != surroundings[name]:
            yield Wrong(f"{job.kind} {name}", *_difference(surroundings[name], value))


def _difference(should: Any, did: Any) -> tuple[str, str]:
    if isinstance(should, dict):
        names = [name for name in should | did if should.get(name) != did.get(name)]
        should, did = ({name: each.get(name) for name in names} for each in (should, did))
    return str(should)[:160], str(did)[:160]


def judge_what_is_shared(results: Sequence[Mapping[str, Any]]) -> Iterator[Wrong]:
    """Check that no two jobs drew the same number, and that no two processes have the same connection."""
    drawn = Counter(number for each in results for number in each.get("random", ()))
    for number, times in drawn.items():
        if times > 1:
            yield Wrong("random numbers", "of its own", f"{number} {times} times")
    connections = {tuple(each["connection"]) for each in results if each.get("connection")}
    processes = Counter(inode for _, inode in connections)
    for inode, times in processes.items():
        if times > 1:
            yield Wrong("a connection made at import", "of one process", f"{inode} of {times}")


def table(wrong: list[Wrong]) -> str:
    """Render it for people."""
    times: defaultdict[str, list[Wrong]] = defaultdict(list)
    for each in wrong:
        times[each.what].append(each)
    rows = [_row(each[0], len(each)) for each in times.values()]
    return "\n".join(["| what | times | should | first did |", "|---|---:|---|---|", *rows])


def _row(wrong: Wrong, times: int) -> str:
    cells = (wrong.what, str(times), wrong.should, wrong.did)
    return f"| {' | '.join(cell.replace(chr(10), ' ').replace('|', '/') for cell in cells)} |"
