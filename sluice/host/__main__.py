"""The host program: `python -m sluice.host NAME FD` serves the consumer at the other end of this socket.

NAME is for people who look at the processes of a machine.
"""

from __future__ import annotations

import sys

from sluice.host.serving import serve

if __name__ == "__main__":
    serve(int(sys.argv[2]))
