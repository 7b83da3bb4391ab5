"""The registry of kinds: loads the listed modules, and refuses to start if one is wrong."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterable, Iterator, Mapping

from sluice.core.errors import KindUnknown
from sluice.core.taken_names import refuse_what_hides_us, refuse_what_we_hide
from sluice.errors import StartRefused
from sluice.handler import AnyHandler, Handler


class Registry(Mapping[str, AnyHandler]):
    """All kinds of this process by name; former names (aliases) find their kind, but are not listed."""

    def __init__(self, handlers: Iterable[AnyHandler]) -> None:
        self._kinds: dict[str, AnyHandler] = {}
        self._aliases: dict[str, str] = {}
        for each in handlers:
            self._add(each)

    def __getitem__(self, kind: str) -> AnyHandler:
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
    def names(self) -> list[str]:
        """Every name under which a job may be waiting: kinds and aliases."""
        return [*self._kinds, *self._aliases]

    def _add(self, handler: AnyHandler) -> None:
        for name in (handler.kind, *handler.aliases):
            if name in self:
                first, second = self[name].function.__module__, handler.function.__module__
                raise StartRefused(
                    f"kind {name!r} is defined twice, in {first} and in {second}: rename one of them"
                )
        self._kinds[handler.kind] = handler
        self._aliases |= dict.fromkeys(handler.aliases, handler.kind)


def load(modules: Iterable[str]) -> Registry:
    """Load these modules and return the registry of their kinds.

    Raises StartRefused, naming the module and what to do, if one does not load or defines no kind.
    """
    refuse_what_hides_us()
    found: list[AnyHandler] = []
    for name in modules:
        kinds = [value for value in vars(_import(name)).values() if isinstance(value, Handler)]
        if not kinds:
            refuse_what_we_hide(name)
            raise StartRefused(
                f"SLUICE_HANDLERS: {name} defines no kind: decorate a function with @handler or drop it"
            )
        found.extend(kind for kind in kinds if kind not in found)
    return Registry(found)


def check_lanes(registry: Registry, lanes: Collection[str]) -> None:
    """Raise StartRefused if a kind belongs to a lane that is not among these."""
    for kind in registry:
        if registry[kind].lane not in lanes:
            raise StartRefused(
                f"SLUICE_LANES: there is no lane {registry[kind].lane!r}, to which the kind {kind!r} belongs"
            )


def _import(name: str) -> object:
    try:
        return importlib.import_module(name)
    except StartRefused:
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError):
            refuse_what_we_hide(name)
            refuse_what_we_hide(str(error.name))
        raise StartRefused(
            f"SLUICE_HANDLERS: {name} does not load: {type(error).__name__}: {error}"
        ) from error
