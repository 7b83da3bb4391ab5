"""Where the server is and which key to send: arguments, then SLUICE_URL and SLUICE_API_KEY, then a profile.

A profile is a table of `profiles.toml`, in the directory where this system keeps the configuration of a user:

    [staging]
    url = "https://sluice.staging.example"
    key = "slc_…"
"""

from __future__ import annotations

import os
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from sluice.address import read_address
from sluice.errors import SluiceError

URL, KEY, PROFILE = "SLUICE_URL", "SLUICE_API_KEY", "SLUICE_PROFILE"


class Misconfigured(SluiceError):
    """The client does not know where the server is, or cannot use what it was told."""


@dataclass(frozen=True, slots=True)
class Config:
    """`url` is where the API is, without /v1; `key` is not shown."""

    url: str
    key: str = field(default="", repr=False)
    profile: str | None = None


def find_config(url: str | None = None, key: str | None = None, profile: str | None = None) -> Config:
    """Put together what was given, what the environment says, and the profile. Raises Misconfigured.

    The key of a profile that only the environment names goes to no other server than its own.
    """
    name = profile or (None if url and key else os.environ.get(PROFILE))
    known = read_profile(name) if name else {}
    if profile:  # it was asked for in so many words: before the environment
        url, key = url or known.get("url"), key or known.get("key")
    url = url or os.environ.get(URL) or known.get("url")
    key = key or os.environ.get(KEY) or (known.get("key") if url == known.get("url") else None)
    if not url:
        raise Misconfigured(
            f"Say where the server is: Sluice(url=…), {URL}, or a profile in {profiles_path()}."
        )
    return Config(_checked(url), _visible(key or ""), name)


def profiles_path() -> Path:
    """Return the file of the profiles."""
    if sys.platform == "win32":
        root = Path(os.environ.get("APPDATA") or Path.home() / "AppData/Roaming")
    elif sys.platform == "darwin":
        root = Path.home() / "Library/Application Support"
    else:
        root = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return root / "sluice" / "profiles.toml"


def read_profile(name: str) -> dict[str, str]:
    """Return the profile of this name. Raises Misconfigured."""
    path = profiles_path()
    try:
        profiles = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise Misconfigured(f"The profile {name!r} cannot be read: {path}: {error.strerror}.") from None
    except ValueError as error:
        raise Misconfigured(f"{path} is no TOML: {error}.") from None
    found = profiles.get(name)
    if not isinstance(found, dict):
        raise Misconfigured(f"{path} has no profile {name!r}; it has {', '.join(profiles) or 'none'}.")
    return {key: value for key, value in found.items() if isinstance(value, str)}


def _checked(url: str) -> str:
    address = read_address(url)
    if address is None:
        raise Misconfigured(
            "The address of the server has the form http://host:port or https://host/prefix, without a password."
        )
    return address


def _visible(key: str) -> str:
    if not key.isascii() or any(not 33 <= ord(each) <= 126 for each in key):
        raise Misconfigured("The API key has characters that no key has.")
    return key
