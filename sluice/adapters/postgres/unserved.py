"""Find jobs that wait although no living consumer may run them, and say what to do about them."""

from __future__ import annotations

from collections.abc import Collection

from sluice.adapters.postgres.server_checks import Fetch

MOST = 10_000
"""Jobs that are counted of each lane, or of each kind and version."""


async def describe_unserved(
    ask: Fetch, lanes: Collection[str], *, lanes_only: bool = False, most: int = MOST
) -> list[str]:
    """Describe what waits in vain, a line for each lane that is not among these, and for each kind and version.

    Raises ServerAway.
    """
    rows = await ask("find_unserved", list(lanes), most)
    return [
        _describe(lane, kind, version, _count(jobs, most))
        for lane, kind, version, jobs in rows
        if not lanes_only or kind is None
    ]


def _describe(lane: str, kind: str | None, version: int, count: str) -> str:
    if kind is None:
        return (
            f"the lane {lane!r} is not in SLUICE_LANES and no consumer serves it, but {count} in it. Remedy: put it back until "
            "they have run, or cancel them"
        )
    return (
        f"no consumer serves the kind {kind!r} in version {version} or newer in the lane {lane!r}, and {count} for one. Remedy: "
        "start one whose SLUICE_HANDLERS and SLUICE_SERVE_LANES have both, or cancel them"
    )


def _count(jobs: int, most: int) -> str:
    if jobs >= most:
        return f"{most} jobs or more wait"
    return f"{jobs} jobs wait" if jobs > 1 else "1 job waits"
