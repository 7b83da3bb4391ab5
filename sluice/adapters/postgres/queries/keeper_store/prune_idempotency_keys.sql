-- Delete idempotency keys that were kept for long enough, once their jobs are gone.
-- The rows come as an array: a join may be planned as a walk of the whole table. Locked, they stay where they are.
-- $1: seconds for which keys are kept; $2: the most to delete.
with old as materialized (
    select ctid from idempotency_keys
    where job_id = '00000000-0000-0000-0000-000000000000' and created_at < now() - $1::float8 * interval '1 second'
    order by created_at limit $2::int for update skip locked
)
delete from idempotency_keys where ctid = any(array(select ctid from old)) returning 1
