"""Which database the record is, and which of its histories: after a failover or a restore it is another one."""

from __future__ import annotations

from collections.abc import Callable


class RecordIdentity:
    """The identity of the record as it was last seen; empty until it is known."""

    def __init__(self) -> None:
        self.current = ""
        self._followers: list[Callable[[], object]] = []

    def follow(self, on_change: Callable[[], object]) -> None:
        """Call this whenever the record has become another one than was known."""
        self._followers.append(on_change)

    def learn(self, identity: str) -> None:
        """Note what a server that passed the checks has said."""
        known, self.current = self.current, identity
        if known not in ("", identity):
            for on_change in self._followers:
                on_change()
