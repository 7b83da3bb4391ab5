"""Serve a consumer: set up the process → load the modules → run jobs until the consumer is gone."""

from __future__ import annotations

import faulthandler
import os
import socket
import sys
from signal import SIGINT, default_int_handler, signal
from typing import Any, NamedTuple, NoReturn

from sluice.core.catalogue import describe, to_wire
from sluice.core.registry import Registry
from sluice.core.runtime.garbage_collection import settle_garbage_collection
from sluice.errors import StartRefused
from sluice.host.background import be_nice
from sluice.host.breaking_off import leave
from sluice.host.high_fd import copy_high
from sluice.host.limits import limit_memory
from sluice.host.loading import load_watched
from sluice.host.logs import capture
from sluice.host.pipe import Pipe
from sluice.host.processes import adopt_orphans
from sluice.host.shared_host import SharedHost
from sluice.host.slot_host import SlotHost
from sluice.host.weight_note import describe_weight, read_scheduling
from sluice.output_check import prepare


class Start(NamedTuple):
    """What a host is told first.

    `slot`: run one job at a time, plain functions in the main thread. `python_path`: the consumer's PYTHONPATH.
    """

    modules: list[str]
    path: list[str]
    log_level: int
    memory_mib: int
    slot: bool
    python_path: str | None


def serve(fd: int) -> NoReturn:
    """Serve the consumer at the other end of this socket, and end with it."""
    pipe = Pipe(_move_high(fd))
    _, *values = pipe.receive()[0]
    start = Start(*values)
    _set_up_process(start)
    capture(start.log_level, lambda line: pipe.send(("log", *line)))
    registry = _load(start.modules, pipe)
    pipe.leave_if_forked()
    for kind in registry:
        prepare(registry[kind].output_model)
    if start.slot:
        be_nice()
    host = (SlotHost if start.slot else SharedHost)(pipe, registry)
    kinds = [to_wire(describe(registry[kind])) for kind in registry]
    pipe.send(("ready", kinds, describe_weight(read_scheduling())))
    settle_garbage_collection()
    host.serve()


def _move_high(fd: int) -> socket.socket:
    high = copy_high(fd)
    os.close(fd)
    return socket.socket(fileno=high)


def _set_up_process(start: Start) -> None:
    """Prepare for strangers' code."""
    sys.path[:] = start.path
    os.environ.pop("PYTHONPATH", None)
    if start.python_path is not None:
        os.environ["PYTHONPATH"] = start.python_path
    faulthandler.enable(copy_high(2))
    # Ignored, where a script has started the consumer in its background: handlers then found another process than usual.
    signal(SIGINT, default_int_handler)
    adopt_orphans()
    limit_memory(start.memory_mib)


def _load(modules: list[str], pipe: Pipe) -> Registry[Any]:
    try:
        return load_watched(
            modules, lambda module: pipe.send(("loading", module)), lambda why: pipe.send(("refused", why))
        )
    except StartRefused as error:
        pipe.send(("refused", str(error)))
        leave()
