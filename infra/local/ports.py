"""Ports for private servers: free ones, and the same one again after a restart."""

import random
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"

# Below the range from which the kernel takes ports for outgoing connections (32768 and up): there, a client that retries a
# dead server can be given the server's own port, connect to itself and keep the server from coming back.
_CANDIDATES = range(20000, 30000)


def is_free(port: int) -> bool:
    """Say whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Pick a port nobody listens on; raises OSError when a thousand tries found none."""
    for _ in range(1000):
        port = random.choice(_CANDIDATES)  # noqa: S311  spreading, not secrecy
        if is_free(port):
            return port
    raise OSError(f"no free port between {_CANDIDATES.start} and {_CANDIDATES.stop}")


def remembered_port(file: Path) -> int:
    """Return the port written in the file; the first time, pick a free one and write it."""
    if file.exists():
        return int(file.read_text())
    port = free_port()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{port}\n")
    return port


def forget_if_taken(file: Path) -> None:
    """Drop a remembered port that another program took while its server was away."""
    if file.exists() and not is_free(int(file.read_text())):
        file.unlink()
