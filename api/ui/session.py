"""Sessions of the dashboard: what its cookie holds, and links that log in once.

A cookie names a key and until when it is good, signed under a key derived from the pepper. The key itself is asked for on every
request (`Keyring.check_id`), so revoking it ends its sessions.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from secrets import token_urlsafe
from time import time
from typing import Literal

from sluice.core.peppers import Peppers
from sluice.core.runtime.bounded_dict import BoundedDict

SESSION_S = 12 * 3_600
"""Seconds for which a browser stays logged in."""
LINK_S = 60
"""Seconds for which a link that logs in is good."""
MOST_LINKS = 1_000

_TOKEN = re.compile(r"([A-Za-z0-9]{12})\.(\d{1,12})\.([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})", re.ASCII)

Purpose = Literal["session", "link"]


class Sessions:
    """Makes and reads tokens of sessions and links. `clock` is the time since the epoch; links are remembered once used."""

    def __init__(self, peppers: Peppers, clock: Callable[[], float] = time) -> None:
        self._peppers, self._clock = peppers, clock
        self._used: BoundedDict[str, None] = BoundedDict(MOST_LINKS)

    def make(self, key_id: str, purpose: Purpose = "session") -> str:
        """Make the value of a cookie, or the token of a link, for the holder of this key."""
        keep_s = LINK_S if purpose == "link" else SESSION_S
        text = f"{key_id}.{int(self._clock()) + keep_s}.{token_urlsafe(16)}"
        return f"{text}.{_sign(self._peppers.present, purpose, text)}"

    def read(self, token: str, purpose: Purpose = "session") -> str | None:
        """Return the id of the key that a token was made for; None if it is none of ours, or good no more."""
        match = _TOKEN.fullmatch(token)
        if match is None:
            return None
        text, signature = token.rpartition(".")[0], match[4]
        good = [hmac.compare_digest(signature, _sign(each, purpose, text)) for each in self._peppers.all]
        return match[1] if any(good) and self._clock() < int(match[2]) else None

    def use_link(self, token: str) -> str | None:
        """Return the id of the key that a link logs in with; None if it was used before, or is good no more."""
        key_id = self.read(token, "link")
        if key_id is None or token in self._used:
            return None
        self._used[token] = None
        return key_id


def _sign(pepper: str, purpose: Purpose, text: str) -> str:
    key = hmac.digest(pepper.encode(), b"dashboard " + purpose.encode(), "sha256")
    return urlsafe_b64encode(hmac.new(key, text.encode(), sha256).digest()).decode().rstrip("=")
