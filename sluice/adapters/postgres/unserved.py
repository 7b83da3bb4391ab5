"""Find jobs that wait although no living consumer may run them, and say what to do about them."""

from __future__ import annotations

from collections.abc import Collection

from sluice.adapters.postgres.server_checks import Fetch

MOST = 10_000
"""Jobs that are counted of each lane, kind and version."""


async def describe_unserved(
    ask: Fetch, lanes: Collection[str], *, lanes_only: bool = False, most: int = MOST
) -> list[str]:
    """Describe what waits in vain, a line for each lane, kind and version; or only lanes that are not among these.

    Raises ServerAway.
    """
    rows = await ask("find_unserved", most)
    return [
        _describe(lane, kind, version, f"{jobs}{' or more' * (jobs >= most)}", lane in lanes)
        for lane, kind, version, jobs in rows
        if not (lanes_only and lane in lanes)
    ]


def _describe(lane: str, kind: str, version: int, count: str, configured: bool) -> str:
    gone, put_back = ("", "") if configured else (", which is not in SLUICE_LANES", "put the lane back and ")
    return (
        f"no consumer serves the kind {kind!r} in version {version} or newer in the lane {lane!r}{gone}. "
        f"Jobs that wait for one: {count}. Remedy: {put_back}start one whose SLUICE_HANDLERS and SLUICE_SERVE_LANES have both, or cancel them"
    )
