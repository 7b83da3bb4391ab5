"""The work room: takes deliveries, runs handlers, keeps the record tidy."""
