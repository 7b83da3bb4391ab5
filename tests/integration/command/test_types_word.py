"""`sluice types` against a server: what it writes, whether a file is out of date, and what it refuses."""

from __future__ import annotations

import pytest

from sluice.client import Job
from tests.support.command import Said
from tests.support.stack import Stack


def test_it_writes_a_module_whose_clients_work(sluice: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    said = sluice.run("types")
    assert (said.status, said.err) == (0, "")
    assert said.out == sluice.run("types", "--quiet").out
    names: dict[str, object] = {"__name__": "kinds"}
    exec(compile(said.out, "kinds", "exec"), names)  # noqa: S102  what users import
    client = names["Sluice"]
    assert isinstance(client, type)
    with client() as opened:
        assert opened.run("demo.sum", {"values": [1, 2]}) == {"total": 3}
        assert isinstance(opened.submit("demo.sum", {"values": [1]}), Job)
        assert names["typed"](opened) is opened  # type: ignore[operator]  # a function of the module


def test_it_says_whether_a_file_is_out_of_date(sluice: Said, running: Stack) -> None:
    kinds = sluice.directory / "kinds.py"
    module = sluice.run("types").out
    kinds.write_text(module.replace(f"# From {running.url}", "# From https://elsewhere"))
    assert kinds.read_text() != module
    assert sluice.run("types", "--check", "kinds.py") == (0, "", "")
    kinds.write_text(module.replace("total: int", "total: str"))
    said = sluice.run("types", "--check", "kinds.py")
    assert said.status == 1
    assert {"-    total: str", "+    total: int"} <= set(said.out.splitlines())
    assert "kinds.py is out of date: `sluice types >kinds.py` writes it anew" in said.err
    assert kinds.read_text() != module


def test_what_it_cannot_do_it_says(sluice: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sluice.run("types", "-o", "json").status == 2
    missing = sluice.run("types", "--check", "none.py")
    assert (missing.status, missing.err) == (2, "sluice: none.py: No such file or directory\n")
    (sluice.directory / "picture.py").write_bytes(b"\xff\xfe")
    assert sluice.run("types", "--check", "picture.py").status == 1
    monkeypatch.setenv("SLUICE_API_KEY", "slc_wrong")
    assert sluice.run("types").status == 4
    monkeypatch.setenv("SLUICE_URL", "http://127.0.0.1:9")
    assert sluice.run("types").status == 6
