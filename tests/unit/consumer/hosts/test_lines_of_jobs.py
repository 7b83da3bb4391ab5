"""What handlers log in real hosts reaches their attempts: with the logger of the job, and nothing else."""

from __future__ import annotations

import logging
from typing import Any

import orjson
import pytest

from sluice.handler import AnyHandler
from tests.unit.consumer import hostile_kinds as kinds
from tests.unit.consumer.hosts.real_hosts import running_hosts
from tests.unit.consumer.make_attempts import an_attempt


@pytest.mark.parametrize(
    ("handler", "line"),
    [
        (kinds.talk, {"message": "working", "fields": {}}),
        (kinds.in_process, {"message": "from the child", "fields": {"answer": 42}}),
        (kinds.prints, {"message": "for the client", "fields": {}}),
    ],
    ids=["loop", "slot", "thread"],
)
async def test_the_lines_of_a_job_are_with_its_attempt_when_it_has_ended(
    handler: AnyHandler, line: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)  # what is below the level of its consumer a host does not even send
    async with running_hosts() as hosts:
        attempt = an_attempt(handler, attempt=3)
        await hosts.finish(attempt)
    assert attempt.log is not None
    block = attempt.log.block(fence=1)
    assert block is not None
    (read,) = [orjson.loads(each) for _, each in block.numbered()]
    assert {name: read[name] for name in ("attempt", "level", *line)} == {
        "attempt": 3,
        "level": "info",
        **line,
    }
