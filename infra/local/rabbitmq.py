"""A private RabbitMQ node with a port mapper (epmd) of its own, so that it meets no other Erlang node of the machine."""

import socket
from pathlib import Path

from infra.local.ports import LOOPBACK, forget_if_taken, remembered_port
from infra.local.programs import find
from infra.local.server import Server

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

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"amqp://sluice:{self.password}@127.0.0.1:{self.port}/"

    def _launch(self) -> None:
        self.data.mkdir(exist_ok=True)
        conf = self.directory / "rabbitmq.conf"
        self._write_conf(conf, _SETTINGS, _LOCAL.format(port=self.port, password=self.password))
        (self.directory / "enabled_plugins").write_text("[].\n")
        epmd_port = self._port_for("epmd")
        self._spawn(
            [str(find("epmd")), "-port", str(epmd_port), "-address", LOOPBACK],
            pid_file=self.directory / "epmd.pid",
        )
        self._spawn([str(find("rabbitmq-server"))], env=self._environment(conf, epmd_port))

    def _answers(self) -> bool:
        """A broker that is up answers the protocol header with a frame; its listener opens last."""
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return connection.recv(1) == b"\x01"
        except OSError:
            return False

    def _environment(self, conf: Path, epmd_port: int) -> dict[str, str]:
        return {
            "HOME": str(self.directory),  # the cookie lies here
            "RABBITMQ_NODENAME": "sluice@localhost",  # unique: this node's port mapper knows no other
            "RABBITMQ_MNESIA_BASE": str(self.data),
            "RABBITMQ_LOG_BASE": str(self.directory),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": str(conf),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_PID_FILE": str(self.directory / "node.pid"),
            "RABBITMQ_DIST_PORT": str(self._port_for("dist")),
            "ERL_EPMD_PORT": str(epmd_port),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }

    def _port_for(self, use: str) -> int:
        return remembered_port(self.directory / f"{use}.port")

    def _pid_files(self) -> list[Path]:
        return [self.directory / "pid", self.directory / "epmd.pid"]

    def _prepare_directory(self) -> None:
        super()._prepare_directory()
        for use in ("epmd", "dist"):
            forget_if_taken(self.directory / f"{use}.port")
