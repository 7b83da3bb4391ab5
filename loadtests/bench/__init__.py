"""How fast it is, measured from outside on fresh servers: `make bench`."""
