"""How fast the product is, measured from outside on fresh servers: `make bench`."""
