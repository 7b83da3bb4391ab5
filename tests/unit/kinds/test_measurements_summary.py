"""Numbers checked against numpy and by hand, and every CSV that a person could send by mistake."""

from __future__ import annotations

import csv
import subprocess
import sys
from base64 import b64decode
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from io import BytesIO, StringIO
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sluice.errors import BadInput, GiveUp
from sluice.kinds.measurements import reading, sheet, statistics
from sluice.kinds.measurements_summary import Series, Summary, summarize
from sluice.testing import FakeContext, run_handler

ROOT = Path(__file__).parents[3]
WEATHER = ROOT / "infra/local/sample_data/weather.csv"
HEADER = "asset,signal,time,value"
START = datetime(2024, 5, 1)  # noqa: DTZ001  times without a zone are a case of their own


def table(*rows: str, header: str = HEADER) -> str:
    """Make a CSV as a client sends it."""
    return "\n".join([header, *rows]) + "\n"


def hourly(*values: object, asset: str = "pump", signal: str = "bar") -> list[str]:
    """Make one row per hour."""
    return [
        f"{asset},{signal},{START + timedelta(hours=hour):%Y-%m-%d %H:%M},{value}"
        for hour, value in enumerate(values)
    ]


def summed(text: str, **options: Any) -> Summary:
    """Run the handler and return its answer."""
    return run_handler(summarize, {"csv": text, **options})


def only(text: str, **options: Any) -> Series:
    """Return the answer about the only series."""
    (series,) = summed(text, **options).series
    return series


def rows_of(text: str, fence: float = 1.5, gap: float = 3) -> list[dict[str, Any]]:
    """Return the numbers without the picture."""
    readings, zoned = reading.read(sheet.Sheet.of(text, ","))
    return statistics.summarize_series(statistics.mark(readings, fence, gap), zoned=zoned)


def refusal(text: str, **options: Any) -> str:
    """Return the message of the GiveUp."""
    with pytest.raises(GiveUp) as ended:
        summed(text, **options)
    return str(ended.value)


def test_a_series_worked_out_by_hand() -> None:
    series = only(table(*hourly(2, 4, 4, 5, 7, 9, 60)))
    assert (series.asset, series.signal, series.count) == ("pump", "bar", 7)
    assert (series.first, series.last) == (START, START + timedelta(hours=6))
    assert (series.interval_s, series.min, series.max, series.mean) == (3600, 2, 60, 13)
    assert series.deviation == pytest.approx((2608 / 6) ** 0.5)
    assert (series.quantiles.p25, series.quantiles.p50, series.quantiles.p75) == (4, 5, 8)
    assert series.quantiles.p95 == pytest.approx(9 + 0.7 * 51)
    assert (series.outliers.count, series.outliers.below, series.outliers.above) == (1, -2, 14)
    assert series.trend is not None
    assert series.trend.per_day == pytest.approx(
        24 * 187 / 28
    )  # sum of products over sum of squares, in hours
    assert series.trend.r_squared == pytest.approx(187**2 / 28 / 2608)


def test_a_gap_is_a_step_of_more_than_so_many_median_steps() -> None:
    hours = (0, 1, 2, 3, 6, 7, 8, 12)
    rows = [f"pump,bar,2024-05-01T{hour:02}:00,1" for hour in hours]
    wide = only(table(*rows))
    narrow = only(table(*rows), gap=2.9)
    assert (wide.gaps.count, wide.gaps.longest_s) == (1, 4 * 3600)
    assert wide.gaps.after == START + timedelta(hours=8)
    assert narrow.gaps.count == 2
    assert only(table(*rows), gap=5).gaps.after is None


@pytest.mark.parametrize(("fence", "count"), [(0, 3), (1.5, 1), (100, 0)])
def test_the_fence_decides_what_is_an_outlier(fence: float, count: int) -> None:
    assert only(table(*hourly(2, 4, 4, 5, 7, 9, 60)), fence=fence).outliers.count == count


def test_a_constant_series_has_no_outliers_no_trend_and_nothing_to_explain() -> None:
    series = only(table(*hourly(*[0.1] * 9)))
    assert (series.min, series.max, series.outliers.count) == (0.1, 0.1, 0)
    assert series.trend is not None
    assert (series.trend.per_day, series.trend.r_squared) == (0, None)


def test_one_reading_has_no_interval_no_deviation_and_no_trend() -> None:
    series = only(table("pump,bar,2024-05-01,3.5"))
    assert (series.count, series.mean, series.quantiles.p05, series.quantiles.p95) == (1, 3.5, 3.5, 3.5)
    assert (series.interval_s, series.deviation, series.trend, series.gaps.count) == (None, None, None, 0)


def test_series_are_distinguished_by_asset_and_signal() -> None:
    text = table(*hourly(1, 2, asset="b"), *hourly(3, asset="a", signal="z"), *hourly(4, asset="a"))
    assert [(s.asset, s.signal, s.count) for s in summed(text).series] == [
        ("a", "bar", 1),
        ("a", "z", 1),
        ("b", "bar", 2),
    ]


def test_values_that_are_missing_are_counted_and_leave_a_hole() -> None:
    series = only(table(*hourly(1, 2, "", "NaN", "n/a", 6, 7, 8)))
    assert (series.count, series.missing) == (5, 3)
    assert (series.gaps.count, series.gaps.longest_s) == (1, 4 * 3600)


def test_a_series_without_any_value_is_named_apart() -> None:
    answer = summed(table(*hourly(1, 2), *hourly("", "", asset="dead")))
    assert [series.asset for series in answer.series] == ["pump"]
    assert [(silent.asset, silent.missing) for silent in answer.silent] == [("dead", 2)]
    assert answer.rows == 4


def test_a_row_that_says_the_same_again_counts_once() -> None:
    series = only(table(*hourly(1, 2, 3), *hourly(1, 2)))
    assert (series.count, series.repeated, series.mean) == (3, 2, 2)


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + table(*hourly(1, 2, 3)),
        table(*hourly(1, 2, 3)).replace("\n", "\r\n"),
        table(*hourly(1, 2, 3)).replace("\n", "\r"),
        "\n\n" + table(*hourly(1, 2, 3)).replace("\n", "\n\n"),
        table(*hourly(1, 2, 3)).rstrip("\n"),
        table(*hourly(3, 2, 1)[::-1]).replace("3\n", "x\n").replace("1\n", "3\n").replace("x\n", "1\n"),
        table(*(f" {row} ".replace(",", " , ") for row in hourly(1, 2, 3)), header=" Asset ,SIGNAL, time ,Value"),
        table(*(f'"{row}"'.replace(",", '","') for row in hourly(1, 2, 3))),
        table(*(f"x,{row},y" for row in hourly(1, 2, 3)), header="id,asset,signal,time,value,note"),
        table("1,,,", *(",".join(row.split(",")[::-1]) for row in hourly(1, 2, 3)), header="value,time,signal,asset")
        .replace("1,,,\n", ",,,\n"),
    ],
    ids=["bom", "crlf", "cr", "blank lines", "no last newline", "backwards", "spaces", "quotes", "more columns", "order"],
)  # fmt: skip
def test_the_same_readings_in_another_dress_give_the_same_answer(text: str) -> None:
    assert only(text) == only(table(*hourly(1, 2, 3)))


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters_are_taken_when_they_are_named(delimiter: str) -> None:
    text = table(*hourly(1, 2, 3)).replace(",", delimiter)
    assert only(text, delimiter=delimiter) == only(table(*hourly(1, 2, 3)))
    assert "say so in 'delimiter'" in refusal(text)


@pytest.mark.parametrize(
    "time",
    [
        "2024-05-01T10:30Z",
        "2024-05-01 10:30:00z",
        "2024-05-01T12:30+02:00",
        "2024-05-01T00:00:00.000000-1030",
        "2024-05-02T00:30 +14:00",
    ],
)
def test_times_with_a_zone_are_answered_in_utc(time: str) -> None:
    answer = run_handler(summarize, {"csv": table(f"pump,bar,{time},1")})
    assert '"first":"2024-05-01T10:30:00Z"' in answer.model_dump_json()


def test_times_without_a_zone_stay_as_they_are() -> None:
    answer = run_handler(summarize, {"csv": table("pump,bar,2024-05-01T10:30,1")})
    assert '"first":"2024-05-01T10:30:00"' in answer.model_dump_json()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "The CSV is empty"),
        ("\ufeff \n\n", "The CSV is empty"),
        (HEADER, "no row below it"),
        (HEADER + "\n\n,,,\n", "no row below it"),
        ("\n".join(hourly(1, 2)), "Line 1 has to name the columns asset, signal, time, value; it says 'pump"),
        (table(*hourly(1), header="asset,signal,time,reading"), "The header in line 1 lacks 'value'"),
        (table("a,b,2024-05-01,1,2", header="asset,signal,time,value,value"), "names 'value' 2 times"),
        (table(*hourly(1), header=",".join("x" * 101)), "has 101 columns"),
        (table(*hourly(1), header='"asset,signal,time,value'), "The row in line 1 cannot be read"),
        (table(*hourly(1, 2), "pump,bar,2024-05-01,3,4"), "Line 4 has 5 cells, the header has 4: put cells that hold ',' into quotes."),
        (table(*hourly(1), '"pump,bar,2024-05-01,3'), "The row in line 3 cannot be read"),
        (table(*hourly(1), '"pu"mp,bar,2024-05-01,3'), "Double the quotes inside a quoted cell"),
        (table(*hourly(1, 2), ",bar,2024-05-01,3"), "1 of 3 rows have no asset. The first is in line 4, column 1 (asset)."),
        (table("pump,,2024-05-01,3"), "1 of 1 rows have no signal"),
        (table(*hourly(1), "pump,bar"), "1 of 2 rows have no time. The first is in line 3, column 3 (time)."),
        (table(*hourly(1), f"{'p' * 101},bar,2024-05-01,3"), "1 of 2 assets are too long"),
        (table('"pu\nmp",bar,2024-05-01,3'), "hold control characters"),
        (table(*hourly(1), "pump,bar,01.05.2024,3", "pump,bar,x,3"), "2 of 3 times cannot be read: write them like"),
        (table("pump,bar,171455760,3"), "The first is in line 2, column 3 (time), '171455760'."),
        (table("pump,bar,2024-02-30,3"), "cannot be read"),
        (table("pump,bar,2024-05-01T25:00,3"), "cannot be read"),
        (table("pump,bar,2024-05-01T10:00+15:00,3"), "cannot be read"),
        (table("pump,bar,2024-05-01T10:00+01:60,3"), "cannot be read"),
        (table("pump,bar,0024-05-01,3"), "outside the years 1700 to 2299"),
        (table("a,b,2024-05-01T10:00Z,1", "a,b,2024-05-01T11:00,1"), "1 of 2 times have no zone while others have one"),
        (table(*hourly(1, "high", 3, "3 bar")), "2 of 4 values are no numbers"),
        (table(*hourly(1, "high")), "The first is in line 3, column 4 (value), 'high'."),
        (table(*hourly(1, '"1,5"')), "write them like -12.5 or 3e-4"),
        (table(*hourly(1, "inf", "-1e101")), "2 of 3 values are infinite or beyond 1e+100"),
        (table(*hourly("", "NaN")), "None of the 2 rows has a value."),
        (table(*hourly(1, 2), *hourly(1, 5)), "1 of 4 rows give another value for a time"),
        (table(*hourly(1, 2), *hourly(1, 5)), "The first is in line 5, column 3 (time), '2024-05-01 01:00"),
        (table(*(f"pump {n},bar,2024-05-01,3" for n in range(501))), "has 501 series, at most 500"),
        (table("pump,bar," + "9" * 10_000 + ",1"), "line 2, column 3 (time), '" + "9" * 39 + "…'"),
        (table(*hourly("1" * 200_000)), "The row in line 2 cannot be read"),
    ],
)  # fmt: skip
def test_gives_up_on_what_cannot_be_meant_and_says_where_and_what_to_do(text: str, words: str) -> None:
    assert words in refusal(text)


def test_gives_up_on_too_many_rows() -> None:
    assert sheet.Sheet.of(table(*hourly(1, 2, 3)), ",", most_rows=3).cells().height == 3
    with pytest.raises(GiveUp, match="has 4 rows, at most 3 are read"):
        sheet.Sheet.of(table(*hourly(1, 2, 3, 4)), ",", most_rows=3).cells()


@pytest.mark.parametrize(
    "wrong", [{"fence": -1}, {"gap": 0.5}, {"delimiter": ":"}, {"gap": "3"}, {"x": 1}, {"csv": None}]
)
def test_refuses_options_out_of_bounds(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        run_handler(summarize, {"csv": table(*hourly(1))} | wrong)


@given(
    values=st.lists(st.floats(-1e6, 1e6).map(lambda v: round(v, 3)), min_size=2, max_size=60),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60)
def test_agrees_with_numpy_in_whatever_order_the_rows_come(values: list[float], seed: int) -> None:
    chance = Random(seed)
    seconds = sorted(chance.sample(range(10**6), len(values)))
    rows = [f"a,b,{START + timedelta(seconds=s):%Y-%m-%dT%H:%M:%S},{v}" for s, v in zip(seconds, values, strict=True)]  # fmt: skip
    chance.shuffle(rows)
    (row,) = rows_of(table(*rows))
    close = partial(pytest.approx, rel=1e-9, abs=1e-7)
    assert row["mean"] == close(np.mean(values))
    assert row["deviation"] == close(np.std(values, ddof=1))
    quantiles = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
    assert list(row["quantiles"].values()) == close(quantiles)
    assert row["interval_s"] == np.median(np.diff(seconds))
    if row["min"] < row["max"]:
        days = np.array(seconds) / 86_400
        slope = np.polyfit(days - days.mean(), values, 1)[0]
        assert row["trend"]["per_day"] == pytest.approx(slope, rel=1e-6, abs=1e-4)
        assert row["trend"]["r_squared"] == pytest.approx(np.corrcoef(days, values)[0, 1] ** 2, abs=1e-6)


@given(
    values=st.lists(st.floats(-1e100, 1e100, allow_subnormal=True), min_size=1, max_size=30),
    fence=st.floats(0, 100),
    gap=st.floats(1, 100),
)
@settings(max_examples=60)
def test_every_number_can_be_sent_and_keeps_its_order(values: list[float], fence: float, gap: float) -> None:
    (row,) = rows_of(table(*hourly(*map(repr, values))), fence, gap)
    Series.model_validate_json(Series.model_validate(row | {"missing": 0, "repeated": 0}).model_dump_json())
    assert [row["min"], *row["quantiles"].values(), row["max"]] == sorted(
        [row["min"], *row["quantiles"].values(), row["max"]]
    )
    assert np.isfinite([row["mean"], row["outliers"]["below"], row["outliers"]["above"]]).all()
    assert 0 <= row["outliers"]["count"] <= len(values) // 2 or fence < 1


CELL = st.text(st.sampled_from('ab "\n,;é'), min_size=1, max_size=6)


@given(notes=st.lists(CELL, min_size=1, max_size=12), blank=st.integers(0, 3), data=st.data())
@settings(max_examples=80)
def test_the_line_that_is_named_is_the_line_a_person_finds(
    notes: list[str], blank: int, data: st.DataObject
) -> None:
    wrong = data.draw(st.integers(0, len(notes) - 1))
    text = StringIO()
    text.write("\n" * blank)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["note", *HEADER.split(",")])
    for number, note in enumerate(notes):
        if number == wrong:
            line = text.getvalue().count("\n") + 1
        value = "wrong" if number == wrong else str(number)
        writer.writerow([note, "a", "b", f"{START + timedelta(hours=number):%Y-%m-%dT%H:%M}", value])
        text.write("\n" * (number % 2))
    with pytest.raises(
        GiveUp, match=rf"1 of {len(notes)} values .* in line {line}, column 5 .value., 'wrong'"
    ):
        rows_of(text.getvalue())


@pytest.mark.parametrize("seed", range(40))
def test_damaged_tables_give_up_or_are_summed_up_but_never_fail_otherwise(seed: int) -> None:
    chance = Random(seed)
    text = list(table(*hourly(*range(30))))
    for _ in range(chance.randint(1, 12)):
        text[chance.randrange(len(text))] = chance.choice('\n\r,"; \x00é-9T')
    with suppress(GiveUp):
        assert rows_of("".join(text))


def test_the_picture_is_a_small_png_with_the_colour_of_every_asset(tmp_path: Path) -> None:
    plot = summed(WEATHER.read_text()).plot
    raw = b64decode(plot.image)
    picture = Image.open(BytesIO(raw))
    assert (picture.format, picture.size, plot.series) == ("PNG", (plot.width, plot.height), 6)
    assert len(raw) < 60_000
    colours = {colour for _, colour in picture.convert("RGB").getcolors() or []}
    assert {(0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00), (255, 255, 255)} <= colours


def test_the_picture_shows_at_most_six_signals_of_six_assets() -> None:
    rows = [row for n in range(64) for row in hourly(1, 2, asset=f"a{n % 8}", signal=f"s{n // 8}")]
    assert summed(table(*rows)).plot.series == 36


@pytest.mark.parametrize(
    "rows",
    [
        ["$\\frac{,_x,2024-05-01,1", "_y$,^,2024-05-02,2"],
        ["ポンプ,温度 \u202eabc,2024-05-01,1"],
        ["a,b,2024-05-01T00:00:00.000001,1", "a,b,2024-05-01T00:00:00.000002,2"],
        ["a,b,1700-01-01,1", "a,b,2299-12-31,2"],
        ["a,b,2024-05-01,1e100", "a,b,2024-05-02,-1e100", "a,c,2024-05-01,1e-300", "a,c,2024-05-02,2e-300"],
        hourly(*range(900), "", "", "", "", 5),
        [f"a,b,2024-05-{day:02}T{hour:02}:{hour},1" for day in range(1, 28) for hour in (10, 11)],
    ],
    ids=["formulas", "other scripts", "microseconds", "centuries", "extremes", "many", "only gaps"],
)  # fmt: skip
def test_anything_that_can_be_summed_up_can_be_drawn(rows: list[str]) -> None:
    assert summed(table(*rows)).plot.width == 900


def test_says_how_far_it_is() -> None:
    fake = FakeContext()
    run_handler(summarize, {"csv": table(*hourly(1, 2), *hourly(1, 2, signal="x"))}, fake=fake)
    percents = [percent for percent, _ in fake.progress]
    assert percents == sorted(percents)
    assert [note for _, note in fake.progress][2:] == ["summing up 4 rows", "drawing bar", "drawing x"]


def test_equal_input_gives_equal_output() -> None:
    text = table(*hourly(*range(20)))
    assert summed(text) == summed(text)


def test_its_example_runs() -> None:
    for example in summarize.input_model.model_json_schema()["examples"]:
        assert run_handler(summarize, example).rows == 2


def test_the_api_does_not_load_what_only_the_work_needs() -> None:
    words = "import sys, sluice.kinds.measurements_summary; print({'polars', 'numpy', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
