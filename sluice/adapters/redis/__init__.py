"""Redis: finished documents, wake-ups and statistics. Losing all of it makes Sluice slower, never wrong."""
