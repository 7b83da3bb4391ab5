"""The parts of `measurements.summary`: read a CSV, sum it up, draw it. Imported only where jobs run."""
