"""Refuse settings under which this consumer could not keep its promises."""

from __future__ import annotations

from sluice.core.catalogue import KindInfo
from sluice.core.registry import Registry, check_lanes
from sluice.core.runtime.lane_settings import processors
from sluice.core.runtime.settings import Settings
from sluice.errors import StartRefused


def check_configuration(settings: Settings, kinds: Registry[KindInfo]) -> None:
    """Raise StartRefused if lanes, kinds and processes do not fit together."""
    if settings.lease_s < 3 * settings.beat_s:
        raise StartRefused(
            f"SLUICE_LEASE_S: {settings.lease_s:g} s are over before two renewals have failed, one every {settings.beat_s:g} s: make it "
            "at least three times SLUICE_BEAT_S"
        )
    unknown = [name for name in settings.serve_lanes if name not in settings.lanes]
    if unknown:
        raise StartRefused(f"SLUICE_SERVE_LANES: there is no lane {unknown[0]!r} in SLUICE_LANES")
    check_lanes(kinds, settings.lanes)
    size = settings.processes or processors()
    lanes = {kinds[kind].lane for kind in kinds if kinds[kind].runs_in == "process"}
    slots = sum(lane.slots for lane in settings.served if lane.name in lanes)
    if slots > size:
        raise StartRefused(
            f"SLUICE_PROCESSES: {size} are fewer than the {slots} slots of the lanes that need them: raise it, "
            "or lower the slots in SLUICE_LANES"
        )
