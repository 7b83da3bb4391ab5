"""Create, list and revoke API keys for operators. Each function returns what `sluice keys` prints."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime

from api.keys.api_key import make_new_key
from sluice.adapters.postgres.access_store import PostgresAccessStore
from sluice.adapters.postgres.api_key_store import PostgresApiKeyStore
from sluice.adapters.postgres.pool import Database
from sluice.adapters.postgres.server_checks import ServerChecks
from sluice.core.access import OPERATOR, ListedKey, PepperUse
from sluice.core.errors import TooManyKeys
from sluice.core.peppers import pepper_id
from sluice.core.runtime.pepper_settings import read_peppers
from sluice.core.runtime.settings import Settings
from sluice.core.runtime.telemetry import Telemetry
from sluice.errors import SluiceError

BUDGET_S = 5
HEADINGS = f"{'id':<13} {'tenant':<20} {'scopes':<20} {'created':<17} {'last used':<17} {'state':<17} {'pepper':<8} {'name'}"
PEPPER_HEADINGS = f"{'pepper':<8} {'good keys':>9}  {'last used':<17} {'webhooks':>8}  {'which'}"
UNKNOWN = "unknown"


async def create_key(
    settings: Settings,
    tenant: str,
    scopes: frozenset[str],
    expires_days: int | None = None,
    name: str | None = None,
) -> str:
    """Create a key and return it; it cannot be shown again. Raises SluiceError if the record refuses it."""
    pepper = settings.key_pepper.get_secret_value().encode()
    new, text = make_new_key(pepper, tenant, scopes, name, expires_days)
    async with _open_record(settings) as database:
        if await PostgresAccessStore(database, BUDGET_S).insert_api_key(new, OPERATOR) is None:
            raise TooManyKeys
    return text


async def list_keys(settings: Settings) -> str:
    """List every key under headings, newest first, without secrets. Raises SluiceError."""
    async with _open_record(settings) as database:
        keys = await PostgresApiKeyStore(database, BUDGET_S).list_api_keys()
        return "\n".join([HEADINGS, *map(_line, keys)])


async def count_peppers(settings: Settings) -> str:
    """Say how many good keys and webhooks hang on each pepper. Raises SluiceError."""
    given = zip(read_peppers(settings).all, ("SLUICE_KEY_PEPPER", "SLUICE_KEY_PEPPER_OTHER"), strict=False)
    names = {pepper_id(pepper): name for pepper, name in given}
    async with _open_record(settings) as database:
        found = {
            each.pepper_id: each for each in await PostgresApiKeyStore(database, BUDGET_S).count_peppers()
        }
    uses = {each: PepperUse(each, 0, None, 0) for each in names} | found
    return "\n".join([PEPPER_HEADINGS, *(_pepper_line(each, names) for each in uses.values())])


async def revoke_key(settings: Settings, key_id: str) -> str:
    """Revoke a key by its id, also the last of its tenant. Raises SluiceError if there is none."""
    async with _open_record(settings) as database:
        found = await PostgresApiKeyStore(database, BUDGET_S).find_api_key(key_id, b"")
        if found is None:
            raise SluiceError(
                f"there is no key with the id {key_id[:64]}; `sluice keys list --record` shows them"
            )
        access = PostgresAccessStore(database, BUDGET_S)
        await access.revoke_api_key(found.tenant, key_id, OPERATOR, even_last=True)
    return f"{key_id} is revoked; every process refuses it within a minute"


@asynccontextmanager
async def _open_record(settings: Settings) -> AsyncIterator[Database]:
    checks = ServerChecks(accept=settings.unsafe_durability == "accept")
    url = settings.postgres_url.get_secret_value()
    database = Database(url, "sluice-keys", Telemetry(), size=1, checks=checks)
    try:
        yield database
    finally:
        await database.close()


def _line(key: ListedKey) -> str:
    state = "revoked" if key.revoked_at else f"until {key.expires_at:%Y-%m-%d}" if key.expires_at else "good"
    used = _minute(key.last_used_at)
    scopes = ",".join(key.scopes)
    head = f"{key.key_id:<13} {key.tenant:<20} {scopes:<20} {key.created_at:%Y-%m-%d %H:%M}  {used:<17} "
    return f"{head}{state:<17} {key.pepper_id or UNKNOWN:<8} {key.name or ''}".rstrip()


def _pepper_line(use: PepperUse, names: Mapping[str, str]) -> str:
    if use.pepper_id is None:
        which = "made before the pepper was noted; a key says it when it is used next"
    else:
        which = names.get(use.pepper_id, "neither of those that are set: refused")
    used = _minute(use.last_used_at)
    return f"{use.pepper_id or UNKNOWN:<8} {use.keys:>9}  {used:<17} {use.webhooks:>8}  {which}"


def _minute(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else "never"
