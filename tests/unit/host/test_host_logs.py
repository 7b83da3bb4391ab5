"""Catching all that the code in a host says, each time in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[3]
BEFORE = """
import json, logging, logging.config, os, sys, threading, warnings
from sluice.host import logs
from sluice.host.current_job import CURRENT, JobRef, set_only_job
from sluice.host.logs import capture, finish_job, flush_partial

JOB = JobRef("7", "text.shout", 2)
OTHER = JobRef("8", "text.shout", 1)
PIPE = int(sys.argv[1])

def send(line):
    os.write(PIPE, (json.dumps(line._asdict()) + "\\n").encode())

class Silent:
    def __str__(self):
        raise ValueError("no text")

class Leaving:
    def __str__(self):
        raise SystemExit(3)

class Talking:
    def __str__(self):
        logging.info("within")
        return "talking"

class Endless:
    def __str__(self):
        logging.info("%s", self)
        return "never"

class Stuck:
    go = threading.Event()
    def __str__(self):
        if not self.go.wait(20):
            os._exit(1)
        return "stuck"

capture(logging.INFO, send)
CURRENT.set(JOB)
"""


class Said(NamedTuple):
    """The lines that were sent, and what was written to the real descriptors."""

    lines: list[dict[str, Any]]
    stdout: str
    stderr: str

    @property
    def messages(self) -> list[tuple[str, str]]:
        """Who said what."""
        return [(line["logger"], line["message"]) for line in self.lines]


def run(code: str) -> Said:
    """Run code in a process that has captured its output."""
    ours, theirs = os.pipe()
    program = [sys.executable, "-X", "utf8", "-c", BEFORE + textwrap.dedent(code), str(theirs)]
    with os.fdopen(ours) as pipe:
        done = subprocess.Popen(
            program, cwd=ROOT, pass_fds=[theirs], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        os.close(theirs)
        lines = [json.loads(line) for line in pipe]
        stdout, stderr = done.communicate()
    return Said(lines, stdout, stderr)


def test_what_is_printed_logged_and_warned_of_is_sent_with_its_job() -> None:
    said = run("""
        print("out")
        print("err", file=sys.stderr)
        logging.getLogger("case").info("counted %d", 3, extra={"reached": 3})
        logging.getLogger("case").debug("not wanted")
        warnings.warn("careful", UserWarning)
    """)
    assert said.messages[:3] == [("stdout", "out"), ("stderr", "err"), ("case", "counted 3")]
    assert said.lines[2]["fields"]["reached"] == 3
    assert said.lines[3]["logger"] == "py.warnings"
    assert "UserWarning: careful" in said.lines[3]["message"]
    assert {line["fields"]["job_id"] for line in said.lines} == {"7"}
    assert said[1:] == ("", "")


def test_lines_of_jobs_are_sent_whatever_becomes_of_the_root_logger() -> None:
    said = run("""
        from sluice.job_logger import JobLogger
        logging.config.dictConfig({
            "version": 1, "handlers": {"null": {"class": "logging.NullHandler"}}, "root": {"handlers": ["null"], "level": "ERROR"}
        })
        JobLogger({}).info("counted", extra={"reached": 3})
        logging.info("not ours")
    """)
    assert said.messages == [("sluice.handler", "counted")]
    assert said.lines[0]["fields"]["reached"] == 3


def test_logging_is_put_back() -> None:
    said = run("""
        from sluice.core.runtime.loggers import keep_logging
        library = logging.getLogger("library")
        restore = keep_logging()
        logging.basicConfig(level=logging.ERROR, handlers=[], force=True)
        logging.disable(logging.CRITICAL)
        library.disabled = True
        library.warning("lost")
        restore()
        library.warning("found")
    """)
    assert said.messages == [("library", "found")]


def test_no_argument_loses_a_line() -> None:
    said = run("""
        logging.info("a %s", Silent())
        logging.info("b %d", "x")
        logging.info("c %s", chr(0xdce9), extra={"n": 2**70})
        logging.info("d %s", Talking())
        try:
            logging.info("e %s", Leaving())
        except SystemExit:
            print("leaves")
    """)
    assert [message for _, message in said.messages] == [
        "a %s % (<Silent without text: ValueError>) (not formatted: ValueError: no text)",
        "b %d % (x) (not formatted: TypeError: %d format: a real number is required, not str)",
        "c ?",
        "within",
        "d talking",
        "e %s (not formatted: SystemExit)",
        "leaves",
    ]
    assert "Logging error" not in said.stderr


def test_an_argument_that_logs_itself_comes_to_an_end() -> None:
    said = run("""
        logs.PATIENCE_S = 60
        logging.info("%s", Endless())
        print("after")
    """)
    assert said.messages[-1] == ("stdout", "after")
    assert "RecursionError" in said.lines[0]["message"]


def test_a_line_whose_argument_hangs_is_sent_without_it_and_others_go_on() -> None:
    said = run("""
        logs.PATIENCE_S = 0.02
        thread = threading.Thread(target=logging.info, args=("hangs %s", Stuck()))
        set_only_job(JOB)
        def send_and_go(line, send=send):
            send(line)
            if "takes too long" in line.message:
                logging.info("others go on")
                Stuck.go.set()
        logs._capture.gate.send = send_and_go
        thread.start()
        thread.join()
    """)
    assert [message for _, message in said.messages] == [
        "hangs %s (not formatted: it takes too long)",
        "others go on",
    ]
    assert said.lines[0]["fields"]["job_id"] == "7"


def test_a_filter_may_log_and_refuse() -> None:
    said = run("""
        class Filter(logging.Filter):
            def filter(self, record):
                if record.name == "case":
                    logging.getLogger("other").warning("seen")
                return record.msg != "refused"
        logs._capture.handler.addFilter(Filter())
        logging.getLogger("case").info("wanted")
        logging.getLogger("case").info("refused")
    """)
    assert said.messages == [("other", "seen"), ("case", "wanted"), ("other", "seen")]


def test_handlers_that_a_module_adds_keep_working() -> None:
    said = run("""
        logging.basicConfig(level=logging.INFO, format="%(levelname)s:%(message)s", force=True)
        logging.info("caf%s", chr(0xdce9))
        logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s", force=True)
        logging.info("ours")
    """)
    assert said.messages == [("stderr", "INFO:caf?"), ("stdout", "ours")]


def test_what_nobody_catches_is_logged_with_its_job() -> None:
    said = run("""
        def fail():
            raise ValueError("in a thread")
        class Failing:
            def __del__(self):
                raise ValueError("in a finalizer")
        set_only_job(JOB)
        logging.config.dictConfig({"version": 1})
        for target in (fail, sys.exit):
            thread = threading.Thread(target=target, name="mine")
            thread.start()
            thread.join()
        Failing()
    """)
    assert [line["level"] for line in said.lines] == [40, 40]
    assert said.lines[0]["message"] == "an exception ended the thread mine"
    assert said.lines[0]["trace"].endswith("ValueError: in a thread")
    assert "Failing.__del__" in said.lines[1]["message"]
    assert said.lines[1]["trace"].endswith("ValueError: in a finalizer")
    assert {line["fields"]["job_id"] for line in said.lines} == {"7"}


def test_a_job_that_ends_leaves_nothing_behind() -> None:
    said = run("""
        from sluice.host import flood
        flood.LINES_A_SECOND = 0
        print("half", end="")
        for number in range(1100):
            logging.info("flood")
        finish_job(JOB)
        CURRENT.set(OTHER)
        print("the next")
        flush_partial()
    """)
    assert len(said.lines) == 1002
    assert said.messages[1000:] == [("sluice.host", "lines cut"), ("stdout", "the next")]
    assert said.lines[1000]["fields"] | {"bytes": 0} == {
        "job_id": "7", "kind": "text.shout", "attempt": 2, "lines": 101, "bytes": 0,
    }  # fmt: skip


def test_programs_and_bytes_go_to_the_real_streams() -> None:
    said = run("""
        sys.stdout.buffer.write(b"bytes ")
        sys.stdout.flush()
        import subprocess
        subprocess.run(["echo", "a program"], stdout=sys.stdout)
        print(sys.stdout.fileno(), sys.stderr.fileno(), sys.stdout.encoding, sys.stdout.name)
    """)
    assert said.stdout == "bytes a program\n"
    assert said.messages == [("stdout", "1 2 utf-8 <stdout>")]


def test_a_fork_writes_to_the_real_streams_and_takes_no_half_lines_along() -> None:
    said = run("""
        print("half a line ", end="")
        child = os.fork()
        if not child:
            print("of the child", flush=True)
            try:
                raise ValueError("in the child")
            except ValueError:
                logging.exception("it failed")
            flush_partial()
            os._exit(0)
        os.waitpid(child, 0)
        print("of the parent")
    """)
    assert said.messages == [("stdout", "half a line of the parent")]
    assert said.stdout == "of the child\n"
    assert said.stderr.startswith("ERROR root: it failed\nTraceback")
    assert said.stderr.endswith("ValueError: in the child\n")


def test_the_last_words_of_the_host_itself_are_written() -> None:
    said = run('raise ValueError("cannot go on")')
    assert said.stderr.rstrip().endswith("ValueError: cannot go on")
    assert said.lines == []


@pytest.mark.parametrize(
    ("level", "messages"), [("INFO", ["out", "err"]), ("WARNING", ["err"]), ("ERROR", [])]
)
def test_lines_below_the_level_are_not_sent(level: str, messages: list[str]) -> None:
    said = run(f"""
        capture(logging.{level}, send)
        print("out")
        print("err", file=sys.stderr)
    """)
    assert [message for _, message in said.messages] == messages
