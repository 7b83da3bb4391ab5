"""What a job costs the record when its table is large: `make at-size`; and a fleet that has nothing to do: `make at-rest`."""
