"""Three brokers on loopback that are one cluster, as three machines would be."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from infra.local.daemon import Daemon
from infra.local.ports import LOOPBACK, remembered_port
from infra.local.programs import find
from infra.local.rabbitmq import RabbitMQ
from infra.local.run_as import temporary_directory
from infra.local.server import secret

NUMBERS = (1, 2, 3)
COOKIE = ".erlang.cookie"


class PortMapper(Daemon):
    """The epmd that all nodes use. It outlives each of them, as one that runs anew does not know the nodes it finds."""

    name = "epmd"

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.directory = directory

    @property
    def port(self) -> int:
        """The port it listens on."""
        return remembered_port(self.directory / "port")

    @property
    def log(self) -> Path:
        """The file that gets everything it prints."""
        return self.directory / "log"

    @property
    def _cwd(self) -> Path:
        return self.directory

    def _launch(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self._spawn([str(find("epmd")), "-port", str(self.port), "-address", LOOPBACK])

    def _answers(self) -> bool:
        try:
            socket.create_connection((LOOPBACK, self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def _pid_files(self) -> list[Path]:
        return [self.directory / "pid"]


class Node(RabbitMQ):
    """One of the brokers. It joins the others when it is started for the first time."""

    def __init__(self, directory: Path, number: int, mapper: PortMapper) -> None:
        super().__init__(directory / f"node-{number}")
        self.name = f"RabbitMQ {number}"
        self._number, self._mapper = number, mapper

    @property
    def node(self) -> str:
        """Its Erlang name."""
        return name_of(self._number)

    @property
    def password(self) -> str:
        """The password that is the same at all nodes."""
        return secret(self.directory.parent / "password")

    def _prepare_directory(self) -> None:
        super()._prepare_directory()
        cookie = self.directory / COOKIE
        if not cookie.exists():
            shutil.copy(self.directory.parent / COOKIE, cookie)
            cookie.chmod(0o400)

    def _write_conf(self, file: Path, shared: Path, local: str) -> None:
        members = "".join(
            f"cluster_formation.classic_config.nodes.{each} = {name_of(each)}\n" for each in NUMBERS
        )
        backend = "cluster_formation.peer_discovery_backend = classic_config\n"
        super()._write_conf(file, shared, f"{local}{backend}{members}")

    def _launch_port_mapper(self) -> None:
        """Start none: it runs already."""

    def _port_for(self, use: str) -> int:
        return self._mapper.port if use == "epmd" else super()._port_for(use)

    def _pid_files(self) -> list[Path]:
        return [self.directory / "pid"]


class Cluster:
    """Three nodes with what leads to any of them."""

    def __init__(self, directory: Path) -> None:
        secret(directory / COOKIE)
        self._mapper = PortMapper(directory / "epmd")
        self.nodes = [Node(directory, number, self._mapper) for number in NUMBERS]

    @property
    def url(self) -> str:
        """Where clients connect: an address with all nodes."""
        first, *others = self.nodes
        return first.url.replace("@", "@" + "".join(f"{LOOPBACK}:{each.port}," for each in others))

    def start(self, *others: Node) -> None:
        """Start the first node, then these."""
        self._mapper.start()
        self.nodes[0].start()
        with ThreadPoolExecutor() as threads:
            for started in [threads.submit(each.start) for each in others]:
                started.result()

    def stop(self) -> None:
        """End all of it."""
        for each in self.nodes:
            each.kill()
        self._mapper.stop()

    def leader_of(self, queue: str) -> Node:
        """Return the node that leads a queue. All nodes have to be up. Raises LookupError if none does."""
        for name, node in self._table("name", "leader"):
            if name == queue:
                return next(each for each in self.nodes if each.node == node)
        raise LookupError(f"{queue} has no leader")

    def grow(self, node: Node) -> None:
        """Make a node a member of all our queues."""
        node.control("grow", node.node, "all", "--queue-pattern", r"^sluice\.", tool="rabbitmq-queues")

    def members(self) -> dict[str, int]:
        """Count the members of each queue."""
        return {name: members.count("@") for name, members in self._table("name", "members")}

    def _table(self, *columns: str) -> list[list[str]]:
        alive = next(each for each in self.nodes if each.alive)
        said = alive.control("list_queues", "--silent", "--no-table-headers", *columns)
        return [line.split("\t") for line in said.splitlines()]


def name_of(number: int) -> str:
    """Return the Erlang name of a node."""
    return f"sluice-{number}@localhost"


@contextmanager
def rabbitmq_cluster() -> Iterator[Cluster]:
    """Run the nodes for the block that it starts."""
    directory = temporary_directory("sluice-cluster-")
    cluster = Cluster(directory)
    try:
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(directory, ignore_errors=True)
