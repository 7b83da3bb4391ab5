"""The two processes of the product in the background, and the settings they share."""

import hashlib
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from importlib.machinery import ModuleSpec, PathFinder
from ipaddress import ip_address
from itertools import islice
from pathlib import Path

from infra.local import env_file as variables
from infra.local.daemon import Daemon, StartError
from infra.local.ports import LOOPBACK, free_port, holder, is_free
from infra.local.server import secret

COMMAND = (sys.executable, str(Path(sys.executable).with_name("sluice")))
_ROOMS = ("api", "consumer", "sluice")
_PORTS = {"SLUICE_API_PORT": 8000, "SLUICE_API_PRIVATE_PORT": 8001, "SLUICE_CONSUMER_PRIVATE_PORT": 8002}
_OWNERS = dict(zip(_PORTS, ("api", "api", "consumer"), strict=True))
_MOST_FILES = 5_000
"""Of one place of the user's: a directory with more, a home for example, is not read to its end."""
_INSTALLED = {"site-packages", "dist-packages", "node_modules", "venv"}
_NO_KINDS = {*_ROOMS, "docs", "infra", "loadtests", "tests"}
_LOG_LIMIT = 8 * 1024 * 1024


class Program(Daemon):
    """`sluice NAME` in the background, ready when `/readyz` on its private port says so."""

    def __init__(self, name: str, root: Path, settings: dict[str, str]) -> None:
        super().__init__()
        self.name = name
        self._root = root
        self._settings = settings

    @property
    def private_url(self) -> str:
        """Where health and metrics are."""
        return f"http://{f'[{self._host}]' if ':' in self._host else self._host}:{self._private_port}"

    @property
    def log(self) -> Path:
        """Its log, one JSON document per line."""
        return self._root / ".local" / "log" / f"{self.name}.log"

    @property
    def is_current(self) -> bool:
        """Whether it runs, is ready, and was started from today's code and settings."""
        built = self._built.read_text() if self._built.exists() else ""
        return self.alive and built == self._build() and self._answers()

    @property
    def sources(self) -> list[Path]:
        """The files that it may load: ours, and those of the kinds that it is to run."""
        return [*_sources(self._root), *_sources_of(self._settings.get("SLUICE_HANDLERS", ""), self._root)]

    def _launch(self) -> None:
        for file in (self.log, *self._pid_files()):
            file.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.1"))
        self._built.write_text(self._build())
        self._spawn([*COMMAND, self.name], env=self._settings)

    def _answers(self) -> bool:
        connection = HTTPConnection(self._host, self._private_port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    @property
    def _host(self) -> str:
        return reachable(self._settings.get("SLUICE_PRIVATE_HOST", LOOPBACK))

    @property
    def _private_port(self) -> int:
        return int(self._settings[f"SLUICE_{self.name.upper()}_PRIVATE_PORT"])

    @property
    def _cwd(self) -> Path:
        return self._root

    @property
    def _built(self) -> Path:
        return self._root / ".local" / "pid" / f"{self.name}.build"

    def _pid_files(self) -> list[Path]:
        return [self._root / ".local" / "pid" / self.name]

    def _build(self) -> str:
        """A hash over code, lock and settings: what it takes to say that a running process is the one we would start."""
        digest = hashlib.sha256(repr([*sorted(self._settings.items()), _python_path()]).encode())
        for file in [self._root / "requirements.txt", *self.sources]:
            digest.update(str(file).encode() + b"\0" + file.read_bytes())
        return digest.hexdigest()


class Stack:
    """Api and consumer of one working tree."""

    def __init__(self, root: Path, settings: dict[str, str]) -> None:
        self.root = root
        self.settings = settings
        self.api = Program("api", root, settings)
        self.consumer = Program("consumer", root, settings)

    @classmethod
    def recorded(cls, root: Path) -> "Stack":
        """Return the stack that was started last; without settings when there was none."""
        return cls(root, variables.read(root / ".local" / "settings"))

    def stale(self) -> list[Program]:
        """Return the processes that have to be started, or started again."""
        return [program for program in (self.api, self.consumer) if not program.is_current]

    @property
    def watched(self) -> set[Path]:
        """The directories in which the files of both lie."""
        return {file.parent for program in (self.api, self.consumer) for file in program.sources}

    def start(self, programs: list[Program]) -> None:
        """Start these (side by side), or start them again. Raises StartError."""
        variables.write(self.root / ".local" / "settings", self.settings)
        with ThreadPoolExecutor(2) as threads:
            starts = [threads.submit(_restart, program) for program in programs]
        for start in starts:
            start.result()

    def stop(self) -> None:
        """Stop both, the api first, so that nothing new comes to the consumer."""
        self.api.stop()
        self.consumer.stop()

    def refuse_taken_ports(self) -> None:
        """Raise StartError if another program listens where one of ours is to listen, naming it."""
        last = Stack.recorded(self.root)
        for name, owner in _OWNERS.items():
            port = self.settings[name]
            host = self.settings.get(
                "SLUICE_API_HOST" if name == "SLUICE_API_PORT" else "SLUICE_PRIVATE_HOST", LOOPBACK
            )
            kept = getattr(last, owner).alive and last.settings.get(name) == port
            if not kept and port != "0" and not is_free(int(port), host):
                raise StartError(
                    f"{name}={port}: {holder(int(port))} listens there; choose another port, or stop it"
                )

    def check(self) -> None:
        """Judge settings and kinds as the processes will. Raises StartError with what is wrong."""
        self._command("check")

    def migrate(self) -> None:
        """Bring the database's schema to head. Raises StartError with what the command said."""
        self._command("migrate")

    def make_key(self, tenant: str, scopes: str) -> str:
        """Make an API key and return it. Raises StartError with what the command said."""
        return self._command("keys", "create", "--tenant", tenant, "--scopes", scopes).strip()

    def leave_command(self) -> Path:
        """Write `sluice` with the settings of this stack, and return the directory to put on the PATH."""
        file = self.root / ".local" / "bin" / "sluice"
        file.parent.mkdir(parents=True, exist_ok=True)
        settings, command = shlex.quote(f"{self.root}/.local/settings"), shlex.join(COMMAND)
        given = "$(export -p | grep '^export SLUICE_')"
        file.write_text(
            f'#!/bin/sh\ngiven="{given}"\nset -a\n. {settings}\neval "$given"  # the environment wins\nexec {command} "$@"\n'
        )
        file.chmod(0o755)
        return file.parent

    @property
    def url(self) -> str:
        """Where the API is, seen from this machine."""
        host = reachable(self.settings.get("SLUICE_API_HOST", LOOPBACK))
        return f"http://{f'[{host}]' if ':' in host else host}:{self.settings['SLUICE_API_PORT']}"

    def _command(self, *words: str) -> str:
        done = subprocess.run(
            [*COMMAND, *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.root,
            env={**os.environ, **self.settings},
            stdin=subprocess.DEVNULL,
        )
        if done.returncode != 0:
            last = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
            raise StartError(f"sluice {' '.join(words)} failed with status {done.returncode}:\n{last}")
        return done.stdout


def reachable(host: str) -> str:
    """Return the address at which this machine reaches what listens at `host`."""
    with suppress(ValueError):  # a name
        if ip_address(host).is_unspecified:
            return LOOPBACK
    return host


def settings_for(root: Path, given: dict[str, str], servers: dict[str, str]) -> dict[str, str]:
    """Return what the processes are started with: what was given, the servers' addresses, free ports and a secret."""
    chosen = {"SLUICE_KEY_PEPPER": secret(root / ".local" / "pepper"), **_free_ports(root, given)}
    chosen["SLUICE_LAME_DUCK_S"] = "0"  # there is no other api here to which clients could go
    if given.get("SLUICE_API_HOST", LOOPBACK) == LOOPBACK:
        chosen["SLUICE_UI"] = "true"
        chosen["SLUICE_WEBHOOK_ALLOW"] = (
            f"{LOOPBACK}/32"  # to try webhooks; from elsewhere nobody can register one
        )
    return {**chosen, **servers, **given}


def unusual_ports(settings: dict[str, str], given: dict[str, str]) -> list[str]:
    """Say which ports differ from their defaults, and which programs have those."""
    return [
        f"{name}={settings[name]}, as "
        + ("last time" if is_free(default) else f"{holder(default)} has port {default}")
        for name, default in _PORTS.items()
        if name not in given and settings[name] != str(default)
    ]


def _free_ports(root: Path, given: dict[str, str]) -> dict[str, str]:
    """Choose the ports that were not given: those of the last time, the usual ones, or any that are free."""
    last, chosen = Stack.recorded(root), {name: given[name] for name in _PORTS if name in given}
    for name, default in _PORTS.items():
        if name not in chosen:
            known = last.settings.get(name, "")
            serves = known and getattr(last, _OWNERS[name]).alive
            wanted = (
                [known] if serves else [each for each in (known, str(default)) if each and is_free(int(each))]
            )
            chosen[name] = next((each for each in wanted if each not in chosen.values()), "") or str(
                free_port()
            )
    return {name: chosen[name] for name in _PORTS if name not in given}


def _sources(root: Path) -> list[Path]:
    return sorted(file for room in _ROOMS for kind in ("*.py", "*.sql") for file in (root / room).rglob(kind))


def _sources_of(handlers: str, root: Path) -> list[Path]:
    """The files of users' own kinds, found without a line of them run: a changed one takes a process that is started again."""
    names = {module.strip().partition(".")[0] for module in handlers.split(",")} - {"", *_ROOMS}
    path = [str(root), *_python_path(), *sys.path]
    specs = [PathFinder.find_spec(name, path) for name in sorted(names)]
    places = {place for spec in specs if spec for place in _places_of(spec)}
    return sorted({file for place in places for file in islice(_files_below(place, root), _MOST_FILES)})


def _places_of(spec: ModuleSpec) -> list[Path]:
    """The directories whose files a module may import: an installed package has its own, any other the project it lies in."""
    found = spec.submodule_search_locations
    if found is None:
        file = Path(spec.origin) if spec.has_location and spec.origin else None
        return [] if file is None else [file if _INSTALLED & {*file.parts} else file.parent]
    return [Path(each) if _INSTALLED & {*Path(each).parts} else Path(each).parent for each in found]


def _files_below(place: Path, root: Path) -> Iterator[Path]:
    """Yield Python's files in a fixed order, without those of environments and caches and, in our tree, of parts that are no kinds."""
    if place.is_file():
        yield place
    for folder, below, files in os.walk(place):
        skipped = _NO_KINDS if Path(folder) == root else set()
        below[:] = sorted(
            each for each in below if not each.startswith((".", "__")) and each not in _INSTALLED | skipped
        )
        yield from (Path(folder, each) for each in sorted(files) if each.endswith(".py"))


def _python_path() -> list[str]:
    return [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]


def _restart(program: Program) -> None:
    program.stop()
    program.start()
