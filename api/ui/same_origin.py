"""Where a request of the dashboard comes from: whether another site has sent it, and whether its cookie is safe."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.requests import Request

from api.http.errors import Forbidden

SECURE, PLAIN = "__Host-sluice", "sluice-ui"
"""The cookie's names: on https, and on plain http on this machine, where browsers take no `__Host-`."""


class OtherOrigin(Forbidden):
    """An act came from another site, or from a browser that does not say where from."""

    def __init__(self) -> None:
        super().__init__("")
        self.args = ("Acts are taken from the pages of this dashboard alone.",)


def check_same_origin(request: Request) -> None:
    """Refuse an act that another site has sent. Raises OtherOrigin.

    Browsers say so in `Sec-Fetch-Site` where the connection is safe; elsewhere they name the origin (Fetch Metadata §2.4).
    """
    site = request.headers.get("sec-fetch-site")
    origin = urlsplit(request.headers.get("origin", ""))
    same = (
        site == "same-origin" if site is not None else bool(origin.netloc) and origin.netloc == _host(request)
    )
    if not same:
        raise OtherOrigin


def is_https(request: Request) -> bool:
    """Say whether the browser speaks https, also where a proxy ends it: then the origin of its forms says so."""
    return request.url.scheme == "https" or request.headers.get("origin", "").startswith("https://")


def is_loopback(request: Request) -> bool:
    """Say whether the browser runs on this machine, as far as the host that it asks for tells."""
    host = urlsplit(f"//{_host(request)}").hostname or ""
    try:
        return host == "localhost" or host.endswith(".localhost") or ip_address(host).is_loopback
    except ValueError:
        return False


def session_cookie(request: Request) -> str:
    """Return the session's cookie; the one without `__Host-`, which other hosts of a domain could set, on this machine alone."""
    return request.cookies.get(SECURE) or (is_loopback(request) and request.cookies.get(PLAIN)) or ""


def _host(request: Request) -> str:
    return request.headers.get("host", "")
