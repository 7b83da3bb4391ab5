"""The jobs `make run` submits."""

import base64
import io
import json
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from infra.local import sample_weather as weather
from infra.local.sample_jobs import samples
from sluice.core.runtime.settings import Settings
from sluice.host.loading import load_watched
from sluice.kinds.measurements_summary import summarize
from sluice.testing import run_handler


def test_the_numbers_reported_are_those_of_the_output(tmp_path: Path) -> None:
    first = samples(tmp_path, seed=1)[0]
    assert first.describe({"total": sum(first.input["values"])}).endswith(f"= {sum(first.input['values']):,}")


def test_another_seed_makes_work_that_no_cache_knows(tmp_path: Path) -> None:
    one, other = samples(tmp_path, seed=1), samples(tmp_path, seed=2)
    assert one[0].input != other[0].input
    assert one[3].input != other[3].input
    assert one[4].input != other[4].input


def test_the_thumbnail_is_saved_where_it_says_and_shown_in_colour(tmp_path: Path) -> None:
    sample = samples(tmp_path, seed=1)[3]
    with Image.open(io.BytesIO(base64.b64decode(sample.input["image"]))) as original:
        small = original.resize((48, 30))
    file = io.BytesIO()
    small.save(file, "PNG")
    raw = file.getvalue()
    output = {
        "image": base64.b64encode(raw).decode(),
        "width": 48,
        "height": 30,
        "format": "png",
        "bytes": len(raw),
    }

    assert "thumbnail.png" in sample.describe(output)
    assert (tmp_path / "thumbnail.png").read_bytes() == file.getvalue()
    assert sample.picture is not None
    assert str(sample.picture(output)).count("▀") == 56 * 18


def test_the_weather_is_summed_up_in_a_table_and_its_picture_saved_where_it_says(tmp_path: Path) -> None:
    sample = samples(tmp_path, seed=1)[4]
    output = json.loads(run_handler(summarize, sample.input).model_dump_json())

    assert "6,564 readings of 6 series" in sample.describe(output)
    with Image.open(tmp_path / "weather.png") as picture:
        assert picture.width == output["plot"]["width"]
    assert sample.table is not None
    console = Console(record=True, width=120, file=io.StringIO())
    console.print(sample.table(output))
    seattle = next(
        line for line in console.export_text().splitlines() if line.split()[:2] == ["Seattle", "wind"]
    )
    assert seattle.split()[3:6] == ["1094", "0", str(output["series"][5]["outliers"]["count"])]


@pytest.mark.parametrize("seed", [0, 365, 366])
def test_every_window_of_the_weather_has_all_series_of_equal_length(seed: int) -> None:
    rows = weather.readings(seed).splitlines()[1:]
    counts = Counter(tuple(row.split(",")[:2]) for row in rows)
    assert list(counts.values()) == [1095 - seed % 366] * 6


def test_every_shipped_kind_has_a_sample_that_its_input_model_accepts(tmp_path: Path) -> None:
    registry = load_watched(Settings.model_fields["handlers"].default)
    given = {sample.kind: json.dumps(sample.input) for sample in samples(tmp_path, seed=1)}
    assert given.keys() == set(registry)
    for kind, handler in registry.items():
        handler.input_model.model_validate_json(given[kind])
