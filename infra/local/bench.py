"""`python -m infra.local.bench`: the product on fresh servers of its own, for whoever measures it from outside.

Prints one line of JSON that says where everything is, and takes all of it down again when its standard input ends: a
measuring program that dies leaves nothing behind.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from infra.local import programs
from infra.local.daemon import Daemon, StartError
from infra.local.ports import LOOPBACK, free_port
from infra.local.programs import ProgramMissing
from infra.local.run_as import temporary_directory
from infra.local.server import secret
from infra.local.servers import Servers
from infra.local.stack import Program, Stack
from sluice.core.runtime.settings import Settings

ROOT = Path(__file__).parents[2]
_PORTS = ("SLUICE_API_PORT", "SLUICE_API_PRIVATE_PORT", "SLUICE_CONSUMER_PRIVATE_PORT")
_KINDS = Path(__file__).with_name("bench_kinds.py")
_WANTED = ("postgres", "redis-server", "rabbitmq-server", "h2load")


class Measured(Program):
    """A process of this tree that keeps its log and pid elsewhere, and is never found again."""

    def _build(self) -> str:
        return ""


class Bench:
    """Servers, api, consumer and a second api that keeps no document in memory, all below one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._servers = Servers(directory / "servers")
        self._stack = Stack(directory, self._settings(directory))
        self._stack.api = Measured("api", directory, self._stack.settings)
        self._stack.consumer = Measured("consumer", directory, self._stack.settings)
        self._second_settings = {**self._stack.settings, **_ports(), "SLUICE_MEMORY_MIB": "0"}
        self._second = Measured("api", directory / "second", self._second_settings)

    def up(self) -> dict[str, object]:
        """Start everything; return where it is. Raises StartError."""
        self._servers.up()
        self._stack.settings.update(_urls(self._servers))
        self._second_settings.update(_urls(self._servers))
        self._stack.migrate()
        key = self._stack.make_key("bench", "submit,read,payloads")
        processes = (self._stack.api, self._stack.consumer, self._second)
        with ThreadPoolExecutor(len(processes)) as threads:
            list(threads.map(Program.start, processes))
        return self._whereabouts(key)

    def down(self) -> None:
        """Stop everything, in good order."""
        self._second.stop()
        self._stack.stop()
        self._servers.down()

    def _settings(self, directory: Path) -> dict[str, str]:
        """Its own directory is the working directory, so that no `.env` of a person is read."""
        shutil.copy(_KINDS, directory)
        handlers = ",".join((*Settings.model_fields["handlers"].default, _KINDS.stem))
        pepper = secret(directory / "pepper")
        where = {"PYTHONPATH": str(directory), "SLUICE_HANDLERS": handlers}
        return {"SLUICE_KEY_PEPPER": pepper, **where, **_ports()}

    def _whereabouts(self, key: str) -> dict[str, object]:
        api, consumer, servers = self._stack.api, self._stack.consumer, self._servers
        daemons: list[Daemon] = [*servers, api, consumer]
        roots = {daemon.name: daemon for daemon in daemons} | {"api without memory": self._second}
        return {
            "directory": str(self._directory),
            "url": self._stack.url,
            "url_without_memory": f"http://{LOOPBACK}:{self._second_settings['SLUICE_API_PORT']}",
            "key": key,
            "consumer_metrics": f"{consumer.private_url}/metrics",
            "postgres_url": servers.postgres.url,
            "rabbitmq_url": servers.rabbitmq.url,
            "redis_url": servers.redis.url,
            "pids": {name: daemon.pids for name, daemon in roots.items()},
            "versions": versions(servers),
        }


def _ports() -> dict[str, str]:
    return {name: str(free_port()) for name in _PORTS}


def _urls(servers: Servers) -> dict[str, str]:
    return {
        "SLUICE_POSTGRES_URL": servers.postgres.url,
        "SLUICE_REDIS_URL": servers.redis.url,
        "SLUICE_RABBITMQ_URL": servers.rabbitmq.url,
    }


def versions(servers: Servers) -> dict[str, str]:
    """The release of each server, by its name; RabbitMQ has to run."""
    return {
        "PostgreSQL": _version_of("postgres"),
        "RabbitMQ": servers.rabbitmq.version,
        "Redis": _version_of("redis-server"),
    }


def _version_of(program: str) -> str:
    said = subprocess.run(
        [str(programs.find(program)), "--version"], capture_output=True, text=True, check=False, cwd="/"
    )
    found = re.search(r"\d+(\.\d+)+", said.stdout)
    return found[0] if found else "?"


def main() -> int:
    """Start, say where, stay until nobody listens; return the exit status."""
    for name in [name for name in os.environ if name.startswith("SLUICE_")]:
        del os.environ[name]
    directory = temporary_directory("sluice-bench-")
    bench = Bench(directory)
    try:
        _ensure_programs()
        print(json.dumps(bench.up()), flush=True)
        sys.stdin.read()
    except (StartError, ProgramMissing, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        bench.down()
        shutil.rmtree(directory, ignore_errors=True)
    return 0


def _ensure_programs() -> None:
    """Install what is missing; what apt is about to do belongs on standard error here."""
    stdout, sys.stdout = sys.stdout, sys.stderr
    try:
        programs.ensure(_WANTED)
    finally:
        sys.stdout = stdout


if __name__ == "__main__":
    sys.exit(main())
