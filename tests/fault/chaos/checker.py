"""Compares what clients were told with what the record says, and names every difference that must not be."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from tests.fault.chaos.client_log import ClientLog, Wish, Wrongs
from tests.fault.chaos.kinds import answer_to
from tests.fault.chaos.record_snapshot import Ended, Record, Row

TERMINAL = frozenset({"succeeded", "failed", "cancelled"})
SOLO_LIMIT = 3
STALE_S = 8.0
"""A job is finished from the beginning of the statement that says so on, and PostgreSQL may be frozen in its middle."""

Counts = dict[str, int]


class Verdict(NamedTuple):
    """How many of what there were, and what was wrong."""

    counts: Counts
    wrongs: Wrongs

    @property
    def good(self) -> bool:
        """Nothing was wrong."""
        return not self.wrongs.counts


def judge(book: ClientLog, record: Record, calm: bool = False) -> Verdict:
    """The verdict; what clients saw to be wrong meanwhile is part of it. `calm`: there was no fault at all."""
    by_number: dict[int, list[Row]] = defaultdict(list)
    for row in record.rows:
        by_number[row.number].append(row)
    by_id = {row.id: row for row in record.rows}
    wrongs = book.wrongs
    for wish in book.wishes.values():
        _check_wish(wish, by_number.get(wish.number, []), by_id, wrongs)
    _check_pure(book, by_number, by_id, wrongs)
    for row in record.rows:
        _check_row(row, book, wrongs)
    _check_shown(book, by_id, wrongs)
    outcomes = _check_claims(record.rows, record.attempts, wrongs)
    for each in record.attempts if calm else ():
        if each.outcome == "lease-lost":
            wrongs.add("taken from a living consumer", each)
    runs = _check_runs(record, by_id, wrongs)
    return Verdict(_counts(book, record, by_number) | outcomes | runs, wrongs)


def _check_wish(wish: Wish, rows: list[Row], by_id: Mapping[str, Row], wrongs: Wrongs) -> None:
    for job_id in wish.ids:
        if job_id not in by_id:
            wrongs.add("lost", f"{job_id} of {wish}")
        elif (by_id[job_id].number, by_id[job_id].tenant) != (wish.number, wish.tenant):
            wrongs.add("another's job", f"{job_id} for {wish}")
    if len(rows) > 1 or len(wish.ids) > 1:
        wrongs.add("duplicated", f"{wish}: {rows}")
    for row in rows:
        _check_promise(wish, row, wrongs)


def _check_promise(wish: Wish, row: Row, wrongs: Wrongs) -> None:
    if wish.cancelled and row.state == "succeeded":
        wrongs.add("succeeded although cancelled", row)
    if row.state == "cancelled" and not wish.regretted:
        wrongs.add("cancelled by nobody", row)
    if wish.refused and not wish.unknown and not wish.ids:
        wrongs.add("accepted although refused", f"{wish}: {row}")


def _check_pure(
    book: ClientLog, by_number: Mapping[int, list[Row]], by_id: Mapping[str, Row], wrongs: Wrongs
) -> None:
    for (tenant, number), ids in book.pure.items():
        for job_id in ids:
            if job_id not in by_id:
                wrongs.add("lost", f"{job_id} for pure work {number} of {tenant}")
            elif (by_id[job_id].number, by_id[job_id].tenant) != (number, tenant):
                wrongs.add("another's job", f"{job_id} for pure work {number} of {tenant}")
        done = [row for row in by_number.get(number, []) if row.state == "succeeded" and row.tenant == tenant]
        if len(done) > 1:
            wrongs.add("same work done twice", done)


def _check_row(row: Row, book: ClientLog, wrongs: Wrongs) -> None:
    if row.number not in book.wishes and row.kind != "chaos.pure":
        wrongs.add("unexpected", row)
    if row.state not in TERMINAL:
        wrongs.add("stuck", row)
    if row.state == "succeeded" and row.answer != answer_to(row.number):
        wrongs.add("wrong content", row)
    if row.state == "succeeded" and row.answer_fence not in (None, row.fence):
        wrongs.add("written by an older claim", row)
    if row.state == "failed" and row.error != "worker-lost":
        wrongs.add("failed without a reason", row)


def _check_shown(book: ClientLog, by_id: Mapping[str, Row], wrongs: Wrongs) -> None:
    """Who asks after a job has finished is told so."""
    for job_id, asked_at in book.unfinished_at.items():
        row = by_id.get(job_id)
        if row is not None and row.finished is not None and asked_at > row.finished + STALE_S:
            wrongs.add("shown unfinished after its end", f"{asked_at - row.finished:.1f} s after: {row}")


def _check_claims(rows: Iterable[Row], attempts: Iterable[Ended], wrongs: Wrongs) -> Counts:
    """Every claim ended in exactly one way: the last of a success in it, each other in a row of attempts."""
    fences: dict[str, list[int]] = defaultdict(list)
    outcomes: Counter[str] = Counter()
    for each in attempts:
        fences[each.job_id].append(each.fence)
        outcomes[each.outcome] += 1
    for row in rows:
        found, before = fences.get(row.id, []), list(range(1, row.fence))
        last_may_have_one = row.state != "succeeded" and found == [*before, row.fence]
        if found != before and not last_may_have_one:
            wrongs.add("claims unexplained", f"{row}: {found}")
    return {f"attempts {name}": count for name, count in sorted(outcomes.items())}


def _check_runs(record: Record, by_id: Mapping[str, Row], wrongs: Wrongs) -> Counts:
    """A handler begins at most once under a claim, and no result comes from nowhere."""
    seen = Counter(record.ledger)
    for run, times in seen.items():
        if times > 1:
            wrongs.add("ran twice under one claim", run)
        if run.job_id not in by_id or run.fence > by_id[run.job_id].fence:
            wrongs.add("ran without a claim", run)
    for row in record.rows:
        if row.state == "succeeded" and (row.id, row.fence) not in seen:
            wrongs.add("succeeded without running", row)
    runs = Counter(run.job_id for run in record.ledger)
    for row in record.rows:
        if row.state == "failed" and row.error == "worker-lost" and runs[row.id] < SOLO_LIMIT:
            ends = [each[1:] for each in record.attempts if each.job_id == row.id]
            wrongs.add(
                "given up although it never ran alone so often", f"{row}: ran {runs[row.id]} times, {ends}"
            )
    return {"handler runs": len(record.ledger), "jobs run more than once": sum(map(_again, runs.values()))}


def _again(times: int) -> bool:
    return times > 1


def _counts(book: ClientLog, record: Record, by_number: Mapping[int, list[Row]]) -> Counts:
    wishes = list(book.wishes.values())

    def count(of: Callable[[Wish], object]) -> int:
        return sum(1 for wish in wishes if of(wish))

    promised = book.promised()
    states = Counter(row.state for row in record.rows)
    return {
        "attempted": book.attempted,
        "not sent": book.not_sent,
        "acknowledged": book.acknowledged,
        "accepted jobs": len(promised),
        "unknown": count(lambda wish: wish.unknown),
        "unknown, never acknowledged": count(lambda wish: wish.unknown and not wish.ids),
        "recovered": count(lambda wish: wish.unknown and not wish.ids and by_number.get(wish.number)),
        "refused": count(lambda wish: wish.refused),
        "ok": sum(1 for row in record.rows if row.id in promised and row.state in TERMINAL),
        "given up": sum(1 for row in record.rows if row.state == "failed"),
        "cancels promised": count(lambda wish: wish.cancelled),
        "replayed": book.replayed,
        "followed": book.followed,
        "jobs whose consumer was lost": sum(1 for row in record.rows if row.crashes),
        **{f"jobs {state}": number for state, number in sorted(states.items())},
    }
