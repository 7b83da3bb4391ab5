"""Lua scripts: called by their hash, and sent where Redis does not know them."""

from __future__ import annotations

from functools import partial
from hashlib import sha1
from pathlib import Path
from typing import Any

from redis.exceptions import NoScriptError

from sluice.adapters.redis.client import Read
from sluice.adapters.redis.connection import RedisConnection

SCRIPTS = Path(__file__).parent / "scripts"


class Script:
    """The script in `scripts/<name>.lua`. `budget_s` is the longest wait for a run, by default that of the connection.

    Its hash is worked out here: one that Redis is asked for could be another's reply, and would be used for ever.
    """

    def __init__(self, connection: RedisConnection, name: str, budget_s: float | None = None) -> None:
        self._connection, self._budget_s = connection, budget_s
        self._text = (SCRIPTS / f"{name}.lua").read_text()
        self._sha = sha1(self._text.encode(), usedforsecurity=False).hexdigest()

    async def run(self, keys: int, *args: Any, read: Read | None = None) -> Any:
        """Run it with so many keys, then its other arguments; returns its answer, or what `read` makes of it. Raises ServerAway."""
        run = partial(self._connection.run, budget_s=self._budget_s, read=read)
        try:
            return await run("EVALSHA", self._sha, keys, *args)
        except NoScriptError:
            return await run("EVAL", self._text, keys, *args)
