"""The consumer process: take jobs, run their handlers, repair the record."""
