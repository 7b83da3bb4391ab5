"""Which of the three servers are started here. RabbitMQ can be done without: where it cannot be had, the rest goes on."""

import subprocess
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from infra.local import programs
from infra.local.programs import ProgramMissing
from infra.local.server import Server
from infra.local.servers import Servers

RABBITMQ_URL = "SLUICE_RABBITMQ_URL"


def choose(servers: Servers, given: dict[str, str]) -> tuple[dict[str, Server], str]:
    """Return the servers for which no address was given, installed, by the setting that holds their address.

    Also returned: why RabbitMQ is not among them although no address was given, else nothing. Raises ProgramMissing or
    CalledProcessError where another program cannot be had.
    """
    every: dict[str, Server] = {
        "SLUICE_POSTGRES_URL": servers.postgres,
        "SLUICE_REDIS_URL": servers.redis,
        RABBITMQ_URL: servers.rabbitmq,
    }
    wanted = {name: server for name, server in every.items() if name not in given}
    if programs.wheels_alone() and RABBITMQ_URL in wanted:
        del wanted[RABBITMQ_URL]
        _ensure(wanted.values())
        return wanted, "no Python package has it"
    try:
        _ensure(wanted.values())
    except (ProgramMissing, subprocess.CalledProcessError) as error:
        rabbitmq = wanted.pop(RABBITMQ_URL, None)
        if rabbitmq is None or not programs.missing([rabbitmq.program]):
            raise
        _ensure(wanted.values())
        return wanted, _why(error)
    return wanted, ""


def ours(servers: Servers, given: Mapping[str, str]) -> set[str]:
    """Return the settings that hold addresses of these servers, whether they run or not: each has a password like no other."""
    passwords = {file.read_text() for server in servers if (file := server.directory / "password").exists()}
    urls = ("SLUICE_POSTGRES_URL", "SLUICE_REDIS_URL", RABBITMQ_URL)
    return {name for name in urls if name in given and urlsplit(given[name]).password in passwords}


def without_rabbitmq(why: str) -> str:
    """Return the remark for whoever runs it."""
    return (
        f"WITHOUT RABBITMQ ({why or 'as asked for'}): consumers pull jobs from PostgreSQL. "
        "Everything works; for production give SLUICE_RABBITMQ_URL."
    )


def _ensure(wanted: Iterable[Server]) -> None:
    programs.ensure(server.program for server in wanted)


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, ProgramMissing) else "apt-get could not install it"
