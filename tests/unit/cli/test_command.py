"""The command `sluice`: its help, what it refuses, and what it can do without the libraries of the servers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import PathFinder
from pathlib import Path
from typing import get_args

import pytest
import typer

from sluice import __version__
from sluice.cli import app, main, schedules
from sluice.core.runtime.given_settings import PREFIX
from sluice.core.runtime.settings_example import example
from sluice.core.schedule import CatchUp
from sluice.core.taken_names import OURS

Said = tuple[int, str, str]
HEAVY = {
    "asyncpg",
    "aio_pika",
    "fastapi",
    "sqlalchemy",
    "redis",
    "polars",
    "matplotlib",
    "cronsim",
    "uvicorn",
}
REQUIRED = {
    "POSTGRES_URL": "postgresql://u:p@127.0.0.1:1/d",
    "REDIS_URL": "redis://h/",
    "KEY_PEPPER": "x" * 16,
}


def words_of(application: typer.Typer, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every word, with its group in front."""
    for command in application.registered_commands:
        assert command.callback is not None
        yield (*before, command.name or command.callback.__name__)
    for group in application.registered_groups:
        assert group.typer_instance is not None
        assert group.name is not None
        if callable(group.typer_instance.info.callback):
            yield (*before, group.name)
        yield from words_of(group.typer_instance, (*before, group.name))


@pytest.fixture
def say(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Said]:
    """The command in this process: exit status, stdout, stderr. PostgreSQL is away."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("SLUICE_URL", "SLUICE_API_KEY", "SLUICE_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in REQUIRED.items():
        monkeypatch.setenv(f"{PREFIX}{name}", value)

    def run(*words: str) -> Said:
        status = main(words)
        return status, *capsys.readouterr()

    return run


@pytest.mark.parametrize("words", list(words_of(app)), ids=" ".join)
def test_the_help_of_every_word_has_an_example_and_its_exit_statuses(
    say: Callable[..., Said], words: tuple[str, ...]
) -> None:
    status, out, err = say(*words, "--help")
    assert (status, err) == (0, "")
    assert f"  sluice {' '.join(words)}" in out.split("Examples:\n")[1]
    assert "\n    0  " in out.split("Exit status:")[1]


def test_alone_it_shows_its_help(say: Callable[..., Said]) -> None:
    assert say() == say("--help")
    status, out, err = say()
    assert (status, err) == (0, "")
    assert all(f"  {word} " in out for word in ("keys", "schedules", "migrate", "verify", "api", "consumer"))


def test_it_knows_its_version(say: Callable[..., Said]) -> None:
    assert say("--version") == (0, f"sluice {__version__}\n", "")


def test_settings_are_printed_as_the_file_of_the_example(say: Callable[..., Said]) -> None:
    assert say("settings") == (0, example(), "")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("destroy", "destroy"),
        ("--nothing", "--nothing"),
        ("keys", "see `sluice keys --help`"),
        ("keys destroy", "destroy"),
        ("keys create --tenant No.Dots", "a tenant is 1 to 64"),
        (
            "keys create --tenant a --scopes submit,everything",
            "scopes are of submit, read, payloads, admin, operate",
        ),
        ("keys create --tenant a --scopes=", "scopes are of"),
        ("keys create --tenant a --expires-days 0", "--expires-days"),
        ("keys create --tenant a --expires-days 36501", "--expires-days"),
        ("keys create --tenant a --expires-days soon", "--expires-days"),
        ("keys revoke", "ID"),
        ("keys list more", "more"),
        ("schedules set n demo.sum", "--cron"),
        ("schedules set n demo.sum --cron x --catch-up some", "'one', 'none', 'all'"),
        ("schedules show", "NAME"),
        ("verify --newest 0", "--newest"),
        ("verify --newest 1000000001", "--newest"),
        ("verify --seconds soon", "--seconds"),
        ("probe", "URL"),
        ("probe elsewhere", "elsewhere is not an address"),
        ("run", "see `sluice run --help`"),
        ("get x", "is no id of a job"),
        ("list --since soon", "'--since'"),
        ("kinds", "no server is named"),
        ("kinds --url nowhere", "the address of a server"),
        ("cancel", "either IDs, or --filter"),
        ("completion dos", "'bash', 'zsh', 'fish'"),
    ],
)
def test_wrong_words_are_refused_in_one_line(say: Callable[..., Said], line: str, why: str) -> None:
    status, out, err = say(*line.split())
    assert (status, out, err.count("\n")) == (2, "", 1), err
    assert err.startswith("sluice: ")
    assert why in err


@pytest.mark.parametrize(
    "line",
    [
        "migrate",
        "verify",
        "keys list --record",
        "keys peppers",
        "keys create --tenant a",
        "keys revoke 2r8Pi8FrTJgt --record",
    ],
)
def test_a_record_that_is_away_is_one_line(say: Callable[..., Said], line: str) -> None:
    status, out, err = say(*line.split())
    assert (status, out, err.count("\n")) == (2, "", 1), err
    assert err.startswith("sluice: ")


@pytest.mark.parametrize(
    "address", ["nonsense", "postgresql://a:b@127.0.0.1:x/c", "postgresql://a:b@127.0.0.1:99999/c"]
)
def test_a_wrong_address_of_the_record_is_one_line(
    say: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("SLUICE_POSTGRES_URL", address)
    status, out, err = say("migrate")
    assert (status, out, err.count("\n")) == (2, "", 1)


def test_a_key_submits_and_reads_for_ever_unless_told_otherwise(
    say: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    async def create_key(_: object, *given: object) -> str:
        asked.append(given)
        return "slc_"

    monkeypatch.setattr("api.keys.admin.create_key", create_key)
    assert say("keys", "create", "--tenant", "acme") == (0, "slc_\n", "")
    say("keys", "create", "--tenant", "acme", "--scopes", "admin", "--expires-days", "30")
    assert asked == [("acme", {"submit", "read", "payloads"}, None, None), ("acme", {"admin"}, 30, None)]


@pytest.mark.parametrize("name", ["api", "consumer"])
def test_a_process_is_started_by_its_word_and_ends_with_its_status(
    say: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(f"{name}.serving.main", lambda *_: 7)
    assert say(name) == (7, "", "")


def test_what_missed_ticks_come_to_has_the_words_of_the_core() -> None:
    assert get_args(schedules.CATCH_UP) == tuple(CatchUp)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("asyncpg", "pip install '.[server]'"),
        ("api", "make setup"),
        ("consumer", "container image"),
    ],
)
def test_what_is_not_installed_is_said_with_how_to_get_it(
    say: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    def missing(*_: object) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr("sluice.adapters.postgres.migrate.migrate", missing)
    status, out, err = say("migrate")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("sluice: ")
    assert name in err
    assert words in err


def test_a_module_of_ours_that_is_missing_is_a_fault_and_not_hidden(
    say: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'sluice.gone'", name="sluice.gone")

    monkeypatch.setattr("sluice.adapters.postgres.migrate.migrate", missing)
    with pytest.raises(ModuleNotFoundError):
        say("migrate")


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        ("import sluice", HEAVY | {"pydantic", "typer", "rich"}),
        ("from sluice.cli import main; main([])", HEAVY | {"asyncio", "httpx2", "rich"}),
    ],
)
def test_neither_a_handler_nor_help_waits_for_a_heavy_library(statement: str, heavy: set[str]) -> None:
    code = f"{statement}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}}, file=sys.stderr)"
    ended = subprocess.run([sys.executable, "-c", code], cwd=OURS, capture_output=True, text=True, check=True)
    assert heavy.isdisjoint(ended.stderr.split())


def test_modules_are_found_in_the_working_directory_before_all_others(
    say: Callable[..., Said], tmp_path: Path
) -> None:
    (tmp_path / "tests.py").touch()
    say("check")
    found = PathFinder.find_spec("tests")
    assert found is not None
    assert found.origin == str(tmp_path / "tests.py")


def test_our_own_tree_is_looked_at_last(say: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(OURS)
    say("check")
    assert sys.path[-1] == str(OURS)


@pytest.mark.parametrize("word", ["api", "consumer", "check"])
def test_a_package_of_a_taken_name_in_the_working_directory_is_refused(
    say: Callable[..., Said], tmp_path: Path, word: str
) -> None:
    (tmp_path / "api").mkdir()
    (tmp_path / "api/__init__.py").touch()
    status, out, err = say(*word.split())
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert str(tmp_path / "api/__init__.py") in err
    assert str(OURS / "api/__init__.py") in err


@pytest.mark.parametrize("name", ["api", "consumer"])
def test_a_process_beside_a_foreign_package_called_sluice_is_refused_in_one_line(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "sluice").mkdir()
    foreign = tmp_path / "sluice/__init__.py"
    foreign.write_text("print('imported')")
    environment = {f"{PREFIX}{key}": value for key, value in REQUIRED.items()} | {"PYTHONPATH": str(OURS)}
    ended = subprocess.run(
        [sys.executable, "-m", name],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1), ended.stderr
    assert ended.stderr.startswith(f"sluice: {foreign} hides {OURS}/sluice/__init__.py")


def command(words: str, where: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a shell, with its output going there; its status is the last line of stderr."""
    program = f"'{sys.executable}' -c 'import sys; from sluice.cli import main; sys.exit(main())'"
    return subprocess.run(
        ["/bin/sh", "-c", f"( {program} {words}; echo status $? >&2 ) {where}"],
        cwd=OURS, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip


@pytest.mark.parametrize("words", ["settings", "--help", "check"])
def test_whoever_stops_reading_ends_it_without_a_word(words: str) -> None:
    environment = {f"{PREFIX}{key}": value for key, value in REQUIRED.items()}
    done = command(words, "| sh -c 'exec <&-; sleep 3'", **environment)
    assert done.stderr == "status 141\n"


def test_an_answer_that_cannot_be_written_is_one_line() -> None:
    done = command("settings", ">/dev/full")
    assert done.stderr == "sluice: the answer could not be written: No space left on device\nstatus 2\n"


@pytest.mark.parametrize(
    "encoding", [{"PYTHONIOENCODING": "ascii"}, {"LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}]
)
def test_a_character_that_the_terminal_cannot_show_is_written_in_another_way(
    encoding: dict[str, str],
) -> None:
    program = (
        "import sluice.cli as cli\n"
        "cli.app.command('speak')(lambda: print('caf\\xe9 \\u2714'))\nraise SystemExit(cli.main(['speak']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=OURS, env=encoding, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, b"caf\\xe9 \\u2714\n")


def test_settings_and_handlers_are_checked_without_a_start(
    say: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    status, out, err = say("check")
    assert (status, err) == (0, "")
    assert "demo.sum" in out
    monkeypatch.setenv("SLUICE_SERVE_LANES", "fast")
    status, out, err = say("check")
    assert (status, out, err.count("\n"), "'fast'" in err) == (2, "", 1, True)
