"""`make vendor`: fetch what the dashboard's pages load from npm, at fixed versions, and write it with licences and hashes into the tree."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tempfile
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "api" / "ui" / "static" / "vendor"
HTMX, LUCIDE = "htmx.org@4.0.1", "lucide-static@1.62.0"
ICONS = (
    "layout-dashboard", "list", "bug", "boxes", "route", "calendar-clock", "webhook", "key-round", "scroll-text",
    "layers", "circle-check", "circle-x", "circle-slash", "clock", "loader", "hourglass", "pause", "play",
    "rotate-ccw", "trash-2", "sun", "moon", "monitor", "log-out", "search", "triangle-alert", "pencil", "ban",
    "server", "settings", "download", "plus", "bookmark",
)  # fmt: skip
SUMS = "SHA256SUMS"

_SHAPES = re.compile(r"<svg[^>]*>(.*)</svg>", re.DOTALL)


def fetch(package: str, folder: Path) -> dict[str, bytes]:
    """Fetch a package with npm, which checks its integrity; return its files by their paths."""
    done = subprocess.run(
        ["npm", "pack", "--silent", package], cwd=folder, check=True, capture_output=True, text=True
    )
    with tarfile.open(folder / done.stdout.strip()) as archive:
        files = [each for each in archive.getmembers() if each.isfile()]
        return {each.name.removeprefix("package/"): _read(archive, each) for each in files}


def make_sprite(files: dict[str, bytes]) -> bytes:
    """Put the icons into one file, each as a symbol."""
    symbols = []
    for name in ICONS:
        match = _SHAPES.search(files[f"icons/{name}.svg"].decode())
        assert match is not None  # noqa: S101  so all icons are
        shapes = " ".join(match[1].split())
        symbols.append(
            f'<symbol id="{name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2"'
            f' stroke-linecap="round" stroke-linejoin="round">{shapes}</symbol>'
        )
    return "\n".join(['<svg xmlns="http://www.w3.org/2000/svg">', *symbols, "</svg>", ""]).encode()


def main() -> int:
    """Write the files, and what they hash to."""
    with tempfile.TemporaryDirectory() as folder:
        htmx, lucide = fetch(HTMX, Path(folder)), fetch(LUCIDE, Path(folder))
    made = {
        "htmx.min.js": htmx["dist/htmx.min.js"],
        "htmx.LICENSE": htmx["LICENSE"],
        "icons.svg": make_sprite(lucide),
        "lucide.LICENSE": lucide["LICENSE"],
    }
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, body in made.items():
        (TARGET / name).write_bytes(body)
    sums = "".join(f"{sha256(body).hexdigest()}  {name}\n" for name, body in sorted(made.items()))
    (TARGET / SUMS).write_text(f"# {HTMX}, {LUCIDE}\n{sums}")
    print(f"{TARGET.relative_to(ROOT)}: {', '.join(made)}")
    return 0


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return file.read() if file else b""


if __name__ == "__main__":
    sys.exit(main())
