"""Indent JSON without reading its numbers: each is shown with the digits that it has."""

from __future__ import annotations

import re

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
INDENT = "  "
MOST = 64 * 1024
"""Characters that are indented; what is longer is shown as it begins."""


def indent_json(raw: bytes) -> tuple[str, bool]:
    """Indent JSON, and say whether it was cut because it is long."""
    text = raw[: MOST + 4].decode(errors="ignore")
    cut = len(raw) > MOST
    return _indent(text[:MOST]), cut


def _indent(text: str) -> str:
    parts: list[str] = []
    depth, tokens = 0, _TOKEN.findall(text)
    for at, word in enumerate(tokens):
        following = tokens[at + 1] if at + 1 < len(tokens) else ""
        if word in "{[":
            depth += 1
            parts.append(word if following in ("}", "]") else word + _line(depth))
        elif word in "}]":
            depth = max(0, depth - 1)
            parts.append(word if at and tokens[at - 1] in ("{", "[") else _line(depth) + word)
        elif word == ",":
            parts.append(word + _line(depth))
        else:
            parts.append(": " if word == ":" else word)
    return "".join(parts)


def _line(depth: int) -> str:
    return "\n" + INDENT * min(depth, 32)
