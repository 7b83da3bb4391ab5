-- Let a bulk act go on that waits, and write down who did it. Returns nothing if it does not wait, or not at the version that was seen.
-- $1: tenant; $2: id; $3: the version that was seen (null: any); $4: whose key does it, and $5: in which request.
with gone as (
    update bulk_acts
    set version = version + 1, state = case when canary > 0 and changed < canary then 'canary' else 'running' end, reason = null,
        moved_at = now(), next_at = now(), taken_until = null
    where id = $2::uuid and tenant = $1 and state = 'waiting' and ($3::int is null or version = $3)
    returning *
), noted as (
    insert into audit (key_id, tenant, action, object, detail)
    select $4::text, tenant, 'bulk.go', 'bulk/' || id,
           jsonb_strip_nulls(jsonb_build_object('state', state, 'request_id', $5::text)) from gone
)
select :bulk_act from gone
