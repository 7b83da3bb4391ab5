"""Blank secrets in what is logged. Generous: a word too many is better than a password."""

from __future__ import annotations

import re
from itertools import product

BLANK = "***"

_KEYS = ("api", "access", "private", "secret", "signing", "encryption", "account", "master")
_KEY = "|".join(f"(?<={kind}{gap}key)" for kind, gap in product(_KEYS, ("", r"[\s_-]")))
_WORD = re.compile(
    r"(?:pass(?:word|wd|phrase|code)s?|pass(?<=[_-]pass)|pwd|secrets?|token(?!s)|credentials?|cookies?"
    rf"|key(?:{_KEY})|authorization|auth(?<![a-z]auth)|session[_-]?id|signature|jwt|otp(?<![a-z]otp))"
    r"(?:_hash)?\d{0,3}(?![a-z])"
)
"""How the name of a secret ends, in small letters. It begins with letters and nothing else: `re` is fast then."""

_ASSIGNED = re.compile(
    r"""(
      \\*["'],\s?(?=[brfu]{0,2}\\*["'])              # ('password', 'x')
    | (?:\\*["'])?\]?[ \t]{0,3}
      (?: :\s?[\w\[\]|. ]{1,40}?[ ]?=                # password: str = x
        | =>|:=|[:=] ) [ \t]{0,3}
    | (?<=[a-zA-Z0-9])[ ]+(?=[^\s-])                 # --password x
    )
    (?: \\+["'][^\\]*(?:\\+(?!["'\\])[^\\]*)*(?:\\+["']|$)      # quoted within quotes
      | [brfu]{0,2}"(?:[^"\\]|\\.)*"? | [brfu]{0,2}'(?:[^'\\]|\\.)*'?
      | \[[^\]]*\]? | \{[^}]*\}? | \([^)]*\)?        # several
      | (?:bearer|basic|token|digest|apikey|negotiate)\s+[^\s"'&]+
      | [^\s"'&<>]+ )""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_FLAG = re.compile(r"--[\w-]*$")
_COOKIE = re.compile(r"(cookie:[ ]?)[^\r\n\"']+", re.IGNORECASE)
_IN_ADDRESS = re.compile(r"(://[^:/@\s\"'<>]{0,256}:)(?!\d{1,5}(?:/|\s|$))[^\s\"'<>]{1,512}(?=@)")
_USER_ONLY = re.compile(r"(://)[^:/@\s\"'<>]{20,512}(?=@)")
_IN_QUOTED_ADDRESS = re.compile(
    r"((?::|%3a)(?:/|%2f){2}(?:(?!%3a|%40)[^:/@\s\"'<>&]){0,256}(?::|%3a))[^\s\"'<>&@]{1,512}?(?=%40)",
    re.IGNORECASE,
)
_SHAPES = re.compile(
    r"""(slc_[A-Za-z0-9]{12}_)[A-Za-z0-9]{32}_[0-9a-f]{8}   # ours; the first part only names the key
    | ([Bb]earer\s+)[\w.~+/=-]{8,}
    | (?<![\w-])eyJ[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]*)?      # a JSON web token
    | (?:gh[pousr]_|github_pat_|xox[abeprs]-|sk-|glpat-)[\w-]{16,}
    | -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----.*?(?:-----END[ ][A-Z ]*PRIVATE[ ]KEY-----|$)""",
    re.VERBOSE | re.DOTALL,
)
_NEEDLES = re.compile(r"@|%40|slc_|bearer|eyj|gh[pousr]_|github_pat|xox|sk-|glpat|-----begin|cookie:")
"""What a text has, in small letters, where more than the name of a value tells a secret."""
_ASCII_SMALL = {capital: capital + 32 for capital in range(ord("A"), ord("Z") + 1)}


def blank_secrets(text: str) -> str:
    """Replace what looks like a secret: keys, passwords in addresses, and values with a name that says so."""
    if _NEEDLES.search(text.lower()):
        text = _blank_shapes(text)
    return _blank_named(text)


def names_secret(name: str) -> bool:
    """Say whether a field with this name holds a secret, whatever its value looks like."""
    small = name.lower()
    return any(found.end() == len(small) for found in _WORD.finditer(small))


def _blank_shapes(text: str) -> str:
    text = _COOKIE.sub(rf"\1{BLANK}", _SHAPES.sub(rf"\1\2{BLANK}", text))
    if "@" in text:
        text = _USER_ONLY.sub(rf"\1{BLANK}", _IN_ADDRESS.sub(rf"\1{BLANK}", text))
    if "%40" in text:
        text = _IN_QUOTED_ADDRESS.sub(rf"\1{BLANK}", text)
    return text


def _blank_named(text: str) -> str:
    small = text.lower() if text.isascii() else text.translate(_ASCII_SMALL)  # lower() may change the length
    parts: list[str] = []
    done = 0
    for name in _WORD.finditer(small):
        value = _ASSIGNED.match(text, name.end()) if name.start() >= done else None
        if value and (not value[1].isspace() or _FLAG.search(text, max(0, name.start() - 40), name.end())):
            parts += text[done : value.end(1)], BLANK
            done = value.end()
    return "".join((*parts, text[done:])) if parts else text
