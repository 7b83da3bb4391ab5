"""The Python client of Sluice.

    from sluice.client import Sluice

    with Sluice() as sluice:
        total = sluice.run("demo.sum", {"values": [1, 2, 3]})

`AsyncSluice` has the same methods, to be awaited. What this module exports is public, and so are `sluice.client.webhooks` and
`sluice.client.testing`; all else here may change.
"""

from sluice.client.async_client import AsyncJob, AsyncSluice
from sluice.client.config import Misconfigured
from sluice.client.documents import Explanation, JobDocument, JobError, Kind, Lane, LogLine
from sluice.client.errors import (
    ApiError,
    BadAnswer,
    ClientClosed,
    ClientError,
    Conflict,
    Flaw,
    Forbidden,
    Invalid,
    JobCancelled,
    JobExpired,
    JobFailed,
    NotFound,
    OutcomeUnknown,
    Overloaded,
    Problem,
    RateLimited,
    RecordAway,
    ResultInvalid,
    ServerAway,
    Unauthorized,
    WaitTimeout,
)
from sluice.client.many import Batch, BatchItem, Item
from sluice.client.sending import Retries
from sluice.client.sync_client import Job, Sluice
from sluice.client.tenant_events import TenantEvent
from sluice.client.values import SubmitOptions

__all__ = [
    "ApiError",
    "AsyncJob",
    "AsyncSluice",
    "BadAnswer",
    "Batch",
    "BatchItem",
    "ClientClosed",
    "ClientError",
    "Conflict",
    "Explanation",
    "Flaw",
    "Forbidden",
    "Invalid",
    "Item",
    "Job",
    "JobCancelled",
    "JobDocument",
    "JobError",
    "JobExpired",
    "JobFailed",
    "Kind",
    "Lane",
    "LogLine",
    "Misconfigured",
    "NotFound",
    "OutcomeUnknown",
    "Overloaded",
    "Problem",
    "RateLimited",
    "RecordAway",
    "ResultInvalid",
    "Retries",
    "ServerAway",
    "Sluice",
    "SubmitOptions",
    "TenantEvent",
    "Unauthorized",
    "WaitTimeout",
]
