"""The report of a run: what was broken, what was promised, what was kept; Markdown for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from infra.local.bench import versions
from infra.local.servers import Servers
from loadtests.bench import machine
from tests.fault.chaos import resource_samples
from tests.fault.chaos.recovery import LIMITS, Recovery, broken, table
from tests.fault.chaos.resource_samples import Trend, trends
from tests.fault.chaos.run import Outcome

MUST_BE_NONE = (
    "lost", "duplicated", "stuck", "wrong content", "written by an older claim", "unexpected",
    "succeeded although cancelled", "claims unexplained", "ran twice under one claim", "not found after its 202",
    "went back", "shown unfinished after its end", "seen by a stranger", "another's job", "charged although not the cause", "processes left behind",
    "ending without webhook", "ending under two ids", "webhook badly signed", "ending without event", "not changed once by the bulk act", "server error", "503 without Retry-After", "hung",
)  # fmt: skip
"""Named in every report, even where the count is 0."""


def facts(servers: Servers, load_before: float) -> dict[str, str]:
    """Describe the machine and the servers, which have to be running."""
    return machine.describe(versions(servers), load_before)


def verdict(outcome: Outcome, patience: float) -> str:
    """Return the verdict in one word."""
    return "KEPT" if kept(outcome, patience) else "BROKEN"


def kept(outcome: Outcome, patience: float) -> bool:
    """Tell whether every promise was kept, including those about time, and about memory if it was watched for long enough."""
    return outcome.verdict.good and not broken(outcome.recoveries, patience) and not growing(outcome)


def growing(outcome: Outcome) -> list[Trend]:
    """Return the processes of the product whose memory or files do not stay level."""
    ours = (trend for trend in trends(outcome.samples) if trend.name.startswith(("api", "consumer")))
    return [trend for trend in ours if not trend.level]


def markdown(outcome: Outcome, where: dict[str, str], patience: float) -> str:
    """Render the report for people."""
    return "\n".join(_lines(outcome, where, patience)) + "\n"


def as_json(outcome: Outcome, where: dict[str, str], patience: float) -> bytes:
    """Render the report for programs."""
    found: dict[str, Any] = {
        "verdict": verdict(outcome, patience),
        "seed": outcome.plan.seed,
        "seconds": outcome.plan.seconds,
        "rate": outcome.plan.rate,
        "where": where,
        "counts": outcome.verdict.counts,
        "figures": outcome.figures,
        "wrong": {name: outcome.verdict.violations.counts[name] for name in _violation_names(outcome)},
        "examples": dict(outcome.verdict.violations.examples),
        "late": broken(outcome.recoveries, patience),
        "rest_s": outcome.rest_s,
        "memory": [trend._asdict() | {"level": trend.level} for trend in trends(outcome.samples)],
        "recoveries": [_recovery(each) for each in outcome.recoveries],
    }
    return orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS)


def write(outcome: Outcome, where: dict[str, str], directory: Path, patience: float) -> Path:
    """Write both reports and the samples; return the path of the one for people."""
    directory.mkdir(parents=True, exist_ok=True)
    stem = where["date"].replace(" UTC", "").replace(" ", "-").replace(":", "")
    path = directory / f"report-{stem}-seed-{outcome.plan.seed}.md"
    path.write_text(markdown(outcome, where, patience))
    path.with_suffix(".json").write_bytes(as_json(outcome, where, patience))
    resource_samples.write(outcome.samples, path.with_suffix(".csv"))
    return path


def _lines(outcome: Outcome, where: dict[str, str], patience: float) -> Iterator[str]:
    plan, counts = outcome.plan, outcome.verdict.counts
    yield f"# Faults under load: {verdict(outcome, patience)}"
    yield ""
    yield (
        f"{len(outcome.recoveries)} faults, {counts['accepted jobs']:,} accepted jobs, "
        f"{counts.get('handler runs', 0):,} handler runs in {plan.seconds:.0f} s; seed {plan.seed}."
    )
    yield ""
    yield from (f"- {name}: {words}" for name, words in where.items())
    if patience != 1:
        yield f"- patience: promises about time were stretched {patience:g} times"
    yield from ["", "## What must be 0", "", "| what | count |", "|---|---:|"]
    yield from (
        f"| {name} | {outcome.verdict.violations.counts[name]} |" for name in _violation_names(outcome)
    )
    for name, examples in outcome.verdict.violations.examples.items():
        yield from ["", f"### {name}", ""]
        yield from (f"- `{each}`" for each in examples)
    yield from ["", "## Counts", "", "| what | count |", "|---|---:|"]
    yield from (f"| {name} | {count:,} |" for name, count in counts.items())
    yield from (f"| {name} | {count:,} |" for name, count in outcome.figures.items())
    yield f"| clients that found no room | {outcome.not_started:,} |"
    yield from _recovery_lines(outcome, patience)
    yield from _answer_lines(outcome)
    yield from _trend_lines(outcome)


def _trend_lines(outcome: Outcome) -> Iterator[str]:
    found = trends(outcome.samples)
    if not found:
        return
    yield from ["", f"## Memory and files, after the first {resource_samples.WARM_S / 60:.0f} minutes", ""]
    yield "| process | MiB at first | at last | growth in 10 min | files at first | at last | |"
    yield "|---|---:|---:|---:|---:|---:|---|"
    for each in found:
        mib = f"{each.first_mib:.1f} | {each.last_mib:.1f} | {each.growth:.2f}"
        yield f"| {each.name} | {mib} | {each.first_files} | {each.last_files} | {'level' if each.level else 'GROWS'} |"


def _recovery_lines(outcome: Outcome, patience: float) -> Iterator[str]:
    yield from ["", "## Recovery, in seconds: median and longest", ""]
    yield "| fault | times | longest pause of accepting | accepts again | works again | jobs taken over | promised |"
    yield "|---|---:|---:|---:|---:|---:|---|"
    for line in table(outcome.recoveries):
        cells = [f"{took[0]:.1f}, {took[1]:.1f}" if took else "" for took in line.seconds.values()]
        name, limit = LIMITS.get(line.kind, ("", 0.0))
        promised = f"{name} ≤ {limit:g}" if name else ""
        yield f"| {line.kind} | {line.times} | {' | '.join(cells)} | {promised} |"
    yield from ["", f"The last job finished {outcome.rest_s:.0f} s after the last client had left.", ""]
    yield from (f"- late: {each}" for each in broken(outcome.recoveries, patience))


def _answer_lines(outcome: Outcome) -> Iterator[str]:
    log = outcome.log
    yield from ["", "## Answers", "", "| route | status | count |", "|---|---|---:|"]
    for (route, status), count in sorted(log.answers.items()):
        yield f"| {route} | {status or 'connection lost'} | {count:,} |"
    yield from [
        "",
        "| route | median ms | 99 % | longest | later than 1 s | than 3 s |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for route in log.latencies.routes():
        figures = [log.latencies.percentile(route, share) for share in (0.5, 0.99, 1.0)]
        figures += [log.latencies.later_than(route, limit) for limit in (1.0, 3.0)]
        yield f"| {route} | {' | '.join(f'{each:,}' for each in figures)} |"


def _violation_names(outcome: Outcome) -> list[str]:
    seen = [name for name in outcome.verdict.violations.counts if name not in MUST_BE_NONE]
    return [*MUST_BE_NONE, *sorted(seen)]


def _recovery(each: Recovery) -> dict[str, Any]:
    times = {name: getattr(each, name) for name in ("pause", "accepts", "works", "rescued")}
    return (
        each.injected.fault._asdict() | {"began": each.injected.began, "ended": each.injected.ended} | times
    )
