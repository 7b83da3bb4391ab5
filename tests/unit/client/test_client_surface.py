"""What the clients look like: the same methods, no secrets, quick to import, and handles that travel."""

from __future__ import annotations

import asyncio
import inspect
import multiprocessing
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import context, trace

from sluice.cli.configuration import check_url
from sluice.cli.profiles import ConfigurationRefused
from sluice.client import (
    AsyncJob,
    AsyncSluice,
    ClientError,
    Invalid,
    Job,
    JobFailed,
    Misconfigured,
    Retries,
    Sluice,
    WaitTimeout,
)
from sluice.client.errors import Flaw, Problem
from sluice.client.http_client import options
from tests.support.scripted_server import DONE, answer, problem, scripted

ID = str(DONE["id"])


def methods(kind: type) -> dict[str, str]:
    """Its public methods with their arguments, as the client that blocks would have them."""
    found = {name: each for name, each in vars(kind).items() if callable(each) and not name.startswith("_")}
    return {
        name: str(inspect.signature(each)).replace("Async", "").replace(" | Iterable[Any]", "")
        for name, each in found.items()
    }


@pytest.mark.parametrize(("one", "other"), [(Sluice, AsyncSluice), (Job, AsyncJob)])
def test_both_clients_have_the_same_methods(one: type, other: type) -> None:
    assert methods(one) == methods(other)
    for name in methods(one):
        assert (vars(one)[name].__doc__ or "").replace("Async", "") == (
            vars(other)[name].__doc__ or ""
        ).replace("Async", "")


def test_importing_it_loads_no_server_and_no_http_client() -> None:
    code = "import sys; import sluice.client; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    unwanted = {
        "httpx2",
        "pydantic",
        "asyncio",
        "fastapi",
        "asyncpg",
        "aiormq",
        "redis",
        "api",
        "sluice.core",
        "opentelemetry",
        "rich",
    }
    assert unwanted.isdisjoint(loaded)


def test_no_secret_is_shown() -> None:
    client = Sluice("https://sluice.example/", "slc_very_secret")
    job = client.job(ID)
    told = repr(client) + repr(job) + repr(client._core.config) + str(client)
    assert "slc_very_secret" not in told
    assert repr(client) == "<Sluice https://sluice.example>"


def test_handles_and_errors_can_be_pickled() -> None:
    job = Sluice("https://sluice.example", "slc_key", retries=Retries(tries=2)).job(ID)
    copy = pickle.loads(pickle.dumps(job))  # noqa: S301  our own
    assert (copy, hash(copy), copy._client._core.retries.tries) == (job, hash(job), 2)
    flawed = Problem("invalid", 422, flaws=(Flaw("/input/width", "missing", "Field required"),))
    for error in (
        WaitTimeout("late", job=job),
        JobFailed("why", job=job),
        Invalid(flawed, 3.0, job=job),
        ClientError("x"),
    ):
        again = pickle.loads(pickle.dumps(error))  # noqa: S301  our own
        assert (type(again), str(again), again.job) == (type(error), str(error), error.job)
    assert str(Invalid(flawed)) == "invalid (422): input.width: Field required"


def test_a_forked_child_uses_connections_of_its_own() -> None:
    with scripted(answer(200, DONE)) as server, Sluice(server.url, "slc_key") as client:
        assert client.job(ID).result() == {"total": 6}
        pool = multiprocessing.get_context("fork")
        queue: Any = pool.SimpleQueue()
        child = pool.Process(target=lambda: queue.put((client.job(ID).result(), os.getpid())))
        child.start()
        value, pid = queue.get()
        child.join()
        assert (value, pid) == ({"total": 6}, child.pid)
        assert client.job(ID).result() == {"total": 6}
    assert len(server._connections) == 2


def test_a_client_serves_one_event_loop_after_another() -> None:
    with scripted(answer(200, DONE)) as server:
        client = AsyncSluice(server.url, "slc_key")

        async def ask() -> Any:
            try:
                return await client.job(ID).result()
            finally:
                for each in client._driver._here.clients.values():
                    await each.aclose()

        assert [asyncio.run(ask()) for _ in range(2)] == [{"total": 6}] * 2


def test_the_context_of_opentelemetry_goes_along() -> None:
    span = trace.NonRecordingSpan(
        trace.SpanContext(0xAB, 0xCD, is_remote=False, trace_flags=trace.TraceFlags(1))
    )
    with scripted(problem(404, "job-unknown", False)) as server, Sluice(server.url, "slc_key") as client:
        token = context.attach(trace.set_span_in_context(span))
        try:
            with pytest.raises(ClientError):
                client.job(ID).refresh()
        finally:
            context.detach(token)
    sent = server.received[0].headers
    assert sent["traceparent"] == f"00-{0xAB:032x}-{0xCD:016x}-01"
    assert sent["user-agent"].startswith("sluice-jobs/")
    assert sent["authorization"] == "Bearer slc_key"


def test_an_id_cannot_lead_elsewhere() -> None:
    with (
        scripted(problem(404, "job-unknown", False)) as server,
        Sluice(server.url, "slc_key") as client,
        pytest.raises(ClientError),
    ):
        client.job("../../keys?x=1#").refresh()
    assert server.received[0].path == "/v1/jobs/..%2F..%2Fkeys%3Fx%3D1%23"


def test_where_the_server_is_comes_from_arguments_the_environment_or_a_profile(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("SLUICE_URL", "SLUICE_API_KEY", "SLUICE_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(Misconfigured, match="SLUICE_URL"):
        Sluice()
    with pytest.raises(Misconfigured, match="cannot be read"):
        Sluice(profile="staging")
    (tmp_path / "sluice").mkdir()
    (tmp_path / "sluice/profiles.toml").write_text(
        '[staging]\nurl = "https://staging.example"\nkey = "slc_s"\n'
    )
    with pytest.raises(Misconfigured, match="it has staging"):
        Sluice(profile="production")
    monkeypatch.setenv("SLUICE_URL", "http://127.0.0.1:8000/")
    monkeypatch.setenv("SLUICE_API_KEY", "slc_e")
    assert Sluice()._core.config.url == "http://127.0.0.1:8000"
    assert Sluice(profile="staging")._core.config.key == "slc_s"
    assert Sluice("http://given", "slc_g", profile="staging")._core.config.url == "http://given"


def test_a_profile_of_the_environment_is_for_its_own_server_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("SLUICE_URL", "SLUICE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("SLUICE_PROFILE", "staging")
    assert Sluice("http://given", "slc_g")._core.config.key == "slc_g"  # it is not even read
    (tmp_path / "sluice").mkdir()
    (tmp_path / "sluice/profiles.toml").write_text(
        '[staging]\nurl = "https://staging.example"\nkey = "slc_s"\n'
    )
    assert Sluice()._core.config.key == "slc_s"
    assert Sluice("http://given")._core.config.key == ""
    monkeypatch.setenv("SLUICE_URL", "http://other")
    assert Sluice()._core.config.key == ""


NO_ADDRESSES = (
    "sluice.example", "ftp://x", "http://", "http://u:p@x", "http://:secret@x", "http://@x", "http://x?y", "http://x/?", "http://x#", "http://[::1", "http://[z]",
    "http://x:0", "http://x:99999", "http://x:y", "http://x y", "http://x\ny", "http://x\0", "http://a..b", f"http://{'a' * 64}", "http://x\\y",
)  # fmt: skip


@pytest.mark.parametrize("url", NO_ADDRESSES)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        Sluice(url, "slc_key")
    assert "secret" not in str(refused.value)
    with pytest.raises(ConfigurationRefused):
        check_url(url)
    with pytest.raises(Misconfigured):
        Sluice("http://x", "slc_\n")


@pytest.mark.parametrize("url", ["https://x", "HTTPS://x", " https://x/\r\n"])
def test_certificates_are_checked_however_an_address_is_written(url: str) -> None:
    config = Sluice(url)._core.config
    assert (config.url, options(config, streams=False)["verify"]) == ("https://x", True)
