"""`python -m loadtests.peers.dramatiq api PORT`, or `worker`: ends when its standard input ends."""

from __future__ import annotations

import sys

import uvicorn
from dramatiq import cli

from loadtests.lifetime import end_with_input
from loadtests.peers.dramatiq.api import app
from loadtests.peers.dramatiq.jobs import WORKER


def main(name: str, port: str = "") -> int:
    """Run the api or the worker; return its exit status."""
    end_with_input()
    if name == "worker":
        return int(cli.main(cli.make_argument_parser().parse_args(WORKER)))
    uvicorn.run(app, port=int(port), loop="uvloop", http="httptools", log_level="warning", access_log=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
