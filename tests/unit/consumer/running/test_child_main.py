"""The child's own code, run here so that its steps can be looked at; `test_process_pool.py` runs it in real processes."""

import json
import logging
from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import pytest

from consumer.running.child_main import JobRequest, Reporter, log_as_json, main, perform
from sluice.handler import AnyHandler
from tests.unit.consumer import hostile_kinds as kinds
from tests.unit.consumer.hostile_kinds import Ask

Ends = tuple[Connection, Connection]


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = Pipe()
    yield ours, theirs
    ours.close()
    theirs.close()


def a_request(handler: AnyHandler, **given: object) -> JobRequest:
    return JobRequest(handler.kind, "id", 1, 1, Ask.model_validate(given).model_dump_json().encode())


@pytest.mark.parametrize(
    ("how", "word", "first"),
    [
        ("dict", "output", b'{"value":5}'),
        ("give up", "gave-up", "no use"),
        ("later", "later", 7.0),
        ("none", "bad-output", "The handler returned NoneType and not Reply."),
        ("error", "raised", "LookupError"),
        ("stubborn", "raised", "Stubborn"),
        ("exit", "raised", "SystemExit"),
        ("hungry", "out-of-memory", "It asked for more memory than there is. for the test"),
    ],
)
@pytest.mark.parametrize("handler", [kinds.ends, kinds.in_thread, kinds.in_process])
def test_every_ending_becomes_plain_values(
    ends: Ends, handler: AnyHandler, how: str, word: str, first: object
) -> None:
    answer = perform(handler, a_request(handler, how=how), Reporter(ends[1]))
    assert (answer.word, answer.values[0]) == (word, first)


def test_a_bad_input_is_an_ending_too(ends: Ends) -> None:
    request = JobRequest("t.echo", "id", 1, 1, b'{"number":"x"}')
    assert perform(kinds.echo, request, Reporter(ends[1])).word == "bad-input"


def test_work_in_a_child_is_not_asked_to_stop(ends: Ends) -> None:
    answer = perform(kinds.talk, a_request(kinds.talk), Reporter(ends[1]))
    assert answer.values == (b'{"value":["id",1,1,false]}',)
    assert ends[0].recv() == ("progress", (b'{"percent":40.0,"note":"on the way"}',))


def test_progress_is_sent_at_most_twice_a_second_and_not_after_the_end(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr("consumer.running.child_main.monotonic", lambda: clock[0])
    report = Reporter(ends[1])
    for clock[0], percent in ((100.0, 1), (100.4, 2), (100.5, 3), (100.9, 4), (101.1, 5)):
        report(percent, "")
    report.end(perform(kinds.echo, a_request(kinds.echo), report))
    clock[0] = 200.0
    report(6, "")
    heard = []
    while ends[0].poll():
        heard.append(ends[0].recv())
    words = [word for word, _ in heard]
    assert words == ["progress", "progress", "progress", "output"]
    assert [values[0][:12] for _, values in heard[:3]] == [b'{"percent":1', b'{"percent":3', b'{"percent":5']


def test_lives_until_the_pipe_closes(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.running.child_main.go_to_background", lambda: None)
    monkeypatch.setattr("consumer.running.child_main.limit_memory", lambda mib: None)
    monkeypatch.setattr("consumer.running.child_main.log_as_json", lambda level: None)
    ours, theirs = ends
    ours.send(tuple(a_request(kinds.echo, number=5)))
    ours.send(tuple(a_request(kinds.ends, how="dict")))

    class Spy:
        """The child's end, which sees the parent go."""

        heard: list[object] = []

        def recv(self) -> object:
            if not theirs.poll(0):
                raise EOFError
            return theirs.recv()

        def send(self, message: object) -> None:
            self.heard.append(message)

    spy = Spy()
    main(spy, ["tests.unit.consumer.hostile_kinds"], logging.INFO, 0)  # type: ignore[arg-type]  # the spy stands in for a pipe
    assert spy.heard == [("begun", ()), ("output", (b'{"value":5}',))] * 2


def test_says_so_where_its_kinds_do_not_load(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.running.child_main.go_to_background", lambda: None)
    monkeypatch.setattr("consumer.running.child_main.limit_memory", lambda mib: None)
    monkeypatch.setattr("consumer.running.child_main.log_as_json", lambda level: None)
    main(ends[1], ["no.such.module"], logging.INFO, 0)
    word, (why,) = ends[0].recv()
    assert word == "refused"
    assert "no.such.module does not load" in why


def test_logs_one_json_line_per_record(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", logging.WARNING)
    log_as_json(logging.INFO)
    logging.getLogger("sluice.handler").info("working", extra={"job_id": "7"})
    logging.getLogger("sluice.handler").debug("not this")
    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["logger"], line["message"], line["job_id"]) == (
        "INFO",
        "sluice.handler",
        "working",
        "7",
    )
    assert "at" in line
