"""Poll many jobs with one request."""
