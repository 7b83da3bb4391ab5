-- Delete a finished job, its input and its attempts. Its idempotency keys stay and then stand for no job, so that no later request
-- with one of them counts as the first.
-- An administrator's is written down with it.
-- $1: tenant; $2: id; $3: whose key does it (null: nobody's who is named), and $4: in which request. Returns whether it is gone; if not, there is more to do. Nothing comes back for a job that is not there.
with old as materialized (
    select id, :keys from jobs where id = $2::uuid and tenant = $1 and finished_at is not null
), :with_all_of_it, noted as (
    insert into audit (key_id, tenant, action, object, detail)
    select $3::text, $1, 'job.delete', 'job/' || id, jsonb_strip_nulls(jsonb_build_object('request_id', $4::text)) from gone where $3 is not null
)
select exists (select from gone) from old
