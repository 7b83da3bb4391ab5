"""Lua scripts: sent once, then called by their hash."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from redis.exceptions import NoScriptError

from sluice.adapters.redis.connection import RedisConnection

SCRIPTS = Path(__file__).parent / "scripts"


class Script:
    """The script in `scripts/<name>.lua`. `budget_s` is the longest wait for a run, by default that of the connection."""

    def __init__(self, connection: RedisConnection, name: str, budget_s: float | None = None) -> None:
        self._connection, self._budget_s = connection, budget_s
        self._text = (SCRIPTS / f"{name}.lua").read_text()
        self._sha: str | None = None

    async def run(self, keys: int, *args: Any) -> Any:
        """Run it with so many keys, then its other arguments; returns its answer. Raises ServerAway."""
        if self._sha is None:
            self._sha = cast(str, await self._connection.run("SCRIPT LOAD", self._text))
        try:
            return await self._connection.run("EVALSHA", self._sha, keys, *args, budget_s=self._budget_s)
        except NoScriptError:
            self._sha = None
            return await self._connection.run("EVAL", self._text, keys, *args, budget_s=self._budget_s)
