"""Ports for private servers: free ones, and the same one again after a restart."""

import atexit
import random
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from errno import EADDRINUSE
from pathlib import Path

LOOPBACK = "127.0.0.1"
_LISTENS = "0A"
"""The state of a listening socket in Linux's tables."""

# Below the range from which the kernel takes ports for outgoing connections (32768 and up): there, a client that retries a
# dead server can be given the server's own port, connect to itself and keep the server from coming back.
_CANDIDATES = range(20000, 30000)

_reserved: deque[socket.socket] = deque(maxlen=128)
"""Sockets bound to the ports given last: nobody else is given one of them before its server listens, or while it is away."""


@atexit.register
def _give_back() -> None:
    """Close what is reserved: the interpreter warns of each socket that is left to its end."""
    while _reserved:
        _reserved.pop().close()


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Say whether a server could listen on this port now; no other program does, at least, where the host is not of here."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return host != LOOPBACK and error.errno != EADDRINUSE
    return True


def holder(port: int) -> str:
    """Name the program that listens on this port, as far as this machine and our rights let us know."""
    sockets = {f"socket:[{inode}]" for inode in _listening(port)}
    for link in Path("/proc").glob("[0-9]*/fd/*") if sockets else ():
        with suppress(OSError):  # it ended meanwhile, or is none of ours
            if str(link.readlink()) in sockets:
                return _described(link.parents[1])
    return "another program"


def _listening(port: int) -> Iterator[str]:
    """Yield the inodes of the sockets that listen on this port."""
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            fields = line.split()
            if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _described(process: Path) -> str:
    words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    command = " ".join(Path(word).name if "/" in word else word for word in words[:3]).strip()
    return f"{command[:60] or 'a program'} (process {process.name}, in {(process / 'cwd').readlink()})"


def free_port() -> int:
    """Pick a port that nobody has, and reserve it while this process lives, or until it has picked 128 more.

    A server that sets SO_REUSEADDR can listen on it, as all of ours and of our servers do; another call, in whatever
    process, does not pick it. Raises OSError when a thousand tries found none.
    """
    for _ in range(1000):
        reserving = socket.socket()
        port = random.choice(_CANDIDATES)  # noqa: S311  spreading, not secrecy
        try:
            reserving.bind((LOOPBACK, port))
        except OSError:
            reserving.close()
            continue
        reserving.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if len(_reserved) == _reserved.maxlen:
            _reserved.popleft().close()
        _reserved.append(reserving)
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
