-- How many idempotency keys a job has, up to one more than are changed at once.
(select count(*) from (select from idempotency_keys where job_id = jobs.id limit 10001) as first) as keys
