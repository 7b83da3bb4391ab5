"""`make test-containers`: builds the image and tests docker-compose.yml, on a Docker engine of its own where none runs."""
