"""How jobs come in: from the deliveries of RabbitMQ, or by polling the record."""
