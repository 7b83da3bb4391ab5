"""Start the consumer process: `python -m consumer`."""

import sys
from pathlib import Path

# A package called sluice of somebody else may come first on the path. It is refused in one line, and by our own code.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from consumer.serving import main

del sys.path[0]

if __name__ == "__main__":
    sys.exit(main())
