"""The same job service as it is usually written, for comparison: FastAPI, aio-pika, asyncpg, one statement a step.

It keeps its promises as well as ours does: a job is committed to PostgreSQL and its message confirmed by a quorum
queue before the submit is answered, and acknowledged after its result is committed. It has no keys, limits or retries
and a single metric, and so has less to do.
"""
