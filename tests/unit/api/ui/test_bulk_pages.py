"""What the pages of bulk acts say: a sentence for each state, and for each reason that the record or a keeper gives."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from api.bulk.schemas import BulkActDocument
from api.ui.pages.bulk import SENTENCES
from consumer.keeper import room_for_retries
from sluice.core.bulk import STATES
from tests.unit.api.ui.conftest import Browser

QUERIES = Path(__file__).parents[4] / "sluice/adapters/postgres/queries"
OF_THE_RECORD = re.compile(r"reason = case when .*? then '([a-z-]+)' end")
OF_THE_KEEPER = re.compile(r"NoRoom\(\"([a-z-]+)\"")
REASONS = sorted(
    {reason for path in QUERIES.rglob("*.sql") for reason in OF_THE_RECORD.findall(path.read_text())}
    | set(OF_THE_KEEPER.findall(Path(str(room_for_retries.__file__)).read_text()))
)


def test_the_document_names_the_reasons_that_the_code_gives() -> None:
    named, _ = get_args(BulkActDocument.model_fields["reason"].annotation)
    assert sorted(get_args(named)) == REASONS


def test_each_state_and_each_reason_has_a_sentence() -> None:
    assert set(SENTENCES) == {*STATES, *REASONS}
    assert all(each.endswith(".") for each in SENTENCES.values())


@pytest.mark.parametrize("reason", REASONS)
async def test_a_page_says_why_an_act_does_not_go_on(browser: Browser, reason: str) -> None:
    form = {"act": "retry", "kind": "demo.sum", "canary": "1", "rate": "5"}
    path = (await browser.act("/bulk/new", form)).headers["location"].removeprefix("/ui")
    acts = browser.api.record.bulk.acts
    act_id = path.removeprefix("/bulk/")
    acts[act_id] = acts[act_id]._replace(reason=reason)
    assert SENTENCES[reason] in (await browser.see(path)).text
