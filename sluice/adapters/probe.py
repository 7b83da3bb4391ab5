"""Probe a health page, for containers without curl. It imports no library, because it runs every few seconds."""

from __future__ import annotations

import http.client
import sys
from urllib.parse import urlsplit

from sluice.errors import SluiceError

ANSWER_S = 2
"""Longest wait for an answer."""


def ask(url: str) -> int:
    """Print what the page says; return 0 if it answers 200 in time, else 1. Raises SluiceError if this is not an address."""
    connection = http.client.HTTPConnection(*_host_and_port(url), timeout=ANSWER_S)
    try:
        connection.request("GET", urlsplit(url).path or "/")
        answer = connection.getresponse()
        page = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        sys.stderr.write(f"{url}: {error}\n")
        return 1
    finally:
        connection.close()
    sys.stdout.write(page)
    return 0 if answer.status == 200 else 1


def _host_and_port(url: str) -> tuple[str, int | None]:
    try:
        parts = urlsplit(url)
        if parts.scheme == "http" and parts.hostname:
            return parts.hostname, parts.port
    except ValueError:
        pass  # a port that is no number, or half an IPv6 address
    raise SluiceError(f"{url} is not an address like http://127.0.0.1:8001/readyz")
