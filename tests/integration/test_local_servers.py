"""The private servers of `infra/local`, used as the tests, `make run` and CI use them."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import aio_pika
import asyncpg
import pytest
from redis.asyncio import Redis as RedisClient

from infra.local import ports
from infra.local.process import Record, kill_all, none_alive, spawn, table, table_of_ps, wait_until
from infra.local.run_as import may_rename, temporary_directory
from infra.local.servers import Postgres, RabbitMQ, Redis, Server, Servers, StartError

pytestmark = pytest.mark.timeout(180)

ONE_OF_EACH = pytest.mark.parametrize("name", ["postgres", "redis", "rabbitmq"])


@pytest.fixture
def open_path() -> Iterator[Path]:
    """Make a directory that other accounts may pass through."""
    directory = temporary_directory("sluice-open-")
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with tempfile.TemporaryDirectory(prefix="sluice-servers-") as directory:
        Path(directory).chmod(0o711)
        servers = Servers(Path(directory))
        servers.up()
        yield servers
        pids = [pid for server in servers for pid in server.pids]
        servers.down()
        assert none_alive(pids), "a process was left running"


@pytest.fixture
def server(servers: Servers, name: str) -> Iterator[Server]:
    server: Server = getattr(servers, name)
    server.start()
    yield server
    server.thaw()


async def ask_postgres(url: str, statement: str = "select 'pong'") -> str:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        return str(await connection.fetchval(statement))
    finally:
        await connection.close()


async def ask_redis(url: str) -> str:
    async with RedisClient.from_url(url) as client:
        return "pong" if await client.ping() else "nothing"


async def ask_rabbitmq(url: str) -> str:
    async with await aio_pika.connect(url, timeout=10) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("sluice.ask", exclusive=True)
        await channel.default_exchange.publish(aio_pika.Message(b"pong"), "sluice.ask")
        message = await queue.get()
        return message.body.decode() if message else "nothing"


def answer_of(server: Server) -> str:
    ask = {Postgres: ask_postgres, Redis: ask_redis, RabbitMQ: ask_rabbitmq}[type(server)]
    return asyncio.run(ask(server.url))


def refuses_connections(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((ports.LOOPBACK, port)) != 0


@ONE_OF_EACH
def test_a_started_server_answers_at_its_url(server: Server) -> None:
    assert answer_of(server) == "pong"


@ONE_OF_EACH
def test_starting_a_running_server_changes_nothing(server: Server) -> None:
    before = server.pids[0]
    server.start()
    assert server.pids[0] == before


@ONE_OF_EACH
def test_a_killed_server_leaves_no_process_and_comes_back_at_the_same_address(server: Server) -> None:
    url, pids = server.url, server.pids
    server.kill()
    assert none_alive(pids)
    assert server.pids == []
    assert refuses_connections(server.port)

    server.start()
    assert server.url == url
    assert answer_of(server) == "pong"


@ONE_OF_EACH
def test_a_frozen_server_is_silent_until_it_is_thawed(server: Server) -> None:
    server.freeze()
    states = {Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in server.pids}
    assert states == {"T"}
    server.thaw()
    assert answer_of(server) == "pong"


@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_a_frozen_server_can_be_killed(server: Server) -> None:
    pids = server.pids
    server.freeze()
    server.kill()
    assert none_alive(pids)


def test_a_process_is_not_gone_before_its_last_thread(tmp_path: Path) -> None:
    exit_of_the_main_thread = 60 if os.uname().machine == "x86_64" else 93
    program = f"""
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
ctypes.CDLL(None).syscall({exit_of_the_main_thread}, 0)
"""
    process = spawn([sys.executable, "-c", program], log=tmp_path / "log", cwd=tmp_path, env={})
    assert wait_until(lambda: table()[process.pid].state == "Z", 30)
    record = Record.of(process.pid)
    assert (none_alive([process.pid]), record.alive) == (False, True)
    kill_all(record)
    assert wait_until(lambda: none_alive([process.pid]), 10)
    process.wait()


@ONE_OF_EACH
def test_a_server_started_by_another_program_is_found_and_stopped_completely(server: Server) -> None:
    pids = server.pids
    type(server)(server.directory).stop()
    assert none_alive(pids)
    assert not server.alive


@ONE_OF_EACH
def test_data_of_a_running_server_cannot_be_wiped(server: Server) -> None:
    with pytest.raises(RuntimeError, match="is running"):
        server.wipe()
    assert answer_of(server) == "pong"


def test_a_crashed_database_keeps_what_was_committed_and_a_wiped_one_does_not(servers: Servers) -> None:
    postgres = servers.postgres
    postgres.start()
    asyncio.run(ask_postgres(postgres.url, "create table kept as select 42 as answer"))
    postgres.kill()
    postgres.start()
    assert asyncio.run(ask_postgres(postgres.url, "select answer from kept")) == "42"

    postgres.stop()
    postgres.wipe()
    postgres.start()
    with pytest.raises(asyncpg.UndefinedTableError):
        asyncio.run(ask_postgres(postgres.url, "select answer from kept"))


def test_a_wiped_broker_has_forgotten_its_queues(servers: Servers) -> None:
    rabbitmq = servers.rabbitmq

    async def declare(*, passive: bool) -> None:
        async with await aio_pika.connect(rabbitmq.url) as connection:
            channel = await connection.channel()
            await channel.declare_queue("sluice.kept", durable=True, passive=passive)

    rabbitmq.start()
    asyncio.run(declare(passive=False))
    rabbitmq.stop()  # not kill(): a broker may lose a queue it declared in its last moments
    rabbitmq.start()
    asyncio.run(declare(passive=True))

    rabbitmq.stop()
    rabbitmq.wipe()
    rabbitmq.start()
    with pytest.raises(aio_pika.exceptions.ChannelNotFoundEntity):
        asyncio.run(declare(passive=True))


def test_the_database_role_owns_its_database_and_is_no_superuser(servers: Servers) -> None:
    servers.postgres.start()
    question = """select pg_get_userbyid(datdba) || ' ' || rolsuper::text
                  from pg_database, pg_roles where datname = current_database() and rolname = current_user"""
    assert asyncio.run(ask_postgres(servers.postgres.url, question)) == "sluice false"


def test_commits_of_the_database_reach_the_disk(servers: Servers) -> None:
    servers.postgres.start()
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        assert asyncio.run(ask_postgres(servers.postgres.url, f"show {setting}")) == "on"


@pytest.mark.parametrize(
    ("name", "right", "wrong", "refusal"),
    [
        ("postgres", "password", "wrong", asyncpg.InvalidPasswordError),
        ("rabbitmq", "sluice:password", "guest:guest", aio_pika.exceptions.ProbableAuthenticationError),
    ],
)
def test_strangers_are_refused(server: Server, right: str, wrong: str, refusal: type[Exception]) -> None:
    right = right.replace("password", server.password)
    with pytest.raises(refusal):
        asyncio.run(
            (ask_postgres if isinstance(server, Postgres) else ask_rabbitmq)(server.url.replace(right, wrong))
        )


def test_servers_of_two_directories_run_side_by_side(tmp_path: Path, servers: Servers) -> None:
    servers.rabbitmq.start()
    other = RabbitMQ(tmp_path / "other")
    other.start()
    try:
        assert answer_of(other) == answer_of(servers.rabbitmq) == "pong"
    finally:
        other.kill()


@pytest.mark.skipif(not may_rename(), reason="this machine allows no user namespaces")
def test_a_database_below_a_directory_closed_to_others_starts(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    postgres = Postgres(closed / "postgres")
    postgres.start()
    try:
        assert answer_of(postgres) == "pong"
    finally:
        postgres.stop()


def test_a_failed_start_shows_the_log_and_leaves_nothing_running(tmp_path: Path) -> None:
    with socket.create_server((ports.LOOPBACK, 0)) as taken:
        redis = Redis(tmp_path, taken.getsockname()[1])
        with pytest.raises(StartError, match="Address already in use"):
            redis.start()
    assert redis.pids == []


def test_one_server_that_cannot_start_takes_the_others_back_down(open_path: Path) -> None:
    servers = Servers(open_path)
    with socket.create_server((ports.LOOPBACK, 0)) as taken:
        servers.redis = Redis(open_path / "redis", taken.getsockname()[1])
        with pytest.raises(StartError, match="Redis"):
            servers.up()
    assert [server.pids for server in servers] == [[], [], []]


def test_a_stranger_that_inherited_the_process_id_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        redis = Redis(tmp_path)
        Record(stranger.pid, "another birth").write(tmp_path / "pid")
        assert not redis.alive
        redis.kill()
        assert stranger.poll() is None
        stranger.communicate(b"\n")


def test_children_of_a_dead_leader_are_still_found(tmp_path: Path) -> None:
    leader = spawn(
        ["/bin/sh", "-c", "sleep 600 & sleep 600"], log=tmp_path / "log", cwd=tmp_path, env=dict(os.environ)
    )
    record = Record.of(leader.pid)
    while len(record.members()) < 3:
        assert leader.poll() is None
    os.kill(leader.pid, signal.SIGKILL)
    leader.wait()
    orphans = record.members()
    assert len(orphans) == 2
    for pid in orphans:
        os.kill(pid, signal.SIGKILL)


def test_the_listing_of_ps_and_proc_agree_on_this_process() -> None:
    ours, theirs = table()[os.getpid()], table_of_ps()[os.getpid()]
    assert (ours.parent, ours.ended) == (theirs.parent, theirs.ended)


def test_postgresql_runs_as_its_own_account_where_that_account_gets_to_the_data(open_path: Path) -> None:
    postgres = Postgres(open_path / "postgres")
    try:
        postgres.start()
        owners = {Path(f"/proc/{pid}").stat().st_uid for pid in postgres.pids}
        assert owners == {postgres.data.stat().st_uid}
        assert os.geteuid() != 0 or 0 not in owners
    finally:
        postgres.stop()


def test_the_log_of_postgresql_is_compressed_with_the_best_it_is_built_with(servers: Servers) -> None:
    best = "setting = case when 'lz4' = any(enumvals) then 'lz4' else 'pglz' end"
    ask = f"select {best} from pg_settings where name = 'wal_compression'"  # noqa: S608  a constant of ours
    assert asyncio.run(ask_postgres(servers.postgres.url, ask)) == "True"
