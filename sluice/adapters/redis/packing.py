"""Encode and decode results and wake-ups for Redis."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import isfinite

from sluice.core.errors import Malformed
from sluice.core.job import Job
from sluice.core.ports import Result, Wake


def pack_result(fingerprint: bytes, job: Job) -> bytes:
    """Write whose work it is, which job has the result, and when it finished."""
    return fingerprint + f"{job.id} {job.finished_at.timestamp() if job.finished_at else 0}".encode()


def unpack_result(fingerprint: bytes, value: bytes | None) -> Result | None:
    """Read what `pack_result` wrote; None if there is none. Raises Malformed, for the result of other work as well."""
    if not value:
        return None
    if not value.startswith(fingerprint):
        raise Malformed("a result of other work")
    try:
        job_id, finished_at = value[len(fingerprint) :].decode().split(" ")
        result = Result(job_id, float(finished_at))
    except ValueError as error:
        raise Malformed("not a packed result") from error
    if not isfinite(result.finished_at):
        raise Malformed("a result of no time")
    return result


def pack_wakes(versions: Mapping[str, int], last: Collection[str]) -> str:
    """Write `id:version` for each job, with `!` after a last version, separated by commas."""
    return ",".join(f"{job_id}:{version}{'!' * (job_id in last)}" for job_id, version in versions.items())


def unpack_wakes(message: bytes) -> dict[str, Wake]:
    """Read what `pack_wakes` wrote."""
    pairs = (entry.partition(":") for entry in message.decode().split(",") if entry)
    return {job_id: Wake(int(version.rstrip("!")), version.endswith("!")) for job_id, _, version in pairs}
