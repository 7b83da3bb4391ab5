"""A client written by openapi-python-client from our document: typed submits, typed answers, and a typed result."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import urlopen

URL, KEY, FOLDER = sys.argv[1:]


def main() -> None:
    """Write the client, import it, and submit with it."""
    document, client = Path(FOLDER) / "openapi.json", Path(FOLDER) / "written"
    with urlopen(f"{URL}/openapi.json") as answer:  # noqa: S310  it is the api's own address
        document.write_bytes(answer.read())
    command = ["generate", "--path", str(document), "--output-path", str(client), "--meta", "none"]
    done = subprocess.run(
        [sys.executable, "-m", "openapi_python_client", *command], capture_output=True, text=True, check=True
    )
    if "nable to" in done.stdout + done.stderr:
        raise SystemExit(done.stdout + done.stderr)
    sys.path.insert(0, FOLDER)
    _submit()


def _submit() -> None:
    client = load("client").AuthenticatedClient(base_url=URL, token=KEY)
    models = load("models")
    given = models.DemoSumInput(values=[1, 2])
    submit = load("api.demo_sum.submit_demo_sum").sync
    look_up = load("api.jobs.look_up_job").sync
    job = submit(client=client, body=given, prefer="wait=0", idempotency_key="generated")
    whole = models.DemoSumSubmit(kind="demo.sum", input_=given)
    other = load("api.jobs.submit_job").sync(client=client, body=whole)
    seen = look_up(job.id, client=client)
    shown = {
        "submitted": [type(job).__name__, job.kind, job.state.value],
        "by the path of all kinds": other.state.value,
        "looked up": seen.id == job.id,
    }
    while seen.state.value != "succeeded":
        seen = look_up(job.id, client=client)
    job = submit(client=client, body=given, prefer="wait=0", idempotency_key="generated")
    output = models.DemoSumOutput.from_dict(seen.result)  # a job that is looked up may be of any kind
    shown |= {
        "result": [type(job.result).__name__, job.result.total],
        "result looked up": [type(output).__name__, output.total],
    }
    print(json.dumps(shown))  # noqa: T201  what the test reads


def load(name: str) -> Any:
    """Import a module of the client, which was written just now."""
    return importlib.import_module(f"written.{name}")


if __name__ == "__main__":
    main()
