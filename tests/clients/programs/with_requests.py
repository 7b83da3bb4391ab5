"""requests as it comes. It knows no Expect."""

from __future__ import annotations

import sys
from typing import Any

import requests

URL, KEY = sys.argv[1:]
SUM = '{"kind":"demo.sum","input":{"values":[1,2]}}'
JSON = {"Content-Type": "application/json"}


def main() -> None:
    """Ask for everything in turn, over one session."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {KEY}"

        def ask(what: str, method: str, path: str, **more: Any) -> requests.Response:
            answer = session.request(method, URL + path, timeout=20, **more)
            print(what, answer.status_code)  # noqa: T201  what the test reads
            return answer

        first = ask("submit", "POST", "/v1/jobs", data=SUM, headers=JSON)
        ask("submit", "POST", "/v1/jobs", json={"kind": "demo.sum", "input": {"values": [1]}})
        ask("large", "POST", "/v1/jobs", data=SUM + " " * 20_000, headers=JSON)
        ask("large", "POST", "/v1/jobs", data=iter([SUM.encode(), b" " * 20_000]), headers=JSON)
        ask("refused", "POST", "/v1/jobs", data=SUM, headers=JSON | {"Authorization": "Bearer nobody"})
        path = first.headers["location"]
        job = ask("look up", "GET", path)
        ask("unchanged", "GET", path, headers={"If-None-Match": job.headers["etag"]})
        ask("cancel", "POST", f"{path}/cancel")
        ask("submit", "POST", "/v1/jobs", data=SUM, headers=JSON)


if __name__ == "__main__":
    main()
