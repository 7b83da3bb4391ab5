"""Profiles: addresses and keys that `sluice login` has kept, in a file that only its owner may read."""

from __future__ import annotations

import json
import os
import stat
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sluice.errors import SluiceError

DEFAULT = "default"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class ConfigurationRefused(SluiceError):
    """What says where the server is, and with which key, is missing or wrong."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Where a server is, and the key for it."""

    url: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Profiles:
    """Every profile by its name."""

    named: Mapping[str, Profile]

    def of_url(self, url: str) -> Profile | None:
        """Return the profile of this address; if there are several, the default, or the first by name."""
        ordered = sorted(self.named, key=lambda name: (name != DEFAULT, name))
        return next((self.named[name] for name in ordered if self.named[name].url == url), None)


def profiles_file() -> Path:
    """Return where profiles are kept: where the client looks for them."""
    from sluice.client.config import profiles_path

    return profiles_path()


def read_profiles() -> Profiles:
    """Read the file; there are none without it. Raises ConfigurationRefused if others may read it, or it has another form."""
    path = profiles_file()
    try:
        if os.name == "posix" and path.stat().st_mode & _OTHERS:
            raise ConfigurationRefused(f"{path} holds keys, and others may read it: chmod 600 '{path}'")
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Profiles({})
    except (OSError, ValueError) as error:
        raise ConfigurationRefused(f"{path} cannot be read: {error}") from None
    try:
        return Profiles({name: _profile(value) for name, value in values.items()})
    except (KeyError, TypeError):
        raise ConfigurationRefused(
            f"{path} has another form than `sluice login` gives it: [NAME], with a url and a key as texts"
        ) from None


def write_profiles(profiles: Profiles) -> Path:
    """Replace the file, which nobody else may read at any moment; return where it is. Raises OSError."""
    path = profiles_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lines = []
    for name, each in sorted(profiles.named.items()):
        lines += [
            f"[{json.dumps(name)}]",
            f"url = {json.dumps(each.url)}",
            f"key = {json.dumps(each.key)}",
            "",
        ]
    number, new = tempfile.mkstemp(dir=path.parent, prefix=".profiles-")  # with mode 0600
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write("\n".join(lines))
        Path(new).replace(path)
    except BaseException:
        Path(new).unlink(missing_ok=True)
        raise
    return path


def _profile(value: Any) -> Profile:
    return Profile(_text(value["url"]).rstrip("/"), _text(value["key"]))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
