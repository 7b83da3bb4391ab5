"""The client that blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, Unpack, overload

from sluice.client import catalogue, following, jobs, looking, many, tenant_events
from sluice.client.config import find_config
from sluice.client.core import Core
from sluice.client.documents import Explanation, JobDocument, Kind, Lane, LogLine
from sluice.client.job import JobHandle, Output_co
from sluice.client.sending import Retries
from sluice.client.values import Key, SubmitOptions

T = TypeVar("T")


class Job(JobHandle, Generic[Output_co]):
    """A job, wherever it was submitted. What it shows by itself is what was seen last; its methods ask the server.

    For type checkers it is `Job[…]` of its output, of which `sluice types` tells; without that its output may be anything.
    """

    __slots__ = ()
    _client: Sluice

    @overload
    def result(self, timeout: float | None = None, *, cancel_on_timeout: bool = False) -> Output_co: ...
    @overload
    def result(
        self,
        timeout: float | None = None,
        as_: Callable[[Any], T] | type[T] = ...,
        *,
        cancel_on_timeout: bool = False,
    ) -> T: ...
    def result(
        self, timeout: float | None = None, as_: Any = None, *, cancel_on_timeout: bool = False
    ) -> Any:
        """Wait for the end, at most `timeout` seconds, and return the output, made what `as_` says.

        `as_` is a pydantic model, a dataclass, any other type, or a function of the output. `cancel_on_timeout` cancels the job if
        the time is up. Raises JobFailed, JobCancelled, WaitTimeout, JobExpired, ResultInvalid, ApiError, ServerAway.
        """
        client = self._client
        return client._run(
            jobs.result(client._core, self, client._core.deadline(timeout), as_, cancel_on_timeout)
        )

    def wait(self, timeout: float | None = None) -> Self:
        """Wait for the end, whatever it is, at most `timeout` seconds. Raises WaitTimeout, JobExpired, ApiError, ServerAway."""
        client = self._client
        client._run(looking.until_finished(client._core, self, client._core.deadline(timeout)))
        return self

    def refresh(self) -> JobDocument:
        """Look the job up, and return its document. Raises JobExpired, NotFound, ApiError, ServerAway."""
        return self._client._run(jobs.refresh(self._client._core, self))

    def cancel(self) -> Self:
        """Cancel the job, or ask it to stop if it runs. It changes nothing if the job has ended. Raises ApiError, ServerAway."""
        client = self._client
        client._run(jobs.act(client._core, self, "cancel", client._core.deadline(None)))
        return self

    def retry(self) -> Job[Output_co]:
        """Try a failed job again: return the new job, the same one at every call. Raises Conflict if it has not failed."""
        return self._client._run(jobs.retry(self._client._core, self))

    def delete(self) -> None:
        """Delete the finished job, its result and its logs. Raises Conflict if it has not ended."""
        self._client._run(jobs.delete(self._client._core, self))

    def explain(self) -> Explanation:
        """Ask why the job is not done. Raises ApiError, ServerAway."""
        return self._client._run(jobs.explain(self._client._core, self))

    def attempts(self) -> list[dict[str, Any]]:
        """Return the attempts that did not succeed, as the API shows them. Raises ApiError, ServerAway."""
        return self._client._run(jobs.attempts(self._client._core, self))

    def follow(self, timeout: float | None = None, *, logs: bool = False) -> Iterator[Any]:
        """Iterate over the documents of the job as it changes, to its last, without its result: JobDocument each.

        With `logs`, also over the lines of its handler, LogLine each. It hears of changes by events, and asks where those do not
        get through. Raises WaitTimeout after `timeout` seconds, JobExpired, ApiError, ServerAway.
        """
        client = self._client
        return client._iterate(following.follow(client._core, self, client._core.deadline(timeout), logs))

    def logs(self) -> Iterator[LogLine]:
        """Iterate over the lines that the handler has logged so far. Raises ApiError, ServerAway."""
        return self._client._iterate(jobs.logs(self._client._core, self))


class Sluice:
    """A client of the API. It may be used by many threads, and in processes that are forked from this one.

    `url` and `key` come from SLUICE_URL and SLUICE_API_KEY, or from a `profile`, if they are not given. Raises Misconfigured.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        profile: str | None = None,
        retries: Retries | None = None,
    ) -> None:
        # with httpx2, whose import takes 0.1 s: only those who make a client wait for it
        from sluice.client.sync_driver import SyncDriver

        config = find_config(url, key, profile)
        self._core: Core[Job] = Core(config, self._handle, retries or Retries())
        self._driver = SyncDriver(self._core)
        self._run, self._iterate = self._driver.run, self._driver.iterate

    def _handle(self, id: str, document: JobDocument | None) -> Job:
        return Job(self, id, document)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections. Whoever still waits gets ClientClosed."""
        self._driver.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._core.config.url}>"

    def __reduce__(self) -> tuple[Any, ...]:
        config = self._core.config
        return _restore, (type(self), config.url, config.key, self._core.retries)

    def submit(
        self,
        kind: str,
        input: Any = None,
        *,
        key: str | Key | None = Key.MADE,
        **options: Unpack[SubmitOptions],
    ) -> Job:
        """Submit a job: one, however often it has to be sent.

        `key` is its Idempotency-Key, by default one that is made for this call; None goes without, and then what may have been
        accepted is not sent again. Raises Invalid, Unauthorized, RateLimited, Overloaded, RecordAway, OutcomeUnknown, ServerAway.
        """
        request = jobs.submission(kind, input, key, options)
        return self._run(jobs.submit(self._core, request, self._core.deadline(None)))

    @overload
    def run(
        self, kind: str, input: Any = None, *, timeout: float | None = None, cancel_on_timeout: bool = False,
        key: str | Key | None = Key.MADE, **options: Unpack[SubmitOptions],
    ) -> Any: ...  # fmt: skip
    @overload
    def run(
        self, kind: str, input: Any = None, *, as_: Callable[[Any], T] | type[T], timeout: float | None = None,
        cancel_on_timeout: bool = False, key: str | Key | None = Key.MADE, **options: Unpack[SubmitOptions],
    ) -> T: ...  # fmt: skip
    def run(
        self, kind: str, input: Any = None, *, as_: Any = None, timeout: float | None = None,
        cancel_on_timeout: bool = False, key: str | Key | None = Key.MADE, **options: Unpack[SubmitOptions],
    ) -> Any:  # fmt: skip
        """Submit a job, wait for its end, and return its output; see `submit` and `Job.result`. `timeout` bounds the whole call."""
        request = jobs.submission(kind, input, key, options)
        return self._run(jobs.run(self._core, request, self._core.deadline(timeout), as_, cancel_on_timeout))

    def job(self, id: str) -> Job:
        """Return the handle of a job that was submitted somewhere. It asks the server nothing."""
        return self._handle(id, None)

    def jobs(self, **filters: Unpack[catalogue.Filters]) -> Iterator[Job]:
        """Iterate over the jobs that match, newest first, without their results. Raises Invalid, ApiError, ServerAway."""
        return self._iterate(catalogue.jobs(self._core, filters))

    def as_completed(self, jobs: Iterable[Job[T]], timeout: float | None = None) -> Iterator[Job[T]]:
        """Iterate over these jobs in the order in which they end, however they do. Thousands cost one request a second.

        Raises WaitTimeout if some have not ended after `timeout` seconds, ApiError, ServerAway.
        """
        return self._iterate(many.as_completed(self._core, jobs, self._core.deadline(timeout)))

    def wait(
        self, jobs: Iterable[Job[T]], timeout: float | None = None, *, for_: many.For = "all"
    ) -> tuple[list[Job[T]], list[Job[T]]]:
        """Wait for the end of all jobs, of the first, or of the first that ends without success; return those that have ended and the others.

        After `timeout` seconds it returns what there is by then. Raises ApiError, ServerAway.
        """
        return self._run(many.wait(self._core, jobs, self._core.deadline(timeout), for_))

    def batch(
        self, items: Iterable[many.Item], *, atomic: bool = False, key: str | Key | None = Key.MADE
    ) -> many.Batch[Job]:
        """Submit up to 10,000 jobs with one request. Each is accepted or refused by itself, or all or none if `atomic` (up to 1,000).

        What is refused in passing is sent again. Raises Invalid, RateLimited, Overloaded, RecordAway, OutcomeUnknown, ServerAway.
        """
        return self._run(many.submit_batch(self._core, items, atomic, key))

    @overload
    def map(
        self, kind: str, inputs: Iterable[Any], *, batch: int = 500, in_flight: int = 2000, return_exceptions: bool = False,
        **options: Unpack[SubmitOptions],
    ) -> Iterator[Any]: ...  # fmt: skip
    @overload
    def map(
        self, kind: str, inputs: Iterable[Any], *, as_: Callable[[Any], T] | type[T], batch: int = 500, in_flight: int = 2000,
        return_exceptions: bool = False, **options: Unpack[SubmitOptions],
    ) -> Iterator[T]: ...  # fmt: skip
    def map(
        self, kind: str, inputs: Iterable[Any], *, as_: Any = None, batch: int = 500, in_flight: int = 2000,
        return_exceptions: bool = False, **options: Unpack[SubmitOptions],
    ) -> Iterator[Any]:  # fmt: skip
        """Iterate over the outputs for these inputs, in their order. Jobs are submitted `batch` at a time.

        Inputs are taken as outputs are: at most `in_flight` jobs are submitted whose output was not taken. The first that fails ends it,
        unless `return_exceptions` puts the error in the place of the output. Raises JobFailed, JobCancelled, Invalid, ApiError, ServerAway.
        """
        mapping = many.MapOver(kind, batch, in_flight, options, as_, return_exceptions)
        return self._iterate(many.map_inputs(self._core, mapping), iter(inputs))

    def events(self, timeout: float | None = None) -> Iterator[tenant_events.TenantEvent]:
        """Iterate over what happens to all jobs of the tenant from now on: TenantEvent each. It ends after `timeout` seconds.

        What happens while a stream is broken off is not told: `reset` says so. Raises Forbidden, ApiError, ServerAway.
        """
        return self._iterate(tenant_events.events(self._core, self._core.deadline(timeout)))

    def kinds(self) -> list[Kind]:
        """Return the kinds of work that the API takes. Raises ApiError, ServerAway."""
        return self._run(catalogue.kinds(self._core))

    def lanes(self) -> list[Lane]:
        """Return the lanes, for keys with the scope `operate`. Raises Forbidden, ApiError, ServerAway."""
        return self._run(catalogue.lanes(self._core))

    def request(
        self, method: str, path: str, json: Any = None, *, params: Mapping[str, Any] | None = None
    ) -> Any:
        """Ask for what has no method here, such as `/v1/schedules`, and return the JSON of the answer, or None.

        What is no GET, PUT or DELETE is sent again only where nothing can have been done. Raises ApiError, ServerAway.
        """
        return self._run(catalogue.request(self._core, method, path, json, params))


def _restore(client: type[Sluice], url: str, key: str, retries: Retries) -> Sluice:
    return client(url, key, retries=retries)
