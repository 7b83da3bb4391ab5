"""The environment of a process, and the time zone that follows from it: as Python knows it, and as C and programs do."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from os import environ, putenv, unsetenv  # bound now: a job may put something else in their place
from time import tzset
from typing import Any

POINTER = ctypes.sizeof(ctypes.c_void_p)


def _find_environ() -> ctypes.c_void_p | None:
    try:
        return ctypes.c_void_p.in_dll(ctypes.CDLL(None), "environ")
    except ValueError:  # macOS hides it
        return None


_ENVIRON = _find_environ()


class Environment:
    """The environment as it is when this is made."""

    def __init__(self) -> None:
        self._python, self._raw = dict(environ), dict(_raw())
        self._c = dict(_c_variables())
        self._note_pointers()

    def restore(self) -> None:
        """Put it back, and the time zone, which may be another although TZ was put back."""
        if _raw() != self._raw:
            environ.clear()
            environ.update(self._python)
        if not self._has_these_pointers():  # os.putenv and native code go past os.environ
            found = dict(_c_variables())
            for name in found.keys() - self._c.keys():
                unsetenv(name)
            for name, value in self._c.items():
                if found.get(name) != value:
                    putenv(name, value)
            self._note_pointers()
        tzset()

    def _note_pointers(self) -> None:
        """Note where the variables are: setenv(3) makes new ones. Reading them all for every job would take ten times as long."""
        self._at, self._size = _c_array(), (sum(1 for _ in _c_entries()) + 1) * POINTER
        self._pointers = ctypes.string_at(self._at, self._size) if self._at else b""

    def _has_these_pointers(self) -> bool:
        at = _c_array()
        return at == self._at and (not at or ctypes.string_at(at, self._size) == self._pointers)


def _raw() -> Any:
    """Return what os.environ wraps: comparing that takes a hundredth of the time."""
    return getattr(environ, "_data", environ)


def _c_array() -> int | None:
    return _ENVIRON.value if _ENVIRON else None


def _c_entries() -> Iterator[bytes]:
    at = _c_array()
    if at:
        array = ctypes.cast(at, ctypes.POINTER(ctypes.c_char_p))
        index = 0
        while (entry := array[index]) is not None:
            yield entry
            index += 1


def _c_variables() -> Iterator[tuple[bytes, bytes]]:
    for entry in _c_entries():
        name, equals, value = entry.partition(b"=")
        if name and equals:
            yield name, value
