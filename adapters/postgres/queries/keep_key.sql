-- Keep a key: it stands for a job that was there before. What is taken by another request, or stands for a job that is
-- there, stays as it is and nothing is answered.
-- $1: tenant; $2: key; $3: request hash; $4: job.
insert into idempotency_keys as known (tenant, key, request_hash, job_id) values ($1, $2, $3, $4::uuid)
on conflict (tenant, key) do update set job_id = excluded.job_id
    where known.request_hash = excluded.request_hash
      and not exists (select from jobs where jobs.id = known.job_id)
returning true
