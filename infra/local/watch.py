"""`make run WATCH=1`: start the two processes again whenever a file of theirs changes.

What the changed files hold is judged first, in a process of its own: while they do not load, what is wrong is printed, and
what serves goes on serving.
"""

from pathlib import Path
from threading import Event

from rich.console import Console
from watchfiles import Change, watch

from infra.local.daemon import StartError
from infra.local.stack import Stack


def follow(stack: Stack, console: Console, stop: Event | None = None) -> None:
    """Renew the processes of this stack after each change, until `stop` is set or Ctrl-C.

    Directories are watched one by one, not as trees: a project may lie beside much that is none of its code.
    """
    _say(console, "watch", f"{len(stack.watched)} directories; Ctrl-C ends this, the stack goes on")
    try:
        while stop is None or not stop.is_set():
            _follow_these(stack, console, stack.watched, stop)
    except KeyboardInterrupt:
        console.print()


def _follow_these(stack: Stack, console: Console, directories: set[Path], stop: Event | None) -> None:
    """Do so until there are other directories to watch. Changes are kept while processes are renewed."""
    refused = renew(stack, console)  # what has changed before anybody watched
    for _ in watch(
        *directories, watch_filter=_concerns, recursive=False, stop_event=stop, raise_interrupt=True
    ):
        refused = renew(stack, console, refused)
        if stack.watched != directories:
            return


def renew(stack: Stack, console: Console, refused: bool = False) -> bool:
    """Start again what was not started from today's files, if these can be; otherwise say why not, and return True.

    `refused`: that was said of the files before these.
    """
    stale = stack.stale()
    if not stale:
        if refused:
            _say(console, "mended", "the files are again those from which everything was started", "green")
        return False
    try:
        stack.check()
    except StartError as error:
        _say(console, "refused", f"{error}\nMend it: until then what serves goes on as it is.", "red")
        return True
    try:
        stack.start(stale)
    except StartError as error:
        _say(console, "failed", str(error), "red")
    else:
        _say(console, "renewed", ", ".join(program.name for program in stale), "green")
    return False


def _concerns(_: Change, path: str) -> bool:
    """Tell whether a change may be one of code: of a file of Python's or SQL's, or of a directory, which may hold some."""
    return path.endswith((".py", ".sql")) or not Path(path).suffix


def _say(console: Console, word: str, text: str, style: str = "") -> None:
    console.print(f"  {word:<9} {text}", style=style, markup=False, soft_wrap=True)
