-- Point an idempotency key whose job was never inserted, because its request died, to a job that exists. It is a statement
-- of its own, after the one that found the key taken: that one cannot see the job of a rival that it waited for. Nor can this one: it
-- leaves a key alone that somebody changes meanwhile.
-- $1: tenant; $2: key; $3: request hash; $4: job.
update idempotency_keys as known set job_id = $4::uuid
where tenant = $1 and key = $2 and request_hash = $3 and job_id <> '00000000-0000-0000-0000-000000000000'
  and (select id from jobs where jobs.id = known.job_id) is null
  and xmin = (select seen.xmin from idempotency_keys as seen where tenant = $1 and key = $2)
returning true
