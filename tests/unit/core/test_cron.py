"""When expressions fire, against an oracle that knows no calendar of its own: it counts the minutes of a zone one by one.

`make sweep` runs the same over every zone, every change of its clocks, and five years.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sluice.core.cron import BOUNDS, CronRefused, check, describe, next_tick

SWEEP = "SWEEP" in os.environ
MINUTE, QUARTER, DAY = timedelta(minutes=1), timedelta(minutes=15), timedelta(days=1)
FIRST, LAST = datetime(2024, 1, 1, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

ODD = {
    "Pacific/Apia": (2011, 12),  # has no 30th
    "Pacific/Kwajalein": (1969, 9),  # set back by 23 hours
    "Antarctica/Casey": (2018, 3),  # by three
    "America/Caracas": (2016, 5),  # half an hour
    "Asia/Pyongyang": (2018, 5),  # half an hour, at half past eleven
    "Africa/Sao_Tome": (2018, 1),
    "America/Asuncion": (2024, 3),  # midnight
    "Australia/Eucla": (2009, 3),  # from 8:45 on
    "Antarctica/Troll": (2024, 3),  # by two hours
}
"""Months with a change of a kind that is rare today."""


@cache
def counted(zone: ZoneInfo, start: datetime, end: datetime) -> np.ndarray:
    """What the clock shows at each minute of real time, in minutes. Clocks change at a quarter of an hour."""
    quarters = [start + number * QUARTER for number in range((end - start) // QUARTER)]
    shown = [(moment.astimezone(zone).replace(tzinfo=UTC) - EPOCH) // MINUTE for moment in quarters]
    return np.repeat(np.array(shown, dtype=np.int64), 15) + np.tile(np.arange(15), len(quarters))


def values(field: str, least: int, restart: int, most: int) -> set[int]:
    """Write out the numbers of a field, one after the other; a range may go on behind the largest."""
    found: set[int] = set()
    for term in field.split(","):
        spread, _, step = term.partition("/")
        start, _, end = spread.replace("*", f"{least}-{most}").partition("-")
        if not start.isdigit():
            continue  # L and the like
        value, last = int(start), int(end or (most if step else start))
        last = most if restart > least and value > last == 0 else last  # Sunday ends a week
        passed = 0
        while True:
            if passed % int(step or 1) == 0:
                found.add(value)
            if value == last:
                break
            value, passed = (restart if value == most else value + 1), passed + 1
    return found


def fits(cron: str, shown: np.ndarray) -> np.ndarray:
    """Whether the expression names each reading of a clock."""
    minute, hour, day, month, weekday = [values(*each) for each in zip(cron.split(), *zip(*BOUNDS, strict=True), strict=True)]  # fmt: skip
    days = shown // 1440
    first, kinds = days.min(), np.arange(days.min(), days.max() + 1)
    named = named_days(cron, kinds, day, month, weekday)
    found: np.ndarray = (
        named[days - first] & np.isin(shown % 60, [*minute]) & np.isin(shown // 60 % 24, [*hour])
    )
    return found


def named_days(cron: str, days: np.ndarray, day: set[int], month: set[int], weekday: set[int]) -> np.ndarray:
    """Whether the expression names each day, counted from 1970."""
    _, _, day_field, _, weekday_field = cron.split()
    months = month_of(days)
    in_month = (
        days - days.astype("datetime64[D]").astype("datetime64[M]").astype("datetime64[D]").astype(int) + 1
    )
    in_week = (days + 4) % 7
    work = (in_week > 0) & (in_week < 6)
    by_day = np.isin(in_month, [*day])
    if "L" in day_field.split(","):
        by_day |= month_of(days + 1) != months
    if "LW" in day_field:
        by_day |= work & (month_of(days + np.where(in_week == 5, 3, 1)) != months)
    by_weekday = np.isin(in_week, [number % 7 for number in weekday])
    for term in weekday_field.split(","):
        if term.endswith("L"):
            by_weekday |= (in_week == int(term[0]) % 7) & (month_of(days + 7) != months)
        if "#" in term:
            by_weekday |= (in_week == int(term[0]) % 7) & ((in_month - 1) // 7 + 1 == int(term[2]))
    either = not (day_field.startswith("*") or weekday_field.startswith("*"))
    return np.isin(months, [*month]) & ((by_day | by_weekday) if either else (by_day & by_weekday))


def month_of(days: np.ndarray) -> np.ndarray:
    """The month, from 1, of days counted from 1970."""
    return days.astype("datetime64[D]").astype("datetime64[M]").astype(int) % 12 + 1


def expected(cron: str, shown: np.ndarray) -> np.ndarray:
    """Which minutes of real time are ticks.

    With a star in minute or hour: those whose reading fits. Without: those at which the clock comes further than ever, past
    a reading that fits; so one that is skipped counts at the end of the gap, and one that is repeated counts once.
    """
    if any(field.startswith("*") for field in cron.split()[:2]):
        return np.flatnonzero(fits(cron, shown))
    furthest = np.maximum.accumulate(shown)
    passed = np.cumsum(fits(cron, np.arange(shown.min(), shown.max() + 1)))[furthest - shown.min()]
    return np.flatnonzero(np.diff(passed, prepend=passed[0]) > 0)


@cache
def changes(name: str, first: datetime = FIRST, last: datetime = LAST) -> list[datetime]:
    """The moments at which the clocks of a zone change."""
    zone, found = ZoneInfo(name), []
    for number in range((last - first) // DAY):
        early, late = first + number * DAY, first + (number + 1) * DAY
        if early.astimezone(zone).utcoffset() == late.astimezone(zone).utcoffset():
            continue
        while late - early > MINUTE:
            middle = early + (late - early) // MINUTE // 2 * MINUTE
            same = middle.astimezone(zone).utcoffset() == early.astimezone(zone).utcoffset()
            early, late = (middle, late) if same else (early, middle)
        assert late.minute % 15 == late.second == 0
        found.append(late)
    return found


def odd_changes() -> Iterator[tuple[str, datetime]]:
    """The changes of `ODD`."""
    for name, (year, month) in ODD.items():
        first = datetime(year, month, 1, tzinfo=UTC)
        yield from ((name, change) for change in changes(name, first - DAY, first + 32 * DAY))


def all_changes() -> Iterator[tuple[str, datetime]]:
    """The changes of every zone in five years; unless everything is swept, one each of those that look alike."""
    seen = set[tuple[object, ...]]()
    for name in sorted(available_timezones() - {"localtime"}):
        for change in changes(name):
            before, after = (
                (change + step).astimezone(ZoneInfo(name)).replace(tzinfo=None)
                for step in (-MINUTE, 0 * MINUTE)
            )
            look = change if SWEEP else None, before.time(), after - before
            if look not in seen:
                seen.add(look)
                yield name, change


def around(change: datetime, zone: ZoneInfo) -> list[str]:
    """Expressions that name the readings about a change, and its day, in every way."""
    local = (change - MINUTE).astimezone(zone).replace(tzinfo=None) + MINUTE
    hour, minute, day, month, weekday = local.hour, local.minute, local.day, local.month, local.isoweekday()
    before = (hour - 1) % 24
    return [
        f"{minute} {hour} * * *",
        f"{(minute + 30) % 60} {hour} * * {weekday}",
        f"0,30,59 {before},{hour} {day} * *",
        f"15 {before}-{(hour + 2) % 24} * * *",
        f"5-50/9 {hour}-{before} {day} {month} *",
        f"*/20 {hour} * * *",
        f"*/30 {before}-{(hour + 3) % 24} * * {weekday}",
        f"*/10 {hour} {day} {month} *",
        f"0 */2 {day} {month} *",
        f"0 */2 * * {weekday}",
        f"30 * {day} * {weekday % 7}",
        f"*/7 {before} {day} {month} {weekday}",
        f"*/15 0-1 * * {weekday}",
        f"0,45 */3 1-31 * {weekday}-{weekday % 7}",
        "0 0 * * *",
        "*/40 * * * *",
        "30 0,2,12 L,1,30 * 6#5,0",
        f"0 1 LW {month} {weekday}L",
        f"*/30 23-2 */2 {month}-{(month + 9) % 12 + 1} *",
    ]  # fmt: skip


def differences(cron: str, zone: ZoneInfo, start: datetime, end: datetime, stride: int) -> list[str]:
    """Ticks that the oracle has otherwise, looked for from every `stride`th minute and from every tick."""
    shown = counted(zone, start - 2 * DAY, end)
    ticks = [start + (int(number) - 2880) * MINUTE for number in expected(cron, shown) if number >= 2880]
    begin = [
        start + number * MINUTE - timedelta(seconds=1) for number in range(0, (end - start) // MINUTE, stride)
    ]
    found = []
    for after in sorted({*begin, *ticks}):
        right = next((tick for tick in ticks if tick > after), None)
        ours = next_tick(cron, zone, after)
        if (ours if ours and ours < end else None) != right:
            found.append(f"{cron} in {zone.key} after {after}: {ours}, not {right}")
    return found


@pytest.mark.timeout(3600)
def test_about_every_change_of_clocks_ticks_are_those_that_counting_finds() -> None:
    seen, wrong = 0, list[str]()
    for name, change in [*odd_changes(), *all_changes()]:
        zone = ZoneInfo(name)
        for cron in around(change, zone):
            wrong += differences(cron, zone, change - 1.5 * DAY, change + 1.5 * DAY, 97 if SWEEP else 397)
        seen += 1
    assert wrong == []
    assert seen > 25


def field(least: int, most: int, *words: str) -> st.SearchStrategy[str]:
    """Generate a field: any value, values, ranges that may run past the end, steps, words; often a list."""
    number = st.integers(least, most)
    step = st.integers(1, 20)
    spread = st.tuples(number, number).map("{0[0]}-{0[1]}".format)
    term = st.one_of(
        number.map(str), spread, st.tuples(number, step).map("{0[0]}/{0[1]}".format),
        st.tuples(spread, step).map("{0[0]}/{0[1]}".format), st.sampled_from([str(least), *words]),
    )  # fmt: skip
    listed = st.lists(term, min_size=1, max_size=4).map(",".join)
    return st.one_of(st.just("*"), step.map("*/{}".format), listed)


expressions = st.tuples(
    field(0, 59), field(0, 23), field(1, 31, "L", "LW"), field(1, 12), field(0, 7, "5L", "0L", "7#1", "3#5")
).map(" ".join)


SHORT = [(name, change) for name, change in odd_changes() if name != "Pacific/Kwajalein"]
"""Without the change by 23 hours, where every minute takes its time."""


@pytest.mark.timeout(3600)
@settings(max_examples=300 if SWEEP else 25)
@given(expressions, st.sampled_from(SHORT))
def test_any_expression_fires_about_a_change_as_counting_finds(
    cron: str, found: tuple[str, datetime]
) -> None:
    name, change = found
    with suppress(CronRefused):  # 30 February, or too long
        check(cron)
        assert differences(cron, ZoneInfo(name), change - 1.5 * DAY, change + 1.5 * DAY, 577) == []


YEARLY = ["0 0 * * 0", "30 2 1,15 * *", "*/30 1-3 * * 0", "0 0 29 2 *", "59 23 L * *", "*/20 0 * 3-4,9-10 5L", "0 22-2/2 28-3 * *",
          "15 0 31 11-2 6-1"]  # fmt: skip


def unlike_zones() -> list[str]:
    """One each of the zones whose clocks show the same for five years."""
    found = dict[tuple[object, ...], str]()
    for name in sorted(available_timezones() - {"localtime"}):
        offset = FIRST.astimezone(ZoneInfo(name)).utcoffset()
        found.setdefault((offset, *changes(name)), name)
    return [*found.values()]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", unlike_zones() if SWEEP else ["Africa/Cairo", "Australia/Lord_Howe"])
def test_for_five_years_ticks_are_those_that_counting_finds(name: str) -> None:
    zone = ZoneInfo(name)
    shown = counted(zone, FIRST, LAST)
    for cron in YEARLY:
        right, ours, tick = expected(cron, shown), [], next_tick(cron, zone, FIRST)
        while tick and tick < LAST:
            ours.append((tick - FIRST) // MINUTE)
            tick = next_tick(cron, zone, tick)
        assert ours == [number for number in right if number], cron


@pytest.mark.parametrize(
    ("cron", "same", "words"),
    [
        ("0 6 * * MON-SUN", "0 6 * * 1-7", "At 06:00 on Monday through Sunday"),
        ("0 6 * * SAT-SUN", "0 6 * * 6,7", "At 06:00 on Saturday and Sunday"),
        ("0 6 * * fri-Sun", "0 6 * * 5,6,0", "At 06:00 on Friday through Sunday"),
        ("0 6 * * FRI-MON", "0 6 * * 5,6,0,1", "At 06:00 on Friday through Sunday and Monday"),
        ("0 6 * * FRI-MON/2", "0 6 * * 5,7", "At 06:00 on every second day of week from Friday through Sunday"),
        ("0 6 * * 5-0", "0 6 * * 5,6,7", "At 06:00 on Friday through Sunday"),
        ("0 6 * * 7-2", "0 6 * * 0,1,2", "At 06:00 on Sunday, Monday, and Tuesday"),
        ("0 6 * * SUN-SUN", "0 6 * * 7", "At 06:00 on Sunday"),
        ("0 6 * * SAT,SUN,7", "0 6 * * 0,6", "At 06:00 on Saturday and Sunday"),
        ("0 6 * * SUN,7", "0 6 * * 0", "At 06:00 on Sunday"),
        ("0 6 * * SUN-TUE,frI", "0 6 * * 0,1,2,5", "At 06:00 on Sunday through Tuesday and Friday"),
        ("0 6 * * FRIL,mon#2", "0 6 * * 5L,1#2", "At 06:00 on the last Friday of the month and the second Monday of the month"),
        ("0 6 1 NOV-FEB *", "0 6 1 1,2,11,12 *", "At 06:00 on the first day of November, December, January, and February"),
        ("0 22-2 * * *", "0 0,1,2,22,23 * * *", "At minute 0 past hour 22, hour 23, and every hour from 0 through 2"),
        ("0 20-4/3 * * *", "0 20,23,2 * * *", "At minute 0 past every third hour from 20 through 23 and every third hour from 2 through 4"),
        ("50-10/7 * * * *", "50,57,4 * * * *", "Every seventh minute"),
        ("0 0 30-2 * *", "0 0 30,31,1,2 * *", "At 00:00 on the 30th, the 31st, the first, and the second day of month"),
        ("5-5/2 * * * *", "5 * * * *", "At minute 5 of every hour"),
        ("0 0 1-31,L * 1", "0 0 * * *", "At 00:00 every day"),
        ("@hourly", "0 * * * *", "At the start of every hour"),
        (" @Daily ", "0 0 * * *", "At 00:00 every day"),
        ("@midnight", "0 0 * * *", "At 00:00 every day"),
        ("@weekly", "0 0 * * 0", "At 00:00 on Sunday"),
        ("@monthly", "0 0 1 * *", "At 00:00 on the first day of every month"),
        ("@yearly", "0 0 1 1 *", "At 00:00 on January 1"),
        ("@annually", "0 0 1 1 *", "At 00:00 on January 1"),
    ],
)  # fmt: skip
def test_other_ways_to_write_an_expression_are_taken(cron: str, same: str, words: str) -> None:
    check(cron)
    assert describe(cron).startswith(words)
    assert describe(cron).count("Sunday") == words.count("Sunday")
    tick = other = FIRST
    for _ in range(12):
        tick, other = (next_tick(text, ZoneInfo("Europe/Berlin"), after) or LAST for text, after in ((cron, tick), (same, other)))  # fmt: skip
        assert tick == other


def days_of(day: str, weekday: str) -> set[int]:
    """The days of three years, counted from 1970, that these two fields name in any month."""
    cron, days = f"0 0 {day} * {weekday}", np.arange((FIRST - EPOCH).days, (FIRST - EPOCH).days + 1096)
    fields = [values(*each) for each in zip((day, "*", weekday), *zip(*BOUNDS[2:], strict=True), strict=True)]
    return {*map(int, days[named_days(cron, days, *fields)])}


def meant(words: str, day: str, weekday: str) -> set[int]:
    """The days that the words name: those of either field, of both, or of the one that alone has the same words."""
    alone = [(day, "*"), ("*", weekday), ("*", "*")]
    by_day, by_weekday, _ = (days_of(*each) for each in alone)
    if " or on " in words:
        return by_day | by_weekday
    if "if it's on" in words:
        return by_day & by_weekday
    same = [each for each in alone if describe("0 0 {} * {}".format(*each)) == words]
    return days_of(*same[0]) if same else set()


@settings(max_examples=300)
@given(field(1, 31, "L", "LW", "*"), field(0, 7, "5L", "0L", "7#1", "3#5", "*"))
@example("LW", "1-3")
@example("1,LW", "1#1")
@example("LW,15", "5")
@example("15", "0-7")
@example("15", "0/1")
@example("15", "1-7")
@example("LW", "1-7,1#1")
@example("*/2", "1")
@example("*,LW", "1")
@example("1", "1,*")
def test_words_name_the_days_on_which_an_expression_fires(day: str, weekday: str) -> None:
    cron = f"0 0 {day} * {weekday}"
    with suppress(CronRefused):
        check(cron)
        words = describe(cron)
        assert meant(words, day, weekday) == days_of(day, weekday), words


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("@reboot", "five fields, without seconds and years, or is one of @hourly, @daily,"),
        ("0 0 12 * * *", "without seconds"),
        ("0 0 1 * ?", r"Bad day-of-week in '0 0 1 \* \?'. Write \* for \?."),
        ("0 0 * * MON5", "Bad day-of-week"),
        ("0 0 * * MONDAY-SUN", "Bad day-of-week"),
        ("0 0 * JANL *", "Bad month"),
        ("0 0 * SUN *", "Bad month"),
        ("0 0 5-0 * *", "Bad day-of-month"),
        ("0 0 0-5 * *", "Bad day-of-month"),
        ("70-5 * * * *", "Bad minute"),
        ("5-70 * * * *", "Bad minute"),
        ("0 0 * * 8-2", "Bad day-of-week"),
        ("0 22-2/0 * * *", "Bad hour"),
        ("0 0 30 2 *", "Bad day-of-month"),
        ("0 0 31 FEB,4,6,NOV-SEP/10 *", "Bad day-of-month"),
        ("0 0 15W * *", "Bad day-of-month"),
        ("*,".join(["*"] * 60) + " * * * *", "at most 100 characters"),
    ],
)
def test_what_is_no_expression_is_refused(cron: str, words: str) -> None:
    with pytest.raises(CronRefused, match=words):
        check(cron)


def test_an_expression_whose_ticks_all_lie_in_a_gap_never_fires() -> None:
    cairo = ZoneInfo("Africa/Cairo")  # clocks go forward at midnight on the last Friday of April
    assert next_tick("*/30 0 * 4 5L", cairo, FIRST) is None
    assert next_tick("30 0 * 4 5L", cairo, FIRST) == datetime(2024, 4, 25, 22, tzinfo=UTC)
    assert next_tick("* * */31 2 MON#5", cairo, FIRST) is None
