"""Load users' modules, and watch what they do meanwhile: one that does not load is named with file, line and remedy."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from sluice.core.registry import Registry
from sluice.core.runtime.loggers import enable, enabled_loggers
from sluice.core.taken_names import refuse_what_hides_us, refuse_what_we_hide
from sluice.error_text import words
from sluice.errors import StartRefused
from sluice.handler import AnyHandler, Handler
from sluice.host.user_files import UserFiles, innermost_user_line

Tell = Callable[[str], None]

FIND = "correct the name, install it, or put its directory on PYTHONPATH"
MEND = "mend it, or drop the module"
NO_EXIT = "loading a module must not end the process: put that under `if __name__ == '__main__':`"


def load_watched(
    modules: Iterable[str], on_module: Tell = lambda _: None, on_exit: Tell | None = None
) -> Registry[AnyHandler]:
    """Load these modules and return the registry of their kinds; `on_module` is told the name of each before.

    Raises StartRefused, naming the module, file, line and remedy, if one does not load or defines no kind. One that calls
    os._exit does end the process, after `on_exit` (or stderr) was told the same.
    """
    refuse_what_hides_us()
    found: list[AnyHandler] = []
    loggers = enabled_loggers()
    for name in modules:
        on_module(name)
        with _report_exit(name, on_exit or _tell_stderr):
            found.extend(kind for kind in _kinds_of(name) if kind not in found)
        enable(loggers)
    return Registry(found)


def does_not_load(module: str, why: str, place: str, remedy: str) -> str:
    """Word the one line that tells why a module does not load."""
    return f"SLUICE_HANDLERS: {module} does not load: {why}{f' ({place})' if place else ''}; {remedy}"


def _kinds_of(name: str) -> list[AnyHandler]:
    try:
        values = vars(importlib.import_module(name)).values()
    except StartRefused:
        raise
    except BaseException as error:
        raise _refused(name, error) from error
    # Not isinstance: it asks values for their __class__, which is user code in proxies.
    kinds = [value for value in values if issubclass(type(value), Handler)]
    if not kinds:
        refuse_what_we_hide(name)
        raise StartRefused(
            f"SLUICE_HANDLERS: {name} defines no kind: decorate a function with @handler or drop it"
        )
    return kinds


def _refused(name: str, error: BaseException) -> StartRefused:
    remedy = MEND
    if isinstance(error, ModuleNotFoundError):
        refuse_what_we_hide(name)
        refuse_what_we_hide(str(error.name))
        remedy = _dotted(name) or FIND
    elif isinstance(error, SystemExit):
        remedy = NO_EXIT
    why = f"{type(error).__name__}: {' '.join(words(error).split())}".removesuffix(": ")
    return StartRefused(does_not_load(name, why, _place(error, name), remedy))


def _dotted(name: str) -> str:
    """Tell how a module is named, if this is the name of its file."""
    module = name.removesuffix(".py").replace("/", ".").strip(".")
    return f"a module is named without its ending, with dots: {module}" if module != name else ""


def _place(error: BaseException, module: str) -> str:
    """Find the innermost line of users' code; a syntax error has a place of its own."""
    users = UserFiles([module])
    if isinstance(error, SyntaxError) and error.filename in users:
        return f"{error.filename}:{error.lineno}"
    return innermost_user_line(error, users)


@contextmanager
def _report_exit(module: str, on_exit: Tell) -> Iterator[None]:
    """Report a call of os._exit in this process before it ends it."""
    really_exit, loader = os._exit, os.getpid()

    def report_and_exit(status: int) -> NoReturn:
        if os.getpid() == loader:  # a child that was forked meanwhile may end as it likes
            caller = sys._getframe(1)
            place = f"{caller.f_code.co_filename}:{caller.f_lineno}"
            on_exit(does_not_load(module, f"it calls os._exit({status})", place, NO_EXIT))
        really_exit(status)

    os._exit = report_and_exit
    try:
        yield
    finally:
        os._exit = really_exit


def _tell_stderr(line: str) -> None:
    print(f"sluice: {line}", file=sys.stderr, flush=True)  # noqa: T201  nobody else can tell any more
