"""Cron expressions: which are taken, what they say, and when they fire in a time zone.

cronsim walks the calendar, but on readings of a clock that never changes: by itself it adds and loses ticks where clocks
change at midnight or by less than an hour. What a change makes of a reading is decided here.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from cronsim.explain import explain

LONGEST = 100
FURTHEST = timedelta(days=50 * 366)
"""How far ahead a tick is looked for: 29 February falls on each day of the week within 40 years."""

NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
MONTHS = ["", "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
WEEKDAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]

BOUNDS = [(0, 0, 59), (0, 0, 23), (1, 1, 31), (1, 1, 12), (0, 1, 7)]
"""Of each field the least value, the one that follows the largest, and the largest: Sunday is 0 and 7."""

_NAME = re.compile(r"\b[A-Z]{3}(?=L?\b)")
_NUMERAL = re.compile(r"(?<=[2-5])([123])th")  # cronsim writes 31th
_RANGE = re.compile(r"([0-9]+)-([0-9]+)(?:/([0-9]+))?")


class CronRefused(ValueError):
    """No cron expression; the message says what is wrong with it."""


def check(cron: str) -> None:
    """Raise CronRefused if this is no expression, or one whose days are in none of its months."""
    if len(cron) > LONGEST:
        raise CronRefused(f"A cron expression has at most {LONGEST} characters.")
    plain = _plain(cron)
    try:
        CronSim(plain, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        advice = " Write * for ?." if "?" in cron else ""
        raise CronRefused(f"{error} in {cron!r}.{advice}") from error


def describe(cron: str) -> str:
    """Say in words when a checked expression fires."""
    plain = _plain(cron)
    minute, hour, day, month, weekday = plain.split()
    once = dict.fromkeys("0" if term == "7" else term for term in weekday.split(","))
    plain = " ".join((minute, hour, day, month, ",".join(once)))
    # Either is enough, while cronsim's words ask for both.
    if not (day.startswith("*") or weekday.startswith("*")):
        parsed = CronSim(plain, datetime(2000, 1, 1, tzinfo=UTC))
        weekdays = {each % 7 for each in parsed.weekdays if isinstance(each, int)}  # of Sundays there are two
        if parsed.days.issuperset(range(1, 32)) or len(weekdays) == len(WEEKDAYS):
            plain = f"{minute} {hour} * {month} *"
    words = explain(plain).replace(" and on ", " or on ")
    return _NUMERAL.sub(lambda digit: {"1": "1st", "2": "2nd", "3": "3rd"}[digit[1]], words)


def next_tick(cron: str, zone: ZoneInfo, after: datetime) -> datetime | None:
    """Return the first tick of a checked expression later than `after`, in UTC; None if none comes in fifty years.

    A reading that the clocks skip or repeat counts as crontab(5) of Debian has it. If minute or hour begins with `*`, the
    expression follows real time; if neither does, a reading counts once: when the gap ends, or the first time.
    """
    plain, again = _plain(cron), None
    follows = any(field.startswith("*") for field in plain.split()[:2])
    for reading in CronSim(plain, _begin(zone, after)):
        if reading.replace(tzinfo=UTC) > after + FURTHEST:  # all of them lie in gaps
            break
        first, second = (_moment(reading, zone, fold) for fold in (0, 1))
        if first > second and follows:
            continue
        if first > second:
            first = _end_of_gap(reading, zone)
        if first > after:
            return min(first, again or first)
        if second > after and follows:
            again = again or second
    return again


def _begin(zone: ZoneInfo, after: datetime) -> datetime:
    """Return the reading after which ticks may come: that at `after`, or less if the clock will soon be set back behind it."""
    day = timedelta(days=1)
    back = _reading(zone, after) + day - _reading(zone, after + day)
    return min(_reading(zone, after), _reading(zone, after + back) - back)


def _reading(zone: ZoneInfo, moment: datetime) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _moment(reading: datetime, zone: ZoneInfo, fold: int) -> datetime:
    """Return when the clock shows this; in a gap (PEP 495), fold 0 comes out later than fold 1."""
    return reading.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def _end_of_gap(reading: datetime, zone: ZoneInfo) -> datetime:
    while _moment(reading, zone, 0) > _moment(reading, zone, 1):
        reading += timedelta(minutes=1)
    return _moment(reading, zone, 0)


def _plain(cron: str) -> str:
    """Write an expression as cronsim understands it: five fields of numbers, whose ranges rise."""
    fields = NICKNAMES.get(cron.strip().lower(), cron.upper()).split()
    if len(fields) != 5:
        raise CronRefused(
            f"A cron expression has five fields, without seconds and years, or is one of {', '.join(NICKNAMES)}."
        )
    *times, month, weekday = fields
    fields = [*times, _number(month, MONTHS), _number(weekday, WEEKDAYS)]
    return " ".join(
        ",".join(_rise(term, *bounds) for term in field.split(","))
        for field, bounds in zip(fields, BOUNDS, strict=True)
    )


def _number(field: str, names: list[str]) -> str:
    return _NAME.sub(lambda name: str(names.index(name[0])) if name[0] in names else name[0], field)


def _rise(term: str, least: int, restart: int, most: int) -> str:
    """Split a range that goes on behind the largest value, as FRI-MON does; what is no range stays as it is."""
    found = _RANGE.fullmatch(term)
    if not found:
        return term
    start, end, step = (int(part or 1) for part in found.groups())
    if not (least <= start <= most and least <= end <= most and step):
        return term
    behind = restart + (start - most - 1) % step
    parts = [(start, end)] if start <= end else [(start, most), (behind, end)]
    stride = "" if step == 1 else f"/{step}"
    return ",".join(
        f"{first}-{last}{stride}" if first < last else str(first)  # cronsim takes 5-5/2 for 5/2
        for first, last in parts
        if first <= last
    )
