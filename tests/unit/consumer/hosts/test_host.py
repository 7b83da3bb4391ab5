"""One host process: how it starts, what is heard of it, and when it counts as silent."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import pytest

from consumer.attempt import Attempt
from consumer.hosts.child import describe_exit
from consumer.hosts.host import Blockage, Death, Host, HostListener
from sluice.errors import StartRefused
from tests.support.processes import lives
from tests.support.waiting import until
from tests.unit.consumer import hostile_kinds as kinds
from tests.unit.consumer.hosts.conftest import OWN, WriteModule
from tests.unit.consumer.hosts.real_hosts import a_spec, pid_of, value_of
from tests.unit.consumer.make_attempts import an_attempt


class Heard:
    """What a host's consumer hears."""

    def __init__(self) -> None:
        self.late: list[Attempt] = []
        self.blocked: list[Blockage] = []
        self.slow: list[tuple[str, float]] = []
        self.died: list[Death] = []

    @property
    def listener(self) -> HostListener:
        return HostListener(
            lambda _, attempt: self.late.append(attempt),
            lambda _, blockage: self.blocked.append(blockage),
            lambda kind, seconds: self.slow.append((kind, seconds)),
            lambda _, death: self.died.append(death),
        )


@asynccontextmanager
async def a_host(heard: Heard, slot: bool = False, **spec: Any) -> AsyncIterator[Host]:
    """A host that was not started yet."""
    host = Host(a_spec(**spec), "shared", slot, heard.listener)
    try:
        yield host
    finally:
        if hasattr(host._child, "_process"):
            await host.close()


async def test_a_host_tells_which_kinds_it_has_loaded_and_what_it_uses() -> None:
    heard = Heard()
    async with a_host(heard) as host:
        loaded = {info.kind: info for info in await host.start()}
        assert loaded["t.echo"].function == "echo"
        assert loaded["t.process"].runs_in == "process"
        assert host.weight
        await until(lambda: host.uses.memory_mib)
        assert host.uses.threads >= 2
        assert host.uses.files >= 4
        assert value_of(await host.run(an_attempt(kinds.echo, {"number": 5}))) == 5
        assert (host.in_hand, host.started_jobs, host.available) == (0, 1, True)
        assert repr(host) == "<Host shared: 0 jobs in hand>"
    assert (heard.died, host.available) == ([], False), "it was meant to end"
    assert repr(host) == "<Host shared: 0 jobs in hand, gone>"
    assert not lives(pid_of(host))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise LookupError('odd')", r"own_hosted does not load: LookupError: odd \(.*own_hosted\.py:1\)"),
        ("import os; os._exit(3)", r"own_hosted does not load: it calls os\._exit\(3\) \(.*own_hosted\.py:1\)"),
        ("import os; os.abort()", r"own_hosted does not load: It was ended by SIGABRT \(.*own_hosted\.py:1 in <module>\)"),
        ("import os; os.kill(os.getpid(), 9)", r"own_hosted does not load: It was ended by SIGKILL"),
        ("one = 1", "own_hosted defines no kind"),
    ],
)  # fmt: skip
async def test_a_module_that_does_not_load_is_refused_with_its_line(
    write_module: WriteModule, code: str, words: str
) -> None:
    write_module(code)
    heard = Heard()
    async with a_host(heard, modules=(OWN,)) as host:
        with pytest.raises(StartRefused, match=words):
            await host.start()
        await until(lambda: host.gone.is_set())
        assert heard.died == [], "the refusal says it all"


async def test_a_module_that_never_ends_loading_is_refused_with_its_line(write_module: WriteModule) -> None:
    write_module("import time\ntime.sleep(60)\n")
    async with a_host(Heard(), modules=(OWN,), start_s=1) as host:
        with pytest.raises(StartRefused, match=r"still loading after 1 s \(.*own_hosted\.py:2 in <module>\)"):
            await host.start()
        assert not lives(pid_of(host))


async def test_a_start_that_is_given_up_leaves_no_process(write_module: WriteModule) -> None:
    write_module("import time\ntime.sleep(60)\n")
    async with a_host(Heard(), modules=(OWN,)) as host:
        start = asyncio.create_task(host.start())
        await until(lambda: host._loading == "own_hosted")
        start.cancel()
        with pytest.raises(asyncio.CancelledError):
            await start
        await until(lambda: not lives(pid_of(host)))


async def test_a_stopped_host_is_silent_until_it_goes_on() -> None:
    async with a_host(Heard()) as host:
        await host.start()
        os.kill(pid_of(host), signal.SIGSTOP)
        await until(lambda: host.silent_s > 1.5)
        os.kill(pid_of(host), signal.SIGCONT)
        await until(lambda: host.silent_s < 1)


async def test_a_host_that_waits_for_a_processor_is_not_called_silent() -> None:
    began = monotonic()
    async with a_host(Heard(), waited_s=lambda _: monotonic() - began) as host:
        await host.start()
        os.kill(pid_of(host), signal.SIGSTOP)
        await until(lambda: host.quiet_s > 1.5)
        assert host.silent_s < 1.2
        os.kill(pid_of(host), signal.SIGCONT)


async def test_a_host_that_does_not_listen_any_more_takes_no_jobs() -> None:
    async with a_host(Heard()) as host:
        await host.start()
        host._child._transport.close()
        assert (host.available, host.gone.is_set()) == (False, False)


async def test_a_host_that_is_replaced_gives_its_jobs_back() -> None:
    heard = Heard()
    async with a_host(heard) as host:
        await host.start()
        run = asyncio.create_task(host.run(an_attempt(kinds.nap, {"seconds": 60})))
        await until(lambda: host.in_hand)
        host.replace()
        assert type(await run).__name__ == "Released"
        await host.gone.wait()
    assert heard.died == []


async def test_a_host_that_is_closed_while_it_is_frozen_is_killed() -> None:
    async with a_host(Heard()) as host:
        await host.start()
        os.kill(pid_of(host), signal.SIGSTOP)
        await host.close()
        assert host.gone.is_set()


async def test_a_host_that_is_gone_harms_nobody_who_has_its_pid_by_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    killed: list[int] = []
    async with a_host(Heard()) as host:
        await host.start()
        os.kill(pid_of(host), signal.SIGKILL)
        await host.gone.wait()
        monkeypatch.setattr("consumer.hosts.child.kill_with_descendants", killed.append)
        host.replace()
        await host.close()
    assert killed == []


async def test_an_end_that_was_wanted_is_no_blockage_however_long_the_host_waited_for_a_processor() -> None:
    heard = Heard()
    async with a_host(heard, waited_s=lambda _: 0.0) as host:
        await host.start()
        host.uses = host.uses._replace(waited_s=3_600)
    assert (heard.blocked, heard.died) == ([], [])


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "It ended with exit status 0."),
        (-9, "It was ended by SIGKILL (perhaps out of memory)."),
        (-11, "It was ended by SIGSEGV."),
    ],
)
def test_the_end_of_a_process_is_said_in_words(code: int, words: str) -> None:
    assert describe_exit(code) == words
