"""Which installation of a server's programs is started: this machine's, or one in the root of another Debian."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from infra.local.programs import find

# All mounts are in a namespace of the process: gone when it ends, and the root stays as it was made. Each step replaces the
# process before it, so that the id and the session that the starter knows are the program's in the end.
_ENTER = """\
set -e
root=$0 directory=$1
shift
mount --bind "$root" "$root"
mount --rbind /dev "$root/dev"
mount --rbind /proc "$root/proc"
mount --bind "$directory" "$root/srv"
mount -t tmpfs tmpfs "$root/tmp"
mount -o remount,bind,ro "$root"
exec chroot "$root" env PATH=/usr/lib/rabbitmq/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
"""


class Installation(Protocol):
    """Where programs are, and under which name they see the files of the server."""

    def command(self, program: str, *arguments: str) -> list[str]:
        """Return what starts the program."""

    def seen(self, path: Path) -> Path:
        """Return the name that a path in the server's directory has for the program."""


class ThisMachine:
    """The programs of this machine, which see what is there."""

    def command(self, program: str, *arguments: str) -> list[str]:
        """Return the program as it was found; raises ProgramMissing."""
        return [str(find(program)), *arguments]

    def seen(self, path: Path) -> Path:
        """Return the path."""
        return path


@dataclass(frozen=True, slots=True)
class OtherRoot:
    """The programs in another root, which see that root and one directory of this machine. Starting them takes root."""

    root: Path
    directory: Path

    def command(self, program: str, *arguments: str) -> list[str]:
        """Return what enters the root and becomes the program there."""
        return [
            *("unshare", "--mount", "--propagation=private", "--"),
            *("sh", "-c", _ENTER, str(self.root), str(self.directory)),
            *(program, *arguments),
        ]

    def seen(self, path: Path) -> Path:
        """Return the path inside; raises ValueError for one that is not in the directory."""
        return "/srv" / path.relative_to(self.directory)


def installation(root_named_by: str, directory: Path) -> Installation:
    """The one that this environment variable names by the path of its root; without it, this machine's."""
    root = os.environ.get(root_named_by)
    return OtherRoot(Path(root), directory) if root else ThisMachine()
