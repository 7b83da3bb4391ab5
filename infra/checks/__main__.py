"""`make check-infra`: run every check, each to its end, and show what those said that failed.

`python -m infra.checks chart YAML` runs those whose names have one of these words.
"""

import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from infra.checks import tools
from infra.checks.check import Result, run
from infra.checks.table import CHECKS

_AT_ONCE = 2


def main(words: Sequence[str]) -> int:
    """Exit status 0 where every check held, 1 where one failed, 2 where the tools could not be installed or nothing is so named."""
    wanted = [check for check in CHECKS if not words or any(word in check.name for word in words)]
    if not wanted:
        print(f"no check is called {' or '.join(words)}: {', '.join(check.name for check in CHECKS)}")
        return 2
    try:
        tools.install()
    except subprocess.CalledProcessError as error:
        print(f"the tools of {tools.LOCK} could not be installed: {error}")
        return 2
    started = time.perf_counter()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        failed = report(pool.map(run, wanted))
    print(f"{len(wanted)} checks, {failed} failed, {time.perf_counter() - started:.1f} s")
    return 1 if failed else 0


def report(results: Iterable[Result]) -> int:
    """Print one line for each result as it comes, and all that a failed check said; return how many failed."""
    failed = 0
    for result in results:
        failed += result.failed
        note = f"  {result.said}" if result.verdict == "skipped" else ""
        print(f"{result.verdict:8} {result.check.name:24} {result.took_s:5.1f} s{note}", flush=True)
        if result.failed:
            print("\n".join(f"    {line}" for line in result.said.splitlines()), flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
