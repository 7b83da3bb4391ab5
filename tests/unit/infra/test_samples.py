"""The jobs `make run` submits."""

import base64
import io
import json
from pathlib import Path

from PIL import Image

from core.registry import load
from core.settings import Settings
from infra.local.samples import samples


def test_the_numbers_told_are_those_of_the_output(tmp_path: Path) -> None:
    first = samples(tmp_path, seed=1)[0]
    assert first.tell({"total": sum(first.input["values"])}).endswith(f"= {sum(first.input['values']):,}")


def test_another_seed_makes_work_that_no_cache_knows(tmp_path: Path) -> None:
    one, other = samples(tmp_path, seed=1), samples(tmp_path, seed=2)
    assert one[0].input != other[0].input
    assert one[3].input != other[3].input


def test_the_thumbnail_is_saved_where_it_says_and_shown_in_colour(tmp_path: Path) -> None:
    sample = samples(tmp_path, seed=1)[3]
    with Image.open(io.BytesIO(base64.b64decode(sample.input["image"]))) as original:
        small = original.resize((48, 30))
    file = io.BytesIO()
    small.save(file, "PNG")
    output = {"image": base64.b64encode(file.getvalue()).decode(), "width": 48, "height": 30, "format": "png"}

    assert "thumbnail.png" in sample.tell(output)
    assert (tmp_path / "thumbnail.png").read_bytes() == file.getvalue()
    assert sample.show is not None
    assert sample.show(output).plain.count("▀") == 56 * 18


def test_every_shipped_kind_has_a_sample_that_its_input_model_accepts(tmp_path: Path) -> None:
    registry = load(Settings.model_fields["handlers"].default)
    given = {sample.kind: json.dumps(sample.input) for sample in samples(tmp_path, seed=1)}
    assert given.keys() == set(registry)
    for kind, handler in registry.items():
        handler.input_model.model_validate_json(given[kind])
