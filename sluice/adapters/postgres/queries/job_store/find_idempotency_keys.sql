-- Find what idempotency keys stand for.
-- $1: tenants; $2: keys.
select known.tenant, known.key, request_hash, job_id::text
from unnest($1::text[], $2::text[]) as asked(tenant, key)
cross join lateral (select * from idempotency_keys where (tenant, key) = (asked.tenant, asked.key) limit 1) as known
where :replicated
