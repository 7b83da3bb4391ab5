"""The same job service as it is usually written, to hold ours against: FastAPI, aio-pika, asyncpg, one statement a step.

It keeps what it promises as well as ours does: a job is committed to PostgreSQL and its message confirmed by a quorum
queue before the submit is answered, and acknowledged after its result is committed. It knows no keys, no limits, no
retries, no metrics but one, and so has less to do.
"""
