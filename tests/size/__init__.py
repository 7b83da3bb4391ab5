"""What a job costs the record when its table is large: `make at-size`."""
