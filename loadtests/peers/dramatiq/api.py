"""The api: a submit is answered once RabbitMQ has confirmed its message; a look-up reads Redis."""

from __future__ import annotations

from typing import Any

from dramatiq.results import ResultMissing
from fastapi import FastAPI
from pydantic import BaseModel

from loadtests.peers.dramatiq.jobs import add, results


class Submit(BaseModel):
    """The body of a submit."""

    kind: str
    input: dict[str, Any]


class Job(BaseModel):
    """What a client is told about a job."""

    id: str
    state: str
    result: Any = None


app = FastAPI()


@app.post("/jobs", status_code=202)
def submit(work: Submit) -> Job:
    """Send the message; in a thread, as dramatiq blocks, and keeps a connection for each."""
    message = add.send(work.input["values"])
    return Job(id=message.message_id, state="queued")


@app.get("/jobs/{job_id}")
def look_up(job_id: str) -> Job:
    """Read the result; a job without one counts as queued."""
    try:
        result = add.message().copy(message_id=job_id).get_result(backend=results)
    except ResultMissing:
        return Job(id=job_id, state="queued")
    return Job(id=job_id, state="succeeded", result=result)
