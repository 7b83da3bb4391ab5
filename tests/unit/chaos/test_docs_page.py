"""A run replaces what an earlier one wrote, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fault.chaos.docs_page import read_section, replace_section


def test_the_text_between_the_marks_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\nbefore\n\n<!-- run -->\nold\n<!-- end of run -->\n\nafter\n")
    replace_section(page, "run", "# Found\n\n## More\n\n- #1\n")
    replace_section(page, "run", "# Found\n\n## More\n\n- #1\n")
    assert page.read_text() == (
        "# Page\n\nbefore\n\n<!-- run -->\n\n### Found\n\n#### More\n\n- #1\n\n<!-- end of run -->\n\nafter\n"
    )
    assert read_section(page, "run") == "### Found\n\n#### More\n\n- #1"


def test_a_page_without_a_place_for_it_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing")
    with pytest.raises(LookupError, match="controls"):
        replace_section(page, "controls", "text")
    assert page.read_text() == "nothing"
