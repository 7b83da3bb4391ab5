"""What is suggested while a line is typed: what was heard within a minute, by this key, and nothing that a shell would obey."""

from __future__ import annotations

import json
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from sluice.cli import app, suggestions
from sluice.cli.suggestions import keep, suggest
from tests.support.scripted_server import ScriptedServer, answer, problem, scripted

KEY = "slc_2r8Pi8FrTJgt_secret_x"
Suggest = Callable[..., list[str]]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Suggest:
    """Suggest for this text, with these options on the line; who asks is in this process, and is waited for."""
    monkeypatch.chdir(tmp_path)
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("SLUICE_API_KEY", KEY)
    monkeypatch.delenv("SLUICE_URL", raising=False)
    monkeypatch.setattr(suggestions, "_ask_apart", keep)

    def ask(name: str, text: str = "", **options: Any) -> list[str]:
        context = typer.Context(get_command(app))
        context.params = options
        return suggest(name)(context, text)

    return ask


def kinds(*names: Any) -> Any:
    """An answer of the server."""
    return answer(200, {"kinds": [{"kind": name, "lane": "default"} for name in names]})


def files(directory: Path) -> list[Path]:
    """What is kept."""
    return sorted((directory / "sluice").iterdir())


def test_what_was_heard_is_kept_for_a_minute(said: Suggest, tmp_path: Path) -> None:
    with scripted(kinds("demo.sum", "text.words"), kinds("new")) as server:
        assert said("kinds", "demo", url=server.url) == ["demo.sum"]
        assert said("kinds", url=server.url) == ["demo.sum", "text.words"]
        assert len(server.received) == 1
        [file] = files(tmp_path)
        kept = json.loads(file.read_text())
        assert 55 < kept["until"] - time.time() <= 60
        for until in (time.time() - 1, time.time() + 3_600):
            file.write_text(json.dumps(kept | {"until": until}))
            assert said("kinds", url=server.url) == ["new"]


@pytest.mark.parametrize("text", ["", "[]", '{"until": "x", "values": []}', "\0", '{"until": 1e999}'])
def test_what_is_kept_and_cannot_be_read_is_asked_for_again(said: Suggest, tmp_path: Path, text: str) -> None:
    with scripted(kinds("demo.sum")) as server:
        said("kinds", url=server.url)
        files(tmp_path)[0].write_text(text)
        assert said("kinds", url=server.url) == ["demo.sum"]


def test_each_key_and_server_has_its_own(
    said: Suggest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted(kinds("mine"), kinds("theirs")) as one, scripted(kinds("elsewhere")) as other:
        assert said("kinds", url=one.url) == ["mine"]
        assert said("kinds", url=other.url) == ["elsewhere"]
        monkeypatch.setenv("SLUICE_API_KEY", KEY + "y")
        assert said("kinds", url=one.url) == ["theirs"]
        monkeypatch.setenv("SLUICE_API_KEY", KEY)
        assert said("kinds", url=one.url) == ["mine"]
        assert said("lanes of kinds", url=one.url) == ["default"]
    assert len(files(tmp_path)) == 4
    assert "secret" not in "".join(each.name + each.read_text() for each in files(tmp_path))


def test_nobody_else_may_read_what_is_kept(said: Suggest, tmp_path: Path) -> None:
    with scripted(kinds("demo.sum")) as server:
        said("kinds", url=server.url)
    [file] = files(tmp_path)
    assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)) == (0o600, 0o700)


def test_nothing_that_a_shell_would_obey_is_suggested(said: Suggest, tmp_path: Path) -> None:
    with scripted(kinds("$(touch x)", "a b", "`x`", "-o", "a\n", 7, None, "good")) as server:
        assert said("kinds", url=server.url) == []  # a name that is a number is none of ours
    with scripted(kinds("$(touch x)", "a b", "`x`", "-o", "a\n", None, "good")) as server:
        assert said("kinds", url=server.url) == ["good"]
        file = max(files(tmp_path), key=lambda each: each.stat().st_mtime)
        file.write_text(json.dumps({"until": time.time() + 30, "values": ["$(touch x)", "a b", "kept"]}))
        assert said("kinds", url=server.url) == ["kept"]


def test_who_gets_no_answer_does_not_ask_at_every_key(said: Suggest) -> None:
    server: ScriptedServer
    with scripted(problem(403, "forbidden"), kinds("demo.sum")) as server:
        for _ in range(3):
            assert said("kinds", url=server.url) == []
        assert len(server.received) == 1


def test_without_a_server_nothing_is_suggested(said: Suggest) -> None:
    assert said("kinds") == said("jobs", url="nonsense") == said("kinds", profile="none") == []


def test_what_is_old_is_dropped(said: Suggest, tmp_path: Path) -> None:
    import os

    with scripted(kinds("demo.sum")) as server:
        said("kinds", url=server.url)
        [file] = files(tmp_path)
        os.utime(file, (time.time() - 200_000,) * 2)
        said("lanes of kinds", url=server.url)
    assert file not in files(tmp_path)
