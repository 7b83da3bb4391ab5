"""Refuse settings under which this consumer could not keep its promises."""

from __future__ import annotations

from sluice.core.registry import Registry, check_lanes
from sluice.core.runtime.settings import Settings, processors
from sluice.errors import StartRefused
from sluice.handler import AnyHandler


def check_configuration(settings: Settings, registry: Registry[AnyHandler]) -> None:
    """Raise StartRefused if lanes, kinds and pools do not fit together."""
    unknown = [name for name in settings.serve_lanes if name not in settings.lanes]
    if unknown:
        raise StartRefused(f"SLUICE_SERVE_LANES: there is no lane {unknown[0]!r} in SLUICE_LANES")
    check_lanes(registry, settings.lanes)
    places = {"thread": ("SLUICE_THREADS", settings.threads)}
    places["process"] = ("SLUICE_PROCESSES", settings.processes or processors())
    for runs_in, (variable, size) in places.items():
        lanes = {registry[kind].lane for kind in registry if registry[kind].runs_in == runs_in}
        slots = sum(lane.slots for lane in settings.served if lane.name in lanes)
        if slots > size:
            raise StartRefused(
                f"{variable}: {size} are fewer than the {slots} slots of the lanes that need them: raise it, "
                "or lower the slots in SLUICE_LANES"
            )
