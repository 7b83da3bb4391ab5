"""`make test-rabbitmq4`, `make fault-rabbitmq4`: what meets the broker, on RabbitMQ 4 of Debian 13 in a root of its own.

No container engine is needed. `python -m infra.local.rabbitmq4 MODULE ARGUMENT…` becomes that module there.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from infra.local import programs
from infra.local.debian import Root
from infra.local.display import step
from infra.local.rabbitmq import ROOT_VARIABLE, VERSION_VARIABLE

TREE = Path(__file__).parents[2]
CACHE = TREE / ".local" / "rabbitmq-4"
TESTS = ("tests/contract", "tests/integration", "tests/fault")
WITHOUT_BROKER = (
    "tests/integration/record",
    "tests/integration/test_migrations.py",
    "tests/integration/test_statements.py",
    "tests/integration/test_redis_cache.py",
)
"""Nothing in these speaks to RabbitMQ, nor starts a process that does."""
_BEFORE = {"pytest": [*TESTS, *(f"--ignore={path}" for path in WITHOUT_BROKER)]}
"""What a module is told before its own arguments."""
_WANTED = ("postgres", "redis-server", "faketime", "mmdebstrap")
_ROOT = Root("trixie", ("rabbitmq-server", "netbase"))  # netbase says what localhost is
_VERSION = "4."


class NotPossible(RuntimeError):
    """This machine cannot run another RabbitMQ; the message says what to do."""


def main(arguments: list[str]) -> int:
    """Become the module that is named first, with the arguments after it; return an exit status where that cannot be."""
    module, *rest = arguments
    console = Console(highlight=False)
    try:
        root = provide(console)
    except (NotPossible, programs.ProgramMissing, subprocess.CalledProcessError) as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        return 1
    return _become(root, module, [*_BEFORE.get(module, ()), *rest])


def _become(root: Path, module: str, arguments: list[str]) -> NoReturn:
    """Not as a child: one that is interrupted would be killed before it has stopped its servers."""
    env = {**os.environ, ROOT_VARIABLE: str(root), VERSION_VARIABLE: _VERSION}
    os.chdir(TREE)
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", module, *arguments], env)  # noqa: S606  no shell is wanted


def provide(console: Console) -> Path:
    """The root with RabbitMQ 4, made by the first who asks. Raises NotPossible, ProgramMissing or CalledProcessError."""
    if os.geteuid() != 0:
        raise NotPossible(
            "RabbitMQ 4 beside this machine's own takes root: run it as root. "
            "`make up` runs the product on it in containers."
        )
    programs.ensure(_WANTED)
    if not _ROOT.is_made(CACHE):
        console.print(f"  making a root of Debian 13 in {CACHE.relative_to(TREE)}: half a minute, once")
    with step(console, "RabbitMQ 4") as shown:
        root = _made()
        here = installed_version(Path("/")) or "none"
        shown.note = f"{installed_version(root)} in {root.relative_to(TREE)}; this machine has {here}"
    return root


def _made() -> Path:
    """The root; what went wrong comes with what can be done."""
    try:
        return _ROOT.directory(CACHE)
    except subprocess.TimeoutExpired as error:
        raise NotPossible(
            f"Debian 13 was not there after {error.timeout:.0f} s: is its mirror slow?"
        ) from error
    except subprocess.CalledProcessError as error:
        said = "\n".join(str(error.output).splitlines()[-15:])
        raise NotPossible(
            f"The root of Debian 13 could not be made:\n{said}\n"
            "It needs a mirror of Debian that apt can reach (see /etc/apt), its keys (package debian-archive-keyring) "
            "and the right to mount, which containers have with --privileged. Then run it again."
        ) from error


def installed_version(root: Path) -> str | None:
    """The version of the RabbitMQ that is installed below this root; None where Debian would have none."""
    found = sorted((root / "usr/lib/rabbitmq/lib").glob("rabbitmq_server-*"))
    return re.sub(r"^rabbitmq_server-", "", found[-1].name) if found else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
