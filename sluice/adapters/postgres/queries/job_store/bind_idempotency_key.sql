-- Keep a key: it stands for a job that was there before. Nothing is answered where the key is taken.
-- $1: tenant; $2: key; $3: request hash; $4: job.
insert into idempotency_keys (tenant, key, request_hash, job_id) values ($1, $2, $3, $4::uuid)
on conflict do nothing
returning true
