"""Redis: finished documents, news of jobs, and statistics. Losing all of it changes speed, never truth."""
