"""The load as its user runs it: against a real stack, and against servers that misbehave."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.stack import ROOT, Stack, clean_environment


async def load(url: str, key: str, reports: Path, *arguments: str) -> tuple[int, str]:
    """Run it; return its exit status and its output."""
    names = {"SLUICE_URL": url, "SLUICE_API_KEY": key, "SLUICE_LOAD_DIRECTORY": str(reports)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtests", "--users", "6", *arguments, cwd=ROOT,
        env=clean_environment() | names, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


def report(directory: Path) -> dict[str, Any]:
    """Return the report it left."""
    (file,) = directory.glob("*.json")
    found: dict[str, Any] = json.loads(file.read_text())
    return found


@contextmanager
def answering(status: int, **headers: str) -> Iterator[str]:
    """Serve the same answer to every request, and yield the address."""

    class Same(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            for name, value in {"content-length": "0", **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Same)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_a_sound_stack_passes_and_leaves_its_figures(stack: Stack, tmp_path: Path) -> None:
    status, said = await load(stack.url, stack.key, tmp_path / "reports", "--seconds", "15")

    found = report(tmp_path / "reports")
    assert status == 0, said
    assert found["breaches"] == []
    assert {row["name"] for row in found["rows"]} >= {
        "poll of a finished job, 200", "poll of a finished job, 304", "submit and wait", "submit, then poll",
    }  # fmt: skip
    assert found["polls_per_job"] <= 2.5
    assert stack.key not in said


async def test_errors_of_the_server_fail_the_run(tmp_path: Path) -> None:
    with answering(500) as url:
        status, said = await load(url, "any", tmp_path / "reports", "--seconds", "1")

    assert status == 1
    assert "submit: " in said
    assert any("went wrong" in line for line in report(tmp_path / "reports")["breaches"])


async def test_refusals_are_counted_apart_and_are_no_errors(tmp_path: Path) -> None:
    with answering(503, retry_after="1") as url:
        status, _ = await load(url, "any", tmp_path / "reports", "--seconds", "1")

    found = report(tmp_path / "reports")
    assert status == 1  # nothing was answered at all
    assert {row["name"].endswith(", refused") for row in found["rows"]} == {True}
    assert sum(row["errors"] for row in found["rows"]) == 0
    assert any("never answered" in line for line in found["breaches"])
    assert not any("went wrong" in line for line in found["breaches"])


@pytest.mark.parametrize(
    "arguments", [["--users", "1001"], ["--users", "5"], ["--seconds", "601"], ["--seconds", "0"]]
)
async def test_a_load_beyond_its_bounds_is_refused(tmp_path: Path, arguments: list[str]) -> None:
    status, said = await load("http://127.0.0.1:9", "any", tmp_path, *arguments)

    assert status == 2
    assert "from " in said


async def test_another_machine_is_not_loaded(tmp_path: Path) -> None:
    status, said = await load("http://192.0.2.1", "any", tmp_path)

    assert status == 2
    assert "not this machine" in said
