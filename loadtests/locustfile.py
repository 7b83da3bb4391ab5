"""What Locust reads: every journey, and the verdict. `make load` runs it; see README.md.

By hand: `locust -f loadtests/locustfile.py`, from the root of the tree.
"""

from __future__ import annotations

from locust import events

from loadtests import report
from loadtests.scenarios.cached_reads import CachedReads
from loadtests.scenarios.submit_and_poll import SubmitAndPoll
from loadtests.scenarios.submit_and_wait import SubmitAndWait

__all__ = ["CachedReads", "SubmitAndPoll", "SubmitAndWait"]

report.install(events)
