"""What `measurements.summary` consists of: reading a CSV, summing it up, drawing it. Imported only where jobs run."""
