"""`make test-browser`: the dashboard on fresh servers, walked through in Chromium. Pictures are left in `.local/browser`."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

from infra.local.run_as import temporary_directory
from loadtests.bench.generator import BenchError
from loadtests.bench.peer_environment import python_with
from tests.browser.belongings import fill
from tests.support.servers import running_servers
from tests.support.stack import stack_on_empty_servers

LOCK = Path(__file__).with_name("requirements.txt")
KEPT = Path(".local") / "browser"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PAGES = (
    "", "/jobs", "/jobs?state=failed", "/jobs?tag=nightly", "/errors", "/errors?state=resolved", "/kinds",
    "/kinds/orders.settle", "/kinds/hostile.words", "/kinds/measurements.summary", "/lanes", "/schedules", "/schedules/new", "/schedules/nightly/edit",
    "/bulk", "/bulk/new", "/webhooks", "/keys", "/audit", "/consumers", "/system",
)  # fmt: skip
SETTINGS: dict[str, object] = {
    "ui": True, "ui_env": "staging", "webhook_allow": "127.0.0.1/32",
    "handlers": "sluice.kinds.demo_sum,sluice.kinds.demo_spin,sluice.kinds.measurements_summary,tests.browser.kinds",
}  # fmt: skip


def main() -> int:
    """Return the exit status: 0 if nothing is wrong."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit("There is no Chromium here: apt-get install chromium")
    try:
        python = python_with(LOCK)
    except BenchError as error:
        sys.exit(str(error))
    shutil.rmtree(KEPT, ignore_errors=True)
    KEPT.mkdir(parents=True)
    directory = temporary_directory("sluice-browser-")
    try:
        with running_servers() as servers, stack_on_empty_servers(servers, directory, **SETTINGS) as stack:
            asyncio.run(stack.start())
            single = asyncio.run(fill(stack))
            paths = [*PAGES, *(f"{name} {path}" for name, path in single.items())]
            walk = [
                str(python),
                str(Path(__file__).with_name("walk.py")),
                stack.url,
                stack.key,
                browser,
                str(KEPT),
                *paths,
            ]
            status = subprocess.run(walk, check=False).returncode
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    sys.stdout.write(f"Pictures are in {KEPT}.\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
