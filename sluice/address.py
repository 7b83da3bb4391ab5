"""The address of an API, as the client and the command compare and use it."""

from __future__ import annotations

from urllib.parse import urlsplit


def read_address(text: str) -> str | None:
    """Return an address without what surrounds it and without a slash at its end; None if it is no http(s)://HOST[:PORT][/PATH].

    A password, a query or a fragment has no place in it. The scheme is in small letters: by it, certificates are checked or not.
    """
    text = text.strip()
    try:
        parts = urlsplit(text)
        host = (parts.hostname or "").encode("idna")  # what looks names up refuses empty and long labels
        good = parts.scheme in ("http", "https") and host and parts.port != 0
    except ValueError:
        return None
    if not good or not text.isprintable() or any(each in text for each in " @?#\\"):
        return None
    return parts.geturl().rstrip("/")
