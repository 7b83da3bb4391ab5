"""Who blocks the event loop, for how long, and when that ends the process."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from consumer.loop_watchdog import Blocker, LoopWatchdog, find_blocker
from tests.support.waiting import until
from tests.unit.consumer import hostile_kinds as kinds
from tests.unit.consumer.make_attempts import an_attempt
from tests.unit.consumer.test_lease import Flow, Record, started

BLOCKER = Blocker("t.block", "kinds.py:1 in block")


class Scene:
    """A loop that answers or not, and what was heard of it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.looks = 0
        self.ended = False
        self.told: list[tuple[Blocker, float]] = []

    def find(self) -> Blocker:
        self.looks += 1
        return BLOCKER

    def tell(self, blocker: Blocker, seconds: float) -> None:
        self.told.append((blocker, seconds))

    def end(self) -> None:
        self.ended = True


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    scene = Scene()
    monkeypatch.setattr("consumer.loop_watchdog.monotonic", lambda: scene.now)
    return scene


@pytest.fixture
def watchdog(scene: Scene) -> LoopWatchdog:
    return LoopWatchdog(10.0, 0.5, scene.end, scene.find, scene.tell)


def pass_time(watchdog: LoopWatchdog, scene: Scene, seconds: float, answering: bool) -> None:
    """Listen twice a second."""
    for _ in range(int(seconds * 2)):
        scene.now += 0.5
        watchdog.tick(scene.now)
        if answering:
            watchdog.hear()


def test_a_loop_that_answers_is_left_in_peace(watchdog: LoopWatchdog, scene: Scene) -> None:
    pass_time(watchdog, scene, 60, answering=True)
    watchdog.judge(scene.now, 0)
    assert (scene.looks, scene.told, scene.ended, watchdog.too_long) == (0, [], False, False)


def test_a_short_silence_is_nobodys_fault(watchdog: LoopWatchdog, scene: Scene) -> None:
    pass_time(watchdog, scene, 2, answering=True)
    pass_time(watchdog, scene, 0.5, answering=False)
    pass_time(watchdog, scene, 2, answering=True)
    assert (scene.looks, scene.told) == (0, [])


def test_a_process_that_was_frozen_is_not_called_blocked(watchdog: LoopWatchdog, scene: Scene) -> None:
    pass_time(watchdog, scene, 2, answering=True)
    scene.now += 0.5
    watchdog.tick(scene.now)  # frozen before the loop could answer
    scene.now += 3600
    watchdog.tick(scene.now)
    watchdog.hear()
    pass_time(watchdog, scene, 2, answering=True)
    assert (scene.looks, scene.told, watchdog.too_long) == (0, [], False)


def test_a_blockage_is_named_at_once_and_measured_when_it_is_over(
    watchdog: LoopWatchdog, scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    pass_time(watchdog, scene, 2, answering=True)
    pass_time(watchdog, scene, 5, answering=False)
    assert watchdog.blocker == BLOCKER
    assert [record.message for record in caplog.records] == [
        "the event loop is blocked by t.block: kinds.py:1 in block"
    ]
    assert scene.told == []
    watchdog.hear()
    pass_time(watchdog, scene, 2, answering=True)
    assert scene.told == [(BLOCKER, 5.0)]
    assert watchdog.blocker is None


def test_only_a_silence_longer_than_its_work_explains_ends_the_process(
    watchdog: LoopWatchdog, scene: Scene
) -> None:
    pass_time(watchdog, scene, 2, answering=True)
    began = scene.now
    pass_time(watchdog, scene, 20, answering=False)
    watchdog.judge(scene.now, began + 15)
    assert not scene.ended
    watchdog.judge(scene.now, began + 5)
    assert scene.ended


def doze(let_go: threading.Event) -> None:
    let_go.wait(30)


def decorated(function: Callable[[threading.Event], None]) -> Callable[[threading.Event], None]:
    @functools.wraps(function)
    def around(let_go: threading.Event) -> None:
        function(let_go)

    return around


@pytest.mark.parametrize("work", [doze, decorated(doze)])
def test_the_handler_on_the_stack_is_to_blame(work: Callable[[threading.Event], None]) -> None:
    let_go = threading.Event()
    thread = threading.Thread(target=work, args=(let_go,))
    thread.start()
    try:
        kind, where = find_blocker(thread.ident or 0, {doze.__code__: "t.doze"})
        nobody = find_blocker(thread.ident or 0, {})
    finally:
        let_go.set()
        thread.join()
    assert kind == "t.doze"
    assert "threading.py" in where
    assert nobody.kind == ""
    assert find_blocker(thread.ident or 0, {}) == ("", "the thread is gone")


async def test_leases_name_the_kind_that_blocks_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.loop_watchdog.BLOCKED_S", 0.2)
    record, flow = Record(), Flow()
    told: list[tuple[Blocker, float]] = []
    attempt = an_attempt(kinds.block, {"seconds": 0.6})
    neighbour = an_attempt(kinds.nap)
    async with started(record, flow, silence_s=30, on_blocked=lambda *what: told.append(what)) as leases:
        leases.hold(neighbour)
        leases.hold(attempt)
        await run(kinds.block, attempt)
        await until(lambda: told)
    (blocker, seconds), *others = told
    assert (blocker.kind, others) == ("t.block", [])
    assert "kinds.py" in blocker.where
    assert blocker.where.endswith(" in block")
    assert seconds > 0.5
    assert flow.lost == []


async def test_a_loop_blocked_for_good_is_not_excused_by_what_else_is_in_hand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record, flow = Record(), Flow()
    monkeypatch.setattr("consumer.loop_watchdog.BLOCKED_S", 0.05)
    attempt = an_attempt(kinds.block, {"seconds": 5}, timeout_s=0.1)
    neighbour = an_attempt(kinds.nap, timeout_s=3_600)
    monkeypatch.setattr("tests.unit.consumer.hostile_kinds.time.sleep", lambda _: flow.ended_hard.wait(20))
    async with started(record, flow, grace_s=0.1, silence_s=0.2) as leases:
        leases.hold(neighbour)
        leases.hold(attempt)
        await run(kinds.block, attempt)
    assert flow.ended_hard.is_set()


async def run(handler: Any, attempt: Any) -> None:
    """Run a handler as the consumer does: in a task, some steps below the loop."""
    work: Coroutine[Any, Any, Any] = handler.function(
        handler.input_model.model_validate_json(attempt.job.input)
    )
    await asyncio.create_task(work)
