"""Load users' modules in a child process first: one that ends or holds up its process does so there.

`check_modules` starts the child and reads its answer; `main` runs in it.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from tempfile import TemporaryFile
from threading import Timer
from typing import IO, Any

import orjson

from sluice.core.catalogue import KindInfo, describe, from_wire, to_wire
from sluice.core.registry import Registry
from sluice.core.taken_names import refuse_what_hides_us
from sluice.errors import StartRefused
from sluice.handler import AnyHandler
from sluice.host.dumps import innermost_line
from sluice.host.loading import MEND, NO_EXIT, does_not_load, load_watched
from sluice.host.processes import signal_name
from sluice.host.user_files import UserFiles
from sluice.kind_schemas import refuse_what_cannot_be_described
from sluice.secret_fields import refuse_searchable_secrets

SPARE_S = 2.0
"""Seconds after the deadline in which the child writes where it stands, before it is killed."""

_PROGRAM = "import sys; order, *sys.path = sys.argv[1:]; del sys.argv[1:]; from sluice.host.check import main; main(order)"
"""Not `-m`, which would look in the working directory first: the child finds modules exactly as this process does."""

_TOO_LATE = "Timeout ("
"""How faulthandler begins to write at a deadline."""


def load_checked(modules: Sequence[str], deadline_s: float) -> Registry[AnyHandler]:
    """Load these modules in this process once a child has loaded them well. Raises what `check_modules` raises."""
    check_modules(modules, deadline_s)
    return load_watched(modules)


def check_modules(modules: Sequence[str], deadline_s: float) -> list[KindInfo]:
    """Load these modules in a child process, and describe their kinds.

    Raises StartRefused, with file and line wherever they can be found, if a module does not load, ends its process, or is
    still loading at the deadline.
    """
    refuse_what_hides_us()
    with _memory_file() as answer, _memory_file() as dump:
        order = [list(modules), deadline_s, answer.fileno(), dump.fileno()]
        status = _run(order, deadline_s)
        said = [orjson.loads(line) for line in _read(answer).splitlines()]
        match said[-1] if said else ["loading", "a module"]:
            case ["ready", kinds]:
                return [from_wire(each) for each in kinds]
            case ["refused", text]:
                raise StartRefused(text)
            case [_, module]:
                raise StartRefused(
                    _say_how_it_ended(module, status, _read(dump).decode("ascii", "replace"), deadline_s)
                )
    raise AssertionError("the child says nothing else")


def main(order: str) -> None:
    """Load what the parent orders, and write the answer where it reads it. Nothing of users' code runs after that."""
    modules, deadline_s, answer, dump = orjson.loads(order)
    for each in (answer, dump):
        os.set_inheritable(each, False)
    faulthandler.enable(dump)
    faulthandler.dump_traceback_later(deadline_s, exit=True, file=dump)

    def say(word: str, what: Any) -> None:
        os.write(answer, orjson.dumps([word, what]) + b"\n")

    def refuse(text: str) -> None:
        say("refused", text)

    try:
        registry = load_watched(modules, lambda name: say("loading", name), refuse)
        for kind in registry:
            refuse_what_cannot_be_described(registry[kind])
            refuse_searchable_secrets(registry[kind])
        say("ready", [to_wire(describe(registry[kind])) for kind in registry])
    except StartRefused as error:
        refuse(str(error))
    os._exit(0)  # not what modules left for the end, nor their threads


def _run(order: list[Any], deadline_s: float) -> int:
    """Run the child, and return its exit status; afterwards, whatever it started in its session is ended."""
    child = subprocess.Popen(  # noqa: S603  the interpreter that runs already
        [sys.executable, "-c", _PROGRAM, orjson.dumps(order).decode(), *sys.path],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=order[2:],
    )
    # Not `wait(timeout)`, which polls.
    killer = Timer(deadline_s + SPARE_S, _end_session, [child.pid])
    killer.start()
    try:
        return child.wait()
    finally:
        killer.cancel()
        _end_session(child.pid)


def _end_session(number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(number, signal.SIGKILL)


def _say_how_it_ended(module: str, status: int, dump: str, deadline_s: float) -> str:
    place = innermost_line(dump, UserFiles([module]))
    if dump.startswith(_TOO_LATE):
        return does_not_load(module, f"it is still loading after {deadline_s:g} s", place, MEND)
    if status < 0:
        return does_not_load(module, f"it ends its process by {signal_name(-status)}", place, MEND)
    return does_not_load(module, f"it ends its process with status {status}", place, NO_EXIT)


def _memory_file() -> IO[bytes]:
    """Open a file that has no name; in memory where that can be, as containers may have no disk to write to."""
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("sluice-check"), "w+b", buffering=0)
    return TemporaryFile(buffering=0)


def _read(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()
