"""The bench's job behind FastAPI and dramatiq: RabbitMQ with publisher confirms, results in Redis.

It keeps less than the product: results expire in Redis, and no job is recorded before its submit is answered.
"""
