"""Hash failures by their cause, whatever numbers, ids and names each message mentions."""

from __future__ import annotations

import re
from hashlib import sha256

LENGTH = 16
"""Hexadecimal digits of a fingerprint."""
SEPARATOR = "\x1f"
MOST = 200
"""Characters of the generalised detail that are hashed: what follows is often a dump."""

# A quote opens where no word ends, so an apostrophe does not open one; an unclosed quote reaches to the end: nothing is read
# twice. Whatever has a digit varies (numbers, times, addresses, most ids), and so does a long word of hexadecimal letters.
_QUOTED = re.compile(
    r"""(?<!\w)(?:'(?:[^'\\]|\\.)*+'?|"(?:[^"\\]|\\.)*+"?|`[^`]*+`?|“[^”]*+”?|\u2018[^\u2019]*+\u2019?|«[^»]*+»?)""",
    re.DOTALL,
)
_VARYING = re.compile(r"(?:(?<!\w)[-+])?\b(?=\w*\d)\w++|\b[0-9a-fA-F]{8,}+\b")
_RUN = re.compile(r"#(?:[\s#,.:;/+-]*#)++")


def error_fingerprint(kind: str, type: str, title: str, detail: str) -> str:
    """Hash an error to 16 hexadecimal digits."""
    words = SEPARATOR.join((kind, type, title, generalised(detail)))
    return sha256(words.encode(errors="replace")).hexdigest()[:LENGTH]


def generalised(detail: str) -> str:
    """Replace by `#` whatever differs from one occurrence to the next, and fold white space."""
    text = _VARYING.sub("#", _QUOTED.sub("#", detail))
    return " ".join(_RUN.sub("#", text).split())[:MOST]
