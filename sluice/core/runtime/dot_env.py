"""Read `.env` as Docker Compose does, so that one file means the same to every program."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from sluice.errors import StartRefused

_LINE = re.compile(
    r"""[^\S\n]*(?:export[^\S\n]+)?(?P<name>[A-Za-z_][\w.-]*)[^\S\n]*
        (?:[=:][^\S\n]*+
           (?:'(?P<single>(?:\\.|[^'\\])*)'(?P<rest>[^\n]*) | "(?P<double>(?:\\.|[^"\\])*)"(?P<more>[^\n]*)
             | (?P<plain>(?!['"])[^\n]*)))?
        [^\S\n]*(?:\n|\Z)""",
    re.VERBOSE | re.DOTALL,
)
_NOTHING = re.compile(r"[^\S\n]*(?:\#[^\n]*)?(?:\n|\Z)")
_COMMENT = re.compile(r"(?:\A|\s)\s*#.*\Z")
_ESCAPE = re.compile(r"\\([abfnrtv\"\\$])")
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "$": "$$"}
_VARIABLE = re.compile(
    r"\$(?:(?P<dollar>\$)|(?P<bare>[A-Za-z_]\w*)|\{(?P<name>[A-Za-z_]\w*)(?:(?P<form>:?[-+])(?P<word>[^{}]*))?\}"
    r"|(?P<open>\{))",
    re.ASCII,
)


def read_dot_env(file: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return what the file sets; nothing if there is none. `${X}` and `$X` are those of the environment, else of a line above.

    Raises StartRefused, with the number of the line, for what Compose would refuse or read in another way.
    """
    found: dict[str, str] = {}
    text, at = _text_of(file), 0
    while at < len(text):
        if nothing := _NOTHING.match(text, at):
            at = nothing.end()
            continue
        where = f"{file.name}, line {text.count(chr(10), 0, at) + 1}"
        line = _LINE.match(text, at)
        if line is None or _has_rest(line):
            raise StartRefused(
                f"{where}: this is not NAME=value; a value with quotes in it is quoted as a whole"
            )
        value = _value(line, {**found, **environment}, where)
        if value is not None:
            found[line["name"]] = value
        at = line.end()
    return found


def _text_of(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")  # it may be a pipe, as password managers make them
    except (FileNotFoundError, IsADirectoryError):  # such as a virtual environment of that name
        return ""
    except UnicodeDecodeError:
        raise StartRefused(f"{file.name} is not UTF-8: save it as UTF-8") from None
    except OSError as error:
        remedy = "let this user read it, or start in another directory"
        raise StartRefused(f"{file.name} cannot be read: {error.strerror}: {remedy}") from None


def _has_rest(line: re.Match[str]) -> bool:
    rest = line["rest"] or line["more"] or ""
    return _COMMENT.sub("", rest).strip() != ""


def _value(line: re.Match[str], known: Mapping[str, str], where: str) -> str | None:
    if line["single"] is not None:
        return line["single"].replace(r"\'", "'")
    if line["double"] is not None:
        return _fill(_ESCAPE.sub(lambda each: _ESCAPED.get(each[1], each[1]), line["double"]), known, where)
    if line["plain"] is not None:
        return _fill(re.sub(r" #.*", "", line["plain"]).rstrip(), known, where)
    return None


def _fill(text: str, known: Mapping[str, str], where: str) -> str:
    """Fill in variables. `$$` is a dollar sign."""

    def replaced(found: re.Match[str]) -> str:
        if found["open"]:
            raise StartRefused(f"{where}: ${{ does not begin a variable; write $$ for a dollar sign")
        if found["dollar"]:
            return "$"
        value = known.get(found["name"] or found["bare"])
        form, word = found["form"] or "", found["word"] or ""
        there = bool(value) if form.startswith(":") else value is not None
        if form.endswith("+"):
            return word if there else ""
        return value if there and value is not None else word

    return _VARIABLE.sub(replaced, text)
