"""PostgreSQL, Redis and RabbitMQ without Docker: private, on loopback, for `make run`, the tests and CI."""
