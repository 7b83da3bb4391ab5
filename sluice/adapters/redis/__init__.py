"""Redis: finished documents and wake-ups."""
