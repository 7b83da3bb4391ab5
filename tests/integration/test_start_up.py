"""Starting and stopping: what is wrong is said in one line, what is missing is waited for, and a stop loses nothing."""

from __future__ import annotations

import asyncio
import socket
import sys
from functools import partial
from pathlib import Path

import httpx2
import pytest

from infra.local.servers import Servers
from tests.integration.test_http import run
from tests.support.stack import Stack, clean_environment
from tests.support.waiting import answers, until_found

SUM = {"kind": "demo.sum", "input": {"values": [1, 2]}}
HEAD = """
from pydantic import BaseModel
from sluice.handler import handler

class Ask(BaseModel):
    number: int = 0

"""
GOOD = HEAD + "@handler('own.kind')\nasync def kind(ask: Ask) -> Ask:\n    return ask\n"


def refused(status: int, out: str, err: str) -> str:
    """Return the one line that says why."""
    assert (status, out, err.count("\n")) == (2, "", 1), err
    assert err.startswith("sluice: ")
    return err


@pytest.mark.parametrize("process", ["api", "consumer"])
@pytest.mark.parametrize("missing", ["POSTGRES_URL", "REDIS_URL", "KEY_PEPPER"])
async def test_a_setting_without_a_default_has_to_be_given(
    servers: Servers, process: str, missing: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = {f"SLUICE_{name}": "x" * 16 for name in ("POSTGRES_URL", "REDIS_URL", "KEY_PEPPER")}
    del whole[f"SLUICE_{missing}"]
    environment = clean_environment() | whole | {"PYTHONPATH": str(Path.cwd())}
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", process, cwd=tmp_path, env=environment, stdout=-1, stderr=-1
    )
    out, err = await asyncio.wait_for(started.communicate(), 60)
    assert f"SLUICE_{missing}" in refused(started.returncode or 0, out.decode(), err.decode())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"SLUICE_LANES": "{oops"}, ["SLUICE_LANES", "JSON"]),
        ({"SLUICE_LANES": '{"default":{"slots":-1,"ids_per_message":1}}'}, ["SLUICE_LANES"]),
        ({"SLUICE_LANES": '{"heavy":{"slots":1,"ids_per_message":1}}'}, ["SLUICE_LANES", "'default'"]),
        ({"SLUICE_SERVE_LANES": "default,fast"}, ["SLUICE_SERVE_LANES", "'fast'"]),
        ({"SLUICE_PROCESSES": "1", "SLUICE_LANES": '{"default":{"slots":1,"ids_per_message":1},'
          '"heavy":{"slots":2,"ids_per_message":1}}'}, ["SLUICE_PROCESSES", "2 slots"]),
        ({"SLUICE_BEAT_S": "often"}, ["SLUICE_BEAT_S"]),
        ({"SLUICE_LOG_LEVEL": "LOUD", "SLUICE_HOST_JOBS": "0"}, ["SLUICE_LOG_LEVEL", "SLUICE_HOST_JOBS"]),
        ({"SLUICE_PRIVATE_HOST": "192.0.2.1"}, ["192.0.2.1"]),
    ],
)  # fmt: skip
async def test_a_wrong_setting_of_the_consumer_is_named(
    servers: Servers, settings: dict[str, str], words: list[str]
) -> None:
    line = refused(*await run(servers, "consumer", **settings))
    assert [word for word in words if word not in line] == []


@pytest.mark.parametrize("process", ["api", "consumer"])
async def test_a_port_that_is_taken_is_named(servers: Servers, process: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        name = "SLUICE_API_PORT" if process == "api" else "SLUICE_CONSUMER_PRIVATE_PORT"
        assert f"127.0.0.1:{port}" in refused(*await run(servers, process, **{name: port}))


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, ["SLUICE_HANDLERS", "own_one", "No module named"]),
        ({"own_one": "1 / 0"}, ["SLUICE_HANDLERS", "own_one", "ZeroDivisionError"]),
        ({"own_one": "raise SystemExit(3)"}, ["own_one", "SystemExit"]),
        ({"own_one": "x ="}, ["own_one", "SyntaxError"]),
        ({"own_one": HEAD}, ["own_one", "no kind", "@handler"]),
        ({"own_one": GOOD, "own_two": GOOD}, ["'own.kind'", "own_one", "own_two", "rename"]),
        ({"own_one": HEAD + "@handler('own.kind')\nasync def kind(ask): ..."}, ["own.kind", "own_one.py:8", "'ask'"]),
        ({"own_one": HEAD + "@handler('own.kind')\nasync def kind(ask: Ask): ..."}, ["own_one.py:8", "'return'"]),
        ({"own_one": GOOD.replace("async ", "").replace("'own.kind'", "'own.kind', runs_in='loop'")},
         ["own_one.py:8", "async def"]),
        ({"own_one": GOOD.replace("'own.kind'", "'own.kind', lane='gpu'")}, ["SLUICE_LANES", "'gpu'", "'own.kind'"]),
        ({"own_one": GOOD.replace("'own.kind'", "'own.kind', lanes=('gpu',)")}, ["SLUICE_LANES", "'gpu'", "'own.kind'"]),
    ],
)  # fmt: skip
async def test_handlers_that_cannot_be_used_are_named_with_what_to_do(
    servers: Servers, tmp_path: Path, files: dict[str, str], words: list[str]
) -> None:
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text)
    settings = {"SLUICE_HANDLERS": ",".join(files or ["own_one"]), "PYTHONPATH": str(tmp_path)}
    both = await asyncio.gather(*(run(servers, process, **settings) for process in ("api", "consumer")))
    lines = [refused(*each) for each in both]
    assert lines[0] == lines[1]
    assert [word for word in words if word not in lines[0]] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import os\nos._exit(0)", ["os._exit(0)", "own_one.py:2"]),
        ("import ctypes\nctypes.string_at(0)", ["SIGSEGV", "own_one.py:2"]),
        ("print('loading')\nwhile True: pass", ["after 1 s", "own_one.py:2"]),
    ],
)
async def test_a_module_that_ends_or_holds_up_its_process_is_refused(
    servers: Servers, tmp_path: Path, text: str, words: list[str]
) -> None:
    (tmp_path / "own_one.py").write_text(text)
    settings = {"SLUICE_HANDLERS": "own_one", "SLUICE_START_S": "1", "PYTHONPATH": str(tmp_path)}
    line = refused(*await run(servers, "api", **settings))
    assert [word for word in ["own_one does not load", *words] if word not in line] == []


async def test_what_starts_with_every_server_down_is_ready_once_they_come(bare_stack: Stack) -> None:
    await asyncio.to_thread(bare_stack.servers.down)
    try:
        processes = [bare_stack.add_api(), bare_stack.add_consumer()]
        async with httpx2.AsyncClient() as client:
            for each in processes:
                await until_found(partial(answers, client, f"{each.private_url}/readyz", 503))
    finally:
        await asyncio.to_thread(bare_stack.servers.up)
    await bare_stack.start(apis=0, consumers=0)
    async with bare_stack.client() as client:
        answer = await client.post("/v1/jobs", json=SUM, headers={"Prefer": "wait=30"})
    assert (answer.status_code, answer.json()["result"]) == (200, {"total": 3})
    assert {each.stop() for each in processes} == {0}


async def test_a_stop_under_a_long_poll_answers_it_at_once(bare_stack: Stack) -> None:
    bare_stack._settings |= {"stop_s": 60}
    await bare_stack.start(consumers=0)
    api = bare_stack.apis[0]
    async with bare_stack.client() as client:
        job = (await client.post("/v1/jobs", json=SUM)).json()
        waiting = [asyncio.create_task(client.get(f"/v1/jobs/{job['id']}?wait=50")) for _ in range(3)]
        await api.until_metric("sluice_waiting_requests", 3)
        status = await asyncio.wait_for(asyncio.to_thread(api.stop), 20)
        answers = await asyncio.gather(*waiting)
    assert status == 0
    assert [(each.status_code, each.json()["state"]) for each in answers] == [(200, "queued")] * 3


async def test_a_consumer_with_nothing_to_do_stops_at_once(bare_stack: Stack) -> None:
    bare_stack._settings |= {"stop_s": 60}
    await bare_stack.start(apis=0)
    consumer = bare_stack.consumers[0]
    assert await asyncio.wait_for(asyncio.to_thread(consumer.stop), 20) == 0
    log = consumer.log.read_text()
    assert [word for word in ('"lanes":"default, heavy"', '"process_stopped"') if word not in log] == []
    assert "Traceback" not in log


async def test_a_consumer_finishes_what_runs_before_it_stops(bare_stack: Stack) -> None:
    bare_stack._settings |= {"stop_s": 30}
    await bare_stack.start()
    async with bare_stack.client() as client:
        job = await client.post("/v1/jobs", json={"kind": "demo.sleep", "input": {"seconds": 4}})
        url = job.json()["links"]["self"]
        document = job.json()
        while document["state"] == "queued":
            document = (await client.get(url, params={"wait": "5"})).json()
        assert document["state"] == "running"
        assert await asyncio.to_thread(bare_stack.consumers[0].stop) == 0
        document = (await client.get(url)).json()
    assert (document["state"], document["attempt"]) == ("succeeded", 1)
