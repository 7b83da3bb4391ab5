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

    async def find_api_key(self, key_id: str, secret_hmac: bytes) -> ApiKeyRecord | None:
        """The key with this id."""
        self.asked += 1
        self.check()
        return self.keys.get(key_id)
