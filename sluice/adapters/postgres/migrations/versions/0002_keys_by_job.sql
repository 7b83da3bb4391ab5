-- Idempotency keys are found by their job when it is deleted. Nothing wrote to the table before this, so the index is
-- made at once.
create index idempotency_keys_job on idempotency_keys (job_id);
