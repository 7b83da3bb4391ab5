-- Delete idempotency keys that were kept for long enough, unless their jobs are still there. Goes through them in the order
-- in which they were made, from where the last tick ended.
-- $1: lock; $2, $3, $4: time, tenant and key to begin after; $5: seconds for which keys are kept; $6: the most to look at.
-- Returns nothing while another keeper does it.
with turn as materialized (
    select pg_try_advisory_xact_lock($1::bigint) as mine
), seen as materialized (
    select tenant, key, created_at, not exists (select from jobs where jobs.id = job_id) as over
    from idempotency_keys
    where (created_at, tenant, key) > ($2::timestamptz, $3::text, $4::text)
      and created_at < now() - $5::float8 * interval '1 second' and (select mine from turn)
    order by created_at, tenant, key limit $6::int
), old as materialized (
    select tenant, key from idempotency_keys join seen using (tenant, key) where over
    order by tenant, key for update of idempotency_keys skip locked
), gone as (
    delete from idempotency_keys using old
    where idempotency_keys.tenant = old.tenant and idempotency_keys.key = old.key
    returning 1
)
select (select count(*)::int from gone) as gone, (select count(*)::int from seen) as looked_at, last.*
from turn
left join (select created_at, tenant, key from seen order by created_at desc, tenant desc, key desc limit 1) as last on true
where mine
