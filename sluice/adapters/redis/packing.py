"""Encode and decode results, wake-ups and lines for Redis."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import isfinite

import ormsgpack

from sluice.core.errors import Malformed
from sluice.core.job import Job
from sluice.core.job_log import LogBlock
from sluice.core.ports import LiveLines, Result, Wake


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


def pack_log(job_id: str, block: LogBlock) -> bytes:
    """Write whose lines these are, and the number of the first."""
    return f"{job_id} {block.fence} {block.first}\n".encode() + block.lines


def unpack_log(job_id: str, value: bytes | None) -> LogBlock | None:
    """Read what `pack_log` wrote; None if there is none. Raises Malformed, for the log of another job as well."""
    if not value:
        return None
    head, _, lines = value.partition(b"\n")
    try:
        named, fence, first = head.decode().split(" ")
        block = LogBlock(int(fence), int(first), lines)
    except ValueError as error:
        raise Malformed("not a packed log") from error
    if named != job_id or not lines:
        raise Malformed("the log of another job")
    return block


def pack_lines(lines: Sequence[LiveLines]) -> bytes:
    """Write the lines that are new, with whose they are."""
    return ormsgpack.packb([(each.job_id, each.tenant, *each.new) for each in lines])


def unpack_lines(message: bytes) -> list[LiveLines]:
    """Read what `pack_lines` wrote."""
    entries = ormsgpack.unpackb(message) if message else []
    return [LiveLines(job_id, tenant, LogBlock(*block)) for job_id, tenant, *block in entries]
