"""`python -m loadtests.baseline api|worker PORT`: ends when its standard input ends.

Reads BASELINE_POSTGRES_URL and BASELINE_RABBITMQ_URL. The worker's port serves its metrics.
"""

from __future__ import annotations

import sys

import uvicorn
import uvloop

from loadtests.baseline.api import application
from loadtests.baseline.worker import work
from loadtests.lifetime import end_with_input


def main(name: str, port: str) -> None:
    """Run the api or the worker."""
    end_with_input()
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


if __name__ == "__main__":
    main(*sys.argv[1:])
