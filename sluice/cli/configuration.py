"""Which server a command speaks to, and with which key: options before variables, the file of the project, profiles.

A key goes only where it was meant to go. The file of a project comes with the project, so an address that it names gets no key but
the one that was kept for this address.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sluice.address import read_address
from sluice.cli.profiles import DEFAULT, ConfigurationRefused, Profile, Profiles, read_profiles

PROJECT_FILE = ".sluice.toml"
_URL, _KEY, PROFILE = "SLUICE_URL", "SLUICE_API_KEY", "SLUICE_PROFILE"
_HOW = f"set {_URL} and {_KEY}, or keep them with `sluice login --url URL`"


@dataclass(frozen=True, slots=True)
class Access:
    """Where the server is, the key for it, and who said so."""

    url: str
    key: str = field(repr=False)
    url_from: str
    key_from: str


def find_access(
    url: str | None,
    profile: str | None,
    environment: Mapping[str, str] = os.environ,
    project: Path = Path(PROJECT_FILE),
) -> Access:
    """Find address and key; `url` and `profile` are the options of the command. Raises ConfigurationRefused."""
    profiles = read_profiles()
    if profile:
        return _of_profile(profiles, profile, url)
    if given := url or environment.get(_URL):
        return _of_given_url(check_url(given), "--url" if url else _URL, environment, profiles)
    told = _read_project(project)
    if "url" in told:
        return _of_project(check_url(told["url"]), project, profiles, environment)
    name = environment.get(PROFILE) or told.get("profile")
    if not name and DEFAULT not in profiles.named:
        raise ConfigurationRefused(f"no server is named: {_HOW}")
    found = _of_profile(profiles, name or DEFAULT, None)
    key = environment.get(_KEY)
    return Access(found.url, key, found.url_from, _KEY) if key else found


def check_url(text: str) -> str:
    """Return an address as it is compared and used. Raises ConfigurationRefused if it is none of an api."""
    address = read_address(text)
    if address is None:
        raise ConfigurationRefused(
            "the address of a server is http://HOST:PORT or https://HOST, perhaps with a path"
        )
    return address


def _of_given_url(url: str, source: str, environment: Mapping[str, str], profiles: Profiles) -> Access:
    if key := environment.get(_KEY):
        return Access(url, key, source, _KEY)
    if kept := profiles.of_url(url):
        return Access(url, kept.key, source, "the profile of this address")
    raise ConfigurationRefused(f"there is no key for {url}: set {_KEY}, or `sluice login --url {url}`")


def _of_project(url: str, file: Path, profiles: Profiles, environment: Mapping[str, str]) -> Access:
    if kept := profiles.of_url(url):
        return Access(url, kept.key, str(file), "the profile of this address")
    apart = f"; {_KEY} goes only to an address of yours: set {_URL}" if environment.get(_KEY) else ""
    raise ConfigurationRefused(
        f"{file} names {url}, for which there is no key: `sluice login --url {url}`{apart}"
    )


def _of_profile(profiles: Profiles, name: str, url: str | None) -> Access:
    found: Profile | None = profiles.named.get(name)
    if found is None:
        known = ", ".join(sorted(profiles.named)) or "none"
        raise ConfigurationRefused(f"there is no profile {name!r}; there are: {known}")
    if url and check_url(url) != found.url:
        raise ConfigurationRefused(f"the profile {name!r} is of {found.url}: leave out --url, or --profile")
    return Access(check_url(found.url), found.key, f"the profile {name!r}", f"the profile {name!r}")


def _read_project(file: Path) -> dict[str, str]:
    try:
        told = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigurationRefused(f"{file} cannot be read: {error}") from None
    if strange := sorted(told.keys() - {"url", "profile"}):
        raise ConfigurationRefused(
            f"{file} has {strange[0]!r}, and may have only url or profile; keys are in profiles"
        )
    if not all(isinstance(each, str) for each in told.values()):
        raise ConfigurationRefused(f"{file}: url and profile are texts")
    return told
