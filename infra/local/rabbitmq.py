"""A private RabbitMQ node with a port mapper (epmd) of its own, so that it meets no other Erlang node of the machine."""

import os
import re
import socket
import subprocess
from pathlib import Path

from infra.local.installation import installation
from infra.local.ports import LOOPBACK, forget_if_taken, remembered_port
from infra.local.server import Server

ROOT_VARIABLE = "SLUICE_TEST_RABBITMQ_ROOT"
"""Names the root of another Debian whose RabbitMQ is started instead of this machine's."""
VERSION_VARIABLE = "SLUICE_TEST_RABBITMQ_VERSION"
"""How the version of every broker of a test run has to begin."""

_SETTINGS = Path(__file__).parents[1] / "rabbitmq" / "rabbitmq.conf"

# The product may make what is called sluice.*, as it would on a shared broker; more is refused here, before it is there.
_LOCAL = """\
listeners.tcp.1 = 127.0.0.1:{port}
default_user = sluice
default_pass = {password}
default_permissions.configure = ^sluice\\..*
default_permissions.read = .*
default_permissions.write = .*
"""


class RabbitMQ(Server):
    """One broker with the user `sluice` on the virtual host `/`; no guest, no plugins."""

    name = "RabbitMQ"
    program = "rabbitmq-server"
    start_timeout_s = 60

    def __init__(self, directory: Path, port: int | None = None) -> None:
        super().__init__(directory, port)
        self._installation = installation(ROOT_VARIABLE, self.directory)

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"amqp://sluice:{self.password}@127.0.0.1:{self.port}/"

    @property
    def version(self) -> str:
        """What it calls itself in its first frame; its own command takes a second to say the same."""
        found = re.search(rb"\x07versionS....([0-9.]+)", self._greeting(), re.DOTALL)
        return found[1].decode() if found else "?"

    def control(self, *words: str, tool: str = "rabbitmqctl") -> str:
        """Have RabbitMQ's own tool act on this node; return what it says. Raises CalledProcessError."""
        command = self._installation.command(tool, *words)
        env = {**os.environ, **self._environment()}
        return subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout

    def _launch(self) -> None:
        self.data.mkdir(exist_ok=True)
        conf = self.directory / "rabbitmq.conf"
        self._write_conf(conf, _SETTINGS, _LOCAL.format(port=self.port, password=self.password))
        (self.directory / "enabled_plugins").write_text("[].\n")
        self._launch_port_mapper()
        self._spawn(self._installation.command("rabbitmq-server"), env=self._environment())

    def _launch_port_mapper(self) -> None:
        self._spawn(
            self._installation.command("epmd", "-port", str(self._port_for("epmd")), "-address", LOOPBACK),
            pid_file=self.directory / "epmd.pid",
        )

    def _answers(self) -> bool:
        """A broker that is up answers the protocol header with a frame; its listener opens last."""
        try:
            return self._greeting()[:1] == b"\x01"
        except OSError:
            return False

    def _greeting(self) -> bytes:
        with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return connection.recv(65536)

    @property
    def node(self) -> str:
        """Its Erlang name; unique, as its port mapper knows no other."""
        return "sluice@localhost"

    def _environment(self) -> dict[str, str]:
        return {
            "HOME": self._seen("."),  # the cookie lies here
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_MNESIA_BASE": self._seen("data"),
            "RABBITMQ_LOG_BASE": self._seen("."),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": self._seen("rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": self._seen("enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_PID_FILE": self._seen("node.pid"),
            "RABBITMQ_DIST_PORT": str(self._port_for("dist")),
            "ERL_EPMD_PORT": str(self._port_for("epmd")),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }

    def _seen(self, name: str) -> str:
        return str(self._installation.seen(self.directory / name))

    def _port_for(self, use: str) -> int:
        return remembered_port(self.directory / f"{use}.port")

    def _pid_files(self) -> list[Path]:
        return [self.directory / "pid", self.directory / "epmd.pid"]

    def _prepare_directory(self) -> None:
        super()._prepare_directory()
        for use in ("epmd", "dist"):
            forget_if_taken(self.directory / f"{use}.port")
