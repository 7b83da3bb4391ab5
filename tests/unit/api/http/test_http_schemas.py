"""How a model refuses a value: where, and in which words."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from api.access.schemas import KeyRequest
from api.batches.schemas import BatchItem
from api.http.schemas import pointer, validate
from api.jobs.job_filter import JobFilter
from api.polls.schemas import PollRequest
from api.schedules.schemas import ScheduleBody, ScheduleReplacement
from sluice.core.errors import Invalid

SCHEDULE = {"cron": "@daily", "kind": "demo.sum", "input": None}


def test_pointers_are_escaped() -> None:
    assert pointer(["a/b", "m~n", 0]) == "/a~1b/m~0n/0"


@pytest.mark.parametrize("given", ["ä", 7])
@pytest.mark.parametrize(
    ("model", "more", "name"),
    [
        (BatchItem, {"kind": "demo.sum", "input": None}, "key"),
        (JobFilter, {}, "kind"),
        (JobFilter, {}, "error"),
        (KeyRequest, {"scopes": ["read"]}, "name"),
        (ScheduleBody, SCHEDULE, "name"),
        (ScheduleReplacement, SCHEDULE, "name"),
        (PollRequest, {}, "jobs"),
    ],
)
def test_how_a_text_is_written_is_told_in_words(
    model: type[BaseModel], more: dict[str, Any], name: str, given: Any
) -> None:
    with pytest.raises(Invalid) as caught:
        validate(model, more | {name: {given: 1} if name == "jobs" else given})
    [flaw] = caught.value.flaws
    assert flaw.code == "wrong-format"
    assert not set(flaw.detail) & set("^$[]{}\\")
