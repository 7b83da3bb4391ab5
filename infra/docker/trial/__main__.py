"""`make test-containers`: check the files, build the image, bring everything up, and run tests/containers against it.

Where an engine answers, it is used, with images that it pulls. Where none does, one is started for this trial alone and
deleted afterwards; that takes root and Debian's packages.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from infra.checks import tools
from infra.docker.trial import images
from infra.docker.trial.engine import Docker, Engine
from infra.local import programs
from infra.local.daemon import StartError
from infra.local.display import step
from infra.local.run_as import temporary_directory
from sluice import __version__

ROOT = Path(__file__).parents[3]
CACHE = ROOT / ".local" / "containers"


def main() -> int:
    """Exit status 0 where everything held."""
    console = Console(highlight=False)
    try:
        with step(console, "tools"):
            tools.install()
        with step(console, "lint"):
            lint()
        with engine_with_image(console) as docker:
            return test(docker)
    except subprocess.CalledProcessError as error:
        console.print(f"{error}\n{error.output or ''}", style="red", markup=False, soft_wrap=True)
    except (StartError, programs.ProgramMissing, subprocess.TimeoutExpired) as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
    return 1


def lint() -> None:
    """What can be said of the files without an engine."""
    Docker({}).run(sys.executable, "-m", "infra.checks", "Dockerfiles", "Compose", cwd=ROOT)


@contextmanager
def engine_with_image(console: Console) -> Iterator[Docker]:
    """An engine that holds our image and those of the servers."""
    there = Docker({})
    if there.says_yes("docker", "info") and there.says_yes("docker", "compose", "version"):
        with step(console, "build") as shown:
            there.run("docker", "compose", "build", f"--build-arg=VERSION={__version__}", cwd=ROOT)
            shown.note = "on the engine of this machine"
        yield there
        return
    programs.ensure(["dockerd", "ip"])
    # Not below .local: the path of a socket may have 108 characters at most.
    directory = temporary_directory("sluice-engine-")
    try:
        build_on_the_network(console, directory)
        with running(Engine(directory, tools.program("docker-compose"), alone=True)) as docker:
            yield docker
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def build_on_the_network(console: Console, directory: Path) -> None:
    """First life of our own engine: it gets its images."""
    with running(Engine(directory, tools.program("docker-compose"), alone=False)) as docker:
        with step(console, "images") as shown:
            made = images.provide(docker, CACHE)
            shown.note = f"stand-ins for {', '.join(made)}" if made else "pulled"
        with step(console, "build") as shown:
            images.build(docker, ROOT, __version__, network="host")
            shown.note = f"sluice:local, {__version__}"


@contextmanager
def running(engine: Engine) -> Iterator[Docker]:
    """The engine, stopped in any case."""
    try:
        engine.start()
        yield engine.docker
    finally:
        engine.stop()


def test(docker: Docker) -> int:
    """Run the tests where the engine's ports are; their exit status."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "tests/containers",
        "-v",
        "--durations=0",
        "--timeout=300",
        *sys.argv[1:],
    ]
    env = {**os.environ, **docker.env}
    return subprocess.run([*docker.prefix, *command], env=env, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
