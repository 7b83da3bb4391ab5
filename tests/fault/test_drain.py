"""A stop under load: established connections get their answers, and what has not begun is given back at once."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from itertools import count

import httpx2
import orjson

from tests.fault.jobs import submit
from tests.support.stack import Stack
from tests.support.waiting import until, until_found

SPIN = {"kind": "demo.spin", "input": {"seconds": 600}}
LATER = {"kind": "demo.sum", "input": {"values": [1]}, "options": {"delay_s": 600}}


class Client:
    """Asks two apis in turn over kept connections, and leaves one that asks it to."""

    def __init__(self, clients: list[httpx2.AsyncClient]) -> None:
        self._clients = clients
        self.accepted: dict[str, int] = {}
        self.statuses: Counter[int] = Counter()
        self.broken: list[str] = []

    async def ask_for_ever(self, numbers: count[int]) -> None:
        """Submit a job and look it up, again and again."""
        for number in numbers:
            answer = await self._ask(number, "POST", "/v1/jobs", job(number))
            if answer is not None and answer.status_code == 202:
                self.accepted[answer.json()["id"]] = number
                await self._ask(number, "GET", f"/v1/jobs/{answer.json()['id']}")

    async def _ask(self, number: int, method: str, path: str, json: object = None) -> httpx2.Response | None:
        client = self._clients[number % len(self._clients)]
        try:
            answer = await client.request(method, path, json=json)
        except httpx2.TransportError as error:
            self.broken.append(repr(error))
            return None
        self.statuses[answer.status_code] += 1
        if answer.headers.get("connection") == "close" and client in self._clients:
            self._clients.remove(client)
        return answer


async def test_an_api_that_stops_under_load_fails_no_request(bare_stack: Stack) -> None:
    bare_stack._settings |= {"lame_duck_s": 3}  # even the slowest client hears in time that it should go
    await bare_stack.start(apis=2)
    leaving, staying = bare_stack.apis
    async with bare_stack.client(api=leaving) as first, bare_stack.client(api=staying) as second:
        client = Client([first, second])
        numbers = count()
        tasks = [asyncio.create_task(client.ask_for_ever(numbers)) for _ in range(12)]
        held = (await first.post("/v1/jobs", json=LATER)).json()["id"]
        waiting = [asyncio.create_task(first.get(f"/v1/jobs/{held}?wait=50")) for _ in range(60)]
        await until(lambda: len(client.accepted) > 100)
        await leaving.until_metric("sluice_waiting_requests", len(waiting))
        assert await asyncio.wait_for(asyncio.to_thread(leaving.stop), 30) == 0
        answers = await asyncio.gather(*waiting)
        seen = len(client.accepted)
        await until(lambda: len(client.accepted) > seen + 50)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert client._clients == [second]
    assert client.broken == []
    assert set(client.statuses) == {200, 202}
    assert Counter(answer.status_code for answer in answers) == Counter({200: len(waiting)})
    rows = await bare_stack.finished(client.accepted)
    results = {each: orjson.loads(row["result"])["total"] for each, row in rows.items()}
    assert results == client.accepted


async def test_what_waits_for_a_place_is_given_back_while_the_rest_goes_on(bare_stack: Stack) -> None:
    bare_stack._settings |= {"stop_s": 600, "processes": 2}
    await bare_stack.start(consumers=0)
    await submit(bare_stack, SPIN, 5)
    async with bare_stack.sql() as connection:

        async def two_run() -> bool:
            """Of five that are claimed: what begins reports progress."""
            query = "select count(fence = 1 or null) = 5 and count(progress) = 2 from jobs"
            return bool(await connection.fetchval(query))

        async def three_are_queued() -> bool:
            return bool(await connection.fetchval("select count(*) = 3 from jobs where state = 'queued'"))

        # Jobs that were the end of a host run alone, and fewer of them at a time than there are slots.
        await connection.execute("update jobs set crash_count = 1, solo_crashes = 1, lane = 'default'")
        await connection.execute("update outbox set lane = 'default', due = now()")
        consumer = bare_stack.add_consumer()
        await consumer.ready()
        await until_found(two_run)
        consumer.signal(signal.SIGTERM)
        await until_found(three_are_queued)
        assert consumer.process is not None
        assert consumer.process.poll() is None
        assert await connection.fetchval("select count(*) from jobs where state = 'running'") == 2
    consumer.kill()


def job(number: int) -> dict[str, object]:
    """Return a job whose result is this number."""
    return {"kind": "demo.sum", "input": {"values": [number]}}
