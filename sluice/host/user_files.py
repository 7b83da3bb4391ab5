"""Tell the files of users' modules from those of Python, of installed libraries and of Sluice."""

from __future__ import annotations

import importlib.util
import os
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

from sluice.core.taken_names import NAMES, OURS

_PYTHON = str(Path(os.__file__).parent)
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_OURS = tuple(f"{OURS / name}{os.sep}" for name in NAMES)
_OUR_KINDS = "sluice.kinds"


class UserFiles:
    """A container of file names: the listed modules with the packages they are in, and all that nobody else brought."""

    def __init__(self, modules: Iterable[str]) -> None:
        self._listed = tuple(place for name in modules for place in _places(name))

    def __contains__(self, file: object) -> bool:
        name = str(file)
        if name.startswith(self._listed):
            return True
        foreign = name.startswith((_PYTHON, *_OURS)) or any(part in name for part in _INSTALLED)
        return Path(name).is_absolute() and not foreign


def innermost_user_line(error: BaseException, users: UserFiles) -> str:
    """Find where in users' code an exception was raised, as "file:line"; empty if that was elsewhere."""
    frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    return next((f"{file}:{line}" for file, line in reversed(frames) if file in users), "")


def _places(module: str) -> Iterator[str]:
    """Yield the file of a module without packages, or the folders of its outermost package; nothing is loaded."""
    if module.startswith(f"{_OUR_KINDS}."):
        yield f"{OURS / 'sluice' / 'kinds'}{os.sep}"
        return
    try:
        spec = importlib.util.find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        return
    if spec is not None and spec.submodule_search_locations:
        yield from (f"{place}{os.sep}" for place in spec.submodule_search_locations)
    elif spec is not None and spec.origin:
        yield spec.origin
