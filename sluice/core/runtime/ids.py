"""Make new job ids."""

from __future__ import annotations

import uuid_utils


def new_job_id() -> str:
    """Make the text of a UUIDv7 (RFC 9562 §5.7), so that ids sort by the time at which they were made."""
    return str(uuid_utils.uuid7())
