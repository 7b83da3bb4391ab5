"""Whatever a driver raises becomes an error of ours at the border: none of its classes passes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest
from redis.exceptions import AuthenticationError, AuthorizationError, NoScriptError, ResponseError

from sluice.adapters.postgres.pool import Database, translated
from sluice.adapters.rabbitmq.deliveries import ConsumedQueue, QueueConsumer
from sluice.adapters.rabbitmq.publishing import Publishing
from sluice.adapters.rabbitmq.timeouts import within
from sluice.adapters.redis.connection import RedisConnection
from sluice.adapters.redis.packing import pack_result, unpack_result
from sluice.core.errors import (
    BadRow,
    CredentialsRefused,
    LeaseOver,
    Malformed,
    OutcomeUnknown,
    Overloaded,
    ServerAway,
    ServerRefused,
    ServerUnfit,
    TryAgain,
    WritesRefused,
)
from sluice.core.ports import Delivery, Result
from sluice.core.runtime.breaker import Breaker
from sluice.core.runtime.record_identity import RecordIdentity
from sluice.core.runtime.telemetry import Event, Telemetry
from sluice.errors import SluiceError
from tests.support.driver_errors import amqp_errors, few_postgres_errors, postgres_errors, redis_errors
from tests.support.fakes import Events
from tests.support.make_jobs import AT, finished_job


class StubPool:
    """A pool of one connection. `at` says where it raises `error`: `acquire` or `fetch`; `held` has the connection in use."""

    def __init__(self, error: Exception | None = None, at: str = "fetch", held: bool = False) -> None:
        self.error, self.at, self.held = error, at, held

    async def acquire(self) -> StubPool:
        await self._step("acquire")
        if self.held:
            await asyncio.Event().wait()
        return self

    async def fetch(self, *_: object) -> list[tuple[bool]]:
        await self._step("fetch")
        return [(True,)]

    async def release(self, _: object, timeout: float = 0) -> None:
        return None

    def get_size(self) -> int:
        return 1

    def get_max_size(self) -> int:
        return 1

    def get_idle_size(self) -> int:
        return int(not self.held)

    async def _step(self, name: str) -> None:
        if self.error is not None and self.at == name:
            raise self.error


class Scene:
    """The adapter's real pool of statements over a stub of the driver's."""

    def __init__(self, error: Exception | None = None, at: str = "fetch", held: bool = False) -> None:
        self.events, self.pool = Events(), StubPool(error, at, held)
        self.database = Database("postgresql://nowhere", "tests", Telemetry(self.events), size=1)
        self.database._pool = self.pool  # type: ignore[assignment]  # as much of it as is used


async def raised(call: Awaitable[object]) -> Exception:
    """The error that a call ends with."""
    try:
        await call
    except Exception as error:  # noqa: BLE001  to be looked at
        return error
    pytest.fail("it did not fail")


@pytest.mark.parametrize("error", postgres_errors(), ids=lambda each: type(each).__name__)
def test_every_error_of_postgresql_is_one_of_ours(error: Exception) -> None:
    ours = translated(error)
    assert isinstance(ours, TryAgain | BadRow | ServerAway)
    if type(ours) is ServerRefused and isinstance(error, asyncpg.PostgresError):
        assert str(ours) == f"postgresql: refused with {error.sqlstate} {type(error).__name__}"


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (asyncpg.SerializationError("why"), TryAgain),
        (asyncpg.DeadlockDetectedError("why"), TryAgain),
        (asyncpg.LockNotAvailableError("why"), TryAgain),
        (asyncpg.QueryCanceledError("why"), TryAgain),
        (asyncpg.UniqueViolationError("why"), BadRow),
        (asyncpg.CharacterNotInRepertoireError("why"), BadRow),
        (asyncpg.ProgramLimitExceededError("why"), BadRow),
        (asyncpg.exceptions.DataError("an argument"), BadRow),
        (asyncpg.CannotConnectNowError("why"), ServerAway),
        (asyncpg.AdminShutdownError("why"), ServerAway),
        (asyncpg.TooManyConnectionsError("why"), ServerAway),
        (asyncpg.DiskFullError("why"), WritesRefused),
        (asyncpg.ReadOnlySQLTransactionError("why"), WritesRefused),
        (asyncpg.InterfaceError("connection is closed"), ServerAway),
        (asyncpg.ProtocolError("garbage"), ServerAway),
        (asyncpg.InvalidPasswordError("why"), CredentialsRefused),
        (asyncpg.InvalidCatalogNameError("why"), ServerRefused),
        (asyncpg.InvalidAuthorizationSpecificationError("no pg_hba.conf entry for host"), ServerRefused),
        (asyncpg.InsufficientPrivilegeError("why"), ServerRefused),
        (asyncpg.PostgresIOError("why"), ServerRefused),
        (asyncpg.UndefinedColumnError("why"), ServerRefused),
        (ConnectionRefusedError(), ServerAway),
        (TimeoutError(), ServerAway),
    ],
    ids=lambda each: each.__name__ if isinstance(each, type) else type(each).__name__,
)
def test_errors_of_postgresql_mean_what_they_should(error: Exception, ours: type[SluiceError]) -> None:
    assert type(translated(error)) is ours


def test_a_claim_under_no_lease_is_no_bad_row() -> None:
    error = asyncpg.CheckViolationError("why")
    error.constraint_name = "running_has_owner"
    assert isinstance(translated(error), LeaseOver)


def test_a_mistake_of_ours_stays_what_it_is() -> None:
    assert translated(KeyError()).__class__ is KeyError


@pytest.mark.parametrize("error", few_postgres_errors(), ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("at", ["acquire", "fetch"])
async def test_a_statement_that_fails_says_so_in_our_words_and_the_next_one_works(
    error: Exception, at: str
) -> None:
    scene = Scene(error, at)
    for call, lost in ((scene.database.fetch, ServerAway), (scene.database.commit, OutcomeUnknown)):
        found = await raised(call("ping", budget_s=5))
        known = isinstance(found, ServerUnfit | TryAgain | BadRow) or at == "acquire"
        assert isinstance(found, ServerAway | TryAgain | BadRow if known else lost)
    scene.pool.error = None
    assert await scene.database.fetch("ping", budget_s=5)


def one_call_a_second(server: str) -> tuple[Breaker, list[float]]:
    """Return a breaker that opens with the first failure, and its clock."""
    at = [0.0]
    return Breaker(server, Telemetry(), lambda: at[0], failures=1, probe_s=1), at


async def test_a_statement_that_the_server_answers_with_an_error_shows_that_it_is_back() -> None:
    scene = Scene(ConnectionResetError())
    scene.database._breaker, at = one_call_a_second("postgresql")
    await raised(scene.database.fetch("ping", budget_s=5))
    at[0] += 1
    scene.pool.error = asyncpg.UniqueViolationError("duplicate key")
    await raised(scene.database.fetch("ping", budget_s=5))
    scene.pool.error = None
    assert await scene.database.fetch("ping", budget_s=5)


async def test_a_refused_statement_is_told_once_with_its_sqlstate_and_does_not_make_the_server_look_away() -> (
    None
):
    scene = Scene(asyncpg.InsufficientPrivilegeError("permission denied for table jobs"))
    for _ in range(5):
        assert isinstance(await raised(scene.database.fetch("ping", budget_s=5)), ServerRefused)
    why = "postgresql: refused with 42501 InsufficientPrivilegeError"
    said = {"server": "postgresql", "why": why, "call": "ping", "said": "permission denied for table jobs"}
    assert scene.events == [(Event.SERVER_REFUSED, 1, said)]


async def test_a_server_that_lets_nobody_in_is_away_and_the_log_says_why() -> None:
    scene = Scene(asyncpg.InvalidCatalogNameError("there is no such database"), at="acquire")
    for _ in range(3):
        await raised(scene.database.fetch("ping", budget_s=5))
    (fields,) = scene.events.fields(Event.SERVER_AWAY)
    assert fields["why"] == "postgresql: refused with 3D000 InvalidCatalogNameError"


async def test_waiting_for_a_free_connection_is_overload_and_no_sign_that_the_server_is_away() -> None:
    scene = Scene(held=True)
    for _ in range(4):
        assert isinstance(await raised(scene.database.fetch("ping", budget_s=0.001)), Overloaded)
        assert isinstance(await raised(scene.database.commit("ping", budget_s=0.001)), Overloaded)
    assert scene.events == []


async def test_a_connection_that_cannot_be_opened_in_time_is_absence() -> None:
    scene = Scene(held=True)
    scene.pool.get_size = lambda: 0  # type: ignore[method-assign]  # none is open yet
    for _ in range(3):
        assert isinstance(await raised(scene.database.fetch("ping", budget_s=0.001)), ServerAway)
    assert scene.events.count(Event.SERVER_AWAY) == 1


class StubClient:
    """A client of Redis that fails."""

    def __init__(self, error: Exception) -> None:
        self.error: Exception | None = error

    async def execute_command(self, *_: object, **__: object) -> bytes:
        if self.error:
            raise self.error
        return b"PONG"


@pytest.mark.parametrize("error", redis_errors(), ids=lambda each: f"{type(each).__name__} {each}"[:40])
async def test_a_command_that_fails_says_so_in_our_words_and_the_next_one_works(error: Exception) -> None:
    events = Events()
    connection, client = (
        RedisConnection("redis://nowhere", "tests", Telemetry(events), 1, RecordIdentity()),
        StubClient(error),
    )
    connection._client = client  # type: ignore[assignment]  # as much of it as is used
    if isinstance(error, NoScriptError):
        assert await raised(connection.run("EVALSHA")) is error  # who runs the script sends it again
        return
    found = await raised(connection.run("GET"))
    refused = isinstance(error, ResponseError)
    locked_out = isinstance(error, AuthenticationError | AuthorizationError)
    assert type(found) is (ServerRefused if refused else CredentialsRefused if locked_out else ServerAway)
    assert [fields["call"] for fields in events.fields(Event.SERVER_REFUSED)] == ["GET"] * refused
    client.error = None
    assert await connection.run("GET") == b"PONG"


async def test_a_redis_that_comes_back_without_the_script_is_sent_it_at_once() -> None:
    connection, client = (
        RedisConnection("redis://nowhere", "tests", Telemetry(), 1, RecordIdentity()),
        StubClient(ConnectionError("refused")),
    )
    connection._client = client  # type: ignore[assignment]  # as much of it as is used
    connection._breaker, at = one_call_a_second("redis")
    await raised(connection.run("GET"))
    at[0] += 1
    client.error = NoScriptError("no such script")
    await raised(connection.run("EVALSHA"))
    client.error = None
    assert await connection.run("EVAL") == b"PONG"


async def test_a_refusal_of_redis_is_shown_for_a_moment() -> None:
    connection, client = (
        RedisConnection("redis://nowhere", "tests", Telemetry(), 1, RecordIdentity()),
        StubClient(ResponseError("BUSY a script")),
    )
    connection._client = client  # type: ignore[assignment]  # as much of it as is used
    await raised(connection.run("GET"))
    client.error = None
    assert str(await raised(connection.ping())) == "redis: refused with BUSY"


class StubChannel:
    """A channel to RabbitMQ that fails."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    async def basic_publish(self, *_: object, **__: Any) -> None:
        raise self.error

    async def ready(self) -> None:
        return None


@pytest.mark.parametrize(
    "error", [*amqp_errors(), asyncio.CancelledError()], ids=lambda each: type(each).__name__
)
async def test_a_call_of_rabbitmq_that_fails_says_so_in_our_words(error: BaseException) -> None:
    channel = StubChannel(error)
    publishing = Publishing((), budget_s=5)
    publishing._channel = publishing._connection = channel  # type: ignore[assignment]  # as much of them as is used
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: within(5, channel.basic_publish()),
        lambda: publishing.publish("queue", b"body"),
    ]
    for call in calls:
        assert isinstance(await raised(call()), ServerAway)


async def test_a_delivery_that_cannot_be_taken_in_is_reported_and_holds_up_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    taken: list[bytes] = []

    def take(delivery: Delivery) -> None:
        if delivery.body == b"bad":
            raise ValueError("oh")
        taken.append(delivery.body)
        delivery.acknowledge()

    channel = AcknowledgingChannel()
    consumer = QueueConsumer(ConsumedQueue("q", "l", "normal", 9, take), channel, lambda: None)  # type: ignore[arg-type]  # as much of it as is used
    for body in (b"bad", b"good"):
        await consumer._receive(SimpleNamespace(body=body))  # type: ignore[arg-type]  # as much of it as is used
    await consumer.flush()
    assert (taken, channel.acknowledged) == ([b"good"], 2)
    assert [each.message.splitlines()[0] for each in caplog.records] == ["delivery-q"]


class AcknowledgingChannel:
    """A channel that keeps the highest tag that was acknowledged."""

    acknowledged = 0

    async def basic_ack(self, tag: int, multiple: bool) -> None:
        self.acknowledged = tag


@pytest.mark.parametrize("value", [b"\xff", b"id", b"id x", b"id 1 2", b"id inf", b"id nan"])
def test_a_result_in_redis_that_is_garbage_is_malformed(value: bytes) -> None:
    with pytest.raises(Malformed, match=r"not a packed|no time"):
        unpack_result(b"print", b"print" + value)


def test_a_result_in_redis_is_taken_for_no_other_work() -> None:
    job = finished_job()
    value = pack_result(b"print", job)
    assert unpack_result(b"print", value) == Result(job.id, AT.timestamp())
    with pytest.raises(Malformed, match="other work"):
        unpack_result(b"other", value)
