"""A user's own package, which knows nothing of this repository but what handlers import: every way in which work ends."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest

from infra.local.servers import Servers
from tests.support.servers import empty
from tests.support.stack import Stack

PACKAGE = '''
import asyncio
import os
import time
from pathlib import Path

from pydantic import BaseModel

from sluice import Context, GiveUp, RetryLater, RetryPolicy, handler

QUICK = RetryPolicy(max_attempts=3, base_s=0.05)
ONCE = RetryPolicy(max_attempts=1)


class Ask(BaseModel):
    number: int = 0
    mark: str = ""


class Reply(BaseModel):
    number: int


@handler("own.double")
async def double(ask: Ask) -> Reply:
    """Twice the number."""
    return Reply(number=2 * ask.number)


@handler("own.stumble", retry=QUICK)
async def stumble(ask: Ask) -> Reply:
    secret_of_the_frame = ask.number
    raise LookupError(f"{secret_of_the_frame} is not there")


@handler("own.recover", retry=QUICK)
def recover(ask: Ask, context: Context) -> Reply:
    if context.attempt < 3:
        raise ConnectionError("not yet")
    return Reply(number=context.attempt)


@handler("own.give_up", retry=QUICK)
def give_up(ask: Ask) -> Reply:
    raise GiveUp("there is no use")


@handler("own.later", retry=ONCE)
def later(ask: Ask, context: Context) -> Reply:
    calls = Path(ask.mark).read_text() if Path(ask.mark).exists() else ""
    Path(ask.mark).write_text(calls + "x")
    if len(calls) < 3:
        raise RetryLater(0.05, "busy")
    return Reply(number=context.attempt)


@handler("own.loop", timeout_s=0.3, retry=ONCE)
async def in_loop(ask: Ask) -> Reply:
    await asyncio.sleep(600)
    return Reply(number=0)


@handler("own.thread", timeout_s=0.3, retry=ONCE)
def in_thread(ask: Ask, context: Context) -> Reply:
    while not context.should_stop():
        time.sleep(0.01)
    return Reply(number=0)


@handler("own.process", runs_in="process", timeout_s=0.5, retry=ONCE)
def in_process(ask: Ask) -> Reply:
    Path(ask.mark).write_text(str(os.getpid()))
    while True:
        pass


@handler("own.abort", runs_in="process")
def abort(ask: Ask) -> Reply:
    os.abort()


def fail(ask: Ask) -> Reply:
    if ask.mark == "import":
        import not_there
    errors = {"give up": GiveUp("no such customer"), "memory": MemoryError()}
    raise ExceptionGroup("many", [KeyError("a"), ExceptionGroup("more", [errors[ask.mark]])])


@handler("own.fail_in_loop", retry=QUICK)
async def fail_in_loop(ask: Ask) -> Reply:
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.to_thread(fail, ask))


fail_in_thread = handler("own.fail_in_thread", retry=QUICK)(fail)
fail_in_process = handler("own.fail_in_process", runs_in="process", retry=QUICK)(fail)


@handler("own.wrong", retry=QUICK)
def wrong(ask: Ask) -> Reply:
    return {"number": "many"}
'''


@pytest.fixture(scope="module")
def own(shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Both processes with this package and nothing else."""
    directory = tmp_path_factory.mktemp("own")
    (directory / "their_work.py").write_text(PACKAGE)
    shared_servers.up()
    stack = Stack(shared_servers, directory, handlers="their_work", log_tracebacks="true")
    stack.environment["PYTHONPATH"] = str(directory)
    try:
        asyncio.run(empty(shared_servers))
        asyncio.run(stack.start())
        yield stack
    finally:
        stack.stop()


async def ended(stack: Stack, kind: str, **given: Any) -> dict[str, Any]:
    """The document of a job of this kind, once it has ended."""
    async with stack.client() as client:
        answer = await client.post(f"/v1/kinds/{kind}/jobs", json=given, headers={"Prefer": "wait=30"})
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        assert "Traceback" not in answer.text
        assert "their_work" not in answer.text
    return document


async def tries(stack: Stack, document: dict[str, Any]) -> list[asyncpg.Record]:
    """What the record keeps of the attempts that did not succeed."""
    connection = await asyncpg.connect(stack.servers.postgres.url)
    try:
        query = "select * from attempts where job_id = $1 order by fence"
        return list(await connection.fetch(query, document["id"]))
    finally:
        await connection.close()


async def test_their_kinds_and_no_others_are_offered(own: Stack) -> None:
    async with own.client() as client:
        kinds = (await client.get("/v1/kinds")).json()["kinds"]
        known = {kind["kind"]: kind for kind in kinds}
        refused = await client.post("/v1/kinds/own.double/jobs", json={"number": "two"})
    assert "demo.sum" not in known
    assert known["own.double"]["description"] == "Twice the number."
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/number")


async def test_their_work_is_done_and_its_result_shown(own: Stack) -> None:
    document = await ended(own, "own.double", number=21)
    assert (document["state"], document["result"], document["error"]) == ("succeeded", {"number": 42}, None)


async def test_an_exception_is_tried_again_by_policy_and_shown_without_its_traceback(own: Stack) -> None:
    document = await ended(own, "own.stumble", number=7)
    error = document["error"]
    assert (document["state"], document["attempt"], document["result"]) == ("failed", 3, None)
    assert (error["type"], error["title"], error["detail"]) == (
        "handler-error",
        "LookupError",
        "7 is not there",
    )
    rows = await tries(own, document)
    assert [(row["attempt"], row["outcome"]) for row in rows] == [(n, "handler-error") for n in (1, 2, 3)]
    assert all("in stumble" in row["traceback"] for row in rows)


async def test_the_log_tells_of_every_failed_attempt_and_why(own: Stack) -> None:
    document = await ended(own, "own.stumble", number=7)
    lines = [orjson.loads(line) for line in own.consumers[0].log.read_bytes().splitlines()]
    told = [line for line in lines if line.get("job_id") == document["id"]]
    expected = [
        ("INFO", "attempts_retried", 1),
        ("INFO", "attempts_retried", 2),
        ("WARNING", "jobs_failed", 3),
    ]
    assert [(line["level"], line["message"], line["attempt"]) for line in told] == expected
    for line in told:
        said = (line["kind"], line["type"], line["error"])
        assert said == ("own.stumble", "handler-error", "LookupError: 7 is not there")
        assert "in stumble" in line["trace"]


@pytest.mark.parametrize("place", ["loop", "thread", "process"])
@pytest.mark.parametrize(
    ("how", "type", "title"),
    [
        ("give up", "gave-up", "The handler gave up"),
        ("memory", "out-of-memory", "The handler ran out of memory"),
        ("import", "handler-error", "ModuleNotFoundError"),
    ],
)
async def test_what_would_fail_again_fails_at_once_in_a_group_too(
    own: Stack, place: str, how: str, type: str, title: str
) -> None:
    document = await ended(own, f"own.fail_in_{place}", mark=how)
    error = document["error"]
    assert (document["state"], document["attempt"], error["retryable"]) == ("failed", 1, False)
    assert (error["type"], error["title"]) == (type, title)
    assert {"give up": "no such customer", "memory": "memory", "import": "not_there"}[how] in error["detail"]


async def test_work_that_recovers_succeeds_and_shows_no_error(own: Stack) -> None:
    document = await ended(own, "own.recover")
    assert (document["state"], document["attempt"], document["error"]) == ("succeeded", 3, None)
    assert document["result"] == {"number": 3}
    assert len(await tries(own, document)) == 2


async def test_giving_up_fails_at_once_with_their_words(own: Stack) -> None:
    document = await ended(own, "own.give_up")
    assert (document["state"], document["attempt"]) == ("failed", 1)
    assert (document["error"]["type"], document["error"]["detail"]) == ("gave-up", "there is no use")
    assert document["error"]["retryable"] is False


async def test_asking_for_later_is_not_counted_as_a_try(own: Stack, tmp_path: Path) -> None:
    document = await ended(own, "own.later", mark=str(tmp_path / "calls"))
    assert (tmp_path / "calls").read_text() == "xxxx"
    assert (document["state"], document["attempt"], document["result"]) == ("succeeded", 1, {"number": 1})


@pytest.mark.parametrize("kind", ["own.loop", "own.thread", "own.process"])
async def test_work_past_its_time_limit_is_ended_wherever_it_runs(
    own: Stack, kind: str, tmp_path: Path
) -> None:
    mark = tmp_path / "pid"
    document = await ended(own, kind, mark=str(mark))
    assert (document["state"], document["attempt"], document["error"]["type"]) == ("failed", 1, "timed-out")
    if kind == "own.process":
        with pytest.raises(ProcessLookupError):
            os.kill(int(mark.read_text()), 0)


async def test_an_output_that_is_not_what_was_promised_fails_at_once(own: Stack) -> None:
    document = await ended(own, "own.wrong")
    assert (document["state"], document["attempt"], document["error"]["type"]) == ("failed", 1, "bad-output")


async def test_work_that_kills_its_process_fails_after_three_tries_and_takes_nobody_with_it(
    own: Stack,
) -> None:
    neighbours = [ended(own, "own.double", number=number) for number in range(20)]
    neighbours += [ended(own, "own.recover") for _ in range(5)]
    killer, *others = await asyncio.gather(ended(own, "own.abort"), *neighbours)
    assert (killer["state"], killer["error"]["type"]) == ("failed", "worker-lost")
    assert "SIGABRT" in killer["error"]["detail"]
    assert [row["outcome"] for row in await tries(own, killer)] == ["worker-lost"] * 3
    assert {each["state"] for each in others} == {"succeeded"}
    figures = await own.consumers[0].metrics()
    assert figures["sluice_jobs_rescued_total"] == 0
