"""When schedules fire, and what happens to the ticks they missed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.core.errors import Invalid
from sluice.core.schedule import (
    MISSED_S,
    MOST_AT_ONCE,
    CatchUp,
    DueSchedule,
    Firing,
    Timing,
    check,
    describe,
    next_tick,
    plan,
)

BERLIN = "Europe/Berlin"
ZONES = [BERLIN, "UTC", "America/New_York", "Asia/Kolkata", "Pacific/Auckland", "Africa/Cairo", "Etc/GMT+5"]
HOURLY, MINUTELY = Timing("0 * * * *", "UTC"), Timing("* * * * *", "UTC")
MINUTE = timedelta(minutes=1)


def at(text: str) -> datetime:
    """Make a time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def ticks(cron: str, after: str, count: int, zone: str = BERLIN) -> list[str]:
    """Return the next ticks after a time in UTC, as UTC."""
    found, now = [], at(after)
    for _ in range(count):
        now = next_tick(Timing(cron, zone), now)
        found.append(f"{now:%m-%d %H:%M}")
    return found


def part(least: int, most: int) -> st.SearchStrategy[str]:
    """Generate a field of an expression: any value, a range, a list, a step."""
    number = st.integers(least, most)
    spread = st.tuples(number, number).map(lambda two: f"{min(two)}-{max(two)}")
    step = st.tuples(st.sampled_from(["*", f"{least}-{most}"]), st.integers(1, 20)).map(
        "{0[0]}/{0[1]}".format
    )
    listed = st.lists(number.map(str), min_size=1, max_size=4).map(",".join)
    return st.one_of(st.just("*"), number.map(str), spread, step, listed)


expressions = st.tuples(part(0, 59), part(0, 23), part(1, 28), part(1, 12), part(0, 7)).map(" ".join)
times = st.integers(0, 20 * 365 * 86_400).map(lambda second: at("2020-01-01") + timedelta(seconds=second))


@settings(max_examples=300)
@given(expressions, st.sampled_from(ZONES), times)
def test_the_next_tick_is_strictly_later_on_a_minute_and_in_words(
    cron: str, zone: str, after: datetime
) -> None:
    found = next_tick(Timing(cron, zone), after)
    assert found > after
    assert (found.tzinfo, found.second, found.microsecond) == (UTC, 0, 0)
    assert next_tick(Timing(cron, zone), found) >= found + MINUTE
    assert describe(cron)[0].isupper()


@settings(max_examples=200)
@given(part(0, 59), part(0, 23), st.sampled_from(ZONES), times)
def test_on_a_day_of_24_hours_a_tick_is_the_first_minute_that_fits(
    minute: str, hour: str, zone: str, after: datetime
) -> None:
    there = ZoneInfo(zone)
    found = next_tick(Timing(f"{minute} {hour} * * *", zone), after)
    if after.astimezone(there).utcoffset() != (found + timedelta(days=1)).astimezone(there).utcoffset():
        return
    fits = fitting(minute, 60), fitting(hour, 24)
    first = after.replace(second=0, microsecond=0) + MINUTE
    while not (first.astimezone(there).minute in fits[0] and first.astimezone(there).hour in fits[1]):
        first += MINUTE
    assert found == first


def fitting(field: str, end: int) -> set[int]:
    """Work out again which values a field of an expression allows."""
    spread, _, step = field.partition("/")
    found: set[int] = set()
    for term in spread.split(","):
        least, _, most = term.partition("-")
        found |= set(range(end)) if term == "*" else set(range(int(least), int(most or least) + 1))
    return set(sorted(found)[:: int(step or 1)])


@given(st.text(alphabet="0123456789*/-,#LW MONJAN?²", max_size=30))
def test_an_expression_is_refused_or_fires_and_is_described(text: str) -> None:
    refused: list[str] = []
    try:
        next_tick(Timing(text, "UTC"), at("2026-01-01"))
    except Invalid as error:
        refused = [flaw.pointer for flaw in error.flaws]
    assert refused == ["/cron"] or describe(text)


def test_a_fixed_time_in_the_hour_that_is_left_out_fires_when_the_gap_ends() -> None:
    # on 29 March 2026 02:00 in Berlin is 03:00, which is 01:00 in UTC
    assert ticks("30 2 * * *", "2026-03-28T00:00", 3) == ["03-28 01:30", "03-29 01:00", "03-30 00:30"]
    assert ticks("0,30 2 * * *", "2026-03-29T00:00", 2) == ["03-29 01:00", "03-30 00:00"]


def test_a_fixed_time_in_the_hour_that_comes_twice_fires_the_first_time_only() -> None:
    # on 25 October 2026 03:00 in Berlin is 02:00 once more, which is 01:00 in UTC
    assert ticks("30 2 * * *", "2026-10-24T12:00", 2) == ["10-25 00:30", "10-26 01:30"]


def test_begun_within_the_second_of_two_hours_no_time_of_the_first_is_found() -> None:
    assert ticks("30 2 * * *", "2026-10-25T01:10", 1) == ["10-26 01:30"]


def test_expressions_with_a_star_follow_real_time() -> None:
    assert ticks("30 * * * *", "2026-03-29T00:00", 3) == ["03-29 00:30", "03-29 01:30", "03-29 02:30"]
    assert ticks("30 * * * *", "2026-10-25T00:00", 3) == ["10-25 00:30", "10-25 01:30", "10-25 02:30"]
    assert ticks("*/30 2 * * *", "2026-10-25T00:00", 4) == [
        "10-25 00:30", "10-25 01:00", "10-25 01:30", "10-26 01:00"
    ]  # fmt: skip


def test_a_time_of_day_is_that_of_the_zone() -> None:
    assert ticks("0 3 * * *", "2026-01-01T00:00", 1, "Asia/Kolkata") == ["01-01 21:30"]
    assert ticks("0 0 29 2 *", "2026-01-01T00:00", 1, "UTC") == ["02-29 00:00"]
    assert ticks("0 9 * JAN MON#2", "2026-01-01T00:00", 1, "UTC") == ["01-12 09:00"]


@pytest.mark.parametrize(
    ("cron", "word"),
    [
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("* * * * * *", "five fields"),
        ("@reboot", "five fields"),
        ("* " * 5 + " " * 100, "at most 100 characters"),
        ("60 * * * *", "Bad minute"),
        ("* 24 * * *", "Bad hour"),
        ("* * 0 * *", "Bad day-of-month"),
        ("* * 30 2 *", "Bad day-of-month"),
        ("* * * FOO *", "Bad month"),
        ("* * * * 8", "Bad day-of-week"),
        ("5-60 * * * *", "Bad minute"),
        ("*/0 * * * *", "Bad minute"),
        ("9" * 90 + " * * * *", "Bad minute"),
        ("* * */31 2 MON#5", "never fires"),
    ],
)
def test_a_wrong_expression_is_refused_with_an_example(cron: str, word: str) -> None:
    with pytest.raises(Invalid) as refused:
        next_tick(Timing(cron, "UTC"), at("2026-01-01"))
    (flaw,) = refused.value.flaws
    assert flaw.pointer == "/cron"
    assert word in flaw.detail
    assert "'30 3 * * 1-5' is 03:30 from Monday to Friday" in flaw.detail


@pytest.mark.parametrize(
    "zone",
    ["", "Mars/Olympus", "America", "europe/berlin", "../Europe/Berlin", "/etc/localtime", "localtime", "right/UTC",
     "Europe/Berlin\0", "A" * 300, "CEST+2:00"],
)  # fmt: skip
def test_what_is_no_zone_is_refused(zone: str) -> None:
    with pytest.raises(Invalid) as refused:
        check(Timing("* * * * *", zone))
    (flaw,) = refused.value.flaws
    assert (flaw.pointer, flaw.code) == ("/timezone", "timezone")


def test_both_flaws_are_reported_at_once() -> None:
    with pytest.raises(Invalid) as refused:
        check(Timing("daily", "Berlin"))
    assert [flaw.pointer for flaw in refused.value.flaws] == ["/cron", "/timezone"]


def test_every_zone_that_there_is_is_taken() -> None:
    for zone in available_timezones() - {"localtime"}:
        check(Timing("0 3 * * *", zone))


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("0 0 1-31 * MON", "At 00:00 every day"),
        ("0 9 10 * 0-6", "At 09:00 every day"),
        ("0 0 31 2 1-5", "At 00:00 on the 31st day of month or on Monday through Friday in February"),
        ("0 0 1,15 * 1,3", "At 00:00 on the first and the 15th day of month or on Monday and Wednesday"),
        ("30 4 1-7 * 1", "At 04:30 on every day of month from 1 through 7 or on Monday"),
        ("0 0 L * 5#2", "At 00:00 on the last day of the month or on the second Friday of the month"),
        ("0 0 * * 1,3", "At 00:00 on Monday and Wednesday"),
    ],
)
def test_where_day_or_weekday_is_enough_the_words_say_so(cron: str, words: str) -> None:
    assert describe(cron) == words


def test_an_expression_is_described() -> None:
    assert describe("30 3 * * 1-5") == "At 03:30 on Monday through Friday"


@pytest.mark.parametrize("catch_up", CatchUp)
def test_a_tick_in_time_makes_one_job_whatever_the_policy(catch_up: CatchUp) -> None:
    due = at("2026-01-01T12:00")
    for late_s in (0, 1, MISSED_S - 1):
        firing = plan(HOURLY, catch_up, due, due + timedelta(seconds=late_s))
        assert firing == Firing((due,), at("2026-01-01T13:00"))


def test_missed_ticks_make_one_job_all_together_by_default() -> None:
    due = at("2026-01-01T12:00")
    assert plan(HOURLY, "one", due, at("2026-01-01T15:30")) == Firing((due,), at("2026-01-01T16:00"))


def test_missed_ticks_are_let_go_where_that_is_asked_for() -> None:
    due = at("2026-01-01T12:00")
    assert plan(HOURLY, "none", due, at("2026-01-01T15:30")) == Firing((), at("2026-01-01T16:00"))
    newest = at("2026-01-01T15:00")  # this one is not missed yet
    assert plan(HOURLY, "none", due, newest + timedelta(seconds=30)) == Firing(
        (newest,), at("2026-01-01T16:00")
    )


def test_a_schedule_of_every_minute_lets_all_but_the_newest_tick_go() -> None:
    firing = plan(MINUTELY, "none", at("2026-01-01T12:00"), at("2026-01-01T15:30:20"))
    assert firing == Firing((at("2026-01-01T15:30"),), at("2026-01-01T15:31"))


def test_each_missed_tick_makes_a_job_where_that_is_asked_for() -> None:
    firing = plan(HOURLY, "all", at("2026-01-01T12:00"), at("2026-01-01T14:00"))
    assert firing == Firing(
        tuple(at(f"2026-01-01T{hour}:00") for hour in (12, 13, 14)), at("2026-01-01T15:00")
    )


def test_very_many_missed_ticks_are_made_up_for_bit_by_bit() -> None:
    now, seen, due = at("2026-01-02T00:00"), list[datetime](), at("2026-01-01T20:00")
    while due <= now:
        firing = plan(MINUTELY, "all", due, now)
        assert len(firing.ticks) <= MOST_AT_ONCE
        seen += firing.ticks
        due = firing.next_at
    assert len(seen) == 4 * 60 + 1
    assert {later - tick for tick, later in pairwise(seen)} == {MINUTE}


def test_a_schedule_that_is_due_says_when_it_fires() -> None:
    now = at("2026-01-01T12:00")
    assert DueSchedule("id", "name", "* * * * *", "UTC", "one", now, now).timing == MINUTELY


@pytest.mark.parametrize(("size", "most"), [(0, 100), (80_000, 100), (1 << 20, 8), (100 << 20, 1)])
def test_as_many_ticks_are_fired_at_once_as_their_inputs_allow(size: int, most: int) -> None:
    now = at("2026-01-01 00:00")
    assert DueSchedule("id", "name", "* * * * *", "UTC", "one", now, now, size).most_ticks == most
