"""Models of explanations."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from sluice.core.explanation import Reason


class EtaDocument(BaseModel):
    """In how many seconds the job ends, as far as can be said."""

    p50_s: float = Field(description="If it is as quick as half of its kind")
    p90_s: float = Field(description="If it is as quick as nine tenths")


class MomentDocument(BaseModel):
    """Something that happened to the job, or will at that time."""

    at: datetime
    what: str = Field(examples=["queued"])
    detail: str


class ExplanationDocument(BaseModel):
    """Why a job is not done."""

    job_id: str
    state: str
    reason: Reason
    detail: str = Field(description="The reason in a sentence, for people")
    position: int | None = Field(
        description="Of a queued job: 1 for the next of its lane and priority to begin; beyond 1,000 an estimate"
    )
    eta: EtaDocument | None = Field(description="null where nobody can say")
    timeline: list[MomentDocument] = Field(description="In order, with the newest 50 attempts")
