"""A user's own project, outside the clone, with packages of the names that half of all projects have."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from infra.local.ports import free_port
from infra.local.servers import Servers
from sluice.core.taken_names import OURS
from tests.support.servers import empty, urls
from tests.support.stack import COMMAND, Stack, clean_environment

FILES = {
    "core/__init__.py": "",
    "core/rules.py": "LOUD = '!'",
    "utils/text.py": "def louder(text: str) -> str: return text.upper()",  # no __init__.py: a namespace package
    "adapters/__init__.py": "",
    "adapters/book.py": "from core.rules import LOUD",
    "infra/__init__.py": "WHERE = 'theirs'",
    "loadtests/__init__.py": "WHERE = 'theirs'",
    "handlers/__init__.py": "",
    "handlers/greet.py": """
        from pydantic import BaseModel
        from adapters.book import LOUD
        from infra import WHERE
        from loadtests import WHERE as WHERE_TOO
        from sluice import handler
        from utils.text import louder

        class Text(BaseModel):
            text: str

        @handler("own.greet")
        async def greet(given: Text) -> Text:
            return Text(text=" ".join([louder(given.text) + LOUD, WHERE, WHERE_TOO]))
        """,
    "jobs/__init__.py": "",
    "jobs/count.py": """
        from core.rules import LOUD
        from handlers.greet import Text
        from sluice import Context, handler

        @handler("own.count", runs_in="process")
        def count(given: Text, context: Context) -> Text:
            return Text(text=f"{len(given.text)}{LOUD}")
        """,
    "tests/helpers.py": "GREETING = 'hello'",
    "tests/test_greet.py": """
        from handlers.greet import greet
        from jobs.count import count
        from sluice.testing import run_handler
        from tests.helpers import GREETING

        def test_greets() -> None:
            assert run_handler(greet, {"text": GREETING}).text == "HELLO! theirs theirs"

        def test_counts() -> None:
            assert run_handler(count, {"text": GREETING}).text == "5!"
        """,
}
HANDLERS = "handlers.greet,jobs.count"


def write(project: Path, files: dict[str, str]) -> None:
    """Write the files of a project."""
    for name, text in files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(dedent(text))


def run(project: Path, *command: str | Path, **settings: str) -> tuple[int, str, str]:
    """Run a program in the project: exit status, stdout, stderr."""
    environment = clean_environment() | settings
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, without a word about where Sluice is."""
    directory = tmp_path_factory.mktemp("project")
    write(directory, FILES)
    return directory


@pytest.fixture(scope="module")
def running(
    shared_servers: Servers, project: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """`sluice api` and `sluice consumer`, started in the project; addresses and kinds are in its `.env`."""
    shared_servers.up()
    asyncio.run(empty(shared_servers))
    lines = [
        f"{name}={value}\n" for name, value in {**urls(shared_servers), "SLUICE_HANDLERS": HANDLERS}.items()
    ]
    (project / ".env").write_text("".join(lines))
    stack = Stack(shared_servers, tmp_path_factory.mktemp("logs"))
    stack.root, stack.launcher = project, [str(COMMAND)]
    try:
        asyncio.run(stack.start())
        yield stack
    finally:
        stack.stop()
        (project / ".env").unlink()


async def test_its_kinds_run_in_the_loop_and_in_processes(running: Stack) -> None:
    async with running.client() as client:
        kinds = (await client.get("/v1/kinds")).json()["kinds"]
        greeted = await client.post("/v1/kinds/own.greet/jobs?wait=30", json={"text": "good morning"})
        counted = await client.post("/v1/kinds/own.count/jobs?wait=30", json={"text": "good morning"})
    assert {kind["kind"] for kind in kinds} == {"own.greet", "own.count"}
    assert greeted.json()["result"] == {"text": "GOOD MORNING! theirs theirs"}
    assert counted.json()["result"] == {"text": "12!"}


def test_the_command_finds_its_kinds_and_its_settings(running: Stack, project: Path) -> None:
    status, out, err = run(project, COMMAND, "keys", "create", "--tenant", "acme")
    assert (status, err) == (0, "")
    assert re.fullmatch(r"slc_\w+\n", out)
    status, out, err = run(project, COMMAND, "check")
    assert (status, err) == (0, "")
    assert "2 kinds load" in out


def test_the_command_submits_its_kinds(running: Stack, project: Path) -> None:
    api = {"SLUICE_URL": running.url, "SLUICE_API_KEY": running.key}
    status, out, err = run(project, COMMAND, "run", "own.count", '{"text": "hello"}', **api)
    assert (status, out) == (0, '{"text":"5!"}\n'), err


def test_its_tests_run(project: Path) -> None:
    status, out, err = run(project, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert status == 0, out + err
    assert "2 passed" in out


@pytest.mark.parametrize("process", ["api", "consumer"])
@pytest.mark.parametrize("name", ["api", "consumer", "sluice"])
def test_a_package_of_a_taken_name_is_refused_in_a_line_that_names_both(
    servers: Servers, tmp_path: Path, process: str, name: str
) -> None:
    write(tmp_path, {f"{name}/__init__.py": "", f"{name}/kinds.py": FILES["handlers/greet.py"]})
    settings = urls(servers) | {"SLUICE_HANDLERS": f"{name}.kinds", "SLUICE_API_PORT": str(free_port())}
    status, out, err = run(tmp_path, COMMAND, process, **settings)
    assert (status, out, err.count("\n")) == (2, "", 1), err
    assert err.startswith("sluice: ")
    assert str(tmp_path / name / "__init__.py") in err
    assert str(OURS / name / "__init__.py") in err
    assert run(Path("/"), COMMAND, process, PYTHONPATH=str(tmp_path), **settings) == (status, out, err)


@pytest.mark.parametrize("process", ["api", "consumer"])
def test_a_listed_module_that_ours_hides_is_refused_in_a_line_that_names_both(
    servers: Servers, tmp_path: Path, process: str
) -> None:
    write(tmp_path, {"api/kinds.py": FILES["handlers/greet.py"]})  # no __init__.py, so ours comes before it
    settings = urls(servers) | {"SLUICE_HANDLERS": "api.kinds", "SLUICE_API_PORT": str(free_port())}
    status, out, err = run(tmp_path, COMMAND, process, **settings)
    assert (status, out, err.count("\n")) == (2, "", 1), err
    assert str(tmp_path / "api/kinds.py") in err
    assert str(OURS / "api/__init__.py") in err
