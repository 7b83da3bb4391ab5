"""What a process has for logging, and users' modules and jobs can change: dictConfig() disables every logger there was."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

OWN = logging.getLogger("sluice")


def log_through(handler: logging.Handler, level: int | str) -> None:
    """Have every logger write through this handler alone; ours do so whatever users' modules make of the root logger."""
    logging.basicConfig(level=level, handlers=[handler], force=True)
    OWN.handlers, OWN.propagate = [handler], False
    OWN.setLevel(level)


def enabled_loggers() -> list[logging.Logger]:
    """Return every logger that there is and that is not disabled."""
    known = (logging.root, *logging.root.manager.loggerDict.values())
    return [each for each in known if isinstance(each, logging.Logger) and not each.disabled]


def enable(loggers: Iterable[logging.Logger]) -> None:
    """Let these loggers write again."""
    for each in loggers:
        each.disabled = False


def keep_logging() -> Callable[[], None]:
    """Return a function that has all be logged as it is now."""
    root, level, disabled = logging.root, logging.root.level, logging.root.manager.disable
    handlers, enabled = [*root.handlers], enabled_loggers()

    def restore() -> None:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.disable(disabled)
        enable(enabled)

    return restore
