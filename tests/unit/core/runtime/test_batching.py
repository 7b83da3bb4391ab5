"""Batches that form by themselves."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Sequence

import pytest

from sluice.core.errors import BadRow, Overloaded, ServerAway, ServerRefused, TryAgain
from sluice.core.runtime.batching import LARGE, TRIES, Batcher, Limits, SplitBatcher


class Gate:
    """A call that notes its batches, waits until let through, and doubles each item."""

    def __init__(self, *, shut: bool = False) -> None:
        self.batches: list[list[int]] = []
        self.entered = asyncio.Event()
        self.open = asyncio.Event()
        if not shut:
            self.open.set()

    async def __call__(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        self.entered.set()
        await self.open.wait()
        return [2 * item for item in items]


def refusing(
    bad: Callable[[list[int]], bool], error: Exception
) -> tuple[list[list[int]], Callable[[list[int]], Awaitable[Sequence[int]]]]:
    """Make a call that raises for some batches, and the list of all batches it was given."""
    batches: list[list[int]] = []

    async def call(items: list[int]) -> list[int]:
        batches.append(items)
        if bad(items):
            raise error
        return items

    return batches, call


async def answers(batcher: Batcher[int, int], items: Sequence[int]) -> list[int | BaseException]:
    """Return what each item's caller gets."""
    return await asyncio.gather(*(batcher.put(item) for item in items), return_exceptions=True)


async def test_what_arrives_during_a_flight_travels_together_next() -> None:
    gate = Gate(shut=True)
    batcher = Batcher("double", gate)
    first = batcher.put(1)
    await gate.entered.wait()
    others = [batcher.put(item) for item in (2, 3, 4)]
    assert repr(batcher) == "<Batcher double: 3 waiting, 1 in flight>"
    assert len(batcher) == 3
    gate.open.set()
    assert await asyncio.gather(first, *others) == [2, 4, 6, 8]
    assert gate.batches == [[1], [2, 3, 4]]


async def test_a_lone_item_waits_for_nobody() -> None:
    gate = Gate()
    assert await Batcher("double", gate).put(7) == 14
    assert gate.batches == [[7]]


async def test_a_batch_has_no_more_items_than_it_may() -> None:
    gate = Gate()
    batcher = Batcher("double", gate, Limits(rows=2))
    assert await answers(batcher, range(5)) == [0, 2, 4, 6, 8]
    assert gate.batches == [[0, 1], [2, 3], [4]]


async def test_a_batch_is_no_larger_than_it_may_be_but_takes_one_item_of_any_size() -> None:
    gate = Gate()
    batcher = Batcher("double", gate, Limits(size=10), size_of=lambda item: item)
    assert await answers(batcher, [4, 6, 1, 99, 1]) == [8, 12, 2, 198, 2]
    assert gate.batches == [[4, 6], [1], [99], [1]]


async def test_large_items_fly_apart_and_small_ones_do_not_wait_for_them() -> None:
    landed: list[int] = []
    free = asyncio.Event()

    async def call(sizes: list[int]) -> list[int]:
        if sizes[0] > LARGE:
            await free.wait()
        landed.extend(sizes)
        return sizes

    batcher = SplitBatcher("test", call, Limits(), lambda size: size)
    large, small = batcher.put(LARGE + 1), batcher.put(LARGE)
    assert await small == LARGE
    assert not large.done()
    free.set()
    await batcher.drain()
    assert landed == [LARGE, LARGE + 1]


async def test_as_many_batches_fly_as_may() -> None:
    gate = Gate(shut=True)
    batcher = Batcher("double", gate, Limits(rows=1, in_flight=2))
    futures = [batcher.put(item) for item in range(3)]
    await gate.entered.wait()
    await asyncio.sleep(0)
    assert gate.batches == [[0], [1]]
    gate.open.set()
    assert await asyncio.gather(*futures) == [0, 2, 4]


async def test_batches_that_fly_side_by_side_may_land_in_any_order() -> None:
    landings: list[asyncio.Future[int]] = []
    batcher = Batcher[int, int]("double", lambda items: _land(landings, items), Limits(rows=1, in_flight=2))
    failed: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))
    for order in ((0, 1), (1, 0)):
        landings.clear()
        futures = [batcher.put(item) for item in range(2)]
        await asyncio.sleep(0)
        for which in order:
            landings[which].set_result(which)
            assert await futures[which] == 2 * which
    await batcher.drain()
    await asyncio.sleep(0)
    gc.collect()
    assert not failed


async def test_too_many_waiting_items_are_refused_at_once() -> None:
    gate = Gate(shut=True)
    batcher = Batcher("double", gate, Limits(waiting=2))
    first = batcher.put(0)
    await gate.entered.wait()
    waiting = [batcher.put(item) for item in (1, 2)]
    with pytest.raises(Overloaded):
        batcher.put(3)
    gate.open.set()
    assert await asyncio.gather(first, *waiting) == [0, 2, 4]


async def test_items_are_refused_while_too_many_bytes_wait() -> None:
    gate = Gate(shut=True)
    batcher = Batcher("double", gate, Limits(size=10, waiting_size=12), size_of=lambda item: item)
    first = batcher.put(50)
    await gate.entered.wait()
    waiting = [batcher.put(item) for item in (11, 5)]
    with pytest.raises(Overloaded):
        batcher.put(1)
    gate.open.set()
    assert await asyncio.gather(first, *waiting) == [100, 22, 10]
    assert await batcher.put(7) == 14


async def test_draining_ends_when_nothing_waits_and_nothing_flies() -> None:
    gate = Gate(shut=True)
    batcher = Batcher("double", gate, Limits(rows=1))
    futures = [batcher.put(item) for item in range(3)]
    draining = asyncio.create_task(batcher.drain())
    await gate.entered.wait()
    assert not draining.done()
    gate.open.set()
    await draining
    assert all(future.done() for future in futures)


async def test_draining_an_idle_batcher_ends_at_once() -> None:
    await Batcher("double", Gate()).drain()


async def test_a_caller_may_put_again_as_soon_as_it_was_answered() -> None:
    batcher = Batcher("double", Gate())

    async def twice() -> int:
        return await batcher.put(await batcher.put(1))

    assert await asyncio.wait_for(twice(), 1) == 4


async def test_a_caller_may_put_again_as_soon_as_it_was_failed() -> None:
    _, call = refusing(lambda _: True, ServerAway("redis"))
    batcher = Batcher("fail", call)
    for _ in range(3):
        with pytest.raises(ServerAway):
            await asyncio.wait_for(batcher.put(1), 1)


async def test_an_error_goes_to_every_caller_of_its_batch_and_to_no_other() -> None:
    _, call = refusing(lambda items: 1 in items, ServerAway("redis"))
    found = await answers(Batcher("fail", call, Limits(rows=2)), range(4))
    assert [type(each) for each in found] == [ServerAway, ServerAway, int, int]


async def test_an_error_that_nobody_foresaw_reaches_the_caller_too() -> None:
    _, call = refusing(lambda _: True, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await Batcher("fail", call).put(1)


async def test_a_call_that_forgets_an_answer_is_an_error_and_nobody_hangs() -> None:
    async def forgetful(items: list[int]) -> list[int]:
        return items[1:]

    futures = answers(Batcher("forgetful", forgetful), [1, 2])
    with pytest.raises(ValueError, match="shorter"):
        await _raise_first(await asyncio.wait_for(futures, 1))


@pytest.mark.parametrize("error", [BadRow(), ServerRefused("postgresql", "XX001")], ids=repr)
async def test_bad_items_are_found_by_halving_and_refused_alone(error: Exception) -> None:
    batches, call = refusing(lambda items: bool({3, 6} & set(items)), error)
    found = await answers(Batcher("halve", call), range(8))
    assert [each is error for each in found] == [item in (3, 6) for item in range(8)]
    assert len(batches) <= 13


async def test_every_call_is_counted_with_its_items() -> None:
    counted: list[tuple[str, int]] = []

    def count(flight: str, items: int) -> None:
        counted.append((flight, items))

    _, call = refusing(lambda items: 3 in items, BadRow())
    await answers(Batcher("small", call, count=count), range(4))
    assert counted == [("small", 4), ("small", 2), ("small", 2), ("small", 1), ("small", 1)]
    counted.clear()
    both = SplitBatcher("both", call, Limits(), lambda size: size, count)
    await asyncio.gather(both.put(1), both.put(LARGE + 1))
    assert counted == [("both", 1), ("both-large", 1)]


async def test_a_batch_that_is_to_be_tried_again_is_tried_whole_and_at_last_singly() -> None:
    batches, call = refusing(lambda items: len(items) > 1, TryAgain())
    assert await answers(Batcher("again", call), [1, 2, 3]) == [1, 2, 3]
    assert batches == [[1, 2, 3]] * (TRIES - 1) + [[1], [2], [3]]


async def test_a_single_item_is_tried_so_often_and_then_fails() -> None:
    batches, call = refusing(lambda _: True, TryAgain())
    with pytest.raises(TryAgain):
        await Batcher("again", call).put(1)
    assert batches == [[1]] * TRIES


async def test_a_bad_item_is_still_found_when_the_batch_was_tried_again_before() -> None:
    errors: list[Exception] = [TryAgain()]

    async def call(items: list[int]) -> list[int]:
        if errors:
            raise errors.pop()
        if 2 in items:
            raise BadRow
        return items

    found = await answers(Batcher("both", call), [1, 2, 3])
    assert [type(each) for each in found] == [int, BadRow, int]


async def test_a_caller_that_left_spoils_nothing_for_the_others() -> None:
    gate = Gate(shut=True)
    batcher = Batcher("double", gate)
    left, stays = batcher.put(1), batcher.put(2)
    await gate.entered.wait()
    left.cancel()
    gate.open.set()
    assert await stays == 4


async def test_a_caller_that_left_a_failing_batch_gets_no_error() -> None:
    _, call = refusing(lambda _: True, ServerAway("redis"))
    batcher = Batcher("fail", call)
    left, stays = batcher.put(1), batcher.put(2)
    left.cancel()
    with pytest.raises(ServerAway):
        await stays


async def test_a_flight_that_is_cancelled_cancels_its_callers() -> None:
    gate = Gate(shut=True)
    batcher = Batcher("double", gate)
    answer = batcher.put(1)
    await gate.entered.wait()
    for task in asyncio.all_tasks():
        if task.get_name() == "batch-double":
            task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answer


async def _land(landings: list[asyncio.Future[int]], items: list[int]) -> list[int]:
    landings.append(asyncio.get_running_loop().create_future())
    await landings[-1]
    return [2 * item for item in items]


async def _raise_first(found: list[int | BaseException]) -> None:
    for each in found:
        if isinstance(each, BaseException):
            raise each
