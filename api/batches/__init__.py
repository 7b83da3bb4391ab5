"""Many jobs with one request: submit them, and follow them as a whole."""
