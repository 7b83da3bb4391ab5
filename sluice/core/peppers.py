"""Peppers: the secrets that hashes of API keys, secrets of webhooks and page tokens are made with. There are two while one is changed."""

from __future__ import annotations

import hmac

ID_DIGITS = 8


class Peppers:
    """The pepper that makes new things, and all with which old ones are good: the other one too, while there are two."""

    def __init__(self, present: str, other: str = "") -> None:
        self.present = present
        self.all = (present, other) if other else (present,)

    def __repr__(self) -> str:
        return f"<Peppers: {', '.join(map(pepper_id, self.all))}>"


def pepper_id(pepper: str) -> str:
    """Name a pepper without telling it, so that the record can say with which something was made."""
    return hmac.digest(pepper.encode(), b"pepper id", "sha256").hex()[:ID_DIGITS]
