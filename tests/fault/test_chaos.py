"""A short run with a fault every few seconds keeps every promise. `make fault` does more of the same for minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.local.servers import Servers
from tests.fault.chaos import report
from tests.fault.chaos.run import Plan, run
from tests.fault.chaos.schedule import SHORT, ProcessCounts

PLAN = Plan(
    seed=20_261_121,
    seconds=44.0,
    mix=SHORT,
    rate=70.0,
    processes=ProcessCounts(apis=2, consumers=2),
    told=True,
)
PATIENCE = 6.0
"""Times are promised for a quiet machine."""


@pytest.mark.timeout(240)
async def test_nothing_is_lost_or_done_twice_whatever_dies(servers: Servers, tmp_path: Path) -> None:
    where = report.facts(servers, 0.0)
    outcome = await run(PLAN, servers, tmp_path, say=print)
    print(report.markdown(outcome, where, PATIENCE))  # noqa: T201  shown where it fails
    assert report.kept(outcome, PATIENCE), f"seed {PLAN.seed}"
    assert len(outcome.recoveries) == sum(SHORT.values())
    assert outcome.verdict.counts["ok"] > 1_000, "too little was done for a verdict"
    assert outcome.verdict.counts["jobs whose consumer was lost"], "no fault took a job from its consumer"
