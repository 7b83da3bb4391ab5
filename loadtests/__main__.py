"""`python -m loadtests`: run the load of locustfile.py, bounded in users and time, against the stack that runs here."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable

from loadtests import config
from loadtests.config import NoTarget, Target

LOCUSTFILE = config.ROOT / "loadtests" / "locustfile.py"
STOP_S = 10
"""Seconds for users to finish what they are doing."""


def main() -> int:
    """Return Locust's exit status: 0 for a good run, 1 for any other; 2 if there was nothing to load."""
    arguments = _parser().parse_args()
    if arguments.anywhere:
        os.environ[config.ANYWHERE] = "1"
    try:
        found = _running_target()
    except NoTarget as error:
        print(f"load: {error}", file=sys.stderr)  # noqa: T201  said on a terminal
        return 2
    environment = (
        os.environ
        | {
            "SLUICE_URL": found.url,
            "SLUICE_API_KEY": found.key,
            "PYTHONPATH": str(config.ROOT),
            "PYTHONIOENCODING": f"{sys.stdout.encoding}:replace",  # a mark that a terminal cannot show ends nothing
        }
    )
    try:
        return subprocess.run(_command(arguments), env=environment, cwd=config.ROOT, check=False).returncode  # noqa: S603  our own command line
    except KeyboardInterrupt:
        return 130


def _running_target() -> Target:
    """Return what answers already, or a stack started for the purpose. One named in the environment is never started."""
    given = bool(os.environ.get("SLUICE_URL"))
    try:
        found = config.target()
        if given or _accepts_key(found):
            return found
    except NoTarget:
        if given:
            raise
    subprocess.run([sys.executable, "-m", "infra.local.run"], cwd=config.ROOT, check=False)
    return config.target()


def _accepts_key(found: Target) -> bool:
    """Tell whether the key is valid there: that of another tree may carry the address of a stack that ran before."""
    authorization = {"Authorization": f"Bearer {found.key}"}
    request = urllib.request.Request(f"{found.url}/v1/kinds", headers=authorization)  # noqa: S310  ours
    try:
        urllib.request.urlopen(request, timeout=2).close()  # noqa: S310  the address of the stack under test
    except OSError:
        return False
    return True


def _command(arguments: argparse.Namespace) -> list[str]:
    run = [sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), "--skip-log-setup"]
    if arguments.web:
        return [*run, "--web-host", "127.0.0.1"]
    bounds = ["--users", str(arguments.users), "--spawn-rate", str(arguments.users)]
    bounds += ["--run-time", f"{arguments.seconds}s", "--stop-timeout", str(STOP_S)]
    return [*run, "--headless", "--only-summary", *bounds]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m loadtests", description="Load the running stack, and judge it."
    )
    parser.add_argument(
        "--users", type=_within(config.FEWEST_USERS, config.MOST_USERS), default=config.USERS,
        help="at once, %(default)s unless said otherwise",
    )  # fmt: skip
    parser.add_argument(
        "--seconds", type=_within(1, config.MOST_SECONDS), default=config.SECONDS,
        help="%(default)s unless said otherwise",
    )  # fmt: skip
    parser.add_argument("--web", action="store_true", help="Locust's page instead, on http://127.0.0.1:8089")
    parser.add_argument("--anywhere", action="store_true", help="also where SLUICE_URL is another machine")
    return parser


def _within(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        found = int(text)
        if not least <= found <= most:
            raise argparse.ArgumentTypeError(f"from {least} to {most}")
        return found

    return number


if __name__ == "__main__":
    sys.exit(main())
