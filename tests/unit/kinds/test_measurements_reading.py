"""CSVs as databases, spreadsheets and loggers write them: read right, or refused with the place and what to write."""

from __future__ import annotations

import csv
import re
from contextlib import suppress
from datetime import datetime, timedelta
from io import StringIO
from time import perf_counter
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sluice import GiveUp
from sluice.kinds.measurements.reading import read
from sluice.kinds.measurements.sheet import Sheet

HEADER = "asset,signal,time,value\n"
ROW = "a,b,2024-05-01,1\n"
TAKEN = [("a", "b", datetime(2024, 5, 1), 1.0)]  # noqa: DTZ001  as a time without a zone is answered


def rows(text: str, delimiter: str = ",") -> list[tuple[Any, ...]]:
    """Return the readings of a CSV."""
    readings, _ = read(Sheet.of(text, delimiter))
    return readings.select("asset", "signal", "time", "value").rows()


def refusal(text: str, delimiter: str = ",") -> str:
    """Return the message of the GiveUp."""
    with pytest.raises(GiveUp) as ended:
        rows(text, delimiter)
    return str(ended.value)


def timed(*times: str) -> tuple[list[str], bool]:
    """Return what these times are read as, and whether they have a zone."""
    cells = "".join(f'a,b{number},"{time}",1\n' for number, time in enumerate(times))
    readings, zoned = read(Sheet.of(HEADER + cells, ","))
    return [str(time) for time in readings["time"]], zoned


def valued(*values: str, delimiter: str = ",") -> list[float | None]:
    """Return what these values are read as; one more is a 7, so that there is one at all."""
    cells = [f'a,b{number},2024-05-01,"{value}"' for number, value in enumerate([*values, "7"])]
    text = HEADER + "\n".join(cells)
    if delimiter != ",":
        text = HEADER.replace(",", delimiter) + "\n".join(cell.replace(",", delimiter, 3) for cell in cells)
    return [row[3] for row in rows(text, delimiter)][:-1]


@pytest.mark.parametrize(
    "time",
    [
        "2024-05-01T10:00:00Z", "2024-05-01t10:00z", "2024-05-01 12:00:00+02", "2024-05-01 12:00+0200", "2024-05-01T12+02:00",
        "2024-05-01 10:53:28+00:53:28", "20240501T100000Z", "20240501100000Z", "20240501T1000+00", "20240501 07:00-03",
        "2024-05-01 10:00:00 UTC", "2024-05-01 10:00 GMT", "2024-05-01T08:00:00\u221202:00", "2024-05-01T12:00+02:00[Europe/Berlin]",
        "2024-05-01 10:00:00.000000+00", "2024-04-30T24:00:00-10:00", "2024-05-01T09:59:60Z", "1714557600", "1714557600.0",
        "1714557600000", "1714557600000.0", "1714557600000000", "1714557600000000999",
    ],
)  # fmt: skip
def test_a_time_with_a_zone_is_read_however_it_is_written(time: str) -> None:
    assert timed(time) == (["2024-05-01 10:00:00"], True)


@pytest.mark.parametrize(
    ("time", "right"),
    [
        ("2024-05-01", "2024-05-01 00:00:00"),
        ("20240501", "2024-05-01 00:00:00"),
        ("2024/5/1 9:05", "2024-05-01 09:05:00"),
        ("2024.05.01", "2024-05-01 00:00:00"),
        ("2024-05-01T10", "2024-05-01 10:00:00"),
        ("20240501T10", "2024-05-01 10:00:00"),
        ("202405011030", "2024-05-01 10:30:00"),
        ("20240501103015.5", "2024-05-01 10:30:15.500000"),
        ("2024-05-01T10:30:15,25", "2024-05-01 10:30:15.250000"),
        ("2024-05-01 10:30:15.1234567890123", "2024-05-01 10:30:15.123456"),
        ("2024-02-29T24:00", "2024-03-01 00:00:00"),
    ],
)
def test_a_time_without_a_zone_stays_as_it_is(time: str, right: str) -> None:
    assert timed(time) == ([right], False)


FORMS = [
    "{0:%Y-%m-%dT%H:%M:%S.%f}{1}", "{0:%Y-%m-%d %H:%M:%S.%f}{1}", "{0:%Y%m%dT%H%M%S.%f}{1}", "{0:%Y/%m/%d %H:%M:%S,%f} {1}",
    "{0:%Y%m%d%H%M%S.%f}{1}",
]  # fmt: skip


@given(
    st.datetimes(datetime(1800, 1, 1), datetime(2200, 1, 1)),  # noqa: DTZ001  its zone is generated apart
    st.timedeltas(timedelta(hours=-14, seconds=-59), timedelta(hours=14, seconds=59)),
    st.sampled_from(FORMS),
)
@settings(max_examples=150)
def test_any_time_in_any_form_is_the_moment_that_python_works_out(
    local: datetime, ahead: timedelta, form: str
) -> None:
    ahead = timedelta(seconds=int(ahead.total_seconds()))
    seconds = abs(int(ahead.total_seconds()))
    zone = (
        f"{'-' if ahead < timedelta() else '+'}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    )
    assert timed(form.format(local, zone)) == ([str(local - ahead)], True)


@given(st.integers(10**9, 10**10 - 1), st.integers(0, 999_999))
@settings(max_examples=80)
def test_an_epoch_time_is_read_to_the_microsecond_or_refused(second: int, micro: int) -> None:
    right = str(datetime(1970, 1, 1) + timedelta(seconds=second, microseconds=micro))  # noqa: DTZ001  it is answered in UTC
    texts = [
        f"{second}.{micro:06}",
        f"{second}{micro:06}",
        f"{second}{micro:06}000",
        f"{second}{micro // 1000:03}.{micro % 1000:03}",
    ]
    for text in texts:
        with suppress(GiveUp):
            assert timed(text) == ([right], True)
    if second < 1_900_000_000:
        assert timed(*texts) == ([right] * 4, True)


@pytest.mark.parametrize(
    ("time", "advice"),
    [
        ("1/5/2024 13:45", "Which number is the day is not clear."),
        ("01.05.24", "Which number is the day is not clear."),
        ("13-05-2024", "Which number is the day is not clear."),
        ("45413", "Is it a serial number of a spreadsheet? Format the cells as yyyy-mm-dd hh:mm:ss."),
        ("45413.5", "a serial number of a spreadsheet?"),
        ("infinity", "Leave rows without an end of time out."),
        ("-infinity", "Leave rows without an end of time out."),
        ("2024-05-01 1:45 PM", "Hours count from 0 to 23."),
        ("2024-05-01 10:00 CEST", "Abbreviations of zones mean several"),
        ("2024050110", "Put a T before the hours."),
        ("2024050110000000", "Put a T before the hours."),
        ("0000-00-00 00:00:00", ""),
        ("2024-05-01T24:00:01", ""),
        ("2024-05-01T10:60", ""),
        ("2024-05-01T10:00:61", ""),
        ("2024-05-01T10:00+14:60", ""),
        ("2024-05-01T10:00+01:00:60", ""),
        ("2024-05-01T10:00:00.", ""),
        ("2024-05-01Z", ""),
        ("2024-13-01", ""),
        ("2024-W18-3", ""),
        ("2024-122", ""),
        ("2024-05-01 10:00:00 BC", ""),
        ("\u0662\u0660\u0662\u0664-05-01", ""),
        ("2024-05-01T1\u0660:00", ""),
        ("171455760", ""),
        ("9999999999999999999", ""),
        ("now", ""),
    ],
)  # fmt: skip
def test_a_time_that_is_not_clear_is_refused_with_its_place_and_what_to_write(time: str, advice: str) -> None:
    text = refusal(f'{HEADER}a,b,2024-05-01,1\n\na,b,"{time}",2\n')
    assert "1 of 2 times cannot be read: write them like 2024-05-01, 2024-05-01T13:45:00" in text
    assert f"The first is in line 4, column 3 (time), '{time}'." in text
    assert advice in text if advice else text.endswith("'.")


@pytest.mark.parametrize("time", ["", r"\N"])
def test_a_time_that_is_missing_is_refused(time: str) -> None:
    assert "1 of 1 rows have no time. The first is in line 2, column 3 (time)." in refusal(
        f"{HEADER}a,b,{time},1\n"
    )


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("+.5", 0.5), ("5.", 5), ("1.5E+03", 1500), ("\u22125", -5), ("1,234.5", 1234.5), ("-1,234,567", -1234567), ("1.234,5", 1234.5),
        ("1.234.567", 1234567), ("1 234.5", 1234.5), ("1\u00a0234", 1234), ("1\u202f234\u202f567", 1234567), ("1'234.5", 1234.5),
        ("1\u2019234", 1234), ("1.234", 1.234),
    ],
)  # fmt: skip
def test_a_number_is_read_however_it_is_written(text: str, right: float) -> None:
    assert valued(text) == [right]


@pytest.mark.parametrize(
    ("text", "right"),
    [("1,5", 1.5), (",5", 0.5), ("-0,5e3", -500), ("1,234", 1.234), ("1.234,5", 1234.5), ("1 234,5", 1234.5), ("1.5", 1.5),
     ("1,234,567", 1234567), ("1,234.5", 1234.5)],
)  # fmt: skip
def test_where_semicolons_separate_the_cells_a_comma_marks_decimals(text: str, right: float) -> None:
    assert valued(text, delimiter=";") == [right]


@given(
    st.floats(-1e9, 1e9).map(lambda value: round(value, 3)),
    st.sampled_from([",.", ".,", " .", "'.", "\u00a0.", "\u202f,"]),
)
@settings(max_examples=150)
def test_any_number_with_marks_is_read_as_what_was_written(value: float, marks: str) -> None:
    text = f"{value:,.3f}".translate(str.maketrans(",.", marks))
    assert valued(text, delimiter=";") == [value]


@pytest.mark.parametrize(
    "word", ["", "NaN", "-nan", "NA", "n/a", "<NA>", "#N/A", "NULL", "None", r"\N", "-", "1.#IND", "-1.#QNAN"]
)
def test_words_for_a_missing_value_are_none(word: str) -> None:
    assert valued(word) == [None]


@pytest.mark.parametrize(
    ("text", "advice"),
    [("1,5", "A comma marks decimals only where ';' separates the cells."), ("\u2212nan", ""), ("1,234", "A comma marks decimals only"),
     ("12,34,567", "A comma"), ("1.5.2", ""), ("1 2", ""), ("5%", ""), ("0x1F", ""), ("1_000", ""), ("TRUE", ""), ("(5)", ""),
     ("-1.#INF", ""), ("#DIV/0!", ""), ("1\u0662", "")],
)  # fmt: skip
def test_what_is_no_number_is_refused_with_its_place_and_what_to_write(text: str, advice: str) -> None:
    words = refusal(f'{HEADER}a,b,2024-05-01,1\na,b,2024-05-02,"{text}"\n')
    assert "1 of 2 values are no numbers: write them like -12.5 or 3e-4." in words
    assert f"The first is in line 3, column 4 (value), {text!r}." in words
    assert advice in words


def test_decimal_points_beside_decimal_commas_are_refused() -> None:
    text = HEADER.replace(",", ";") + "a;b;2024-05-01;1,5\na;b;2024-05-02;1.234\na;b;2024-05-03;7\n"
    words = refusal(text, ";")
    assert (
        "1 of 3 values mark decimals with a point, or thousands with a comma, while others do the reverse"
        in words
    )
    assert "in line 3, column 4 (value), '1.234'" in words
    assert rows(text.replace("1.234", "11.234,0"), ";")[1][3] == 11234


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize(
    ("thousands", "decimals"),
    [("1.234.567", "1.234"), ("-1.234.567", "-987.654"), ("1.234.567", "0.5"), ("1.234.567", "1,234,567"), ("1.234.567,5", "1.5e3")],
)  # fmt: skip
def test_a_point_or_comma_for_thousands_in_one_value_is_none_for_decimals_in_another(
    thousands: str, decimals: str, delimiter: str
) -> None:
    with pytest.raises(GiveUp, match=f"while others do the reverse.* {re.escape(repr(decimals))}"):
        valued(thousands, decimals, delimiter=delimiter)


def test_thousands_by_commas_beside_decimal_commas_are_refused() -> None:
    with pytest.raises(GiveUp, match="'1,234,567'"):
        valued("1,234,567", "1,234", delimiter=";")
    assert valued("1,234,567", "1.234", "0.5", delimiter=";") == [1234567, 1.234, 0.5]
    assert valued("1.234.567", "1.234,5", "1,234", "12", delimiter=";") == [1234567, 1234.5, 1.234, 12]
    assert valued("1'234'567", "1.234") == [1234567, 1.234]


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\n" + (HEADER + ROW).replace(",", ";"),
        "sep=\t\r\n" + (HEADER + ROW).replace(",", "\t"),
        '"SEP=,"\n' + HEADER + ROW,
        "# made by a logger, 2024\n\n#\n" + HEADER + ROW + "# end, really\n#\n  # x\n",
        "# asset,signal,time,value\n" + ROW,
        "# x\n#asset,signal,time,value\n\n" + ROW,
        "# asset,signal,time,value\n" + HEADER + ROW,
        HEADER.strip() + ",,\n" + ROW.strip() + ",,\n",
        HEADER + ROW.strip() + ",,,,\n",
        ",,,,\n;;\n \t\n" + HEADER + ROW + ",,,\n\n",
        "\ufeff\ufeff" + HEADER + ROW,
        "note,note,,asset,signal,time,value,\n1,2,3," + ROW,
        '"x\ny",asset,"signal", TIME ,Value\n1,' + ROW,
        HEADER + ROW + r"\N,\N,\N,\N" + "\n",
        '"asset", "signal", "time", "value"\n"a", "b", "2024-05-01", 1\n',
        'sep=;\nasset; "signal"; time;value\n a; "b";2024-05-01;  "1"\n',
        HEADER + ROW + "\x1a",
        (HEADER + ROW).replace("\n", "\r\n") + "\x1a" * 9 + "\r\n",
    ],
)  # fmt: skip
def test_what_stands_around_the_readings_does_not_change_them(text: str) -> None:
    assert rows(text) == TAKEN


LONE = [
    'pipe 5" a,b,2024-05-01,1,x',
    '5 ",b,2024-05-01,2,x',
    'a,b,2024-05-01,3,5" long',
    'a,"b, c",2024-05-01,4,"6"" long"',
    'a,b"c,2024-05-01,5,x',
    'pipe 5"x6" a,b,2024-05-01,6,7" long',
]
"""Rows with quotes within cells, of which polars would merge some."""


@given(st.lists(st.sampled_from(LONE), min_size=1, max_size=6, unique=True))
@settings(max_examples=60)
def test_a_quote_within_a_cell_is_one_and_merges_no_rows(lines: list[str]) -> None:
    names = {line: tuple(next(csv.reader([line], strict=True))[:2]) for line in lines}
    found = rows("asset,signal,time,value,note\n" + "\n".join(lines))
    assert [(row[:2], row[3]) for row in found] == [
        (names[line], float(LONE.index(line) + 1)) for line in lines
    ]


def test_a_name_may_begin_with_a_hash() -> None:
    names = [
        row[0] for row in rows("# x\n#asset,signal,time,value\n#1,b,2024-05-01,1\n#2,b,2024-05-01,\n# 3, x\n")
    ]
    assert names == ["#1", "#2"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sep=:\n" + HEADER + ROW, "Line 1 says that ':' separates the cells: ',', ';', a tab, '|' can."),
        ("sep=;", "The CSV is empty"),
        (",", "The CSV is empty"),
        ('"asset" ,"signal","time","value"\n' + ROW, "The row in line 1 cannot be read: ',' expected after"),
        ("# only\n", "The CSV is empty"),
        ("# x\n" + ROW, "Line 2 has to name the columns asset, signal, time, value; it says 'a, b"),
        ("\n\nasset,time,value\n" + ROW, "The header in line 3 lacks 'signal'"),
        (HEADER + ROW.strip() + ",,7\n", "Line 2 has 6 cells, the header has 4: put cells that hold ',' into quotes."),
        ("sep=;\n# c\n\n" + (HEADER + "a,b,x,1\n").replace(",", ";"), "in line 5, column 3 (time), 'x'"),
        ('"x\ny",' + HEADER + "1," + ROW.replace("01", "x"), "in line 3, column 4 (time), '2024-05-x'"),
        ("# c\n" + HEADER + ROW + 'a,"b"c,2024-05-02,1\n', "The row in line 4 cannot be read: ',' expected after"),
        ("# c\n" + HEADER + '"a', "The row in line 3 cannot be read"),
        ("\u00ef\u00bb\u00bf" + HEADER + ROW, "Line 1 holds bytes that are no text"),
        ("\u00ff\u00fe" + "\0".join(HEADER + ROW), "Line 1 holds bytes that are no text"),
        ("\ufffe" + HEADER, "Line 1 holds bytes that are no text: read the file as what it is, UTF-16 for example"),
        (HEADER + ROW + "a\0" + ROW, "Line 3 holds bytes that are no text"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_table_is_refused_with_its_line(text: str, words: str) -> None:
    assert words in refusal(text)


WIDE = ",".join(f"c{number}" for number in range(24)) + "," + HEADER
NONSENSE = {
    "lines": (WIDE, "\n", ""),
    "separators": (HEADER, ",", "x"),
    "quotes": (HEADER, '"', ""),
    "lone quotes": (HEADER, 'a"\n', ""),
    "comment": ("", "#", ""),
    "comments": ("", "#\n", HEADER),
    "headers": ("", "# " + HEADER, ""),
    "sep": ("", "sep=,", ""),
    "spaces": ("", " ", ","),
    "columns": ("", "x,", ""),
    "time": (HEADER + "a,b,2024-05-01", " ", "x,1"),
    "value": (HEADER + "a,b,2024-05-01,", "'111", ""),
}


@pytest.mark.parametrize("size", [120_000, 1_400_000])
@pytest.mark.parametrize(("head", "unit", "tail"), NONSENSE.values(), ids=NONSENSE)
def test_megabytes_of_nonsense_are_refused_soon(head: str, unit: str, tail: str, size: int) -> None:
    begin = perf_counter()
    assert refusal(head + unit * (size // len(unit)) + tail)
    assert perf_counter() - begin < 30  # a machine that does much else; one second otherwise


PIECES = ["asset", "signal", "time", "value", ",", ";", "\t", "\n", "\r", '"', "#", "sep=", "\ufeff", "\0", r"\N", "1,5", "1.234", "NaN", "a",
          "2024-05-01", "T10:00", "+02", "Z", "1714557600", "infinity", " ", "9" * 30, HEADER, ROW]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=40), st.sampled_from(",;\t|"))
@settings(max_examples=400)
def test_any_pieces_in_any_order_are_summed_up_or_refused(pieces: list[str], delimiter: str) -> None:
    for head in ("", HEADER.replace(",", delimiter)):
        with suppress(GiveUp):
            assert rows(head + "".join(pieces), delimiter)


@given(st.lists(st.sampled_from(['"', '""', "\n", ",", "a", " ", '\n"', '",']), max_size=18))
@example(["\n", '"', '""'])
@example(['""', "a", '"', "\n", '"', "a", '",', '"', '"', "\n"])
@settings(max_examples=300)
def test_cells_are_those_that_the_reader_of_python_finds(pieces: list[str]) -> None:
    text = HEADER + "".join(pieces)
    with suppress(GiveUp):
        cells = Sheet.of(text, ",").cells().select("asset", "signal", "time", "value").rows()
        records = [
            [*record, *[""] * 4][:4]
            for record in csv.reader(StringIO(text), strict=True, skipinitialspace=True)
        ]
        right = [
            tuple(re.sub(",+(?=\n)", "", cell).strip() or None for cell in record) for record in records[1:]
        ]
        assert cells == [record for record in right if any(record)]
