"""`make release-check`: the version, the changelog, wheel and source archive twice, a fresh environment, the bill of materials.

With `--tag v1.2.3`, the version must be that of the tag and the changelog must have something to say of it.
With `--bump minor` (or `major`, `patch`), nothing is checked: a commit is made with the next version and its heading.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from infra.checks import tools
from infra.local.display import step
from sluice import __version__

DIST = tools.ROOT / "dist"
_MADE_OF = ("sluice", "pyproject.toml", "README.md", "LICENSE")
_HEADING = re.compile(r"^## \[(?P<version>[^]]+)](?: - (?P<date>\S+))?$", re.MULTILINE)


class NotFit(Exception):
    """This cannot be released; the message says why."""


def main(arguments: Sequence[str]) -> int:
    """Exit status 0 where all of it held, 1 where something did not, 2 where the arguments are none of these."""
    console = Console(highlight=False)
    try:
        match arguments:
            case []:
                check(console)
            case ["--tag", tag]:
                check(console, tag)
            case ["--bump", part]:
                console.print(f"{__version__} → {bump(part)}")
            case _:
                console.print(
                    "usage: python -m infra.release [--tag v1.2.3 | --bump major|minor|patch]", markup=False
                )
                return 2
    except (NotFit, subprocess.CalledProcessError) as error:
        said = getattr(error, "stdout", "") or ""
        console.print(f"{error}\n{said}", style="red", markup=False, soft_wrap=True)
        return 1
    return 0


def check(console: Console, tag: str = "") -> None:
    """Go through everything, a line for each. Raises NotFit or CalledProcessError."""
    with step(console, "version") as shown:
        shown.note = check_version(__version__, (tools.ROOT / "CHANGELOG.md").read_text(), tag)
    with step(console, "tools"):
        tools.install()
    with step(console, "build") as shown:
        shown.note = build_twice(DIST)
    with step(console, "install") as shown:
        shown.note = install_and_ask(DIST)
    with step(console, "materials") as shown:
        shown.note = list_materials(DIST / "sluice.cdx.json")


def bump(part: str, root: Path = tools.ROOT, version: str = __version__) -> str:
    """Commit the next version and its heading in the changelog; return it. Raises CalledProcessError on changes that wait."""
    tools.install()
    words = ("bump", f"--current-version={version}", part)
    _run(str(tools.program("bump-my-version")), *words, cwd=root)
    found = re.search(r'^__version__ = "(.+)"$', (root / "sluice/__init__.py").read_text(), re.MULTILINE)
    if found is None or found[1] == version:
        raise NotFit("sluice/__init__.py has no new version")
    return found[1]


def check_version(version: str, changelog: str, tag: str = "") -> str:
    """Hold version, changelog and tag together. Raises NotFit."""
    if tag and tag != f"v{version}":
        raise NotFit(f"the tag is {tag}, and sluice/__init__.py says {version}")
    headings = list(_HEADING.finditer(changelog))
    newest = next((each for each in headings if each["version"] != "Unreleased"), None)
    if newest is None or newest["version"] != version:
        raise NotFit(f"the newest release in CHANGELOG.md is not {version}: `make bump` writes both")
    date.fromisoformat(newest["date"] or "")
    if tag and not section(changelog, version):
        raise NotFit(f"CHANGELOG.md says nothing of {version}")
    return f"{version} of {newest['date']}"


def section(changelog: str, version: str) -> str:
    """Return what the changelog says of a version."""
    parts = _HEADING.split(changelog)
    return next((parts[at + 2].strip() for at in range(1, len(parts), 3) if parts[at] == version), "")


def build_twice(dist: Path, made_of: Path = tools.ROOT) -> str:
    """Build wheel and source archive into `dist`, then once more from copies of other times. Raises NotFit if they differ."""
    shutil.rmtree(dist, ignore_errors=True)
    with TemporaryDirectory(prefix="sluice-release-") as scratch:
        first = _build(_copied(made_of, Path(scratch, "a")), dist)
        second = _build(_copied(made_of, Path(scratch, "b", "deeper")), Path(scratch, "again"))
    if first != second:
        raise NotFit(f"two builds of the same files differ: {first} and {second}")
    _run(str(tools.program("twine")), "check", "--strict", *(str(dist / name) for name in first))
    return f"{', '.join(first)}: twice the same"


def _copied(root: Path, target: Path) -> Path:
    """Copy without times: what was copied later is newer."""
    target.mkdir(parents=True)
    for name in _MADE_OF:
        source = root / name
        if source.is_dir():
            shutil.copytree(
                source,
                target / name,
                copy_function=shutil.copyfile,
                ignore=shutil.ignore_patterns("__pycache__"),
            )
        else:
            shutil.copyfile(source, target / name)
    return target


def _build(source: Path, dist: Path) -> dict[str, str]:
    """Return the hashes of what was built, by name."""
    python = str(tools.program("python"))
    env = {**os.environ, "SOURCE_DATE_EPOCH": str(commit_time())}
    _run(python, "-m", "build", "--no-isolation", f"--outdir={dist}", str(source), env=env)
    return {file.name: sha256(file.read_bytes()).hexdigest() for file in sorted(dist.iterdir())}


def commit_time() -> int:
    """Return when the last commit was made, in seconds since 1970: the time of every file in what is built."""
    return int(_run("git", "log", "-1", "--format=%ct"))


def install_and_ask(dist: Path) -> str:
    """Install the wheel alone, within the versions of the lock, and ask it who it is. Raises NotFit."""
    (wheel,) = dist.glob("*.whl")
    with TemporaryDirectory(prefix="sluice-release-") as directory:
        python = f"{directory}/venv/bin/python"
        uv = (sys.executable, "-m", "uv")
        _run(*uv, "venv", "--quiet", f"{directory}/venv")
        bounds = Path(directory, "bounds.txt")
        bounds.write_text(without_hashes((tools.ROOT / "requirements.txt").read_text()))
        _run(*uv, "pip", "install", "--quiet", f"--python={python}", "-c", str(bounds), str(wheel))
        _run(*uv, "pip", "check", "--quiet", f"--python={python}")
        said = _run(f"{directory}/venv/bin/sluice", "--version", cwd=directory).strip()
        found = _run(python, "-c", "import sluice, sluice.testing; print(sluice.__file__)", cwd=directory)
    if said != f"sluice {__version__}" or not found.startswith(directory):
        raise NotFit(f"what was installed says {said!r}, from {found}")
    return said


def without_hashes(lock: str) -> str:
    """Return the versions of a lock as bounds, which take neither hashes nor extras."""
    names = re.findall(r"^([\w.-]+)(?:\[[^]]*])?(==[^ ;\\]+)([^\\\n]*)", lock, re.MULTILINE)
    return "".join(f"{name}{version}{marker.rstrip()}\n" for name, version, marker in names)


def list_materials(file: Path, *, validate: bool = True) -> str:
    """Write what the lock holds as CycloneDX, the same for the same lock. Raises NotFit if an entry is missing.

    Validating against the schema takes ten seconds of processor time.
    """
    lock = tools.ROOT / "requirements.txt"
    _run(
        str(tools.program("cyclonedx-py")), "requirements", f"--pyproject={tools.ROOT / 'pyproject.toml'}",
        "--output-reproducible", "--of=JSON", "--validate" if validate else "--no-validate", f"--output-file={file}", str(lock),
    )  # fmt: skip
    document: dict[str, Any] = json.loads(file.read_text())
    listed = {_normal(each["name"]) for each in document["components"]}
    locked = {
        _normal(name) for name in re.findall(r"^([\w.-]+)(?:\[[^]]*])?==", lock.read_text(), re.MULTILINE)
    }
    if listed != locked:
        raise NotFit(f"{file.name} and the lock differ in {sorted(listed ^ locked)}")
    return f"{len(listed)} packages in dist/{file.name}"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _run(*command: str, **options: Any) -> str:
    """Return what a command says; raises CalledProcessError with that."""
    done = subprocess.run(
        command, check=True, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        **({"cwd": tools.ROOT} | options),
    )  # fmt: skip
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
