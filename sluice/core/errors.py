"""The tree of our errors, in words of the domain; only `api/http/problems.py` knows their HTTP status.

SluiceError
├── ServerAway          a server did not answer in time, or refused the connection
│   ├── ServerUnfit     it answers, but must not or cannot do its work as it is set up
│   │   ├── CredentialsRefused  it does not take the user or the password of its address
│   │   ├── WritesRefused   it can be read: its disk is full, or it is read-only
│   │   └── ServerRefused   it refuses with an error that nobody foresaw
│   └── CacheAway       copies that have to go cannot be reached
├── NotConfigured       there is no address for a server that one can do without
├── OutcomeUnknown      a commit was sent and its reply was lost
├── Overloaded          more work is waiting than can be taken in time
├── BacklogFull         a tenant has as many jobs waiting as it may
├── WholeBacklogFull    as many jobs of all tenants wait as may
├── StorageFull         a tenant keeps as many bytes as it may
├── TryAgain            the record asks for the same rows again (deadlock, lock or statement time-out)
├── BadRow              the record refuses a value of a batch
├── Malformed           the bytes are not the JSON we accept
├── Invalid             well-formed, but not what the kind or the options ask for
├── TooLarge            more bytes than the kind takes
├── KindUnknown
├── JobUnknown
│   └── JobExpired      it was there, or may have been, so long ago that it is not kept any more
├── IdempotencyKeyReused   an idempotency key came with another request before
├── JobNotFinished · JobNotFailed · ErrorUnknown
├── ScheduleUnknown · ScheduleExists
├── LaneUnknown
├── BatchUnknown
├── BulkUnknown · BulkNotWaiting · TooManyBulkActs
├── BatchRefused         an item of a batch that is to be accepted whole is refused
├── KeyUnknown · KeyEnded · LastAdminKey · TooManyKeys    of API keys
├── WebhookUnknown · WebhookDisabled · TooManyWebhooks · TooManyVerifications
└── StartRefused        (sluice.errors) a setting or a handler is wrong; the process does not start
"""

from __future__ import annotations

from dataclasses import dataclass

from sluice.errors import SluiceError


class ServerAway(SluiceError):
    """A server did not answer in time, or refused the connection."""

    def __init__(self, server: str, why: str = "did not answer in time") -> None:
        super().__init__(f"{server}: {why}")
        self.server = server


class NotConfigured(SluiceError):
    """There is no address for a server that one can do without; `remedy` says what to do about it."""

    def __init__(self, server: str, remedy: str) -> None:
        super().__init__(f"{server}: not configured; {remedy}")
        self.remedy = remedy


class ServerUnfit(ServerAway):
    """A server answers, but cannot do its work as it is set up. The text names settings and remedies, never hosts."""


class CredentialsRefused(ServerUnfit):
    """A server refuses the user or the password of its address."""

    def __init__(self, server: str) -> None:
        super().__init__(
            server, f"it refuses the user or the password in SLUICE_{server.upper().removesuffix('QL')}_URL"
        )


class WritesRefused(ServerUnfit):
    """The record can be read, but takes nothing new: its disk is full, or it is read-only."""


class ServerRefused(ServerUnfit):
    """A server refuses what it is asked with an error that nobody foresaw: `code` is the server's, such as a SQLSTATE."""

    def __init__(self, server: str, code: str) -> None:
        super().__init__(server, f"refused with {code}")
        self.code = code


class CacheAway(ServerAway):
    """Copies that have to go cannot be reached, so nothing was done."""

    def __init__(self) -> None:
        super().__init__("redis")


class OutcomeUnknown(SluiceError):
    """The commit was sent and its reply was lost; the job may or may not have been accepted."""


class Overloaded(SluiceError):
    """More work is waiting than can be taken in time."""

    def __init__(self, retry_after_s: int = 1) -> None:
        super().__init__()
        self.retry_after_s = retry_after_s


class BacklogFull(SluiceError):
    """The tenant has as many jobs waiting in the lane as it may; submit more when some of them have begun."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__()
        self.retry_after_s = retry_after_s


class WholeBacklogFull(SluiceError):
    """As many jobs of all tenants wait as may, or their inputs are as large as they may be; submit more when some of them have begun."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__()
        self.retry_after_s = retry_after_s


class StorageFull(SluiceError):
    """The tenant keeps as many bytes of inputs and results as it may: delete jobs, or submit when some of them are not kept any more."""

    def __init__(self, kept_mib: int, most_mib: int) -> None:
        super().__init__(
            f"The tenant keeps {kept_mib} MiB of inputs and results, of {most_mib} that it may: delete jobs with DELETE /v1/jobs/{{id}},"
            " or submit when some of them are not kept any more."
        )


class TryAgain(SluiceError):
    """The record asks for the same rows again."""


TRANSIENT = (ServerAway, TryAgain, Overloaded)
"""Errors that pass by themselves, or once somebody mends a server: whoever can wait tries again. Adapters have reported them."""


class LeaseOver(TryAgain):
    """The lease of this process is over, or was never taken: it can claim nothing until it has another."""


class BadRow(SluiceError):
    """The record refuses a value."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing wrong with a request: where (an RFC 6901 pointer), a stable code, and words."""

    pointer: str
    code: str
    detail: str


class Malformed(SluiceError):
    """The body is not valid JSON."""


class Invalid(SluiceError):
    """The request does not fit what it asks for."""

    def __init__(self, flaws: list[Flaw]) -> None:
        super().__init__(flaws[0].detail if flaws else None)
        self.flaws = flaws


class TooLarge(SluiceError):
    """The body has more bytes than this kind takes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body is larger than the {limit} bytes that are taken here.")
        self.limit = limit


class KindUnknown(SluiceError):
    """There is no such kind."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"There is no kind {kind[:64]!r}; GET /v1/kinds lists them.")
        self.kind = kind


class JobUnknown(SluiceError):
    """There is no such job."""


class JobExpired(JobUnknown):
    """The job is not kept any more: it was deleted, or it is older than its retention."""

    def __init__(self, job_id: str | None = None) -> None:
        super().__init__()
        self.job_id = job_id


class IdempotencyKeyReused(SluiceError):
    """This Idempotency-Key was used for another request before."""


class JobNotFinished(SluiceError):
    """The job has not finished; cancel it first."""


class JobNotFailed(SluiceError):
    """Only a failed job can be tried again."""


class ErrorUnknown(SluiceError):
    """No failed job that is looked at has this error."""


class LaneUnknown(SluiceError):
    """There is no such lane."""

    def __init__(self, lane: str) -> None:
        super().__init__(f"There is no lane {lane[:32]!r}; GET /v1/lanes lists them.")
        self.lane = lane


class ScheduleUnknown(SluiceError):
    """There is no such schedule."""


class ScheduleExists(SluiceError):
    """There is a schedule of this name already; PUT replaces it."""


class BatchUnknown(SluiceError):
    """There is no such batch, or it is not kept any more."""


class BatchRefused(SluiceError):
    """Some items were refused, so none was accepted: the batch is to be accepted whole. `items` says why."""


class BulkUnknown(SluiceError):
    """There is no such bulk act, or it is not kept any more; GET /v1/bulk lists them."""


class BulkNotWaiting(SluiceError):
    """The bulk act does not wait for a go, or has moved on since the version of If-Match; GET it to see how it stands."""


class TooManyBulkActs(SluiceError):
    """The tenant has as many unfinished bulk acts as it may; abort some with POST /v1/bulk/{id}/abort, or wait for their ends."""


class KeyUnknown(SluiceError):
    """There is no such API key; GET /v1/keys lists them."""


class KeyEnded(SluiceError):
    """The API key was revoked or has expired; make a new one with POST /v1/keys."""


class LastAdminKey(SluiceError):
    """No other good key has the scope admin: make one first, or say `?last=true`. Then only an operator can make another."""


class TooManyKeys(SluiceError):
    """The tenant has as many good keys as it may; revoke some with DELETE /v1/keys/{id} first."""


class WebhookUnknown(SluiceError):
    """There is no such webhook; GET /v1/webhooks lists them."""

    def __init__(self) -> None:
        super().__init__("There is no such webhook; GET /v1/webhooks lists them.")


class WebhookDisabled(SluiceError):
    """Nothing is sent to a webhook that is disabled."""

    def __init__(self) -> None:
        super().__init__(
            "Nothing is sent to this webhook: PUT it again to let it go on, or have it verified with POST /v1/webhooks/{id}/verify."
        )


class TooManyWebhooks(SluiceError):
    """The tenant has as many webhooks as it may."""

    def __init__(self) -> None:
        super().__init__(
            "The tenant has as many webhooks as it may: delete one with DELETE /v1/webhooks/{id} first."
        )


class TooManyVerifications(SluiceError):
    """The tenant has asked for as many verifications of webhooks as it may in an hour."""

    def __init__(self) -> None:
        super().__init__(
            "The tenant has asked for 100 verifications of webhooks within an hour; more may be asked for an hour after the first."
        )
