"""Which server and key a client's word uses, and that a key goes nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.cli.configuration import Access, find_access
from sluice.cli.profiles import (
    ConfigurationRefused,
    Profile,
    Profiles,
    profiles_file,
    read_profiles,
    write_profiles,
)

HERE, THERE = "https://here.example", "https://there.example/sluice"
URL, KEY = {"SLUICE_URL": "https://told.example"}, {"SLUICE_API_KEY": "slc_told"}


@pytest.fixture(autouse=True)
def _own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def kept() -> Profiles:
    profiles = Profiles({"default": Profile(HERE, "slc_here"), "other": Profile(THERE, "slc_there")})
    write_profiles(profiles)
    return profiles


def project(directory: Path, text: str) -> Path:
    """The file of a project."""
    file = directory / ".sluice.toml"
    file.write_text(text)
    return file


def both(access: Access) -> tuple[str, str]:
    """What matters of it."""
    return access.url, access.key


def test_profiles_are_read_as_they_were_written(kept: Profiles) -> None:
    assert read_profiles() == kept


def test_nobody_else_can_read_profiles(kept: Profiles) -> None:
    assert profiles_file().stat().st_mode & 0o777 == 0o600
    assert profiles_file().parent.stat().st_mode & 0o777 == 0o700
    assert [each.name for each in profiles_file().parent.iterdir()] == ["profiles.toml"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_keys_that_others_may_read_are_refused_with_the_remedy(kept: Profiles, mode: int) -> None:
    profiles_file().chmod(mode)
    with pytest.raises(ConfigurationRefused, match="chmod 600"):
        read_profiles()


@pytest.mark.parametrize(
    "text",
    ["x =", "x = 1", "[x]\nurl = 1\nkey = ''", "[x]\nurl = ''"],
)
def test_a_file_of_another_form_is_refused_in_one_line(kept: Profiles, text: str) -> None:
    profiles_file().write_text(text)
    with pytest.raises(ConfigurationRefused) as refused:
        find_access(None, None, {})
    assert str(profiles_file()) in str(refused.value)
    assert "slc_" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "profile", "environment", "text", "found"),
    [
        (None, None, {}, "", (HERE, "slc_here")),
        (None, "other", URL | KEY, f"url = '{HERE}'", (THERE, "slc_there")),
        (THERE, "other", {}, "", (THERE, "slc_there")),
        (THERE + "/", None, URL, "", (THERE, "slc_there")),
        (THERE, None, URL | KEY, "", (THERE, "slc_told")),
        (None, None, URL | KEY, f"url = '{HERE}'", ("https://told.example", "slc_told")),
        (None, None, KEY, "", (HERE, "slc_told")),
        (None, None, {"SLUICE_PROFILE": "other"}, "profile = 'default'", (THERE, "slc_there")),
        (None, None, {}, "profile = 'other'", (THERE, "slc_there")),
        (None, None, KEY, f"url = '{THERE}'", (THERE, "slc_there")),
    ],
)
def test_options_go_before_variables_the_project_and_profiles(
    kept: Profiles,
    tmp_path: Path,
    url: str | None,
    profile: str | None,
    environment: dict[str, str],
    text: str,
    found: tuple[str, str],
) -> None:
    assert both(find_access(url, profile, environment, project(tmp_path, text))) == found


@pytest.mark.parametrize(
    ("url", "profile", "environment", "text", "why"),
    [
        (
            None,
            None,
            KEY,
            "url = 'https://stranger.example'",
            "SLUICE_API_KEY goes only to an address of yours",
        ),
        (None, None, {}, "url = 'https://stranger.example'", "for which there is no key"),
        ("https://stranger.example", None, {}, "", "there is no key for https://stranger.example"),
        (HERE, "other", KEY, "", "leave out --url, or --profile"),
        (None, "nothing", URL | KEY, "", "there is no profile 'nothing'; there are: default, other"),
        (None, None, {}, "api_key = 'slc_'", "'api_key'"),
        (None, None, {}, "url = 1", "url and profile are texts"),
        (None, None, {}, "url", "cannot be read"),
        ("ftp://x", None, KEY, "", "the address of a server"),
        ("http://", None, KEY, "", "the address of a server"),
        ("http://user:word@x", None, KEY, "", "the address of a server"),
        ("http://x:99999", None, KEY, "", "the address of a server"),
        ("http://x?key=1", None, KEY, "", "the address of a server"),
    ],
)
def test_what_is_wrong_is_refused_and_no_key_goes_to_strangers(
    kept: Profiles,
    tmp_path: Path,
    url: str | None,
    profile: str | None,
    environment: dict[str, str],
    text: str,
    why: str,
) -> None:
    with pytest.raises(ConfigurationRefused) as refused:
        find_access(url, profile, environment, project(tmp_path, text))
    assert why in str(refused.value)
    assert "slc_" not in str(refused.value).replace("slc_'", "")


def test_without_anything_it_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationRefused, match=r"SLUICE_URL.*sluice login --url"):
        find_access(None, None, {}, tmp_path / "none")


def test_a_key_is_not_shown_by_what_holds_it(kept: Profiles) -> None:
    assert "slc_" not in f"{kept} {find_access(None, None, {})}"
