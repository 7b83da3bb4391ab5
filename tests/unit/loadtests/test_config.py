"""What the load may be aimed at."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests import config
from loadtests.config import NoTarget, Target, target

HERE = {"SLUICE_URL": "http://127.0.0.1:8000/", "SLUICE_API_KEY": "a key"}
NOWHERE = Path("/nonexistent/env")


def test_the_running_stack_is_found_by_what_it_left(tmp_path: Path) -> None:
    left = tmp_path / "env"
    left.write_text("SLUICE_URL=http://127.0.0.1:8000\nSLUICE_API_KEY='slc_a b'\n")

    assert target({}, left) == Target("http://127.0.0.1:8000", "slc_a b")


def test_the_environment_is_stronger_than_what_was_left(tmp_path: Path) -> None:
    left = tmp_path / "env"
    left.write_text("SLUICE_URL=http://127.0.0.1:1\nSLUICE_API_KEY=old\n")

    assert target(HERE, left) == Target("http://127.0.0.1:8000", "a key")


@pytest.mark.parametrize("missing", HERE)
def test_without_address_or_key_there_is_nothing_to_load(missing: str) -> None:
    with pytest.raises(NoTarget, match="make run"):
        target(HERE | {missing: ""}, NOWHERE)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://[::1]:8000", "http://localhost:8000"])
def test_this_machine_may_be_loaded(url: str) -> None:
    assert target(HERE | {"SLUICE_URL": url}, NOWHERE).url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.1",
        "https://example.org",
        "http://127.0.0.1.example.org",
        "http://0.0.0.0:8000",
        "nonsense",
    ],
)
def test_other_machines_are_refused_unless_allowed(url: str) -> None:
    with pytest.raises(NoTarget, match="not this machine"):
        target(HERE | {"SLUICE_URL": url}, NOWHERE)
    assert target(HERE | {"SLUICE_URL": url, config.ANYWHERE: "1"}, NOWHERE).url == url


def test_a_report_goes_where_the_environment_says(tmp_path: Path) -> None:
    assert config.report_directory({}) == config.REPORTS
    assert config.report_directory({config.DIRECTORY: str(tmp_path)}) == tmp_path
