"""`python -m infra.local up|down|status|ensure`: the servers by hand, below `.local/servers`; down ends everything."""

import os
import subprocess
import sys
from pathlib import Path

from infra.local import programs
from infra.local.ports import LOOPBACK
from infra.local.servers import ProgramMissing, Servers, StartError
from infra.local.stack import Stack
from sluice.cli.output import show_any_character

ROOT = Path(__file__).parents[2]


def main(arguments: list[str]) -> int:
    """Run one word; return the exit status."""
    show_any_character("replace")
    words = {"up": _up, "down": _down, "status": _status, "ensure": _ensure}
    if len(arguments) != 1 or arguments[0] not in words:
        print(f"usage: python -m infra.local {'|'.join(words)}", file=sys.stderr)
        return 2
    try:
        return words[arguments[0]](Servers(ROOT / ".local" / "servers"))
    except (StartError, ProgramMissing, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1


def _up(servers: Servers) -> int:
    servers.up()
    _status(servers)
    return 0


def _down(servers: Servers) -> int:
    """Stop everything `make run` started."""
    Stack.recorded(ROOT).stop()
    servers.down()
    return 0


def _status(servers: Servers) -> int:
    """Show what runs and where, but no password; clients need the address of the api alone."""
    for server in servers:
        print(f"{server.name:<11} {f'{LOOPBACK}:{server.port}' if server.alive else 'stopped'}")
    stack = Stack.recorded(ROOT)
    print(f"{'api':<11} {stack.url if stack.api.alive else 'stopped'}")
    print(f"{'consumer':<11} {'running' if stack.consumer.alive else 'stopped'}")
    return 0 if stack.api.alive and stack.consumer.alive else 3


def _ensure(_: Servers) -> int:
    """Install the programs that tests need and that are missing, or say what to do.

    On a machine of one's own, tests do without those that only root can install, and are counted as skipped.
    """
    try:
        programs.ensure(programs.FOR_TESTS)
    except ProgramMissing as error:
        if os.environ.get("CI") or programs.missing(("postgres", "redis-server")):
            raise
        print(f"{error}\nTests that need these are skipped.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
