"""The bench of clients that keep to the advice, against an api that answers as a test says."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any

import pytest

from loadtests.bench.generator import BenchError
from loadtests.bench.polling import BURST, PollingClient, _arrivals

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)


class Api(ThreadingHTTPServer):
    """An api whose jobs are running at the first look, unchanged at the second, and ended as `ends` says at the third."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.accepts, self.ends = 202, "succeeded"
        self.looks: Counter[str] = Counter()
        self.prefers: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Api

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        job = f"/v1/jobs/{len(self.server.looks)}"
        self.server.looks[job] = 0
        self._answer(self.server.accepts, {"state": "queued"}, ("location", job))

    def do_GET(self) -> None:
        job = self.path.removesuffix("/result")
        self.server.looks[job] += 1
        self.server.prefers.append(self.headers["prefer"])
        looks = self.server.looks[job]
        if self.path != job:
            self._answer(202 if looks < 3 else 200)
        elif looks == 2:
            assert self.headers["if-none-match"] == '"1"'
            self._answer(304)
        elif looks == 1:
            self._answer(200, {"state": "running", "eta": {"p50_s": 1.0, "p90_s": 2.0}})
        else:
            times = {"created_at": AT.isoformat(), "finished_at": (AT + timedelta(seconds=3)).isoformat()}
            self._answer(200, {"state": self.server.ends, "eta": None, "error": None, **times})

    def _answer(self, status: int, document: dict[str, Any] | None = None, *headers: tuple[str, str]) -> None:
        body = json.dumps(document).encode() if document else b""
        self.send_response(status)
        for name, value in (
            *headers,
            ("etag", '"1"'),
            ("retry-after", "0"),
            ("content-length", str(len(body))),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def api() -> Iterator[Api]:
    server = Api()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


async def test_a_client_comes_back_as_advised_until_the_job_has_ended(api: Api) -> None:
    [followed] = await PollingClient(api.url, "key", waits=False).run([(0.0, 1.0)])
    assert (followed.asked, api.prefers) == (3, [None] * 3)
    assert (followed.took_s, followed.p90_s) == (3.0, 2.0)
    assert followed.left_s is not None
    assert followed.left_s < 0  # it ended in the past of this test
    assert followed.known_s > followed.took_s


async def test_a_client_that_waits_asks_for_the_result_until_it_is_there(api: Api) -> None:
    [followed] = await PollingClient(api.url, "key", waits=True).run([(0.0, 1.0)])
    assert (followed.asked, api.prefers) == (3, [*["wait=20"] * 3, None])
    assert (followed.took_s, followed.left_s, followed.p90_s) == (3.0, None, None)


@pytest.mark.parametrize(
    ("accepts", "ends", "said"), [(503, "succeeded", "503"), (202, "failed", "ended as failed")]
)
async def test_what_does_not_succeed_is_no_measurement(api: Api, accepts: int, ends: str, said: str) -> None:
    api.accepts, api.ends = accepts, ends
    with pytest.raises(BenchError, match=said):
        await PollingClient(api.url, "key", waits=False).run([(0.0, 1.0)])


def test_jobs_come_by_chance_and_some_at_once() -> None:
    arrivals = list(_arrivals(Random(1), 20.0))
    counts = Counter(due for due, _ in arrivals)
    assert [due for due, count in counts.items() if count == BURST] == [5.0, 15.0]
    assert 60 < len(arrivals) - 2 * BURST < 150
    assert all(0 <= due < 20 and 10 <= nap <= 20 for due, nap in arrivals)
