"""How jobs come in: from RabbitMQ's deliveries, or by polling the record."""
