"""A client written by openapi-python-client from our document: typed submits and typed answers."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
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
    def load(name: str) -> object:
        return importlib.import_module(f"written.{name}")

    connection = load("client").AuthenticatedClient(base_url=URL, token=KEY)  # type: ignore[attr-defined]  # written just now
    models = load("models")
    given = models.DemoSumInput(values=[1, 2])  # type: ignore[attr-defined]  # as above
    submit = load("api.demo_sum.submit_demo_sum").sync  # type: ignore[attr-defined]  # as above
    job = submit(client=connection, body=given, prefer="wait=0", idempotency_key="generated")
    whole = models.DemoSumSubmit(kind="demo.sum", input_=given)  # type: ignore[attr-defined]  # as above
    other = load("api.jobs.submit_job").sync(client=connection, body=whole)  # type: ignore[attr-defined]  # as above
    seen = load("api.jobs.look_up_job").sync(job.id, client=connection)  # type: ignore[attr-defined]  # as above
    shown = [type(job).__name__, job.kind, job.state.value, other.state.value, seen.id == job.id]
    print(json.dumps(shown))  # noqa: T201  what the test reads


if __name__ == "__main__":
    main()
