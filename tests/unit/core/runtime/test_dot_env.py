"""`.env` as Docker Compose 5 reads it; each value here is what `docker compose config` shows of the same line."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from sluice.core.runtime.dot_env import read_dot_env
from sluice.errors import StartRefused

ABOVE = "X=x1\nEMPTY=\n"


def read(directory: Path, text: str | bytes, **environment: str) -> dict[str, str]:
    """Read a file of this text."""
    file = directory / ".env"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_dot_env(file, environment)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=plain", "plain"),
        ("export A = spaced  ", "spaced"),
        ("A: like YAML", "like YAML"),
        ("A=", ""),
        ("A=a#b # a comment", "a#b"),
        ("A=a\t#b", "a\t#b"),
        ("A= # no comment", "# no comment"),
        ('A=it\'s "so"', 'it\'s "so"'),
        ("A=a\\nb", "a\\nb"),
        ("A='${X} $X \\n \\\\ it\\'s' # c", "${X} $X \\n \\\\ it's"),
        ('A="${X} $X \\n \\" \\\\ \\$X"  ', 'x1 x1 \n " \\ $X'),
        ('A="two\nlines"', "two\nlines"),
        ("A=${X}/$X.", "x1/x1."),
        ("A=bé$Xé", "béx1é"),
        ("A=${NO}|${NO:-d}|${NO-d}|${EMPTY:-d}|${EMPTY-d}", "|d|d|d|"),
        ("A=${X:+y}|${NO:+y}|${EMPTY+y}|${EMPTY:+y}", "y||y|"),
        ("A=pa$$word, pa$5, $", "pa$word, pa$5, $"),
        ('A={"heavy":{"slots":1,"ids_per_message":1}}', '{"heavy":{"slots":1,"ids_per_message":1}}'),
    ],
)
@pytest.mark.parametrize("end", ["", "\n", "\r\n"], ids=["open", "LF", "CRLF"])
def test_a_line_is_read_as_compose_reads_it(tmp_path: Path, line: str, value: str, end: str) -> None:
    assert read(tmp_path, ABOVE + line + end)["A"] == value


def test_files_of_windows_are_read(tmp_path: Path) -> None:
    text = b"\xef\xbb\xbfA=1\r\n\r\n# comment\r\n  # another\r\nB='2'\r\nC\r\n"
    assert read(tmp_path, text) == {"A": "1", "B": "2"}


def test_a_variable_is_that_of_the_environment_before_that_of_a_line_above(tmp_path: Path) -> None:
    assert read(tmp_path, "X=above\nA=$X\n", X="around") == {"X": "above", "A": "around"}


def test_a_file_that_is_not_there_sets_nothing(tmp_path: Path) -> None:
    assert read_dot_env(tmp_path / ".env", {}) == {}
    (tmp_path / ".env").mkdir()  # as Docker leaves it where it mounts a file that is not there
    assert read_dot_env(tmp_path / ".env", {}) == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A=1\nsome words\n", "line 2"),
        ("A=1\n\n=x\n", "line 3"),
        ("A='open\n", "line 1"),
        ('A= "open\r\n', "line 1"),
        ("A='a'b\n", "quoted as a whole"),
        ("A=a${b\n", "write $$"),
        (b"A=caf\xe9\n", "UTF-8"),
    ],
)
def test_what_compose_refuses_is_refused_in_one_line(tmp_path: Path, text: str | bytes, words: str) -> None:
    with pytest.raises(StartRefused, match=r"\.env") as refused:
        read(tmp_path, text)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    (tmp_path / ".env").touch()
    monkeypatch.setattr(Path, "read_bytes", refuse)  # root may read every file
    with pytest.raises(StartRefused, match=r"\.env cannot be read: Permission denied"):
        read_dot_env(tmp_path / ".env", {})


def test_a_pipe_is_read_as_a_file_is(tmp_path: Path) -> None:
    """Password managers mount one."""
    os.mkfifo(tmp_path / ".env")
    writer = threading.Thread(target=(tmp_path / ".env").write_text, args=("A=1\n",), daemon=True)
    writer.start()
    assert read_dot_env(tmp_path / ".env", {}) == {"A": "1"}
    writer.join()
