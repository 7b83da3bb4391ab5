"""What Vector makes of the lines that api and consumer really write, in Vector's own language."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it ships no types

from infra.local.servers import Servers
from tests.support.job_client import KINDS, submit_failing
from tests.support.stack import Process, Stack, stack_on_empty_servers
from tests.support.waiting import until

vrl = pytest.importorskip("vrl_python", reason="it has wheels for Linux on x86-64 alone")

VECTOR = Path(__file__).parents[2] / "infra/observability/vector"
PROGRAM = (VECTOR / "lines.vrl").read_text()
CONFIG = yaml.safe_load((VECTOR / "vector.yaml").read_text())
COMPOSE = yaml.safe_load((VECTOR.parents[2] / "docker-compose.yml").read_text())
TAG = COMPOSE["x-contained"]["logging"]["options"]["tag"]
AT = "2026-11-28T01:02:03.456Z"
FIELDS = set(re.findall(r'"(\w+)"', PROGRAM.split("for_each([", 1)[1].split("])", 1)[0]))
"""What the program looks for in a line."""

TRACED = {"trace_id", "span_id"}
"""Only with tracing."""


@pytest.fixture(scope="module")
def stack(shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An api and a consumer of which something was heard: a job has failed, and Redis was away."""
    with stack_on_empty_servers(
        shared_servers, tmp_path_factory.mktemp("logs"), handlers=KINDS, access_log=True
    ) as running:
        asyncio.run(make_noise(running))
        yield running


async def make_noise(stack: Stack) -> None:
    """Let the processes write a line of each sort."""
    await stack.start()
    async with stack.client() as client:
        await submit_failing(client)
    await until(lambda: logged(stack.consumers[0], "jobs_failed"))
    stack.servers.redis.kill()
    try:
        await until(lambda: any(logged(each, "server_away") for each in stack.apis + stack.consumers))
    finally:
        stack.servers.redis.start()


def lines(process: Process) -> list[str]:
    """Return every line that a process has written to its end."""
    return process.log.read_text().rpartition("\n")[0].splitlines()


def logged(process: Process, message: str) -> list[dict[str, Any]]:
    """Return its lines with this message."""
    return [line for line in map(json.loads, lines(process)) if line["message"] == message]


def collected(line: str, container: str = "sluice-consumer-1", tag: str = TAG) -> dict[str, Any]:
    """Return what the program makes of a line that Docker keeps of this container."""
    attrs = {"tag": tag.replace("{{.Name}}", container)}
    kept = {"log": f"{line}\n", "stream": "stderr", "attrs": attrs, "time": AT}
    found = vrl.VRLRuntime().execute(PROGRAM, {"message": json.dumps(kept), "file": "of-docker-json.log"})
    return dict(found.processed_event)


def test_every_line_is_an_object_with_time_level_and_logger(stack: Stack) -> None:
    for process in stack.apis + stack.consumers:
        written = [json.loads(line) for line in lines(process)]
        assert written
        assert all({"level", "logger", "message", "at"} <= set(each) for each in written)


def test_what_the_program_looks_for_is_in_lines_that_were_really_written(stack: Stack) -> None:
    written = [json.loads(line) for each in stack.apis + stack.consumers for line in lines(each)]
    assert FIELDS - TRACED - {"host"} <= {name for line in written for name in line}


def test_a_failed_job_is_found_by_its_id_and_its_kind(stack: Stack) -> None:
    (failed,) = logged(stack.consumers[0], "jobs_failed")
    event = collected(json.dumps(failed))
    assert event["metadata"].items() >= {
        "job_id": failed["job_id"], "kind": "own.fails", "attempt": "3", "logger": "sluice.consumer",
    }.items()  # fmt: skip
    assert (event["service"], event["level"], event["container"]) == (
        "consumer",
        "warning",
        "sluice-consumer-1",
    )
    assert json.loads(event["message"]) == failed
    assert failed["at"].startswith(event["timestamp"].replace(" UTC", "").replace(" ", "T"))


def test_every_line_of_both_processes_passes(stack: Stack) -> None:
    for process, container in ((stack.apis[0], "sluice-api-1"), (stack.consumers[0], "sluice-consumer-2")):
        for line in lines(process):
            assert collected(line, container)["message"] == line


def test_a_trace_is_found_by_its_id() -> None:
    line = {
        "level": "INFO",
        "logger": "sluice.api",
        "message": "x",
        "at": AT,
        "trace_id": "4bf9",
        "span_id": "00f0",
    }
    assert collected(json.dumps(line))["metadata"] == {
        "logger": "sluice.api", "trace_id": "4bf9", "span_id": "00f0",
    }  # fmt: skip


def test_what_a_server_or_a_dying_python_writes_passes_as_text() -> None:
    event = collected("LOG:  checkpoint starting: time", "sluice-postgres-1")
    assert (event["message"], event["level"]) == ("LOG:  checkpoint starting: time", "unknown")
    assert (event["service"], event["metadata"]) == ("postgres", {})
    assert collected("[1, 2]")["level"] == "unknown"


def test_lines_of_other_containers_are_dropped() -> None:
    with pytest.raises(Exception, match="abort"):
        collected("{}", "another-api-1", tag="{{.Name}}")


def test_the_project_may_have_any_name() -> None:
    event = collected("{}", "acme-staging-api-12")
    assert (event["service"], event["container"]) == ("api", "acme-staging-api-12")


def test_every_container_says_what_it_is() -> None:
    assert {each["logging"]["options"]["tag"] for each in COMPOSE["services"].values()} == {TAG}


def test_loki_gets_as_labels_what_has_few_values_and_the_rest_beside_the_line() -> None:
    sink = CONFIG["sinks"]["loki"]
    assert sink["labels"] == {name: f"{{{{ {name} }}}}" for name in ("service", "level", "container")}
    assert sink["structured_metadata"] == {"*": "{{ metadata }}"}
    assert sink["inputs"] == list(CONFIG["transforms"])
    loki = yaml.safe_load((VECTOR.parent / "loki/loki.yml").read_text())
    assert sink["endpoint"].endswith(f":{loki['server']['http_listen_port']}")
    assert loki["limits_config"]["allow_structured_metadata"] is True
