"""Tables of what the API answers with, for people. Whatever a client or a handler has written is shown as text and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sluice.cli.formats import Document, describe_eta, describe_progress, printable

if TYPE_CHECKING:
    from rich.table import Table

_STYLES = {
    "succeeded": "green",
    "failed": "red",
    "running": "cyan",
    "cancelled": "yellow",
    "open": "red",
    "resolved": "green",
}
_BARS = "\u00b7▁▂▃▄▅▆▇█"
ASKED_TO_STOP = "asked to stop"
_AGES = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def jobs(documents: Sequence[Document]) -> Table:
    """A row for each job."""
    rows = (
        [d["id"], d["state"], d["kind"], age(d["created_at"]), _attempt(d), _remark(d)] for d in documents
    )
    return _table(("id", "state", "kind", "age", "attempt", ""), rows)


def fields(documents: Sequence[Document]) -> Table:
    """A row for each field of a document that says something."""
    empty: tuple[object, ...] = (None, [], {}, "")
    shown = {name: value for name, value in documents[0].items() if value not in empty and name != "links"}
    words = {"eta": describe_eta, "progress": describe_progress}
    return _fields({name: words[name](value) if name in words else value for name, value in shown.items()})


def attempts(documents: Sequence[Document]) -> Table:
    """A row for each attempt."""
    rows = (
        [
            d["attempt"],
            d["outcome"],
            age(d["started_at"]),
            _between(d["started_at"], d["finished_at"]),
            _error(d.get("error")),
        ]
        for d in documents
    )
    return _table(("attempt", "outcome", "began", "took", "error"), rows)


def explanation(documents: Sequence[Document]) -> Table:
    """Why a job is not done, and what has happened to it."""
    document = documents[0]
    shown = {name: document.get(name) for name in ("state", "reason", "detail", "position", "eta")}
    told = {each["at"]: f"{each['what']}  {each['detail']}" for each in document["timeline"] or ()}
    if eta := shown["eta"]:
        shown["eta"] = describe_eta(eta)
    return _fields({name: value for name, value in shown.items() if value is not None} | told)


def errors(documents: Sequence[Document]) -> Table:
    """A row for each group of failures."""
    rows = (
        [
            d["fingerprint"] or "",
            d["state"],
            d["count"],
            d["kind"],
            age(d["newest_at"]),
            f"{d['type']}: {d['detail'] or d['title']}",
        ]
        for d in documents
    )
    return _table(("fingerprint", "state", "count", "kind", "last", "error"), rows)


def error(documents: Sequence[Document]) -> Table:
    """A row for each field of a group of failures; the hours are a bar each, from the first to the last."""
    return fields([{**documents[0], "hours": _bars(documents[0]["hours"] or ())}])


def kinds(documents: Sequence[Document]) -> Table:
    """A row for each kind."""
    rows = (
        [
            d["kind"],
            d["lane"],
            f"{_known(d['timeout_s'])} s",
            d["max_attempts"],
            f"{d['cache_s']} s" if d["cache_s"] else "",
            d["description"],
        ]
        for d in documents
    )
    return _table(("kind", "lane", "time limit", "attempts", "cached", "what it does"), rows)


def lanes(documents: Sequence[Document]) -> Table:
    """A row for each lane."""
    rows = (
        [d["name"], d["queued"], f"{_known(d['running'])}/{_known(d['slots'])}", d["oldest_s"], d["per_second"], d["drain_s"], d["consumers"], _paused(d)]
        for d in documents
    )  # fmt: skip
    return _table(("lane", "queued", "running", "oldest, s", "a second", "drain, s", "consumers", ""), rows)


def bulk_act(documents: Sequence[Document]) -> Table:
    """What a bulk act is to change, and how far it is."""
    names = (
        "id",
        "act",
        "state",
        "reason",
        "filter",
        "matched",
        "changed",
        "canary",
        "canary_failed",
        "rate",
    )
    return _fields({name: documents[0][name] for name in names if documents[0].get(name) is not None})


def bulk_acts(documents: Sequence[Document]) -> Table:
    """A row for each bulk act."""
    rows = (
        [
            d["id"],
            d["act"],
            d["state"],
            age(d["created_at"]),
            f"{d['changed']}/{_known(d['matched'])}",
            d["filter"],
        ]
        for d in documents
    )
    return _table(("id", "act", "state", "age", "changed", "filter"), rows)


def webhooks(documents: Sequence[Document]) -> Table:
    """A row for each webhook."""
    rows = ([d["id"], _arrives(d), " ".join(d["events"] or ()), d["url"]] for d in documents)
    return _table(("id", "state", "events", "url"), rows)


def deliveries(documents: Sequence[Document]) -> Table:
    """A row for each delivery to a webhook."""
    rows = (
        [d["id"], d["event"], d["state"], age(d["created_at"]), d["tries"], d["status"], d["outcome"]]
        for d in documents
    )
    return _table(("id", "event", "state", "age", "tries", "status", ""), rows)


def schedules(documents: Sequence[Document]) -> Table:
    """A row for each schedule."""
    rows = (
        [d["name"], "paused" if d["paused"] else "on", until(d["next_at"]), d["kind"], f"{d['describes']}, {d['timezone']}"]
        for d in documents
    )  # fmt: skip
    return _table(("name", "state", "next", "kind", "when"), rows)


def keys(documents: Sequence[Document]) -> Table:
    """A row for each key."""
    rows = (
        [d["id"], _standing(d), age(d["created_at"]), age(d["last_used_at"]) or "never", ",".join(d["scopes"]), d["name"]]
        for d in documents
    )  # fmt: skip
    return _table(("id", "state", "age", "last used", "scopes", "name"), rows)


def profiles(documents: Sequence[Document]) -> Table:
    """A row for each profile."""
    return _table(("name", "url"), ([d["name"], d["url"]] for d in documents))


def until(text: str | None) -> str:
    """Return how far ahead a time is, in its largest unit; `now` if it has come."""
    if text is None:
        return ""
    left = int((datetime.fromisoformat(text) - datetime.now(UTC)).total_seconds())
    return next((f"in {left // size}{unit}" for size, unit in _AGES if left >= size), "now")


def age(text: str | None) -> str:
    """Return how long ago a time was, in its largest unit; never less than 0 s, however the clocks differ."""
    if text is None:
        return ""
    past = max(0, int((datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()))
    return next((f"{past // size}{unit}" for size, unit in _AGES if past >= size), "0s")


def _bars(hours: Sequence[Mapping[str, Any]]) -> str:
    counts = {datetime.fromisoformat(each["hour"]): each["count"] for each in hours}
    if not counts:
        return ""
    first, most = min(counts), max(counts.values())
    shown = int((max(counts) - first).total_seconds() // 3_600) + 1
    each_hour = (counts.get(first + timedelta(hours=number), 0) for number in range(shown))
    return "".join(_BARS[-(-count * (len(_BARS) - 1) // most)] for count in each_hour)


def _table(names: Iterable[str], rows: Iterable[Iterable[object]]) -> Table:
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    cells = [[_cell(each) for each in row] for row in rows]
    made = Table(box=None, pad_edge=False)
    *plain, last = names
    for number, name in enumerate(plain):  # an id is of use only as a whole: the last column makes room
        made.add_column(
            name, no_wrap=True, min_width=max((cell_len(row[number]) for row in cells), default=0)
        )
    made.add_column(last, no_wrap=True, overflow="ellipsis")
    for row in cells:
        made.add_row(*(Text(text, style=_STYLES.get(text, "")) for text in row))
    return made


def _fields(values: Mapping[str, object]) -> Table:
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, show_header=False)
    made.add_column(no_wrap=True, style="bold")
    made.add_column(overflow="fold")
    for name, value in values.items():
        made.add_row(Text(printable(name)), Text(text := _cell(value), style=_STYLES.get(text, "")))
    return made


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dict) and "retryable" in value:
        return _error(value)
    return printable(
        json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list | bool) else value
    )


def _error(error: Mapping[str, Any] | None) -> str:
    if not error:
        return ""
    told = (error.get("detail") or error.get("title") or "").splitlines()
    return printable(f"{error.get('type')}: {told[0] if told else ''}")


def _attempt(document: Document) -> str:
    return f"{document['attempt']}/{document['max_attempts']}"


def _remark(document: Document) -> str:
    if document.get("error"):
        return _error(document["error"])
    if document.get("cancel_requested_at") and document["finished_at"] is None:
        return ASKED_TO_STOP
    if (progress := document.get("progress")) and document["finished_at"] is None:
        return describe_progress(progress)
    return document.get("waiting_on") or ""


def _between(begin: str | None, end: str | None) -> str:
    if begin is None or end is None:
        return ""
    return f"{(datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds():.3f} s"


def _known(number: object) -> object:
    return "?" if number is None else number


def _paused(document: Document) -> str:
    paused = document["paused"]
    return f"paused: {paused['reason']}" if paused else ""


def _arrives(document: Document) -> str:
    if document["disabled_at"]:
        return "disabled"
    return "failing" if document["failing_since"] else "good"


def _standing(document: Document) -> str:
    if document["revoked_at"]:
        return "revoked"
    if not document["usable"]:
        return "expired"
    return f"expires {until(document['expires_at'])}" if document["expires_at"] else "good"
