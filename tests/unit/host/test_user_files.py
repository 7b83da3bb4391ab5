"""Whose file is it?"""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pydantic
import pytest

import api
import sluice.handler
from sluice.core.taken_names import OURS
from sluice.host.user_files import UserFiles
from sluice.kinds import demo_sum


def test_files_that_nobody_else_brought_are_users() -> None:
    assert "/srv/app/jobs/inner.py" in UserFiles(["jobs.outer"])


@pytest.mark.parametrize("module", [json, logging, pydantic, sluice.handler, api])
def test_files_of_python_of_libraries_and_of_ours_are_not(module: object) -> None:
    assert getattr(module, "__file__", None) not in UserFiles(["jobs"])


@pytest.mark.parametrize("name", ["<string>", "<frozen importlib._bootstrap>", "???", None])
def test_what_is_no_file_is_nobodys(name: str | None) -> None:
    assert name not in UserFiles(["jobs"])


def test_a_listed_module_is_users_although_it_is_installed_or_shipped() -> None:
    assert pydantic.__file__ in UserFiles(["pydantic.main"])
    assert demo_sum.__file__ in UserFiles(["sluice.kinds.demo_sum"])
    assert str(OURS / "sluice" / "handler.py") not in UserFiles(["sluice.kinds.demo_sum"])


def test_a_module_without_packages_is_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "site-packages"
    installed.mkdir()
    monkeypatch.syspath_prepend(str(installed))
    for name in ("uf_alone", "uf_other"):
        (installed / f"{name}.py").touch()
    assert str(installed / "uf_alone.py") in UserFiles(["uf_alone"])
    assert str(installed / "uf_other.py") not in UserFiles(["uf_alone"])
