"""What a job does to stdin, stdout and stderr keeps no later job from using them, wherever it runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.host.host_process import HostProcess, host_process

HARM = {
    "wrapped": "sys.{0} = io.TextIOWrapper(sys.{0}.buffer, encoding='latin-1')",
    "wrapped and collected": "io.TextIOWrapper(sys.{0}.buffer)",
    "the original wrapped": "io.TextIOWrapper(sys.__{0}__.buffer)",
    "detached": "io.TextIOWrapper(sys.{0}.detach())",
    "the original detached": "sys.__{0}__.detach()",
    "bytes detached": "sys.{0}.buffer.detach().close()",
    "closed": "sys.{0}.close()",
    "the original closed": "sys.__{0}__.close()",
    "bytes closed": "sys.{0}.buffer.close()",
    "used once": "with sys.{0}.buffer as stream: stream.fileno()",
    "file closed": "sys.{0}.buffer.raw.close()",
    "another encoding": "sys.{0}.reconfigure(encoding='ascii', errors='strict')",
    "another encoding of the original": "sys.__{0}__.reconfigure(encoding='ascii', errors='strict')",
}
USE = """
import subprocess, sys
for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
    print("Grüße", file=stream, flush=True)
    stream.buffer.write(b"bytes\\n")
    stream.buffer.flush()
    subprocess.run(["true"], stdout=stream, check=True)
for stream in (sys.stdin, sys.__stdin__):
    assert (stream.read(), stream.buffer.read()) == ("", b"")
    subprocess.run(["true"], stdin=stream, check=True)
return True
"""
FORK = """
from multiprocessing import get_context
child = get_context("fork").Process(target=print, args=("of a fork",))
child.start()
child.join()
return child.exitcode
"""


@pytest.fixture(scope="module")
def used_slot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostProcess]:
    """Start a slot that runs the jobs of all these tests: it is what none of them may notice."""
    with host_process(tmp_path_factory.mktemp("slot"), slot=True) as slot:
        slot.load()
        slot.next_of("ready")
        yield slot


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
def test_the_next_job_of_a_slot_prints_reads_and_hands_on_its_streams(
    used_slot: HostProcess, harm: str
) -> None:
    used_slot.say("code.process", _on_all(harm))
    assert used_slot.say("code.process", USE)
    assert used_slot.say("code.process", FORK) == 0


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
def test_the_next_job_of_a_shared_host_prints_reads_and_hands_on_its_streams(
    host: HostProcess, harm: str
) -> None:
    host.say("code.thread", _on_all(harm))
    assert host.say("code.thread", USE)


def _on_all(harm: str) -> str:
    lines = [harm.format(name) for name in ("stdin", "stdout", "stderr")]
    return "\n".join(("import io, sys", *lines))


def test_what_was_written_through_a_wrapper_comes_out(slot: HostProcess) -> None:
    slot.say("code.process", "import io, sys\nio.TextIOWrapper(sys.stdout.buffer).write('through a wrapper')")
    assert "through a wrapper" in slot.output


@pytest.mark.parametrize("name", ["__stdin__", "__stdout__", "__stderr__"])
def test_the_originals_are_put_back(slot: HostProcess, name: str) -> None:
    look = f"import sys\nreturn str(sys.{name})"
    first = slot.say("code.process", look)
    slot.say("code.process", f"import sys\nsys.{name} = None")
    assert slot.say("code.process", look) == first
