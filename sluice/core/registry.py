"""The registry of kinds by name, and what refuses the start because of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Protocol, TypeVar

from sluice.core.errors import KindUnknown
from sluice.errors import StartRefused


class Kind(Protocol):
    """What handlers and their descriptions (`KindInfo`) have in common."""

    @property
    def kind(self) -> str: ...
    @property
    def aliases(self) -> tuple[str, ...]: ...
    @property
    def lane(self) -> str: ...
    @property
    def lanes(self) -> tuple[str, ...] | None:
        """Those that clients may put its jobs into, its own first; None: any."""

    @property
    def version(self) -> int: ...
    @property
    def cache_s(self) -> float: ...
    @property
    def keep_s(self) -> float | None: ...
    @property
    def where(self) -> str:
        """File and line of its function."""


K_co = TypeVar("K_co", bound=Kind, covariant=True)


class Registry(Mapping[str, K_co]):
    """All kinds of this process by name; former names (aliases) find their kind, but are not listed.

    Raises StartRefused if two kinds have a name in common.
    """

    def __init__(self, kinds: Iterable[K_co]) -> None:
        self._kinds: dict[str, K_co] = {}
        self._aliases: dict[str, str] = {}
        for each in kinds:
            for name in (each.kind, *each.aliases):
                if name in self:
                    raise _defined_twice(name, self[name], each)
            self._kinds[each.kind] = each
            self._aliases |= dict.fromkeys(each.aliases, each.kind)

    def __getitem__(self, kind: str) -> K_co:
        found = self._kinds.get(kind) or self._kinds.get(self._aliases.get(kind, ""))
        if found is None:
            raise KindUnknown(kind)
        return found

    def __contains__(self, kind: object) -> bool:
        return kind in self._kinds or kind in self._aliases

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._kinds))

    def __len__(self) -> int:
        return len(self._kinds)

    @property
    def versions(self) -> dict[str, int]:
        """The version of a kind by every name under which a job may be waiting: kinds and aliases."""
        return {name: self[name].version for name in (*self._kinds, *self._aliases)}


def check_lanes(registry: Registry[Kind], lanes: Collection[str]) -> None:
    """Raise StartRefused if a kind belongs to a lane that is not among these, or may be put into one."""
    for kind in registry:
        for lane in registry[kind].lanes or (registry[kind].lane,):
            if lane not in lanes:
                raise _no_such_lane(registry[kind], lane)


def _no_such_lane(kind: Kind, lane: str) -> StartRefused:
    name = f"the kind {kind.kind!r}"
    what = f"to which {name} belongs" if lane == kind.lane else f"which {name} allows"
    return StartRefused(f"SLUICE_LANES: there is no lane {lane!r}, {what}")


def _defined_twice(name: str, first: Kind, second: Kind) -> StartRefused:
    places = f"at {first.where} and at {second.where}"
    return StartRefused(f"kind {name!r} is defined twice, {places}: rename one of them")
