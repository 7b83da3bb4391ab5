"""Create, list and revoke API keys for operators. Each function returns what `sluice keys` prints."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api.keys.api_key import hash_secret, make_key, parse_key
from sluice.adapters.postgres.api_key_store import KeyLine, PostgresApiKeyStore
from sluice.adapters.postgres.pool import Database
from sluice.adapters.postgres.server_checks import ServerChecks
from sluice.core.ports import ApiKeyRecord
from sluice.core.runtime.settings import Settings
from sluice.core.runtime.telemetry import Telemetry
from sluice.errors import SluiceError

HEADINGS = f"{'id':<13} {'tenant':<20} {'scopes':<20} {'created':<17} {'last used':<17} state"


async def create_key(
    settings: Settings, tenant: str, scopes: frozenset[str], expires_days: int | None = None
) -> str:
    """Create a key and return it; it cannot be shown again. Raises SluiceError if the record refuses it."""
    text = make_key()
    key = parse_key(text.encode())
    assert key is not None  # noqa: S101  it was made a line ago
    secret_hmac = hash_secret(key.secret, settings.key_pepper.get_secret_value().encode())
    async with _open_keys(settings) as keys:
        await keys.insert_api_key(ApiKeyRecord(key.key_id, tenant, scopes, secret_hmac, True), expires_days)
    return text


async def list_keys(settings: Settings) -> str:
    """List every key under headings, newest first, without secrets. Raises SluiceError."""
    async with _open_keys(settings) as keys:
        return "\n".join([HEADINGS, *map(_line, await keys.list_api_keys())])


async def revoke_key(settings: Settings, key_id: str) -> str:
    """Revoke a key by its id. Raises SluiceError if there is none."""
    async with _open_keys(settings) as keys:
        if not await keys.revoke_api_key(key_id):
            raise SluiceError(f"there is no key with the id {key_id[:64]}; `sluice keys list` shows them")
    return f"{key_id} is revoked; every process refuses it within a minute"


@asynccontextmanager
async def _open_keys(settings: Settings) -> AsyncIterator[PostgresApiKeyStore]:
    checks = ServerChecks(accept=settings.unsafe_durability == "accept")
    url = settings.postgres_url.get_secret_value()
    database = Database(url, "sluice-keys", Telemetry(), size=1, checks=checks)
    try:
        yield PostgresApiKeyStore(database, budget_s=5)
    finally:
        await database.close()


def _line(key: KeyLine) -> str:
    state = "revoked" if key.revoked_at else f"until {key.expires_at:%Y-%m-%d}" if key.expires_at else "good"
    used = f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never"
    scopes = ",".join(key.scopes)
    return (
        f"{key.key_id:<13} {key.tenant:<20} {scopes:<20} {key.created_at:%Y-%m-%d %H:%M}  {used:<17} {state}"
    )
