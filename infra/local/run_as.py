"""As whom to run a program that refuses to run as root."""

import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

_ACCOUNT = "postgres"
_LONGEST = 50
"""Bytes of a directory's name. A socket's has 107 at most, and servers put names of their own in between."""
_OTHER_NAME_FOR_ROOT = ("unshare", "--user", "--map-user=1000", "--map-group=1000")


@dataclass(frozen=True, slots=True)
class Identity:
    """What to put before a command, and the account to run it as (None: our own)."""

    prefix: tuple[str, ...] = ()
    user: int | None = None

    @property
    def group(self) -> int | None:
        """The account's first group."""
        return None if self.user is None else pwd.getpwuid(self.user).pw_gid

    @property
    def extra_groups(self) -> list[int] | None:
        """No other groups for a borrowed account."""
        return None if self.user is None else []


def owner_of(directory: Path) -> Identity:
    """Return the identity that may work with what hand_over() gave away."""
    if os.geteuid() != 0:
        return Identity()
    owner = directory.stat().st_uid
    return Identity(user=owner) if owner != 0 else Identity(prefix=_OTHER_NAME_FOR_ROOT)


def hand_over(directory: Path) -> None:
    """Give a new directory to the postgres account, where root has one and it can get there.

    Elsewhere (below a directory closed to others) it stays with root, who then takes another name in a user namespace.
    """
    account = _account()
    if os.geteuid() == 0 and account is not None and _reaches(account, directory.parent):
        os.chown(directory, account.pw_uid, account.pw_gid)


def temporary_directory(prefix: str) -> Path:
    """Make a temporary directory through which other accounts may pass: what lies in it guards itself.

    Below /tmp where TMPDIR is so long that no socket could be named there.
    """
    usual = tempfile.gettempdir()
    place = usual if len(os.fsencode(usual)) <= _LONGEST else "/tmp"  # noqa: S108  what is made there is ours alone
    directory = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    directory.chmod(0o711)
    return directory


def may_rename() -> bool:
    """Whether this machine lets root take another name in a user namespace."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*_OTHER_NAME_FOR_ROOT, "true"], check=False, capture_output=True).returncode == 0


def _account() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(_ACCOUNT)
    except KeyError:
        return None


def _reaches(account: pwd.struct_passwd, directory: Path) -> bool:
    probe = ["test", "-d", f"{directory}/."]
    looked = subprocess.run(
        probe, check=False, user=account.pw_uid, group=account.pw_gid, extra_groups=[], cwd="/"
    )
    return looked.returncode == 0
