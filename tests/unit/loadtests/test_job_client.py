"""The client that each job queue of the bench is given: it counts what it has seen the result of, and nothing else."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from loadtests.bench.generator import BenchError
from loadtests.bench.job_client import JobClient, Service


class Queue(ThreadingHTTPServer):
    """A job queue whose jobs are finished at the second look."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.accepts, self.ends = 202, b"succeeded"
        self.looks: Counter[str] = Counter()
        self.lock = threading.Lock()

    @property
    def service(self) -> Service:
        return Service(f"http://127.0.0.1:{self.server_port}/jobs", (), b"{}", b'"total":15')


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Queue

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        with self.server.lock:
            job = f"job-{len(self.server.looks)}"
            self.server.looks[job] = 0
        self._answer(self.server.accepts, b'{"id":"%s","state":"queued"}' % job.encode())

    def do_GET(self) -> None:
        job = self.path.removeprefix("/jobs/")
        self.server.looks[job] += 1
        finished = self.server.looks[job] > 1
        result = b'"state":"%s","result":{"total":15}' % self.server.ends if finished else b'"state":"queued"'
        self._answer(200, b'{"id":"%s",%s}' % (job.encode(), result))

    def _answer(self, status: int, body: bytes) -> None:
        head = f"HTTP/1.1 {status} -\r\ncontent-length: {len(body)}\r\n\r\n"
        self.wfile.write(head.encode() + body)  # in one write: the other end looks at it as it comes

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def queue() -> Iterator[Queue]:
    server = Queue()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_job_is_looked_up_until_its_result_is_there(queue: Queue) -> None:
    found = JobClient(queue.service).run(20, connections=4)

    assert sorted(found.ids) == sorted(queue.looks)
    assert set(queue.looks.values()) == {2}
    assert found.seconds >= 0.02  # the second look is not at once


def test_a_refused_submit_is_no_job(queue: Queue) -> None:
    queue.accepts = 429

    with pytest.raises(BenchError, match=r"a submit was answered with .*429"):
        JobClient(queue.service).run(4, connections=1)


def test_a_failed_job_is_no_result(queue: Queue) -> None:
    queue.ends = b"failed"

    with pytest.raises(BenchError, match=r"a look-up was answered with .*failed"):
        JobClient(queue.service).run(4, connections=1)
