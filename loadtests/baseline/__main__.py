"""`python -m loadtests.baseline api|worker PORT`: ends when its standard input ends.

Reads BASELINE_POSTGRES_URL and BASELINE_RABBITMQ_URL. The worker's port is that of its metrics.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

import uvicorn
import uvloop

from loadtests.baseline.api import application
from loadtests.baseline.worker import work


def main(name: str, port: str) -> None:
    """Serve, or work."""
    threading.Thread(target=_end_with_input, daemon=True).start()
    if name == "api":
        uvicorn.run(
            application(),
            port=int(port),
            loop="uvloop",
            http="httptools",
            log_level="warning",
            access_log=False,
        )
    else:
        uvloop.run(work(int(port)))


def _end_with_input() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(*sys.argv[1:])
