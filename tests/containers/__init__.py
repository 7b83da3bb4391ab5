"""What only containers can show; run by `make test-containers` alone."""
