-- Bind a free idempotency key to a job that was there before. Returns nothing if the key is taken.
-- $1: tenant; $2: key; $3: request hash; $4: job.
insert into idempotency_keys (tenant, key, request_hash, job_id) values ($1, $2, $3, $4::uuid)
on conflict do nothing
returning true
