"""Endings of jobs that somebody is to be told of."""

from __future__ import annotations

from typing import NamedTuple

from sluice.core.job import Job

WEBHOOKS = "webhooks"
"""The listener that hears of the endings of tenants with a webhook, and of no others."""


class Ending(NamedTuple):
    """What a job came to, as it was when it ended; it may be gone by now. `number` rises, within one listener, about as time does.

    `webhook` is the option of its submit.
    """

    number: int
    job: Job
    webhook: bytes | None = None
