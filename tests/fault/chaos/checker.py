"""Compare what clients were told with what the record says, and name every contradiction."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from tests.fault.chaos.client_log import ClientLog, RequestedJob, Violations
from tests.fault.chaos.kinds import answer_to
from tests.fault.chaos.record_snapshot import FailedAttempt, RecordSnapshot, Row

TERMINAL = frozenset({"succeeded", "failed", "cancelled"})
SOLO_LIMIT = 3
STALE_S = 8.0
"""Grace for stale answers: a job counts as finished from the start of the statement that says so, during which PostgreSQL may be frozen."""

UNCHARGED = frozenset({"lease-lost", "released", "cancelled"})
USUAL_FAILURES = frozenset({("chaos.shaky", "handler-error")})
"""Kinds that fail by themselves, and how."""

Counts = dict[str, int]


class Verdict(NamedTuple):
    """What was counted, and what was violated."""

    counts: Counts
    violations: Violations

    @property
    def good(self) -> bool:
        """Tell whether nothing was violated."""
        return not self.violations.counts


def judge(log: ClientLog, record: RecordSnapshot, no_faults: bool = False) -> Verdict:
    """Return the verdict, including what clients saw go wrong on the way. `no_faults` says that nothing was broken."""
    by_number: dict[int, list[Row]] = defaultdict(list)
    for row in record.rows:
        by_number[row.number].append(row)
    by_id = {row.id: row for row in record.rows}
    violations = log.violations
    for job in log.jobs.values():
        _check_job(job, by_number.get(job.number, []), by_id, violations)
    _check_pure(log, by_number, by_id, violations)
    for row in record.rows:
        _check_row(row, log, violations)
    _check_shown(log, by_id, violations)
    outcomes = _check_claims(record.rows, record.attempts, violations)
    for each in record.attempts if no_faults else ():
        if each.outcome == "lease-lost":
            violations.add("taken from a living consumer", each)
    _check_charges(record, by_id, violations)
    runs = _check_runs(record, by_id, violations)
    return Verdict(_counts(log, record, by_number) | outcomes | runs, violations)


def _check_job(job: RequestedJob, rows: list[Row], by_id: Mapping[str, Row], violations: Violations) -> None:
    for job_id in job.ids:
        if job_id not in by_id:
            violations.add("lost", f"{job_id} of {job}")
        elif (by_id[job_id].number, by_id[job_id].tenant) != (job.number, job.tenant):
            violations.add("another's job", f"{job_id} for {job}")
    if len(rows) > 1 or len(job.ids) > 1:
        violations.add("duplicated", f"{job}: {rows}")
    for row in rows:
        _check_promise(job, row, violations)


def _check_promise(job: RequestedJob, row: Row, violations: Violations) -> None:
    if job.cancelled and row.state == "succeeded":
        violations.add("succeeded although cancelled", row)
    if row.state == "cancelled" and not job.cancel_requested:
        violations.add("cancelled by nobody", row)
    if job.refused and not job.unknown and not job.ids:
        violations.add("accepted although refused", f"{job}: {row}")


def _check_pure(
    log: ClientLog, by_number: Mapping[int, list[Row]], by_id: Mapping[str, Row], violations: Violations
) -> None:
    for (tenant, number), ids in log.pure.items():
        for job_id in ids:
            if job_id not in by_id:
                violations.add("lost", f"{job_id} for pure work {number} of {tenant}")
            elif (by_id[job_id].number, by_id[job_id].tenant) != (number, tenant):
                violations.add("another's job", f"{job_id} for pure work {number} of {tenant}")
        done = [row for row in by_number.get(number, []) if row.state == "succeeded" and row.tenant == tenant]
        if len(done) > 1:
            violations.add("same work done twice", done)


def _check_row(row: Row, log: ClientLog, violations: Violations) -> None:
    if row.number not in log.jobs and row.kind != "chaos.pure":
        violations.add("unexpected", row)
    if row.state not in TERMINAL:
        violations.add("stuck", row)
    if row.state == "succeeded" and row.answer != answer_to(row.number):
        violations.add("wrong content", row)
    if row.state == "succeeded" and row.answer_fence not in (None, row.fence):
        violations.add("written by an older claim", row)
    if row.state == "failed" and row.error != "worker-lost":
        violations.add("failed without a reason", row)


def _check_shown(log: ClientLog, by_id: Mapping[str, Row], violations: Violations) -> None:
    """Check that nobody was shown an unfinished job after its end."""
    for job_id, asked_at in log.unfinished_at.items():
        row = by_id.get(job_id)
        if row is not None and row.finished is not None and asked_at > row.finished + STALE_S:
            violations.add("shown unfinished after its end", f"{asked_at - row.finished:.1f} s after: {row}")


def _check_claims(rows: Iterable[Row], attempts: Iterable[FailedAttempt], violations: Violations) -> Counts:
    """Check that every claim ended in exactly one way: the last of a success in that success, each other in a row of attempts."""
    fences: dict[str, list[int]] = defaultdict(list)
    outcomes: Counter[str] = Counter()
    for each in attempts:
        fences[each.job_id].append(each.fence)
        outcomes[each.outcome] += 1
    for row in rows:
        found, before = fences.get(row.id, []), list(range(1, row.fence))
        last_may_have_one = row.state != "succeeded" and found == [*before, row.fence]
        if found != before and not last_may_have_one:
            violations.add("claims unexplained", f"{row}: {found}")
    return {f"attempts {name}": count for name, count in sorted(outcomes.items())}


def _check_runs(record: RecordSnapshot, by_id: Mapping[str, Row], violations: Violations) -> Counts:
    """Check that a handler began again under a claim only where its host was lost, and that every result has a run behind it."""
    lost = _lost_hosts(record, by_id)
    pids: dict[tuple[str, int], list[int]] = defaultdict(list)
    for job_id, fence, pid in record.ledger:
        if pid in pids[job_id, fence] or not lost.issuperset(pids[job_id, fence]):
            violations.add("ran twice under one claim", (job_id, fence, pid))
        pids[job_id, fence].append(pid)
        if job_id not in by_id or fence > by_id[job_id].fence:
            violations.add("ran without a claim", (job_id, fence, pid))
    for row in record.rows:
        if row.state == "succeeded" and (row.id, row.fence) not in pids:
            violations.add("succeeded without running", row)
    runs = Counter(run.job_id for run in record.ledger)
    for row in record.rows:
        if row.state == "failed" and row.error == "worker-lost" and runs[row.id] < SOLO_LIMIT:
            ends = [each[1:] for each in record.attempts if each.job_id == row.id]
            violations.add(
                "given up although it never ran alone so often", f"{row}: ran {runs[row.id]} times, {ends}"
            )
    return {
        "handler runs": len(record.ledger),
        "jobs run more than once": sum(map(_again, runs.values())),
        "claims run more than once": sum(_again(len(each)) for each in pids.values()),
    }


def _again(times: int) -> bool:
    return times > 1


def _lost_hosts(record: RecordSnapshot, by_id: Mapping[str, Row]) -> frozenset[int]:
    """Return the hosts that were harmed, from outside or by what ran in them."""
    return record.harmed.union(
        run.pid for run in record.ledger if run.job_id in by_id and _is_hostile(by_id[run.job_id])
    )


def _is_hostile(row: Row) -> bool:
    return row.kind.startswith("hostile.")


def _check_charges(record: RecordSnapshot, by_id: Mapping[str, Row], violations: Violations) -> None:
    """Check who was charged: those that do harm; of others, one for each host that was harmed from outside, if it was alone there."""
    pids = {(run.job_id, run.fence): run.pid for run in record.ledger}
    charged: Counter[int] = Counter()
    for each in record.attempts:
        row = by_id[each.job_id]
        if each.outcome in UNCHARGED or _is_hostile(row) or (row.kind, each.outcome) in USUAL_FAILURES:
            continue
        pid = pids.get((each.job_id, each.fence), 0)  # 0: its host was lost before it began
        charged[pid] += 1
        if each.outcome != "worker-lost" or charged[pid] > 1 or pid not in (0, *record.harmed):
            violations.add("charged although not the cause", f"{each}, in host {pid}: {row}")


def _counts(log: ClientLog, record: RecordSnapshot, by_number: Mapping[int, list[Row]]) -> Counts:
    jobs = list(log.jobs.values())

    def count(of: Callable[[RequestedJob], object]) -> int:
        return sum(1 for job in jobs if of(job))

    promised = log.promised()
    states = Counter(row.state for row in record.rows)
    return {
        "attempted": log.attempted,
        "not sent": log.not_sent,
        "acknowledged": log.acknowledged,
        "accepted jobs": len(promised),
        "unknown": count(lambda job: job.unknown),
        "unknown, never acknowledged": count(lambda job: job.unknown and not job.ids),
        "recovered": count(lambda job: job.unknown and not job.ids and by_number.get(job.number)),
        "refused": count(lambda job: job.refused),
        "ok": sum(1 for row in record.rows if row.id in promised and row.state in TERMINAL),
        "given up": sum(1 for row in record.rows if row.state == "failed"),
        "cancels promised": count(lambda job: job.cancelled),
        "replayed": log.replayed,
        "followed": log.followed,
        "jobs whose consumer was lost": sum(1 for row in record.rows if row.crashes),
        **{f"jobs {state}": number for state, number in sorted(states.items())},
    }
