"""sluice.core.ports.ApiKeyStore in memory."""

from __future__ import annotations

from sluice.core.ports import ApiKeyRecord
from tests.support.fake_record import FakeRecord


class FakeApiKeyStore(FakeRecord):
    """A record in memory with API keys; `asked` counts look-ups."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: dict[str, ApiKeyRecord] = {}
        self.asked = 0

    async def find_api_key(
        self, key_id: str, secret_hmac: bytes, other_hmac: bytes | None = None, pepper_id: str | None = None
    ) -> ApiKeyRecord | None:
        """The key with this id, and its hash anew if it is by the other pepper."""
        self.asked += 1
        self.check()
        found = self.keys.get(key_id)
        if found and found.usable and found.secret_hmac == other_hmac:
            self.keys[key_id] = found._replace(secret_hmac=secret_hmac)
        return found
