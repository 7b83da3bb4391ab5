"""`make pictures` says what it lacks, and logs in before it takes the first picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra import pictures


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[bool, bool], None]:
    """A tree in which something runs or not, on a machine with a browser or without."""
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local/env").write_text("SLUICE_API_KEY=slc_id_secret\n")
    monkeypatch.setattr(pictures, "ROOT", tmp_path)
    monkeypatch.setattr(pictures, "PICTURES", tmp_path / "pictures")

    def set_up(browser: bool, runs: bool) -> None:
        class Program:
            alive = runs

        class Running:
            api, url, settings = Program, "http://here", {"SLUICE_UI": "true", "SLUICE_KEY_PEPPER": "p" * 32}

        monkeypatch.setattr("infra.pictures.shutil.which", lambda name: "/chromium" if browser else None)
        monkeypatch.setattr("infra.pictures.Stack.recorded", lambda _: Running)

    return set_up


def test_without_a_browser_or_a_stack_it_says_what_to_do(scene: Callable[[bool, bool], None]) -> None:
    scene(False, True)
    with pytest.raises(SystemExit, match="apt-get install chromium"):
        pictures.main()
    scene(True, False)
    with pytest.raises(SystemExit, match="make demo"):
        pictures.main()


def test_it_logs_in_and_then_takes_each_page(
    scene: Callable[[bool, bool], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    taken: list[list[str]] = []

    def take(command: list[str], **_: Any) -> None:
        taken.append(command)

    monkeypatch.setattr("infra.pictures.subprocess.run", take)
    scene(True, True)
    assert pictures.main() == 0
    assert taken[0][-1].startswith("http://here/ui/enter/id.")
    assert [each[-1] for each in taken[1:]] == [f"http://here/ui{path}" for path in pictures.PAGES.values()]
    assert len({each[-3] for each in taken}) == 1  # one profile, which keeps the cookie
    assert all(str(tmp_path / "pictures") in each[-2] for each in taken)
