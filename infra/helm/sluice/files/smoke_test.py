"""Run one real job through the API, as a client does: `helm test`, and what Argo CD runs after a sync.

It reads SLUICE_URL, SLUICE_API_KEY, SMOKE_JOB (the body of the submit) and SMOKE_WAIT_S.
"""

import os
import sys
import time

import httpx2

AGAIN_S = 2.0


def main() -> int:
    """Exit status 0 if the job succeeded in time; 1 if it did not, after what the API said last."""
    ends = time.monotonic() + float(os.environ["SMOKE_WAIT_S"])
    said = "nothing yet"
    headers = {"Authorization": f"Bearer {os.environ['SLUICE_API_KEY']}", "Prefer": "wait=10"}
    path, body = "/v1/jobs", os.environ["SMOKE_JOB"]
    with httpx2.Client(base_url=os.environ["SLUICE_URL"], headers=headers, timeout=30) as client:
        while time.monotonic() < ends:
            try:
                if path == "/v1/jobs":
                    answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
                else:
                    answer = client.get(path)
            except httpx2.TransportError as error:  # pods come and go right after an upgrade
                said = repr(error)
                time.sleep(AGAIN_S)
                continue
            said = f"{answer.status_code} {answer.text}"
            if answer.status_code in (401, 403, 404, 422):
                break
            if not answer.is_success:
                time.sleep(AGAIN_S)
                continue
            job = answer.json()
            path = f"/v1/jobs/{job['id']}"
            if job["state"] in ("succeeded", "failed", "cancelled"):
                print(said)
                return 0 if job["state"] == "succeeded" else 1
    print(f"no job succeeded: {said}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
