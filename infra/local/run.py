"""`make run`: from a bare working tree to a running stack that has just done one real job of every kind."""

import argparse
import asyncio
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx2
from rich.console import Console

from api.ui.session import Sessions
from infra.local import display
from infra.local import env_file as variables
from infra.local.sample_jobs import samples
from infra.local.sample_run import SampleRun, kinds, run_samples
from infra.local.server_selection import RABBITMQ_URL, choose, ours, without_rabbitmq
from infra.local.servers import ProgramMissing, Servers, StartError
from infra.local.stack import Stack, settings_for, unusual_ports
from infra.local.watch import follow
from sluice.cli.output import show_any_character
from sluice.core.peppers import Peppers
from sluice.core.runtime.given_settings import read_given
from sluice.core.runtime.load_settings import load_settings
from sluice.errors import StartRefused

ROOT = Path(__file__).parents[2]
_SCOPES = "submit,read,payloads,admin,operate"
PLACEHOLDERS = {
    "SLUICE_POSTGRES_URL": "postgresql://to-be-started/",
    "SLUICE_REDIS_URL": "redis://to-be-started",
    RABBITMQ_URL: "amqp://to-be-started/",
    "SLUICE_KEY_PEPPER": "to be made on the first run",
}
"""What `make run` finds for itself, so that the settings a person gave can be judged before anything starts."""


WIDTH = 200
"""Of a line where no terminal bounds it: a log holds whole cells."""


class JobsFailed(RuntimeError):
    """Not every sample succeeded; the message carries the last lines of the consumer's log."""


@dataclass(frozen=True, slots=True)
class Start:
    """What every step needs: the tree, the terminal, and what to undo should a later step fail."""

    root: Path
    console: Console
    undo: ExitStack


def run(root: Path, console: Console, rabbitmq: bool = True) -> Stack:
    """Bring everything up, run the samples, leave it running. When a step fails, what this run started is stopped again.

    Without `rabbitmq` none is used, not even one whose address was given.
    """
    with ExitStack() as undo:
        start = Start(root, console, undo)
        given = read_settings(root, rabbitmq=rabbitmq)
        servers, why_without = bring_servers(start, given)
        stack = Stack(root, settings_for(root, given, servers))
        bring_processes(start, stack)
        key = find_key(start, stack)
        leave_addresses(stack, key)
        offered = asyncio.run(kinds(stack.url, key)) or []
        notes = run_every_kind(start, stack, key, offered)
        undo.pop_all()
    if not stack.settings[RABBITMQ_URL]:
        notes.insert(0, without_rabbitmq(why_without))
    notes += [*describe_servers(stack), *unusual_ports(stack.settings, given)]
    first = display.first_command(offered)
    display.show_where(console, stack.url, key, notes, link_to_pages(stack, key), first)
    return stack


def read_settings(
    root: Path, environment: Mapping[str, str] = os.environ, rabbitmq: bool = True
) -> dict[str, str]:
    """Return the settings that a person gave, in `.env` or the environment. Raises StartRefused where one of them is wrong.

    Without `rabbitmq` its address is empty, whatever was given, and what needs it is refused.
    Addresses of our own servers are left out: a shell has them from an earlier run, and the servers may have stopped since.
    """
    servers = Servers(root / ".local" / "servers")
    own = ours(servers, environment)
    given = read_given(root / ".env", {name: environment[name] for name in environment if name not in own})
    judged = PLACEHOLDERS | given
    if not rabbitmq:
        given[RABBITMQ_URL] = ""
        del judged[RABBITMQ_URL]
    load_settings(judged)
    return {name: given[name] for name in given if name not in ours(servers, given)}


def bring_servers(start: Start, given: dict[str, str]) -> tuple[dict[str, str], str]:
    """Start the servers for which no address was given; return their addresses by the setting's name.

    Also returned: why RabbitMQ cannot be had, where it cannot; its address is empty then.
    """
    servers = Servers(start.root / ".local" / "servers")
    wanted, why_without = choose(servers, given)
    with display.step(start.console, "servers") as step:
        if wanted:
            for server in servers.up(*wanted.values()):
                start.undo.callback(server.stop)
        addresses = {name: server.url for name, server in wanted.items()}
        if why_without:
            addresses[RABBITMQ_URL] = ""
        known = [f"{server.name} :{server.port}" for server in wanted.values()]
        step.note = _described(known, addresses | given)
    return addresses, why_without


def bring_processes(start: Start, stack: Stack) -> None:
    """Migrate, then start api and consumer, unless they run already from this very code and these settings."""
    stale = stack.stale()
    stack.refuse_taken_ports()
    if any(program.alive for program in stale):
        stack.check()  # what serves goes on serving if the new one cannot
    if stale:
        with display.step(start.console, "schema") as step:
            stack.migrate()
            step.note = "at head"
    with display.step(start.console, "processes") as step:
        for program in stale:
            start.undo.callback(program.stop)
        stack.start(stale)
        step.note = (
            ", ".join(program.name for program in stale) + " started"
            if stale
            else "api and consumer run already"
        )


def find_key(start: Start, stack: Stack) -> str:
    """Return the key of the last run while it is good, else a new one."""
    with display.step(start.console, "key") as step:
        known = variables.read(stack.root / ".local" / "env").get("SLUICE_API_KEY", "")
        if known and asyncio.run(kinds(stack.url, known)) is not None:
            step.note = "the one of last time"
            return known
        step.note = f"a new one, {_SCOPES}"
        return stack.make_key("demo", _SCOPES)


def leave_addresses(stack: Stack, key: str) -> None:
    """Write `.local/env`, from which any tool finds the running stack, and a shell the command `sluice` for it."""
    servers = ("SLUICE_POSTGRES_URL", "SLUICE_REDIS_URL", RABBITMQ_URL)
    found = {"SLUICE_URL": stack.url, "SLUICE_PRIVATE_URL": stack.api.private_url, "SLUICE_API_KEY": key}
    file = stack.root / ".local" / "env"
    variables.write(file, found | {name: stack.settings[name] for name in servers})
    with file.open("a") as env:
        # Not the addresses of servers: they would be taken for given ones by whatever else is started in this shell.
        env.write(f"export {' '.join(found)}\n")
        env.write(f'export PATH={shlex.quote(str(stack.leave_command()))}:"$PATH"\n')


def link_to_pages(stack: Stack, key: str) -> str:
    """Make a link that logs in to the dashboard once, within a minute; empty if it is off."""
    if stack.settings.get("SLUICE_UI") != "true":
        return ""
    token = Sessions(Peppers(stack.settings["SLUICE_KEY_PEPPER"])).make(key.split("_")[1], "link")
    return f"{stack.url}/ui/enter/{token}"


def run_every_kind(start: Start, stack: Stack, key: str, offered: list[str]) -> list[str]:
    """Run one job of every kind that is offered and show what came back; return remarks. Raises JobsFailed unless all succeeded or are held back."""
    chosen = [s for s in samples(stack.root / ".local" / "results", int(time.time())) if s.kind in offered]
    with display.Bars(start.console).shown() as bars:
        runs = asyncio.run(run_samples(stack.url, key, chosen, bars.watch))
    if runs:
        display.show_results(start.console, runs)
    _refuse_failures(runs, stack)
    return [
        f"no sample for {kind}: try it at /docs" for kind in offered if kind not in {s.kind for s in chosen}
    ]


def describe_servers(stack: Stack) -> list[str]:
    """Say of each server what is wrong with it, as the two processes found out."""
    notes: dict[str, None] = {}
    for program in (stack.api, stack.consumer):
        found = httpx2.get(f"{program.private_url}/check", timeout=10, trust_env=False).json()
        down = {
            name: each for name, each in found["dependencies"].items() if each["status"] in ("away", "unfit")
        }
        notes |= dict.fromkeys(f"{name} is {each['status']}: {each['why']}" for name, each in down.items())
        notes |= dict.fromkeys(found["doubts"])
    return list(notes)


def main(arguments: list[str]) -> int:
    """Run; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rabbitmq", choices=["auto", "off"], default="auto")
    parser.add_argument("--watch", action="store_true", help="go on, and start anew what changes")
    asked = parser.parse_args(arguments)
    show_any_character("replace")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    try:
        stack = run(ROOT, console, asked.rabbitmq != "off")
        if asked.watch:
            follow(stack, console)
    except (StartError, JobsFailed, ProgramMissing, subprocess.CalledProcessError, httpx2.HTTPError) as error:
        console.print(
            f"\n  ✘ {error}\n\n  What this run had started is stopped again.",
            style="red",
            markup=False,
            soft_wrap=True,
        )
        return 1
    except StartRefused as error:
        print(f"sluice: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _described(started: list[str], addresses: dict[str, str]) -> str:
    """The servers that run here, and a word on those that do not."""
    said = started[:]
    if not addresses[RABBITMQ_URL]:
        said.append("no RabbitMQ")
    if len(said) < 3:
        said.append("the rest at the addresses given" if said else "at the addresses given")
    return ", ".join(said)


def _refuse_failures(runs: list[SampleRun], stack: Stack) -> None:
    failed = [each.sample.kind for each in runs if not (each.succeeded or each.is_held)]
    if failed:
        log = stack.consumer
        raise JobsFailed(f"{', '.join(failed)} did not succeed. Last lines of {log.log}:\n{log.log_tail()}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
