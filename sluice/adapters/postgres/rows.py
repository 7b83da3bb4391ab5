"""Turn rows of the driver into the values that flows use."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from sluice.core.job import Job, Message

Rows = Sequence[asyncpg.Record]


def jobs_of(rows: Rows) -> list[Job]:
    """Make a job from each row, which has the columns of the fragment `job`, input, result and error."""
    return [Job._make(row) for row in rows]


def messages_of(rows: Rows) -> tuple[Message, ...]:
    """Make a message from each row of the outbox; rows without an id are no messages."""
    return tuple(
        Message(row["outbox_id"], row["lane"], row["priority"], tuple(row["ids"]))
        for row in rows
        if row["outbox_id"] is not None
    )
