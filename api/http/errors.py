"""Errors that exist only in HTTP: scopes, media types, sizes, slow or vanished clients, results that will never exist."""

from __future__ import annotations

from api.http.asgi import Header
from sluice.core.errors import KindUnknown
from sluice.errors import SluiceError


class Forbidden(SluiceError):
    """The key is good, but it was not made for this."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"This needs a key with the scope {scope}.")
        self.scope = scope


class HeadersTooLarge(SluiceError):
    """Target and headers together may have 32 KiB."""


class MalformedRequest(SluiceError):
    """What came is not a request of HTTP/1.1."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"This is not a request of HTTP/1.1 as it is taken here: {detail.rstrip('.')}.")


class BadHeader(SluiceError):
    """A header has a form that is not taken."""


class UnsupportedMediaType(SluiceError):
    """The body is not said to be JSON in UTF-8 as it is. `wanted` is the header that says what is (RFC 9110 §15.5.16)."""

    def __init__(self, detail: str, wanted: Header = (b"accept", b"application/json")) -> None:
        super().__init__(detail)
        self.wanted = wanted


class TooManyConnections(SluiceError):
    """As many connections are open as may be, in all or of this address; some have to be closed first."""


class RequestTimeout(SluiceError):
    """A head or body did not arrive in time."""


class ClientGone(SluiceError):
    """The client left before its request was complete; nobody reads this."""


class KindMissing(KindUnknown):
    """The path names a kind that does not exist."""


class JobFailed(SluiceError):
    """The job failed, so it has no result; GET the job itself to see why."""


class JobCancelled(SluiceError):
    """The job was cancelled, so it has no result."""


class RateLimited(SluiceError):
    """The key has used up its rate."""

    def __init__(self, detail: str, retry_after_s: int) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class TenantOverloaded(SluiceError):
    """The tenant's submits under way hold as many bytes as one tenant may; some have to be answered first."""
