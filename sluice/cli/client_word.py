"""What every word that speaks to the API shares: its options, its exit statuses, and what Ctrl-C leaves behind."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluice.cli.arguments import job_id
from sluice.cli.configuration import Access, find_access
from sluice.cli.formats import Format, Output, View, printable
from sluice.cli.statuses import AWAY, DONE, INTERRUPTED, MEANINGS, OF_EVERY_WORD, REFUSED, TIMED_OUT
from sluice.cli.suggestions import suggest, suggest_profiles
from sluice.cli.usage import examples

if TYPE_CHECKING:
    from sluice.client import Sluice

ADDRESS = "see that it runs, and that this is its address: --url, SLUICE_URL or a profile names it"
"""What to do about a server that gives no answer."""
Id = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        parser=job_id,
        autocompletion=suggest("jobs"),
        help="The id of a job, as a submit has printed it",
    ),
]
Ids = Annotated[
    list[str],
    typer.Argument(metavar="ID", parser=job_id, autocompletion=suggest("jobs"), help="Ids of jobs"),
]


class Session:
    """One use of the API by a word. The connection is made when it is first needed."""

    def __init__(self, url: str | None, profile: str | None, output: Output, quiet: bool) -> None:
        self.url, self.profile = url, profile
        self._access: Access | None = None
        self._open = ExitStack()
        self._sluice: Sluice | None = None
        self.output = output
        self.quiet = quiet
        self.left = ""
        """What goes on if Ctrl-C ends the word, in a sentence."""

    def access(self) -> Access:
        """Find address and key. Raises ConfigurationRefused."""
        if self._access is None:
            self._access = find_access(self.url, self.profile)
        return self._access

    def use(self, access: Access) -> None:
        """Use this address and key, whatever is configured."""
        self._access = access

    @property
    def sluice(self) -> Sluice:
        """The client. Raises ConfigurationRefused."""
        if self._sluice is None:
            from sluice.client import Sluice

            access = self.access()
            self._sluice = self._open.enter_context(Sluice(access.url, access.key))
        return self._sluice

    def ask(self, method: str, path: str, json: Any = None, **params: Any) -> dict[str, Any]:
        """Return the document of an answer. Raises ClientError, ConfigurationRefused."""
        from sluice.client.documents import read_object

        return read_object(self.sluice.request(method, path, json, params=params))

    def ask_for(self, items: str, path: str, **params: Any) -> list[dict[str, Any]]:
        """Return the documents that an answer lists. Raises ClientError, ConfigurationRefused."""
        return self._read_list(self.ask("GET", path, **params), items)

    def pages(self, path: str, items: str, most: int | None = None, **query: Any) -> Iterator[Any]:
        """Yield the items of every page, at most so many. Raises ClientError, ConfigurationRefused."""
        token: str | None = ""
        count = 0
        while token is not None:
            page = self.ask("GET", path, **query, **({"page_token": token} if token else {}))
            token = page.get("next_page_token")
            for each in self._read_list(page, items):
                if count == most:
                    self.note(f"sluice: there are more; these are the newest {count}")
                    return
                yield each
                count += 1

    def _read_list(self, answer: dict[str, Any], items: str) -> list[dict[str, Any]]:
        from sluice.client.documents import read_object

        return [read_object(each) for each in read_object(answer, **{items: list})[items]]

    def note(self, text: str) -> None:
        """Say on stderr what goes on, unless asked to be quiet."""
        if not self.quiet:
            typer.echo(printable(text), err=True)

    def close(self) -> None:
        """End its connections."""
        self._open.close()


def goes_on(*ids: str) -> str:
    """Say that jobs go on, and how to come back to them."""
    if not ids:
        return ""
    if len(ids) > 1:
        return f"the {len(ids)} jobs go on"
    return f"the job goes on: `sluice watch {ids[0]}` waits for it, `sluice cancel {ids[0]}` stops it"


def job_path(id: str) -> str:
    """Return where a job is."""
    return f"/v1/jobs/{id}"


def session(
    output: Annotated[
        Format | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FORM",
            help="json, ndjson, csv, table or id (default: table on a terminal, else ndjson)",
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Address of the server (default: SLUICE_URL, or a profile)"),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=suggest_profiles,
            help="Profile to use, which `sluice login` has kept",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors on stderr")] = False,
) -> Session:
    """Make the session of these options."""
    return Session(url, profile, Output(output), quiet)


def usage(*lines: str, also: Iterable[int] = ()) -> str:
    """Return the end of the help of a client's word: examples, and exit statuses, besides those of every word these.

    They may come with what they mean here.
    """
    meanings = MEANINGS | (dict(also) if isinstance(also, Mapping) else {})
    return examples(*lines, status={each: meanings[each] for each in sorted({*OF_EVERY_WORD, *also})})


def print_secret(session: Session, document: dict[str, Any], name: str, view: View) -> None:
    """Print what is shown this once, alone, or the document it is in if a form of output is given."""
    if session.output.given is None:
        session.note(f"sluice: its id is {document['id']}; what follows is not shown again")
        typer.echo(printable(document[name]))
    else:
        session.output.one(document, view)


def client_word(word: Callable[..., int | None], **groups: Callable[..., Any]) -> Callable[..., int]:
    """Return a word as typer takes it. It is given a `session`, and what each of the groups of options makes, under its name.

    Errors of the client become exit statuses, and Ctrl-C says what goes on.
    """
    groups["session"] = session
    own = inspect.signature(word, eval_str=True).parameters
    taken = {name: inspect.signature(make, eval_str=True).parameters for name, make in groups.items()}

    def call(context: typer.Context, **given: Any) -> int:
        try:
            made = {name: groups[name](**{each: given.pop(each) for each in taken[name]}) for name in groups}
            return _carry_out(word, **given, **made)
        except typer.BadParameter as error:
            error.ctx = error.ctx or context
            raise

    shown = [
        *(each for name, each in own.items() if name not in groups),
        *chain(*(each.values() for each in taken.values())),
    ]
    call.__name__, call.__doc__ = word.__name__, word.__doc__
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter("context", keyword, annotation=typer.Context),
        *(each.replace(kind=keyword) for each in shown),
    ]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # inspect looks for it
    return call


def client_group(word: Callable[..., int | None], epilog: str) -> typer.Typer:
    """Return a group of words that does what this one does if none of the others is given."""
    listing = client_word(word)

    def call(context: typer.Context, **given: Any) -> int:
        if context.invoked_subcommand is None:
            return listing(context=context, **given)
        if any(given.values()):  # they would be lost
            raise typer.BadParameter(f"options go behind {context.invoked_subcommand}", ctx=context)
        return DONE

    call.__name__, call.__doc__ = word.__name__, word.__doc__
    call.__signature__ = inspect.signature(listing)  # type: ignore[attr-defined]  # inspect looks for it
    return typer.Typer(rich_markup_mode=None, callback=call, invoke_without_command=True, epilog=epilog)


def _carry_out(word: Callable[..., int | None], session: Session, **given: Any) -> int:
    from sluice.cli.endings import describe, status_of
    from sluice.client.errors import ClientError, ServerAway

    try:
        return word(session=session, **given) or DONE
    except ClientError as error:
        typer.echo(describe(error), err=True)
        status = status_of(error)
        if isinstance(error, ServerAway):
            typer.echo(f"sluice: {ADDRESS}", err=True)
        if session.left and status in (AWAY, TIMED_OUT):
            typer.echo(f"sluice: {printable(session.left)}", err=True)
        return status
    except UnicodeEncodeError:
        typer.echo("sluice: half a character cannot be sent, or bytes that are no UTF-8", err=True)
        return REFUSED
    except (KeyboardInterrupt, typer.Abort):  # the latter is what becomes of Ctrl-C and Ctrl-D at a question
        typer.echo(f"sluice: interrupted{session.left and '; '}{printable(session.left)}", err=True)
        return INTERRUPTED
    finally:
        session.close()
