"""Models of what is heard of a job: lines that its handler has logged."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from api.events.job_logs import Place
from api.http.schemas import whole_number_to
from sluice.core.errors import Flaw, Invalid

MOST = 1_000
"""Lines of a page."""
USUAL = 100
_TOKEN = re.compile(r"(\d{1,9})\.(\d{1,9})", re.ASCII)


class LogQuery(BaseModel):
    """Which lines of a log. What else a query has is judged by its route."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    page_size: Annotated[int, whole_number_to(MOST)] = Field(
        USUAL, ge=1, le=MOST, description="Lines of a page"
    )
    page_token: str | None = Field(
        None,
        description="`next_page_token` of the page before",
        json_schema_extra={"maxLength": 19, "pattern": f"^{_TOKEN.pattern}$"},
    )

    @property
    def after(self) -> Place:
        """The place behind which the page begins. Raises Invalid."""
        if self.page_token is None:
            return Place()
        found = _TOKEN.fullmatch(self.page_token)
        if found is None:
            raise Invalid([Flaw("?page_token", "page-token", "This is no token of a log.")])
        return Place(int(found[1]), int(found[2]))


def write_token(place: Place) -> str:
    """Write the token of the page behind this place."""
    return f"{place.fence}.{place.number}"


class LogLine(BaseModel):
    """A line that the handler has logged."""

    at: datetime
    level: str = Field(examples=["info"])
    attempt: int = Field(description="Which attempt it was, as in the document")
    message: str
    fields: dict[str, Any] = Field(description="What was logged with it; without what looks like a secret")


class LogLines(BaseModel):
    """Lines in the order in which they were logged."""

    lines: list[LogLine]
    next_page_token: str | None = Field(description="Null: these were the last")
    cut: bool = Field(description="Lines are missing before or among these: only the newest are kept")
