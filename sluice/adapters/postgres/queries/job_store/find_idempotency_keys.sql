-- Find what idempotency keys stand for.
-- $1: tenants; $2: keys.
select tenant, key, request_hash, job_id::text
from idempotency_keys join unnest($1::text[], $2::text[]) as asked(tenant, key) using (tenant, key)
where :replicated
