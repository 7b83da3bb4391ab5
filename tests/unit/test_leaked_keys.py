"""No file of the repository holds a key that opens something. The scan of every commit is in .github/workflows/security.yml."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest

from api.keys.api_key import make_key, parse_key

ROOT = Path(__file__).parents[2]
SKIPPED = {
    ".git",
    ".venv",
    ".local",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    "node_modules",
    "__pycache__",
}
LARGEST = 4 << 20

API_KEY = re.compile(rb"slc_[A-Za-z0-9]{12}_[A-Za-z0-9]{32}_[0-9a-f]{8}")
PRIVATE_KEY = re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{40}")
OF_OTHERS = re.compile(
    rb"(?:AKIA|ASIA)[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{60,}|whsec_[A-Za-z0-9+/]{32,}=*"
)
EXAMPLES = {
    b"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",  # the bytes from 0 to 31, in tests
}


def find_secrets(data: bytes) -> list[bytes]:
    """Find what looks like a key that opens something; a key of Sluice whose checksum is wrong opens nothing."""
    keys = [each for each in API_KEY.findall(data) if parse_key(each) is not None]
    return [
        each for each in (*keys, *PRIVATE_KEY.findall(data), *OF_OTHERS.findall(data)) if each not in EXAMPLES
    ]


def files() -> list[Path]:
    """Every file but those that are made here."""
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [each for each in folders if each not in SKIPPED]
        found += [Path(folder, name) for name in names]
    return [path for path in found if path.is_file() and path.stat().st_size <= LARGEST]


def test_no_file_holds_a_secret() -> None:
    seen = {str(path.relative_to(ROOT)): find_secrets(path.read_bytes()) for path in files()}
    assert len(seen) > 1_000
    assert {path: secrets for path, secrets in seen.items() if secrets} == {}


@pytest.mark.parametrize(
    "secret",
    [
        make_key().encode(),
        b"-----BEGIN RSA " + b"PRIVATE KEY-----\n" + b"M" * 64,
        b"AKIA" + b"A" * 16,
        b"ghp_" + b"a" * 36,
        b"whsec_" + b"A" * 32,
    ],
    ids=["slc", "pem", "aws", "github", "webhook"],
)
def test_a_secret_is_found_wherever_it_stands(secret: bytes) -> None:
    assert find_secrets(b'{"key": "' + secret + b'"}') != []


def test_a_key_that_opens_nothing_is_no_secret() -> None:
    assert find_secrets(make_key()[:-8].encode() + b"0000000z") == []


def test_the_scan_of_commits_knows_the_form_of_our_keys() -> None:
    (rule,) = tomllib.loads((ROOT / "infra/checks/gitleaks.toml").read_text())["rules"]
    assert re.search(rule["regex"], make_key())
