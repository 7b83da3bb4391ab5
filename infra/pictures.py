"""`make pictures`: the pictures of the dashboard in the documentation, taken in Chromium while `make demo` runs elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from infra.local import env_file as variables
from infra.local.run import link_to_pages
from infra.local.stack import Stack

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PAGES = {"overview": "", "jobs": "/jobs"}
SIZE = "1280,900"
WITHIN_S = 60


def main() -> int:
    """Return the exit status: 0 if all pictures were taken."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    stack = Stack.recorded(ROOT)
    key = variables.read(ROOT / ".local" / "env").get("SLUICE_API_KEY", "")
    if browser is None:
        sys.exit("There is no Chromium here: apt-get install chromium")
    if not (stack.api.alive and key):
        sys.exit("Nothing runs here: make demo, and this in another terminal")
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sluice-pictures-") as profile:
        take(browser, profile, link_to_pages(stack, key), PICTURES / "overview.png")  # and it logs in
        for name, path in PAGES.items():
            take(browser, profile, f"{stack.url}/ui{path}", PICTURES / f"{name}.png")
    return 0


def take(browser: str, profile: str, url: str, file: Path) -> None:
    """Open a page, and keep how it looks."""
    options = ["--headless", "--hide-scrollbars", f"--window-size={SIZE}"]
    options += ["--no-sandbox"] * (os.geteuid() == 0)  # as root it has none
    command = [browser, *options, f"--user-data-dir={profile}", f"--screenshot={file}", url]
    subprocess.run(command, check=True, timeout=WITHIN_S, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
