"""Look at the installation: who works on its jobs, what it runs on, and how it is set up."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from pydantic import SecretStr

from api.installation.server_watch import ServerState, ServerWatch
from sluice.core.errors import Flaw, Invalid
from sluice.core.installation import RecordFacts, SeenConsumer
from sluice.core.ports import InstallationStore
from sluice.core.runtime.given_settings import PREFIX
from sluice.core.runtime.settings import Settings
from sluice.core.runtime.settings_example import written
from sluice.errors import SluiceError

BEFORE_ALL = "00000000-0000-0000-0000-000000000000"
LEASE = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"

_LEASE = re.compile(LEASE, re.ASCII)


class SettingFact(NamedTuple):
    """A setting of this process: its variable, its value as `.env` has it (None for a secret that is set), and whether it is the default."""

    name: str
    value: str | None
    is_default: bool


class System(NamedTuple):
    """The installation as this process sees it; without the record where that does not answer."""

    servers: Sequence[ServerState]
    record: RecordFacts | None
    settings: Sequence[SettingFact]


class Installation:
    """Reads what the record knows of itself and of the processes that use it."""

    def __init__(self, store: InstallationStore, servers: ServerWatch, settings: Settings) -> None:
        self._store, self._servers, self._settings = store, servers, settings

    async def consumers(self, size: int, token: str = "") -> tuple[Sequence[SeenConsumer], str | None]:
        """List up to this many by their leases, and make the token of the next page. Raises Invalid, ServerAway."""
        if token and not _LEASE.fullmatch(token):
            raise Invalid(
                [Flaw("?page_token", "page-token", "page_token is the `next_page_token` of a page.")]
            )
        found = await self._store.list_consumers(token or BEFORE_ALL, size + 1)
        return found[:size], found[size - 1].id if len(found) > size else None

    async def describe(self) -> System:
        """Describe servers, record and settings; it raises nothing if the record is away, as that is what one wants to read then."""
        servers = await self._servers.look()
        try:
            record = await self._store.describe_record()
        except SluiceError:
            record = None
        return System(servers, record, list_settings(self._settings))


def list_settings(settings: Settings) -> list[SettingFact]:
    """List all settings. Whatever is of a secret's type is not shown, and neither is its length."""
    return [_show(name, getattr(settings, name)) for name in Settings.model_fields]


def _show(name: str, value: object) -> SettingFact:
    field = Settings.model_fields[name]
    is_default = not field.is_required() and value == field.default
    hidden = isinstance(value, SecretStr) and bool(value.get_secret_value())
    return SettingFact(f"{PREFIX}{name.upper()}", None if hidden else written(value), is_default)
